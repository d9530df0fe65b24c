#define _GNU_SOURCE
#include "event/child.h"

#include "base/mem.h"
#include "event/tie.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    READ_PER_TURN = 64 * 1024, // a talkative engine must not keep the loop from others
    POLL_MS = 20,              // without a watch
    DRAIN_MS = 100,            // for output still held open by a process that left the group
    REAP_MS = 2000,            // child_destroy waits no longer: a driver can hold a dying process
};

struct child {
    pid_t pid;
    int watch;
    int output;
    bool reaped;
    bool asked;
    bool term_sent;
    bool in_callback;
    bool destroyed; // from inside a callback; freed when that returns
    int64_t kill_at_ms;
    struct child_exit status;

    struct event *output_event;
    struct event *exit_event;
    struct event *grace_timer;
    struct event *drain_timer;

    char *line; // CHILD_LINE_MAX + 1 bytes, only while a line is incomplete
    size_t line_length;

    void (*on_line)(struct child *, const char *, size_t, void *);
    void (*on_exit)(struct child *, struct child_exit, void *);
    void *arg;
    LIST_ENTRY(child) link;
};

// The children nobody else may wait for.
static LIST_HEAD(, child) living = LIST_HEAD_INITIALIZER(living);

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct timeval interval(int64_t ms) {
    if (ms < 0)
        ms = 0;
    return (struct timeval){.tv_sec = (time_t)(ms / 1000),
                            .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
}

static void signal_group(const struct child *child, int signal) {
    if (!child->reaped)
        kill(-child->pid, signal);
}

static void release(struct child *child) {
    struct event *events[] = {child->output_event, child->exit_event, child->grace_timer,
                              child->drain_timer};
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        if (events[i])
            event_free(events[i]);
    }
    if (child->output >= 0)
        close(child->output);
    if (child->watch >= 0)
        close(child->watch);
    if (!child->reaped)
        LIST_REMOVE(child, link);
    mem_free(child->line);
    mem_free(child);
}

// Output ------------------------------------------------------------------------------------------

// Returns false when the callback destroyed the child.
static bool deliver_line(struct child *child) {
    size_t length = child->line_length;
    child->line_length = 0;
    if (!child->on_line || child->destroyed)
        return !child->destroyed;
    if (length > 0 && child->line[length - 1] == '\r')
        length--;
    child->line[length] = '\0';
    child->in_callback = true;
    child->on_line(child, child->line, length, child->arg);
    child->in_callback = false;
    return !child->destroyed;
}

static bool take_output(struct child *child, const char *bytes, size_t length) {
    if (!child->line)
        child->line = mem_alloc(CHILD_LINE_MAX + 1);
    while (length > 0) {
        const char *newline = memchr(bytes, '\n', length);
        size_t piece = newline ? (size_t)(newline - bytes) : length;
        size_t room = CHILD_LINE_MAX - child->line_length;
        size_t kept = piece < room ? piece : room;
        memcpy(child->line + child->line_length, bytes, kept);
        child->line_length += kept;
        if (newline && !deliver_line(child))
            return false;
        size_t used = newline ? piece + 1 : piece;
        bytes += used;
        length -= used;
    }
    if (child->line_length == 0) {
        mem_free(child->line);
        child->line = NULL;
    }
    return true;
}

enum reading { READING_MORE, READING_EMPTY, READING_END, READING_DESTROYED };

static enum reading read_output(struct child *child) {
    char bytes[16 * 1024];
    for (size_t total = 0; total < READ_PER_TURN;) {
        ssize_t got = read(child->output, bytes, sizeof(bytes));
        if (got > 0) {
            total += (size_t)got;
            if (!take_output(child, bytes, (size_t)got))
                return READING_DESTROYED;
        } else if (got == 0) {
            return READING_END;
        } else if (errno == EAGAIN) {
            return READING_EMPTY;
        } else if (errno != EINTR) {
            return READING_END;
        }
    }
    return READING_MORE;
}

// The end -----------------------------------------------------------------------------------------

static void finish(struct child *child) {
    event_del(child->drain_timer);
    event_del(child->output_event);
    if (child->output >= 0)
        close(child->output);
    child->output = -1;
    if (child->line_length > 0 && !deliver_line(child)) {
        release(child);
        return;
    }
    if (child->on_exit) {
        child->in_callback = true;
        child->on_exit(child, child->status, child->arg);
        child->in_callback = false;
    }
    if (child->destroyed)
        release(child);
}

