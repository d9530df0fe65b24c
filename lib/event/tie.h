// How processes are bound to each other: who dies with whom, who hears of whose end. tie-linux.c
// asks the kernel; tie-darwin.c has kqueue, and where that is not enough a small watcher process.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

// In a new process, before it becomes another program: `signal` to it when `parent` ends, however
// that ends. Ends the process when the parent is gone already. Async-signal-safe.
void tie_to_parent(pid_t parent, int signal);
// When memory runs out the kernel shall rather take this process than others; `score` is a number
// in words, up to "1000". A courtesy: where there is none, nothing. Async-signal-safe.
void tie_offer(const char *score, size_t length);

// A descriptor that reads when the process ends. It means this very process, also if its number is
// given to another one. -1 leaves the reason in errno: ESRCH when it is gone.
int tie_watch(pid_t pid);
// To the process of that watch; false leaves the reason in errno.
bool tie_signal(int watch, pid_t pid, int signal);

// From here on descendants whose parents end become our children, where the system has that.
void tie_adopt(void);
// Our children, those that we adopted among them; how many. None where nothing is adopted.
size_t tie_children(pid_t *out, size_t max);
