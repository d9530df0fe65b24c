// Processes that left their process group (setsid), so that no signal to the group reaches them. A
// program that we start carries a mark in its environment, its descendants inherit it, and the
// system shows it: that is how they are told from everybody else's. One that wiped its environment
// is not found.
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

enum { STRAY_MARK_MAX = 64 };

// A mark of our own: "ANCALAGON_RUN=PID-RANDOM."; what follows the point is the number of a run.
bool stray_mark(char mark[STRAY_MARK_MAX], struct err *err);
// True when the process carries the mark; *run is then the number.
bool stray_read(pid_t pid, const char *mark, unsigned *run);
// SIGKILL to every process that carries the mark, whosever child it is, until none is left; gives
// up after a tenth of a second. Looks at every process: for the end, not for the loop.
void stray_kill(const char *mark);
