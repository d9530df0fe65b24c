// The poles of a job: what the photos that are done say together. The clerk's (jobs.h).
#pragma once

#include "pipeline.h"
#include "store.h"

struct pole_reader {
    struct store *store;
    const struct pipeline *pipeline;
    double tolerance;                           // of power
    void (*on_pole)(void *arg, json_t *report); // pole_report with "fotos" and "prontas"; borrowed
    void *arg;
};

// In the order of their names; poles of which nothing is done yet are left out.
bool job_poles(const struct pole_reader *reader, const char *job, struct err *err);
