#define _GNU_SOURCE
#include "run.h"

#include "airgap.h"
#include "event/tie.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

// Signals that we treat otherwise than the program that we start.
static const int ours[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGCHLD, SIGPIPE};
enum { OURS = sizeof ours / sizeof *ours };

struct running {
    struct loop *loop;
    pid_t pid;
    int status;
    struct sigaction before[OURS];
    sigset_t mask;
    struct signal_watch child, term, hangup;
    struct termios terminal; // as it was before
    bool has_terminal;
};

void run_become(const struct run *run, struct err *err) {
    if (run->airgap && !airgap_enter(run->airgap)) {
        err_errno(err, "the airgap cannot be entered");
        return;
    }
    execve(run->path, run->argv, run->envp);
    err_errno(err, "cannot start %s", run->path);
}

static void become(const struct running *running, const struct run *run, pid_t parent, int report) {
    bool inside = !run->airgap || airgap_enter(run->airgap);
    int error = errno;
    tie_to_parent(parent, SIGTERM); // after it: who changes namespace may lose this
    for (size_t i = 0; i < OURS; i++)
        sigaction(ours[i], &running->before[i], NULL);
    sigprocmask(SIG_SETMASK, &running->mask, NULL);
    if (inside) {
        execve(run->path, run->argv, run->envp);
        error = errno;
    }
    ssize_t ignored = write(report, &error, sizeof error);
    (void)ignored;
    _exit(127);
}

// The errno of an exec that failed; 0 once the program runs.
static int await_exec(int report) {
    int error = 0;
    ssize_t got;
    do
        got = read(report, &error, sizeof error);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof error ? error : 0;
}

static bool start(struct running *running, const struct run *run, struct err *err) {
    int report[2];
    if (pipe(report) != 0 || fcntl(report[0], F_SETFD, FD_CLOEXEC) != 0 ||
        fcntl(report[1], F_SETFD, FD_CLOEXEC) != 0)
        return err_errno(err, "cannot start %s", run->path);
    // No handler of ours may run in the child, so signals wait until it has put its own back.
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &running->mask);
    pid_t parent = getpid();
    running->pid = fork();
    if (running->pid == 0)
        become(running, run, parent, report[1]);
    sigprocmask(SIG_SETMASK, &running->mask, NULL);
    close(report[1]);
    int error = running->pid < 0 ? errno : await_exec(report[0]);
    close(report[0]);
    if (error == 0)
        return true;
    if (running->pid > 0)
        waitpid(running->pid, NULL, 0);
    errno = error;
    return err_errno(err, "cannot start %s%s", run->path, run->airgap ? " in its airgap" : "");
}

// It is the last to hear of a stop, and the shell waits for all of its job.
static void on_child(int signal, void *arg) {
    struct running *running = arg;
    int status;
    pid_t pid;
    do
        pid = waitpid(running->pid, &status, WNOHANG | WUNTRACED);
    while (pid < 0 && errno == EINTR);
    if (pid != running->pid)
        return;
    if (WIFSTOPPED(status)) {
        raise(SIGSTOP);
        return;
    }
    running->status = status;
    running->pid = 0;
    loop_stop(running->loop);
}

static void on_end_signal(int signal, void *arg) {
    struct running *running = arg;
    if (running->pid > 0)
        kill(running->pid, signal);
}

// What our parent had us ignore (nohup) stays ignored.
static void watch(struct running *running, struct signal_watch *watch, size_t index) {
    if (running->before[index].sa_handler != SIG_IGN)
        signal_watch_start(watch, running->loop, ours[index], on_end_signal, running);
}

static void unwatch(struct running *running, struct signal_watch *watch, size_t index) {
    if (running->before[index].sa_handler != SIG_IGN)
        signal_watch_stop(watch);
}

// Who is killed cannot put the terminal back, and the shell would read it raw. It is ours to set
// only while our job stands in front.
static void restore_terminal(const struct running *running) {
    if (running->has_terminal && WIFSIGNALED(running->status) &&
        tcgetpgrp(STDIN_FILENO) == getpgrp())
        tcsetattr(STDIN_FILENO, TCSADRAIN, &running->terminal);
}

int run_child(struct loop *loop, const struct run *run, int *signal, struct err *err) {
    struct running running = {.loop = loop};
    running.has_terminal = tcgetattr(STDIN_FILENO, &running.terminal) == 0;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    for (size_t i = 0; i < OURS; i++)
        sigaction(ours[i], NULL, &running.before[i]);
    sigaction(SIGINT, &ignore, NULL);
    sigaction(SIGQUIT, &ignore, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    signal_watch_start(&running.child, loop, SIGCHLD, on_child, &running);
    watch(&running, &running.term, 2);
    watch(&running, &running.hangup, 3);
    bool started = start(&running, run, err);
    if (started) {
        on_child(SIGCHLD, &running); // it may have ended before we looked
        if (running.pid > 0)
            loop_run(loop);
    }
    signal_watch_stop(&running.child);
    unwatch(&running, &running.term, 2);
    unwatch(&running, &running.hangup, 3);
    for (size_t i = 0; i < OURS; i++)
        sigaction(ours[i], &running.before[i], NULL);
    if (!started)
        return -1;
    restore_terminal(&running);
    *signal = WIFSIGNALED(running.status) ? WTERMSIG(running.status) : 0;
    return *signal ? 128 + *signal : WEXITSTATUS(running.status);
}

void run_die_by(int signal_number) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none); // its core, if any, is written already
    signal(signal_number, SIG_DFL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal_number);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    kill(getpid(), signal_number);
}
