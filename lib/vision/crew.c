#include "vision/crew.h"

#include <pthread.h>
#include <stdatomic.h>

struct crew {
    size_t jobs;
    crew_job *job;
    void *context;
    atomic_size_t next;
    atomic_bool failed;
    pthread_mutex_t lock;
    struct err err; // protected by lock: of the first failure
};

struct worker {
    struct crew *crew;
    unsigned number;
    pthread_t thread;
};

static void note_failure(struct crew *crew, const struct err *err) {
    pthread_mutex_lock(&crew->lock);
    if (!atomic_exchange(&crew->failed, true))
        crew->err = *err;
    pthread_mutex_unlock(&crew->lock);
}

static void *work(void *arg) {
    struct worker *worker = arg;
    struct crew *crew = worker->crew;
    while (!atomic_load(&crew->failed)) {
        size_t index = atomic_fetch_add(&crew->next, 1);
        struct err err = {0};
        if (index >= crew->jobs)
            break;
        if (!crew->job(crew->context, index, worker->number, &err))
            note_failure(crew, &err);
    }
    return NULL;
}

bool crew_run(unsigned threads, size_t jobs, crew_job *job, void *context, struct err *err) {
    struct crew crew = {.jobs = jobs, .job = job, .context = context};
    struct worker workers[CREW_MAX];
    unsigned started = 1;
    pthread_mutex_init(&crew.lock, NULL);
    threads = threads > CREW_MAX ? CREW_MAX : threads;
    for (; started < threads && started < jobs; started++) {
        workers[started] = (struct worker){&crew, started, 0};
        if (pthread_create(&workers[started].thread, NULL, work, &workers[started]) != 0)
            break;
    }
    workers[0] = (struct worker){&crew, 0, 0};
    work(&workers[0]);
    for (unsigned i = 1; i < started; i++)
        pthread_join(workers[i].thread, NULL);
    pthread_mutex_destroy(&crew.lock);
    if (atomic_load(&crew.failed) && err)
        *err = crew.err;
    return !atomic_load(&crew.failed);
}
