#define _GNU_SOURCE
#include "event/spawn.h"

#include "event/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

enum step { STEP_EXEC, STEP_CWD, STEP_FILES, STEP_SANDBOX };

// What the child reports through the status pipe when it cannot become the program.
struct failure {
    int step;
    int error;
};

// Everything the child needs, prepared before fork: between fork and exec only async-signal-safe
// calls are allowed, since another thread may have held any lock.
struct plan {
    const struct spawn_spec *spec;
    pid_t parent;
    int input;
    int output;
    int status;
    int max_fd;
    char oom_text[16];
    size_t oom_length;
};

// Our descriptors may be 0-2 when we were started without them; dup2 below would then run over one.
static int move_up(int fd) {
    if (fd < 0 || fd > 2)
        return fd;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int saved = errno;
    close(fd);
    errno = saved;
    return high;
}

static bool open_pipe(int ends[2]) {
    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    ends[0] = move_up(ends[0]);
    ends[1] = move_up(ends[1]);
    return ends[0] >= 0 && ends[1] >= 0;
}

static void close_fd(int fd) {
    if (fd >= 0)
        close(fd);
}

static void default_signals(void) {
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &action, NULL); // KILL, STOP and libc's own refuse; that is fine
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void close_others_on_exec(int max_fd) {
    if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return;
    for (int fd = 3; fd < max_fd; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void raise_oom_score(const struct plan *plan) {
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return; // a courtesy to the rest of the machine; not worth failing for
    ssize_t ignored = write(fd, plan->oom_text, plan->oom_length);
    (void)ignored;
    close(fd);
}

static void fail(const struct plan *plan, enum step step) {
    struct failure failure = {.step = (int)step, .error = errno};
    ssize_t ignored = write(plan->status, &failure, sizeof(failure));
    (void)ignored;
    _exit(127);
}

static void become(const struct plan *plan) {
    setpgid(0, 0);
    // The parent may have died before the request was in place: then nobody will tell us.
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != plan->parent)
        _exit(127);
    default_signals();
    if (dup2(plan->input, 0) < 0 || dup2(plan->output, 1) < 0 || dup2(plan->output, 2) < 0)
        fail(plan, STEP_FILES);
    close_others_on_exec(plan->max_fd);
    if (plan->oom_length > 0)
        raise_oom_score(plan);
    if (plan->spec->cwd && chdir(plan->spec->cwd) < 0)
        fail(plan, STEP_CWD);
    if (plan->spec->sandbox && !sandbox_apply(plan->spec->sandbox))
        fail(plan, STEP_SANDBOX);
    execve(plan->spec->path, plan->spec->argv, plan->spec->envp);
    fail(plan, STEP_EXEC);
}

// EOF means that exec closed the pipe: the program runs.
static bool await_exec(int status, struct failure *failure) {
    ssize_t got;
    do
        got = read(status, failure, sizeof(*failure));
    while (got < 0 && errno == EINTR);
    if (got == 0)
        return true;
    if (got != (ssize_t)sizeof(*failure))
        *failure = (struct failure){.step = STEP_FILES, .error = EIO};
    return false;
}

static bool describe(const struct spawn_spec *spec, const struct failure *failure,
                     struct err *err) {
    errno = failure->error;
    switch ((enum step)failure->step) {
    case STEP_CWD: return err_errno(err, "cannot start %s in %s", spec->path, spec->cwd);
    case STEP_SANDBOX:
        return err_errno(err, "cannot start %s: the kernel refused its sandbox", spec->path);
    case STEP_FILES: return err_errno(err, "cannot start %s: its descriptors", spec->path);
    case STEP_EXEC: break;
    }
    err_errno(err, "cannot start %s", spec->path);
    if (err && (failure->error == ENOENT || failure->error == ENOTDIR))
        err->code = ERR_NOTFOUND;
    return false;
}

static pid_t fork_into(struct plan *plan) {
    // No handler of ours may run in the child, so signals wait until it has reset them.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    plan->parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        become(plan);
    int saved = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = saved;
    return pid;
}

bool spawn_process(const struct spawn_spec *spec, struct spawned *out, struct err *err) {
    bool ok = false;
    int output[2] = {-1, -1};
    int status[2] = {-1, -1};
    struct failure failure = {0};
    struct plan plan = {.spec = spec, .input = -1};
    long max_fd = sysconf(_SC_OPEN_MAX);
    plan.max_fd = max_fd > 0 && max_fd < 65536 ? (int)max_fd : 65536;
    if (spec->oom_score_adj != 0) {
        int length = snprintf(plan.oom_text, sizeof(plan.oom_text), "%d", spec->oom_score_adj);
        plan.oom_length = (size_t)length;
    }

    plan.input = move_up(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (plan.input < 0 || !open_pipe(output) || !open_pipe(status) ||
        fcntl(output[0], F_SETFL, O_NONBLOCK) < 0) {
        err_errno(err, "cannot start %s: no descriptors", spec->path);
        goto out;
    }
    plan.output = output[1];
    plan.status = status[1];
    pid_t pid = fork_into(&plan);
    if (pid < 0) {
        err_errno(err, "cannot start %s: no new process", spec->path);
        goto out;
    }
    setpgid(pid, pid); // both sides set it, so that it holds whoever runs first
    close(status[1]);
    status[1] = -1;
    if (!await_exec(status[0], &failure)) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
        describe(spec, &failure, err);
        goto out;
    }
    out->pid = pid;
    out->output = output[0];
    out->pidfd = (int)syscall(SYS_pidfd_open, pid, 0U);
    output[0] = -1;
    ok = true;
out:
    close_fd(plan.input);
    close_fd(output[0]);
    close_fd(output[1]);
    close_fd(status[0]);
    close_fd(status[1]);
    return ok;
}
