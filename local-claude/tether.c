#define _GNU_SOURCE
#include "tether.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/run_folder.h"
#include "event/loop.h"
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ERRORS_KEPT = 8 * 1024 };

struct tether {
    pid_t keeper;
    int life;   // the keeper watches its other end
    int input;  // of the program
    int output; // and what it prints
    int errors;
    int terminal;
    struct buf lines, said; // of output and errors
    size_t taken;           // bytes of `lines` that the last line took
};

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

// Above 2, which become others in the new processes.
static int move_up(int fd) {
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    close(fd);
    return high;
}

static bool open_pipe(int ends[2]) {
    if (pipe(ends) != 0)
        return false;
    ends[0] = move_up(ends[0]);
    ends[1] = move_up(ends[1]);
    return ends[0] >= 0 && ends[1] >= 0;
}

struct tether *tether_start(const struct tether_spec *spec, struct err *err) {
    int pipes[4][2];
    size_t open = 0;
    while (open < 4 && open_pipe(pipes[open]))
        open++;
    struct keeper_ends ends = {pipes[0][0], pipes[1], pipes[2], pipes[3]};
    pid_t keeper = open == 4 ? fork() : -1;
    if (keeper == 0)
        keeper_run(spec, &ends); // does not return
    if (keeper < 0)
        err_errno(err, "cannot start %s: no new process", spec->path);
    struct tether *tether = NULL;
    if (keeper > 0) {
        tether = mem_alloc(sizeof *tether);
        *tether = (struct tether){keeper,      pipes[0][1], pipes[1][1],
                                  pipes[2][0], pipes[3][0], spec->terminal};
        buf_init(&tether->lines, TETHER_LINE_MAX);
        buf_init(&tether->said, 4 * (size_t)ERRORS_KEPT);
        fcntl(tether->output, F_SETFL, O_NONBLOCK);
        fcntl(tether->errors, F_SETFL, O_NONBLOCK);
        pipes[0][1] = pipes[1][1] = pipes[2][0] = pipes[3][0] = -1;
    } else {
        run_folder_remove(spec->folder);
    }
    for (size_t i = 0; i < open; i++) {
        close_fd(&pipes[i][0]);
        close_fd(&pipes[i][1]);
    }
    return tether;
}

// False at the end.
static bool fill(int *fd, struct buf *out) {
    char block[8192];
    ssize_t n = read(*fd, block, sizeof block);
    if (n > 0)
        buf_add(out, block, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        close_fd(fd);
    return *fd >= 0;
}

static void fill_errors(struct tether *tether) {
    fill(&tether->errors, &tether->said);
    if (tether->said.length > 2 * (size_t)ERRORS_KEPT)
        buf_drain(&tether->said, tether->said.length - ERRORS_KEPT);
}

static bool take_line(struct tether *tether, const char **line) {
    buf_drain(&tether->lines, tether->taken);
    tether->taken = 0;
    const char *bytes = buf_bytes(&tether->lines);
    char *end = tether->lines.length ? memchr(bytes, '\n', tether->lines.length) : NULL;
    if (!end && tether->lines.length < TETHER_LINE_MAX / 2)
        return false;
    if (!end) { // no line of anybody that we know: dropped
        buf_clear(&tether->lines);
        return false;
    }
    *end = '\0';
    tether->taken = (size_t)(end - bytes) + 1;
    *line = bytes;
    return true;
}

enum tether_event tether_read(struct tether *tether, int timeout_ms, const char **line) {
    int64_t deadline = loop_now_ms() + timeout_ms;
    while (!take_line(tether, line)) {
        int64_t left = deadline - loop_now_ms();
        if (tether->output < 0)
            return TETHER_END;
        if (left < 0)
            return TETHER_TIMEOUT;
        struct pollfd fds[2] = {{tether->output, POLLIN, 0}, {tether->errors, POLLIN, 0}};
        if (poll(fds, 2, (int)left) < 0)
            continue;
        if (fds[1].revents)
            fill_errors(tether);
        if (fds[0].revents)
            fill(&tether->output, &tether->lines);
    }
    return TETHER_LINE;
}

bool tether_write(struct tether *tether, const void *bytes, size_t length) {
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    sigaction(SIGPIPE, &ignore, &before);
    bool ok = tether->input >= 0 && write(tether->input, bytes, length) == (ssize_t)length;
    sigaction(SIGPIPE, &before, NULL);
    return ok;
}

const char *tether_errors(struct tether *tether) {
    while (tether->errors >= 0) {
        size_t before = tether->said.length;
        fill_errors(tether);
        if (tether->said.length == before)
            break;
    }
    return buf_text(&tether->said);
}

void tether_take_terminal(struct tether *tether) {
    if (tether->terminal < 0)
        return;
    // From the background, as which we ask, this would stop us.
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    sigaction(SIGTTOU, &ignore, &before);
    tcsetpgrp(tether->terminal, getpgrp());
    sigaction(SIGTTOU, &before, NULL);
    tether->terminal = -1;
}

void tether_settle(struct tether *tether) {
    tether_take_terminal(tether);
    ssize_t ignored = write(tether->life, "", 1);
    (void)ignored;
    close_fd(&tether->input);
    close_fd(&tether->output);
    close_fd(&tether->errors);
}

int tether_end(struct tether *tether) {
    int status = 0;
    if (!tether)
        return 0;
    tether_take_terminal(tether);
    close_fd(&tether->life);
    close_fd(&tether->input);
    close_fd(&tether->output);
    close_fd(&tether->errors);
    while (waitpid(tether->keeper, &status, 0) < 0 && errno == EINTR)
        ;
    buf_fini(&tether->lines);
    buf_fini(&tether->said);
    mem_free(tether);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
