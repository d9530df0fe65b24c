// A folder for what one run of a program needs while it runs (sockets), in a place that runs share.
// It is locked as long as anybody has the lock's descriptor open; those that were killed leave
// theirs behind for the next one to sweep.
#pragma once

#include "base/err.h"

// Makes and locks BASE/PREFIX1234abcd (0700), after sweeping those whose runs are dead. The path
// and the descriptor are the caller's. NULL on failure.
char *run_folder_make(const char *base, const char *prefix, int *lock_fd, struct err *err);
// With the files in it; folders in it stay. NULL is fine.
void run_folder_remove(const char *path);
