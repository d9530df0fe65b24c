// Folders for photos of jobs: DIR/spool/ID/0, 1 ... A folder without its mark belongs to a request
// that never became a job, and goes at the next start.
#pragma once

#include "base/err.h"

#include <stddef.h>

char *spool_create(const char *state_dir, struct err *err); // of a new folder; the caller's
bool spool_keep(const char *folder, struct err *err);       // on the disk, and marked
void spool_remove(const char *folder);
void spool_sweep(const char *state_dir);
