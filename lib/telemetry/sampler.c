#define _GNU_SOURCE
#include "telemetry/sampler.h"

#include "base/mem.h"
#include "base/system.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

enum { STALE_MS = 1000, STOP_MS = 500 };

struct sampler {
    pthread_t thread;
    char *nvml, *sysfs; // the thread's
    int every_ms;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    // protected by lock
    bool stop, ended, sampled;
    bool abandoned; // nobody waits any more: the thread frees all when its driver lets it go
    struct gpu_sample latest;
    int64_t latest_ms;
};

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void take(struct gpus *gpus, struct gpu_sample *out) {
    out->number++;
    out->count = gpus_count(gpus);
    for (size_t i = 0; i < out->count; i++) {
        out->info[i] = *gpus_info(gpus, i);
        gpus_read(gpus, i, &out->reading[i]);
    }
}

static void destroy(struct sampler *sampler) {
    pthread_cond_destroy(&sampler->changed);
    pthread_mutex_destroy(&sampler->lock);
    mem_free(sampler->nvml);
    mem_free(sampler->sysfs);
    mem_free(sampler);
}

// Until `fact` holds (under the lock), or the time is over.
static void wait_for(struct sampler *sampler, const bool *fact, int64_t ms) {
    int64_t until = now_ms() + ms;
    for (int64_t left = ms; !*fact && left > 0; left = until - now_ms())
        system_condition_wait(&sampler->changed, &sampler->lock, left);
}

static void *run(void *arg) {
    struct sampler *sampler = arg;
    struct gpu_sample sample = {0};
    struct gpus *gpus =
        gpus_open(&(struct gpu_roots){.nvml = sampler->nvml, .sysfs = sampler->sysfs});
    pthread_mutex_lock(&sampler->lock);
    while (!sampler->stop) {
        pthread_mutex_unlock(&sampler->lock);
        take(gpus, &sample); // without the lock: it may never return
        pthread_mutex_lock(&sampler->lock);
        sampler->latest = sample;
        sampler->sampled = true;
        sampler->latest_ms = now_ms();
        pthread_cond_broadcast(&sampler->changed);
        wait_for(sampler, &sampler->stop, sampler->every_ms);
    }
    pthread_mutex_unlock(&sampler->lock);
    gpus_close(gpus);
    pthread_mutex_lock(&sampler->lock);
    sampler->ended = true;
    bool abandoned = sampler->abandoned;
    pthread_cond_broadcast(&sampler->changed);
    pthread_mutex_unlock(&sampler->lock);
    if (abandoned)
        destroy(sampler);
    return NULL;
}

struct sampler *sampler_start(const struct gpu_roots *roots, int every_ms) {
    struct sampler *sampler = mem_alloc(sizeof *sampler);
    sampler->nvml = mem_strdup(roots ? roots->nvml : NULL);
    sampler->sysfs = mem_strdup(roots ? roots->sysfs : NULL);
    sampler->every_ms = every_ms;
    pthread_mutex_init(&sampler->lock, NULL);
    system_condition_init(&sampler->changed);
    // Signals are the loop's: none may be delivered to this thread.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    bool ok = pthread_create(&sampler->thread, NULL, run, sampler) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!ok) {
        destroy(sampler);
        return NULL;
    }
    return sampler;
}

bool sampler_latest(struct sampler *sampler, struct gpu_sample *out) {
    pthread_mutex_lock(&sampler->lock);
    int64_t age = now_ms() - sampler->latest_ms;
    bool ok = sampler->sampled && age < STALE_MS + sampler->every_ms;
    if (ok)
        *out = sampler->latest;
    pthread_mutex_unlock(&sampler->lock);
    return ok;
}

bool sampler_wait(struct sampler *sampler, int timeout_ms) {
    pthread_mutex_lock(&sampler->lock);
    wait_for(sampler, &sampler->sampled, timeout_ms);
    bool ok = sampler->sampled;
    pthread_mutex_unlock(&sampler->lock);
    return ok;
}

void sampler_stop(struct sampler *sampler) {
    if (!sampler)
        return;
    pthread_mutex_lock(&sampler->lock);
    sampler->stop = true;
    pthread_cond_broadcast(&sampler->changed);
    wait_for(sampler, &sampler->ended, STOP_MS);
    bool abandoned = sampler->abandoned = !sampler->ended;
    pthread_t thread = sampler->thread;
    pthread_mutex_unlock(&sampler->lock);
    if (abandoned) {
        pthread_detach(thread);
        return;
    }
    pthread_join(thread, NULL);
    destroy(sampler);
}
