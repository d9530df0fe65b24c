// A supervised child process on the event loop: its output as lines, its end as one callback, and
// no way to outlive us. The owner holds the `struct child`, destroys it when done, and may do so
// from inside its callbacks. Loop thread only.
//
// Everything is aimed at the process group, so that an engine started through a shell script, or
// one that forks, goes as a whole: what is left of the group when its leader ends is killed.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "event/spawn.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct child;
struct event_base;

enum { CHILD_LINE_MAX = 16 * 1024 }; // longer lines are cut; the rest of them is dropped

struct child_exit {
    int code;   // exit status, or -1 when a signal ended it
    int signal; // or 0
    bool core;
    bool asked; // child_stop or child_kill came first
};

struct child_spec {
    struct spawn_spec spawn;
    // One line of stdout or stderr, terminated, without its newline. May be NULL.
    void (*on_line)(struct child *child, const char *line, size_t length, void *arg);
    // Once, after the process is reaped and its output read to the end. May be NULL.
    void (*on_exit)(struct child *child, struct child_exit status, void *arg);
    void *arg;
};

struct child *child_start(struct event_base *base, const struct child_spec *spec, struct err *err);
void child_destroy(struct child *child); // kills and reaps when still alive; no callback. NULL ok

// SIGTERM to the group (and SIGCONT, for a process that was stopped cannot die politely), SIGKILL
// after grace_ms. Again with less grace moves the deadline forward, but asks no second time:
// llama-server takes a second SIGTERM as an order to abort.
void child_stop(struct child *child, int grace_ms);
void child_kill(struct child *child);
pid_t child_pid(const struct child *child); // 0 once it has been reaped

// After tie_adopt processes that left their group become ours when their parents end. Of those that
// no `struct child` owns, collects the dead, and kills the living that
// `unwanted` (or NULL) points out: to be called again at SIGCHLD. Returns how many were collected.
int child_reap_orphans(bool (*unwanted)(pid_t pid, void *arg), void *arg);

// Runs a program to its end, blocking: for --help, --version and the like, which take milliseconds.
// Both outputs go to `out` (max_bytes more at most, or ERR_LIMIT). Past timeout_ms its group is
// killed (ERR_TIMEOUT). *status is the exit code, or 128 + signal.
bool child_capture(const struct spawn_spec *spec, int timeout_ms, size_t max_bytes, struct buf *out,
                   int *status, struct err *err);
