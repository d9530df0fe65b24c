// What must be found out before a preset can be decided, and may take its time: the headers of its
// files, and what its devices have free. Runs in a thread (event/work.h), or where blocking is
// fine.
#pragma once

#include "decision.h"
#include "engine/dialect.h"
#include "model_files.h"

struct preset;

struct survey {
    void *owner;              // the caller's
    struct model_files files; // may hold those of the last time: then only what changed is read
    char *path[MODEL_FILES];
    char *engine, *rpc;
    char *draft, **folders; // the preset's key, and where "auto" looks
    struct dialect_devices devices;
    bool ask_devices;
    bool devices_fresh; // their free memory is of now; else of the build's first probe
};

// Takes *files over.
struct survey *survey_create(const struct config *config, const struct preset *preset,
                             const struct dialect *dialect, struct model_files *files, void *owner);
// Is there nothing that may take its time? Then it need not be run.
bool survey_is_done(const struct survey *survey);
void survey_run(void *of);     // these two take a struct survey, as work_ops want them
void survey_destroy(void *of); // with the files, unless they were taken

// Surveys and decides on the spot, for commands: they may block. `empty`: as if nobody else used
// the machine; else with what is free now, in which an engine of ours may be.
bool survey_decide(const struct config *config, const struct preset *preset, bool empty,
                   void (*note)(void *arg, const char *text), void *arg, struct decision *out,
                   struct err *err);