static void on_output(evutil_socket_t fd, short what, void *arg) {
    struct child *child = arg;
    switch (read_output(child)) {
    case READING_DESTROYED: release(child); return;
    case READING_END:
        event_del(child->output_event);
        close(child->output);
        child->output = -1;
        if (child->reaped)
            finish(child);
        return;
    case READING_EMPTY:
    case READING_MORE: return;
    }
}

static void on_drained(evutil_socket_t fd, short what, void *arg) {
    struct child *child = arg;
    // The loop may have been too busy to read what was there all the time.
    switch (read_output(child)) {
    case READING_DESTROYED: release(child); return;
    case READING_EMPTY:
    case READING_END:
    case READING_MORE: finish(child);
    }
}

// True when the leader is dead. It stays a zombie, which keeps its group's number from being used
// again, until the rest of the group has been killed.
static bool reap(struct child *child) {
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    int rc = waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    if (rc == 0 ? info.si_pid == 0 : errno == EINTR)
        return false;
    if (rc == 0)
        kill(-child->pid, SIGKILL);
    int status = 0;
    pid_t got;
    do
        got = waitpid(child->pid, &status, 0);
    while (got < 0 && errno == EINTR);
    child->status = (struct child_exit){.code = -1, .asked = child->asked};
    if (got == child->pid && WIFSIGNALED(status)) {
        child->status.signal = WTERMSIG(status);
        child->status.core = WCOREDUMP(status) != 0;
    } else if (got == child->pid) {
        child->status.code = WEXITSTATUS(status);
    }
    child->reaped = true;
    LIST_REMOVE(child, link);
    return true;
}

static void on_ended(evutil_socket_t fd, short what, void *arg) {
    struct child *child = arg;
    if (!reap(child))
        return;
    event_del(child->exit_event);
    event_del(child->grace_timer);
    if (child->output < 0) {
        finish(child);
        return;
    }
    // The rest of the output arrives as before; its end, or this timer, ends the story.
    struct timeval wait = interval(DRAIN_MS);
    event_add(child->drain_timer, &wait);
}

static void on_grace_over(evutil_socket_t fd, short what, void *arg) { child_kill(arg); }

// Public ------------------------------------------------------------------------------------------

static bool hook(struct child *child, struct event_base *base) {
    bool watched = child->watch >= 0;
    child->output_event = event_new(base, child->output, EV_READ | EV_PERSIST, on_output, child);
    child->exit_event =
        event_new(base, child->watch, watched ? EV_READ | EV_PERSIST : EV_PERSIST, on_ended, child);
    child->grace_timer = event_new(base, -1, 0, on_grace_over, child);
    child->drain_timer = event_new(base, -1, 0, on_drained, child);
    struct timeval poll_every = interval(POLL_MS);
    return child->output_event && child->exit_event && child->grace_timer && child->drain_timer &&
           event_add(child->output_event, NULL) == 0 &&
           event_add(child->exit_event, watched ? NULL : &poll_every) == 0;
}

struct child *child_start(struct event_base *base, const struct child_spec *spec, struct err *err) {
    struct spawned spawned;
    if (!spawn_process(&spec->spawn, &spawned, err))
        return NULL;
    struct child *child = mem_alloc(sizeof(*child));
    child->pid = spawned.pid;
    child->watch = spawned.watch;
    child->output = spawned.output;
    child->on_line = spec->on_line;
    child->on_exit = spec->on_exit;
    child->arg = spec->arg;
    LIST_INSERT_HEAD(&living, child, link);
    if (!hook(child, base)) {
        err_set(err, ERR_SYSTEM, "cannot watch %s: the event loop refused", spec->spawn.path);
        child_destroy(child);
        return NULL;
    }
    return child;
}

void child_stop(struct child *child, int grace_ms) {
    if (child->reaped)
        return;
    child->asked = true;
    int64_t kill_at_ms = now_ms() + grace_ms;
    if (!child->term_sent) {
        child->term_sent = true;
        signal_group(child, SIGTERM);
        signal_group(child, SIGCONT);
    } else if (kill_at_ms >= child->kill_at_ms) {
        return;
    }
    child->kill_at_ms = kill_at_ms;
    struct timeval wait = interval(grace_ms);
    event_add(child->grace_timer, &wait);
}

void child_kill(struct child *child) {
    child->asked = true;
    signal_group(child, SIGKILL);
}

