#define _GNU_SOURCE
#include "event/guardian.h"

#include "base/mem.h"
#include "base/run_folder.h"
#include "event/fd.h"
#include "event/stray.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_GROUPS = 64 };

struct guardian {
    pid_t pid;
    int pipe; // write end: positive numbers to watch, negative to forget
    char mark[STRAY_MARK_MAX];
};

static void keep(pid_t groups[MAX_GROUPS], pid_t message) {
    for (int i = 0; i < MAX_GROUPS; i++) {
        if (message > 0 && groups[i] == 0) {
            groups[i] = message;
            return;
        }
        if (message < 0 && groups[i] == -message)
            groups[i] = 0;
    }
}

int guardian_run(const char *mark, const char *folder) {
    static pid_t groups[MAX_GROUPS];
    pid_t message;
    for (;;) {
        ssize_t n = read(STDIN_FILENO, &message, sizeof message); // whole: smaller than PIPE_BUF
        if (n == (ssize_t)sizeof message)
            keep(groups, message);
        else if (n >= 0 || errno != EINTR)
            break;
    }
    for (int i = 0; i < MAX_GROUPS; i++)
        if (groups[i] > 1)
            kill(-groups[i], SIGKILL);
    if (mark)
        stray_kill(mark);
    run_folder_remove(folder);
    return 0;
}

struct guardian *guardian_create(const char *program, const char *folder, struct err *err) {
    int ends[2];
    char mark[STRAY_MARK_MAX];
    if (!stray_mark(mark, err))
        return NULL;
    if (!fd_pipe(ends)) {
        err_errno(err, "cannot make a pipe");
        return NULL;
    }
    pid_t pid = fork();
    if (pid < 0) {
        err_errno(err, "cannot fork");
        close(ends[0]);
        close(ends[1]);
        return NULL;
    }
    if (pid == 0) {
        setsid(); // a Ctrl-C in our terminal is not for it
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        dup2(ends[0], STDIN_FILENO);
        fd_close_from(STDERR_FILENO + 1);
        char *const argv[] = {"ancalagon-guard", mark, (char *)folder, NULL};
        char *const envp[] = {NULL};
        if (program)
            execve(program, argv, envp); // small, and with a name of its own
        _exit(guardian_run(mark, folder));
    }
    close(ends[0]);
    struct guardian *guardian = mem_alloc(sizeof *guardian);
    guardian->pid = pid;
    guardian->pipe = ends[1];
    memcpy(guardian->mark, mark, sizeof mark);
    return guardian;
}

const char *guardian_mark(const struct guardian *guardian) { return guardian->mark; }

static void tell(struct guardian *guardian, pid_t message) {
    while (write(guardian->pipe, &message, sizeof message) < 0 && errno == EINTR) {
    }
}

void guardian_watch(struct guardian *guardian, pid_t group) { tell(guardian, group); }

void guardian_forget(struct guardian *guardian, pid_t group) { tell(guardian, -group); }

void guardian_destroy(struct guardian *guardian) {
    if (!guardian)
        return;
    close(guardian->pipe);
    while (waitpid(guardian->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    mem_free(guardian);
}
