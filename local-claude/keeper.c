#define _GNU_SOURCE
#include "keeper.h"

#include "base/run_folder.h"
#include "event/loop.h"
#include "event/tie.h"
#include "tether.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOT_STARTED = 127 };

struct keeper {
    const struct tether_spec *spec;
    int life, input, output, errors; // of the program's pipes our ends
    pid_t program;
    int64_t next_beat_ms, deadline_ms; // 0 = none
    bool drains;
};

static int child_ended[2]; // a pipe: SIGCHLD writes, the keeper polls

static void on_child_signal(int signal) {
    int saved = errno;
    ssize_t ignored = write(child_ended[1], "", 1);
    (void)ignored;
    errno = saved;
}

// What is open in us (the pipe that somebody reads Claude Code's answer from) is not to stay open
// for our sake.
static void close_others(const int *kept, size_t count) {
    DIR *folder = opendir("/dev/fd");
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        int fd = (int)strtol(entry->d_name, NULL, 10);
        bool keep = fd <= 2 || fd == dirfd(folder);
        for (size_t i = 0; i < count; i++)
            keep = keep || kept[i] == fd;
        if (!keep)
            close(fd);
    }
    if (folder)
        closedir(folder);
}

static void set_signals(void) {
    static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE};
    struct sigaction action = {.sa_handler = SIG_IGN};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        sigaction(ignored[i], &action, NULL);
    action.sa_handler = SIG_DFL;
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = on_child_signal;
    sigaction(SIGCHLD, &action, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void become(const struct keeper *keeper, const struct keeper_ends *ends, pid_t parent) {
    const struct tether_spec *spec = keeper->spec;
    setpgid(0, 0);
    if (spec->terminal >= 0) // SIGTTOU is ignored still
        tcsetpgrp(spec->terminal, getpid());
    dup2(ends->input[0], STDIN_FILENO);
    dup2(ends->output[1], STDOUT_FILENO);
    dup2(ends->errors[1], STDERR_FILENO);
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &action, NULL);
    tie_to_parent(parent, SIGTERM);
    execve(spec->path, spec->argv, spec->envp); // the others are closed by it
    fprintf(stderr, "cannot start %s: %s\n", spec->path, strerror(errno));
    _exit(NOT_STARTED);
}

static void drain(int *fd) {
    char dropped[8192];
    ssize_t n = read(*fd, dropped, sizeof dropped);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        close(*fd);
        *fd = -1;
    }
}

static void begin_end(struct keeper *keeper) {
    close(keeper->life);
    keeper->life = -1;
    if (keeper->input >= 0)
        close(keeper->input);
    keeper->input = -1;
    keeper->drains = true;
    keeper->deadline_ms = loop_now_ms() + keeper->spec->grace_ms;
}

static void on_life(struct keeper *keeper) {
    char byte;
    ssize_t n = read(keeper->life, &byte, 1);
    if (n > 0)
        keeper->drains = true;
    else if (n == 0 || errno != EINTR)
        begin_end(keeper);
}

static void beat(struct keeper *keeper, int64_t now) {
    if (keeper->input < 0 || keeper->spec->beat_ms == 0 || now < keeper->next_beat_ms)
        return;
    ssize_t ignored = write(keeper->input, "\n", 1); // non-blocking: a full pipe has beats enough
    (void)ignored;
    keeper->next_beat_ms = now + keeper->spec->beat_ms;
}

static int timeout(const struct keeper *keeper, int64_t now) {
    int64_t due = keeper->deadline_ms                           ? keeper->deadline_ms
                  : keeper->spec->beat_ms && keeper->input >= 0 ? keeper->next_beat_ms
                                                                : -1;
    return due < 0 ? -1 : due > now ? (int)(due - now) : 0;
}

// The program's wait status.
static int watch(struct keeper *keeper) {
    int status;
    while (waitpid(keeper->program, &status, WNOHANG) != keeper->program) {
        struct pollfd fds[] = {{child_ended[0], POLLIN, 0},
                               {keeper->life, POLLIN, 0},
                               {keeper->drains ? keeper->output : -1, POLLIN, 0},
                               {keeper->drains ? keeper->errors : -1, POLLIN, 0}};
        int64_t now = loop_now_ms();
        if (poll(fds, 4, timeout(keeper, now)) > 0) {
            if (fds[0].revents)
                drain(&child_ended[0]);
            if (fds[1].revents)
                on_life(keeper);
            if (fds[2].revents)
                drain(&keeper->output);
            if (fds[3].revents)
                drain(&keeper->errors);
        }
        now = loop_now_ms();
        beat(keeper, now);
        if (keeper->deadline_ms && now >= keeper->deadline_ms) {
            kill(-keeper->program, SIGKILL);
            keeper->deadline_ms = now + keeper->spec->grace_ms;
        }
    }
    return status;
}

static void set_up(struct keeper *keeper, const struct keeper_ends *ends) {
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd <= 2; fd++)
        dup2(null, fd);
    if (pipe(child_ended) != 0)
        _exit(NOT_STARTED);
    int kept[] = {keeper->life,           child_ended[0],           child_ended[1],
                  ends->input[0],         ends->input[1],           ends->output[0],
                  ends->output[1],        ends->errors[0],          ends->errors[1],
                  keeper->spec->terminal, keeper->spec->folder_lock};
    close_others(kept, sizeof kept / sizeof *kept);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (kept[i] >= 0)
            fcntl(kept[i], F_SETFD, FD_CLOEXEC);
    for (size_t i = 0; i < 2; i++)
        fcntl(child_ended[i], F_SETFL, O_NONBLOCK);
    fcntl(keeper->input, F_SETFL, O_NONBLOCK);
}

void keeper_run(const struct tether_spec *spec, const struct keeper_ends *ends) {
    struct keeper keeper = {spec, ends->life, ends->input[1], ends->output[0], ends->errors[0]};
    setpgid(0, 0);
    set_signals();
    set_up(&keeper, ends);
    pid_t parent = getpid();
    keeper.program = fork();
    if (keeper.program == 0)
        become(&keeper, ends, parent);
    if (keeper.program < 0)
        _exit(NOT_STARTED);
    setpgid(keeper.program, keeper.program);
    close(ends->input[0]);
    close(ends->output[1]);
    close(ends->errors[1]);
    int status = watch(&keeper);
    kill(-keeper.program, SIGKILL); // what it left behind in its group
    run_folder_remove(spec->folder);
    _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}
