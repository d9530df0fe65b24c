// Nothing outlives us, even when we are killed with SIGKILL: a small process of our own that waits
// for our end (a pipe closes) and then kills the process groups we had told it of. PR_SET_PDEATHSIG
// alone reaches only direct children: an engine behind a wrapper script would live on.
#pragma once

#include "base/err.h"

#include <sys/types.h>

struct guardian;

// Forks; to be called early, while there are few descriptors and no threads.
struct guardian *guardian_create(struct err *err);
void guardian_destroy(struct guardian *guardian); // ends it, killing nothing. NULL is fine
void guardian_watch(struct guardian *guardian, pid_t group);
void guardian_forget(struct guardian *guardian, pid_t group); // its group is gone: never reuse it
