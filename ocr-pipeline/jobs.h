// Jobs: many photos, read one after the other in the background, kept in the store so that none is
// lost or read into the results twice, whenever the process ends. On the loop; the store is only
// touched by the clerk, a desk with one thread, in the order of its errands.
#pragma once

#include "base/err.h"
#include "config.h"
#include "desk.h"
#include "pipeline.h"
#include "records.h"
#include "store.h"

struct jobs;
struct job_watch;

// `records` NULL: there are none.
struct jobs *jobs_create(struct loop *loop, const struct config *config, struct pipeline *pipeline,
                         struct records *records, struct desk *desk, struct err *err);
void jobs_destroy(struct jobs *jobs); // NULL is fine; its desks run nothing any more
// What waits for a model waits no longer: those photos are read after the next start.
void jobs_let_go(struct jobs *jobs);
// A share that hangs may keep it from ever calling back.
void jobs_wind_down(struct jobs *jobs, void (*on_idle)(void *arg), void *arg);

// An errand for the clerk; `run` may use jobs_store. As desk_submit.
struct order *jobs_errand(struct jobs *jobs, const struct desk_ops *ops, void *arg,
                          struct err *err);
// The same for what asks a share, and may hang.
struct order *jobs_load(struct jobs *jobs, const struct desk_ops *ops, void *arg, struct err *err);
struct store *jobs_store(struct jobs *jobs);
const struct config *jobs_config(const struct jobs *jobs);
void jobs_wake(struct jobs *jobs); // there may be photos to read

void jobs_forget_spool(struct jobs *jobs, const char *job); // of a job that is over; the clerk's

// Called on the loop after each photo of that job, and when it ends or is cancelled.
struct job_watch *jobs_watch(struct jobs *jobs, const char *job,
                             void (*on_change)(void *arg, const struct job *job), void *arg);
void jobs_unwatch(struct job_watch *watch);
void jobs_tell(struct jobs *jobs, const struct job *job); // to those who watch
