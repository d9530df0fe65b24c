// Work that may block for long (a file on a share that hangs, a driver that wakes up) in a thread
// of its own, so that the loop does not wait; its end comes back as a callback on the loop.
//
// `run` is called in the thread and owns what `arg` points to until it returns; it must touch
// nothing that belongs to the loop. Signals go to the loop's thread.
#pragma once

#include "base/err.h"
#include "event/loop.h"

struct work;

struct work_ops {
    void (*run)(void *arg);  // in the thread
    void (*done)(void *arg); // on the loop, when run has returned
    void (*drop)(void *arg); // instead of done, wherever run ended, once the work was abandoned
};

// NULL when too many are under way (most likely all stuck on the same share).
struct work *work_start(struct loop *loop, const struct work_ops *ops, void *arg, struct err *err);

// Nobody waits for it any more. It cannot be stopped; it ends in its own time.
void work_abandon(struct work *work); // NULL is fine
