#include "event/loop.h"

#include "base/mem.h"

#include <time.h>

enum { SCRATCH_BYTES = 64 * 1024 };

TAILQ_HEAD(deferred_list, deferred);

struct loop {
    struct event_base *base;
    struct event wake; // made active by hand: runs the deferred list before the loop sleeps again
    struct deferred_list deferred, endings;
    char scratch[SCRATCH_BYTES];
};

static void run_all(struct deferred_list *list) {
    struct deferred *deferred;
    while ((deferred = TAILQ_FIRST(list))) {
        TAILQ_REMOVE(list, deferred, link);
        deferred->queued = false;
        deferred->run(deferred->arg); // may free its owner, and `deferred` with it
    }
}

void loop_run_deferred(struct loop *loop) { run_all(&loop->deferred); }

static void on_wake(evutil_socket_t fd, short what, void *arg) { loop_run_deferred(arg); }

struct loop *loop_create(struct err *err) {
    struct event_config *config = event_config_new();
    if (!config) {
        err_set(err, ERR_SYSTEM, "cannot configure the event loop");
        return NULL;
    }
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    // A timer counts from when it is started, also when the callback before it took its time.
    event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    if (!base) {
        err_set(err, ERR_SYSTEM, "cannot create the event loop");
        return NULL;
    }
    struct loop *loop = mem_alloc(sizeof *loop);
    loop->base = base;
    TAILQ_INIT(&loop->deferred);
    TAILQ_INIT(&loop->endings);
    event_assign(&loop->wake, base, -1, 0, on_wake, loop);
    return loop;
}

void loop_destroy(struct loop *loop) {
    if (!loop)
        return;
    loop_run_deferred(loop);
    run_all(&loop->endings);
    loop_run_deferred(loop);
    event_del(&loop->wake);
    event_base_free(loop->base);
    mem_free(loop);
}

void loop_run(struct loop *loop) { event_base_dispatch(loop->base); }

void loop_stop(struct loop *loop) { event_base_loopbreak(loop->base); }

struct event_base *loop_base(struct loop *loop) {
    return loop->base;
}

int64_t loop_now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t loop_now_ms(void) { return loop_now_us() / 1000; }

int64_t loop_wall_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void loop_defer(struct loop *loop, struct deferred *deferred, void (*run)(void *arg), void *arg) {
    if (deferred->queued)
        return;
    *deferred = (struct deferred){.run = run, .arg = arg, .queued = true};
    if (TAILQ_EMPTY(&loop->deferred))
        event_active(&loop->wake, EV_TIMEOUT, 1);
    TAILQ_INSERT_TAIL(&loop->deferred, deferred, link);
}

void loop_undefer(struct loop *loop, struct deferred *deferred) {
    if (!deferred->queued)
        return;
    TAILQ_REMOVE(&loop->deferred, deferred, link);
    deferred->queued = false;
}

void loop_at_end(struct loop *loop, struct deferred *deferred, void (*run)(void *arg), void *arg) {
    if (deferred->queued)
        return;
    *deferred = (struct deferred){.run = run, .arg = arg, .queued = true};
    TAILQ_INSERT_TAIL(&loop->endings, deferred, link);
}

void loop_not_at_end(struct loop *loop, struct deferred *deferred) {
    if (deferred->queued)
        TAILQ_REMOVE(&loop->endings, deferred, link);
    deferred->queued = false;
}

char *loop_scratch(struct loop *loop, size_t *size) {
    *size = sizeof loop->scratch;
    return loop->scratch;
}

static void on_timer(evutil_socket_t fd, short what, void *arg) {
    struct timer *timer = arg;
    timer->armed = false;
    timer->fire(timer->arg);
}

void timer_init(struct timer *timer, struct loop *loop, void (*fire)(void *arg), void *arg) {
    timer->fire = fire;
    timer->arg = arg;
    timer->armed = false;
    evtimer_assign(&timer->event, loop->base, on_timer, timer);
}

void timer_start(struct timer *timer, int64_t delay_ms) {
    struct timeval delay = {delay_ms / 1000, (delay_ms % 1000) * 1000};
    timer->armed = true;
    event_add(&timer->event, &delay);
}

void timer_stop(struct timer *timer) {
    if (timer->armed)
        event_del(&timer->event);
    timer->armed = false;
}

static void on_signal(evutil_socket_t signal, short what, void *arg) {
    struct signal_watch *watch = arg;
    watch->fire((int)signal, watch->arg);
}

void signal_watch_start(struct signal_watch *watch, struct loop *loop, int signal,
                        void (*fire)(int signal, void *arg), void *arg) {
    watch->fire = fire;
    watch->arg = arg;
    evsignal_assign(&watch->event, loop->base, signal, on_signal, watch);
    event_add(&watch->event, NULL);
}

void signal_watch_stop(struct signal_watch *watch) { event_del(&watch->event); }
