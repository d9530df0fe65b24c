#include "file_wait.h"

#include "base/progress.h"
#include "base/system.h"
#include "commands.h"
#include "event/loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

static int64_t bound_ms; // 0: none
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static TAILQ_HEAD(, file_wait) waits = TAILQ_HEAD_INITIALIZER(waits); // under lock; oldest first
static pthread_cond_t begun;

static _Noreturn void give_up(const char *path) {
    struct progress progress;
    char time[32];
    progress_duration(time, sizeof time, bound_ms);
    progress_init(&progress, stderr);
    progress.drawn = progress.shown; // another one may stand there
    progress_clear(&progress);
    fprintf(stderr,
            "ocr-pipeline: %s: no answer for %s ([limits] file-wait); what it lies on hangs\n",
            path, time);
    _exit(EXIT_SHARE);
}

static void *watch(void *arg) {
    pthread_mutex_lock(&lock);
    for (;;) {
        const struct file_wait *oldest = TAILQ_FIRST(&waits);
        int64_t left_ms = oldest ? oldest->until_ms - loop_now_ms() : 0;
        if (!oldest)
            pthread_cond_wait(&begun, &lock);
        else if (left_ms > 0)
            system_condition_wait(&begun, &lock, left_ms);
        else
            give_up(oldest->path);
    }
    return NULL;
}

void file_wait_bound(int64_t most_ms) {
    pthread_t thread;
    sigset_t all, before;
    system_condition_init(&begun);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before); // they are for the others
    if (pthread_create(&thread, NULL, watch, NULL) == 0) {
        pthread_detach(thread);
        bound_ms = most_ms;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void file_wait_begin(struct file_wait *wait, const char *path) {
    if (!bound_ms)
        return;
    pthread_mutex_lock(&lock);
    *wait = (struct file_wait){.path = path, .until_ms = loop_now_ms() + bound_ms};
    bool first = TAILQ_EMPTY(&waits);
    TAILQ_INSERT_TAIL(&waits, wait, link);
    if (first)
        pthread_cond_signal(&begun);
    pthread_mutex_unlock(&lock);
}

void file_wait_end(struct file_wait *wait) {
    int number = errno;
    if (!bound_ms)
        return;
    pthread_mutex_lock(&lock);
    TAILQ_REMOVE(&waits, wait, link);
    pthread_mutex_unlock(&lock);
    errno = number;
}