pid_t child_pid(const struct child *child) { return child->reaped ? 0 : child->pid; }

// Bounded: what cannot be reaped in time is left to child_reap_orphans.
static void reap_within(struct child *child, int limit_ms) {
    int64_t deadline = now_ms() + limit_ms;
    while (!reap(child) && now_ms() < deadline) {
        struct pollfd wait = {.fd = child->watch, .events = POLLIN};
        poll(&wait, 1, child->watch >= 0 ? (int)(deadline - now_ms()) : 1);
    }
}

void child_destroy(struct child *child) {
    if (!child || child->destroyed)
        return;
    if (!child->reaped) {
        signal_group(child, SIGKILL);
        reap_within(child, REAP_MS);
    }
    child->destroyed = true;
    if (!child->in_callback)
        release(child);
}

// Orphans -----------------------------------------------------------------------------------------

static bool is_ours(pid_t pid) {
    struct child *child;
    LIST_FOREACH (child, &living, link) {
        if (child->pid == pid)
            return true;
    }
    return false;
}

int child_reap_orphans(bool (*unwanted)(pid_t pid, void *arg), void *arg) {
    pid_t children[256];
    size_t count = tie_children(children, sizeof children / sizeof *children);
    int collected = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_ours(children[i]))
            continue;
        if (waitpid(children[i], NULL, WNOHANG) == children[i])
            collected++;
        else if (unwanted && unwanted(children[i], arg))
            kill(children[i], SIGKILL);
    }
    return collected;
}

// Capture -----------------------------------------------------------------------------------------

enum capturing { CAPTURE_WAIT, CAPTURE_END, CAPTURE_FULL };

static enum capturing capture_read(int fd, struct buf *out, size_t *room) {
    char bytes[16 * 1024];
    for (;;) {
        ssize_t got = read(fd, bytes, sizeof(bytes));
        if (got == 0)
            return CAPTURE_END;
        if (got < 0) {
            if (errno == EINTR)
                continue;
            return errno == EAGAIN ? CAPTURE_WAIT : CAPTURE_END;
        }
        size_t length = (size_t)got < *room ? (size_t)got : *room;
        if (!buf_add(out, bytes, length) || length < (size_t)got)
            return CAPTURE_FULL;
        *room -= length;
    }
}

static bool has_ended(pid_t pid) {
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid != 0;
}

bool child_capture(const struct spawn_spec *spec, int timeout_ms, size_t max_bytes, struct buf *out,
                   int *status, struct err *err) {
    struct spawned spawned;
    if (!spawn_process(spec, &spawned, err))
        return false;
    bool ok = true;
    bool ended = false;
    size_t room = max_bytes;
    int64_t deadline = now_ms() + timeout_ms;
    enum capturing state = CAPTURE_WAIT;
    // Until both the output and the process have ended; a process that left the group may keep the
    // pipe open, and gets DRAIN_MS for it.
    while (state == CAPTURE_WAIT || !ended) {
        if (!ended && has_ended(spawned.pid)) {
            ended = true;
            kill(-spawned.pid, SIGKILL);
            if (deadline > now_ms() + DRAIN_MS)
                deadline = now_ms() + DRAIN_MS;
            continue;
        }
        int64_t left = deadline - now_ms();
        if (left <= 0) {
            if (!ended)
                ok = err_set(err, ERR_TIMEOUT, "%s did not answer within %d ms", spec->path,
                             timeout_ms);
            break;
        }
        struct pollfd wait[2] = {
            {.fd = state == CAPTURE_WAIT ? spawned.output : -1, .events = POLLIN},
            {.fd = ended ? -1 : spawned.watch, .events = POLLIN},
        };
        poll(wait, 2, spawned.watch < 0 && left > POLL_MS ? POLL_MS : (int)left);
        if (state == CAPTURE_WAIT)
            state = capture_read(spawned.output, out, &room);
        if (state == CAPTURE_FULL) {
            ok = err_set(err, ERR_LIMIT, "%s printed more than %zu bytes", spec->path, max_bytes);
            break;
        }
    }
    kill(-spawned.pid, SIGKILL);
    int raw = 0;
    while (waitpid(spawned.pid, &raw, 0) < 0 && errno == EINTR)
        ;
    if (status)
        *status = WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw);
    close(spawned.output);
    if (spawned.watch >= 0)
        close(spawned.watch);
    return ok;
}
