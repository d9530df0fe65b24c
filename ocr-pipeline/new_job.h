// A job that is about to be: its photos, and whoever waits to hear its number. What it owns is
// gone when it does not come to be, or its client leaves before.
#pragma once

#include "api.h"

struct new_job;

struct new_job *new_job_create(struct api *api, const char *kind);
void new_job_destroy(struct new_job *job); // NULL is fine; before new_job_start only
void new_job_add(struct new_job *job, const char *pole, unsigned number, const char *source,
                 bool spooled);
size_t new_job_photos(const struct new_job *job);
void new_job_spool(struct new_job *job, char *folder); // takes it over
// Takes the job over and answers 202, or why not.
void new_job_start(struct new_job *job, struct http_exchange *exchange);
