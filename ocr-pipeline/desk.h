// Work that takes long (a photo, a listing of a share) waits here for a thread, on the loop's side:
// at most so many at once, at most so many waiting, and jobs in turn with those who wait.
#pragma once

#include "base/err.h"
#include "event/work.h"

struct desk;
struct order;

enum desk_line {
    DESK_NOW,   // somebody waits for the answer
    DESK_MORE,  // of a request that was let in: never refused
    DESK_BATCH, // of a job
    DESK_ALONE, // of a job, with nothing beside it
};

// What an order does: run in a thread, then done on the loop; drop on the loop instead, when it
// was cancelled.
struct desk_ops {
    void (*run)(void *arg);
    void (*done)(void *arg);
    void (*drop)(void *arg);
};

// `most_at_once` threads; of DESK_NOW at most `most_waiting` orders wait.
struct desk *desk_create(struct loop *loop, unsigned most_at_once, unsigned most_waiting);
// Waiting orders are dropped. None may run any more (desk_wind_down).
void desk_destroy(struct desk *desk); // NULL is fine
void desk_drop_waiting(struct desk *desk);
// Nothing starts from now on; calls back when nothing runs any more, perhaps at once.
void desk_wind_down(struct desk *desk, void (*on_idle)(void *arg), void *arg);

// NULL with ERR_BUSY: too many wait; then nothing is called.
struct order *desk_submit(struct desk *desk, enum desk_line line, const struct desk_ops *ops,
                          void *arg, struct err *err);
// Nobody waits for it any more. What runs keeps its thread until it ends; dropped either way.
void desk_cancel(struct order *order);
unsigned desk_waiting(const struct desk *desk);
unsigned desk_running(const struct desk *desk);
