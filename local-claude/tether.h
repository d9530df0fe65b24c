// A program that lives as long as we do and no longer, and that says how it is on its standard
// output. A keeper stands between: a small process of ours that starts it, ends it when we end,
// however we do (a pipe from us closes), and knocks on its standard input in a steady beat, also
// while we are stopped (Ctrl-Z), so that whoever is at the other end knows that we are here.
//
// At the end: its standard input is closed, then SIGKILL to its group when it is still there after
// `grace_ms`; then the run's folder is removed. All of that is the keeper's, so that there is one
// way out. Is the keeper killed, the program's input ends all the same.
#pragma once

#include "base/err.h"

#include <stddef.h>

struct tether;

struct tether_spec {
    const char *path;  // the program
    char *const *argv; // NULL-terminated
    char *const *envp;
    int beat_ms; // a newline to its input as often as this; 0 = never
    int grace_ms;
    int terminal; // descriptor of a terminal that it may ask on, until tether_settle; -1 = none
    const char *folder; // removed at the end with the files in it; NULL = none
    int folder_lock;    // held till then; -1 = none
};

enum tether_event { TETHER_LINE, TETHER_TIMEOUT, TETHER_END };

enum { TETHER_LINE_MAX = 1 << 20 };

// The folder is removed also when this fails.
struct tether *tether_start(const struct tether_spec *spec, struct err *err);
// The next line that it printed, without its newline; good until the next call.
enum tether_event tether_read(struct tether *tether, int timeout_ms, const char **line);
bool tether_write(struct tether *tether, const void *bytes, size_t length);
// The last lines of its standard error.
const char *tether_errors(struct tether *tether);
// It has asked what it wanted to ask: the terminal is ours again.
void tether_take_terminal(struct tether *tether);
// It runs as it should: what it still prints is dropped.
void tether_settle(struct tether *tether);
// Ends it and waits for its end. Its exit status, or 128 + the signal; 0 for NULL.
int tether_end(struct tether *tether);
