// What is asked about jobs: the list, one, its results as JSON and CSV, its progress as events, its
// end. Feeders: a job of photos that lie on a share.
#pragma once

#include "api.h"
#include "store.h"

json_t *job_json(const struct job *job); // the caller's
void api_jobs_ask(struct api *api, struct http_exchange *exchange, enum route route,
                  const char *name);
