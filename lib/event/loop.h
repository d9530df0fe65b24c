// The event loop: one thread, one libevent base. Everything that waits (sockets, timers, signals,
// children) hangs on it; nothing here may block.
#pragma once

#include "base/err.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdint.h>
#include <sys/queue.h>

struct loop;

struct loop *loop_create(struct err *err);
void loop_destroy(struct loop *loop); // runs what was deferred first
void loop_run(struct loop *loop);     // until loop_stop
void loop_stop(struct loop *loop);
struct event_base *loop_base(struct loop *loop);

// Monotonic clock in milliseconds; microseconds for measurements.
int64_t loop_now_ms(void);
int64_t loop_now_us(void);
int64_t loop_wall_ms(void); // since 1970, for what is kept; it may be set back

// Work put off until the callback that is running has returned to the loop. It makes destroying an
// object from inside its own callback safe: close now, free later. Embedded in its owner.
struct deferred {
    TAILQ_ENTRY(deferred) link;
    void (*run)(void *arg);
    void *arg;
    bool queued;
};
void loop_defer(struct loop *loop, struct deferred *deferred, void (*run)(void *arg), void *arg);
void loop_run_deferred(struct loop *loop); // now; for a callback that has nothing left to do
void loop_undefer(struct loop *loop, struct deferred *deferred);
// Work of loop_destroy, unless it is called off: for what belongs to nobody but the loop.
void loop_at_end(struct loop *loop, struct deferred *deferred, void (*run)(void *arg), void *arg);
void loop_not_at_end(struct loop *loop, struct deferred *deferred);

// A 64 KiB area for one recv at a time; its content is good until the callback returns.
char *loop_scratch(struct loop *loop, size_t *size);

// A one-shot timer, embedded in its owner. Starting again moves the deadline.
struct timer {
    struct event event;
    void (*fire)(void *arg);
    void *arg;
    bool armed;
};
void timer_init(struct timer *timer, struct loop *loop, void (*fire)(void *arg), void *arg);
void timer_start(struct timer *timer, int64_t delay_ms);
void timer_stop(struct timer *timer);

// A signal delivered as a callback on the loop.
struct signal_watch {
    struct event event;
    void (*fire)(int signal, void *arg);
    void *arg;
};
void signal_watch_start(struct signal_watch *watch, struct loop *loop, int signal,
                        void (*fire)(int signal, void *arg), void *arg);
void signal_watch_stop(struct signal_watch *watch);
