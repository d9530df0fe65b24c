// Folders for photos of jobs: DIR/spool/ID/0, 1 ... A folder that no job needs belongs to a request
// that never became one, or to a job that is over: it goes at the next start.
#pragma once

#include "base/err.h"

#include <stddef.h>

char *spool_create(const char *state_dir, struct err *err); // of a new folder; the caller's
bool spool_keep(const char *folder, struct err *err);       // is on the disk for good
void spool_remove(const char *folder);
// Removes the folders that nobody needs.
void spool_sweep(const char *state_dir, bool (*is_needed)(void *arg, const char *folder),
                 void *arg);
