#include "event/work.h"

#include "base/mem.h"
#include "event/fd.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { WORKS_MAX = 16 };

enum phase { WORK_RUNS, WORK_ENDED, WORK_ABANDONED };

struct work {
    const struct work_ops *ops;
    void *arg;
    pthread_t thread;
    struct event ended; // on the read end of `end`
    int end[2];         // a pipe; -1 = none
    pthread_mutex_t lock;
    enum phase phase; // under lock
};

static atomic_int under_way;

static void release(struct work *work) {
    for (size_t i = 0; i < 2; i++)
        if (work->end[i] >= 0)
            close(work->end[i]);
    pthread_mutex_destroy(&work->lock);
    mem_free(work);
    atomic_fetch_sub(&under_way, 1);
}

static void *thread_main(void *arg) {
    struct work *work = arg;
    work->ops->run(work->arg);
    pthread_mutex_lock(&work->lock);
    bool abandoned = work->phase == WORK_ABANDONED;
    if (!abandoned) {
        work->phase = WORK_ENDED;
        if (write(work->end[1], "", 1) != 1)
            abort(); // an empty pipe takes it
    }
    pthread_mutex_unlock(&work->lock);
    if (abandoned) {
        work->ops->drop(work->arg);
        release(work);
    }
    return NULL;
}

static void on_ended(evutil_socket_t fd, short what, void *arg) {
    struct work *work = arg;
    const struct work_ops *ops = work->ops;
    void *owner = work->arg;
    pthread_join(work->thread, NULL);
    event_del(&work->ended);
    release(work);
    ops->done(owner);
}

static bool start_thread(struct work *work) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&work->thread, NULL, thread_main, work);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed == 0;
}

struct work *work_start(struct loop *loop, const struct work_ops *ops, void *arg, struct err *err) {
    if (atomic_fetch_add(&under_way, 1) >= WORKS_MAX) {
        atomic_fetch_sub(&under_way, 1);
        err_set(err, ERR_BUSY, "%d reads are stuck already", WORKS_MAX);
        return NULL;
    }
    struct work *work = mem_alloc(sizeof *work);
    work->ops = ops;
    work->arg = arg;
    pthread_mutex_init(&work->lock, NULL);
    bool ok = fd_pipe(work->end);
    if (!ok)
        work->end[0] = work->end[1] = -1;
    if (ok) {
        event_assign(&work->ended, loop_base(loop), work->end[0], EV_READ, on_ended, work);
        event_add(&work->ended, NULL);
        ok = start_thread(work);
        if (!ok)
            event_del(&work->ended);
    }
    if (!ok) {
        err_errno(err, "cannot start a thread");
        release(work);
        return NULL;
    }
    return work;
}

void work_abandon(struct work *work) {
    if (!work)
        return;
    event_del(&work->ended);
    pthread_mutex_lock(&work->lock);
    bool ended = work->phase == WORK_ENDED;
    if (!ended) {
        work->phase = WORK_ABANDONED;
        pthread_detach(work->thread);
    }
    pthread_mutex_unlock(&work->lock);
    if (!ended)
        return;
    pthread_join(work->thread, NULL);
    work->ops->drop(work->arg);
    release(work);
}
