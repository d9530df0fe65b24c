#define _GNU_SOURCE
#include "event/spawn.h"

#include "base/mem.h"
#include "event/fd.h"
#include "event/sandbox.h"
#include "event/tie.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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
    char *const *argv; // that of the spec, or with a program in front that sandboxes it
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
    if (!fd_pipe(ends))
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

static void fail(const struct plan *plan, enum step step) {
    struct failure failure = {.step = (int)step, .error = errno};
    ssize_t ignored = write(plan->status, &failure, sizeof(failure));
    (void)ignored;
    _exit(127);
}

static void become(const struct plan *plan) {
    setpgid(0, 0);
    tie_to_parent(plan->parent, SIGKILL);
    default_signals();
    if (dup2(plan->input, 0) < 0 || dup2(plan->output, 1) < 0 || dup2(plan->output, 2) < 0)
        fail(plan, STEP_FILES);
    fd_close_on_exec_from(3);
    if (plan->oom_length > 0)
        tie_offer(plan->oom_text, plan->oom_length);
    if (plan->spec->cwd && chdir(plan->spec->cwd) < 0)
        fail(plan, STEP_CWD);
    if (plan->spec->sandbox && !sandbox_apply(plan->spec->sandbox))
        fail(plan, STEP_SANDBOX);
    bool wrapped = plan->argv != plan->spec->argv;
    execve(wrapped ? plan->argv[0] : plan->spec->path, plan->argv, plan->spec->envp);
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
    char **wrapped = spec->sandbox ? sandbox_command(spec->sandbox, spec->path, spec->argv) : NULL;
    plan.argv = wrapped ? wrapped : spec->argv;
    if (spec->oom_score_adj != 0) {
        int length = snprintf(plan.oom_text, sizeof(plan.oom_text), "%d", spec->oom_score_adj);
        plan.oom_length = (size_t)length;
    }

    plan.input = move_up(spec->input ? fcntl(spec->input, F_DUPFD_CLOEXEC, 3)
                                     : open("/dev/null", O_RDONLY | O_CLOEXEC));
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
    out->watch = tie_watch(pid);
    output[0] = -1;
    ok = true;
out:
    close_fd(plan.input);
    close_fd(output[0]);
    close_fd(output[1]);
    close_fd(status[0]);
    close_fd(status[1]);
    mem_free(wrapped);
    return ok;
}
