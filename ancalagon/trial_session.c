#define _GNU_SOURCE
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "event/tie.h"
#include "trial_private.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// Folders of sessions that were killed, and their guardian with them.
static void sweep(const char *base) {
    DIR *dir = opendir(base);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        int64_t pid;
        if (!str_starts(entry->d_name, "trial-") ||
            !str_to_int(entry->d_name + strlen("trial-"), 1, INT32_MAX, &pid) ||
            kill((pid_t)pid, 0) == 0 || errno != ESRCH)
            continue;
        char *folder = path_join(base, entry->d_name);
        DIR *inside = opendir(folder);
        for (struct dirent *file; inside && (file = readdir(inside));)
            if (str_ends(file->d_name, ".sock") || str_ends(file->d_name, ".key"))
                unlinkat(dirfd(inside), file->d_name, 0);
        if (inside)
            closedir(inside);
        rmdir(folder);
        mem_free(folder);
    }
    if (dir)
        closedir(dir);
}

static void on_signal(int signal, void *arg) {
    struct trial_session *session = arg;
    session->signals_seen++;
    if (session->current)
        trial_interrupt(session->current);
}

// Those that whoever started us has not switched off (nohup, a shell's background jobs).
static void watch_signals(struct trial_session *session) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < 3; i++) {
        struct sigaction now;
        if (sigaction(numbers[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
            signal_watch_start(&session->signals[session->signal_count++], session->loop,
                               numbers[i], on_signal, session);
    }
}

struct trial_session *trial_session_create(const struct config *config, struct err *err) {
    struct trial_session *session = mem_alloc(sizeof *session);
    char *base = path_runtime();
    session->config = config;
    trial_noise_init(&session->prefill_noise);
    trial_noise_init(&session->decode_noise);
    session->runtime_dir = mem_printf("%s/trial-%d", base, (int)getpid());
    signal(SIGPIPE, SIG_IGN);
    tie_adopt(); // what an engine forks away comes back to us
    bool ok = path_make_private(session->runtime_dir, err);
    if (ok)
        sweep(base);
    mem_free(base);
    session->loop = ok ? loop_create(err) : NULL;
    if (session->loop) {
        watch_signals(session);
        session->launch = launch_context_create(session->loop, session->runtime_dir, true, err);
    }
    if (!session->launch) {
        trial_session_destroy(session);
        return NULL;
    }
    session->watch = trial_watch_create(NULL); // a thread, so after the guardian's fork
    return session;
}

void trial_session_destroy(struct trial_session *session) {
    if (!session)
        return;
    trial_watch_destroy(session->watch);
    launch_context_destroy(session->launch);
    for (size_t i = 0; i < session->signal_count; i++)
        signal_watch_stop(&session->signals[i]);
    loop_destroy(session->loop);
    rmdir(session->runtime_dir);
    mem_free(session->runtime_dir);
    mem_free(session);
}

bool trial_interrupted(struct trial_session *session) {
    event_base_loop(loop_base(session->loop), EVLOOP_NONBLOCK); // a signal may wait there
    return session->signals_seen > 0;
}
