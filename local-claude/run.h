// Claude Code as a child on the same terminal, or in our place.
#pragma once

#include "base/err.h"
#include "event/loop.h"

struct airgap;

struct run {
    const char *path;
    char *const *argv; // NULL-terminated
    char *const *envp;
    const struct airgap *airgap; // that it lives in; NULL = none
};

// Becomes it; returns only on failure.
void run_become(const struct run *run, struct err *err);

// Runs it while the loop runs; returns when it has ended: its exit status, or 128 + the number of
// the signal that ended it, with *signal set (else 0). It shares our process group and terminal, so
// Ctrl-C and Ctrl-\ reach it without us, and are its business; SIGTERM and SIGHUP are handed on.
// When it is stopped (Ctrl-Z) we stop too, so that the shell gets its terminal back; when a signal
// ends it, the terminal is set as it was before. -1: it could
// not be started.
int run_child(struct loop *loop, const struct run *run, int *signal, struct err *err);

// Ends this process by that signal, so that our parent sees what ended Claude Code.
void run_die_by(int signal);
