// Several threads that work through numbered jobs, and are gone when all is done.
#pragma once

#include "base/err.h"

#include <stddef.h>

enum { CREW_MAX = 64 };

typedef bool crew_job(void *context, size_t index, unsigned worker, struct err *err);

// Calls job(context, index, worker, err) for every index below `jobs`, in order of the numbers,
// from `threads` threads at once, this one among them; `worker` is below `threads` (at most
// CREW_MAX) and the same for all jobs of one thread. After a job has failed no more are begun; the
// first failure's error is given. Threads that cannot be had are done without.
bool crew_run(unsigned threads, size_t jobs, crew_job *job, void *context, struct err *err);
