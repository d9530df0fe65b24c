// Starts one process, nothing more: fork, a fresh surrounding, exec. child.h adds the loop.
//
// The new process leads its own process group, dies when we die (when the thread that started it
// ends, to be exact), has default signals, one pipe for output and errors, and no other descriptor
// of ours.
#pragma once

#include "base/err.h"

#include <sys/types.h>

struct sandbox;

struct spawn_spec {
    const char *path;              // the program; not looked up in PATH
    char *const *argv;             // NULL-terminated; argv[0] as the program shall see it
    char *const *envp;             // the whole environment, NULL-terminated
    const char *cwd;               // NULL: ours
    const struct sandbox *sandbox; // NULL: none
    int oom_score_adj;             // 0: unchanged; positive: the kernel kills it before us
    int input;                     // what it reads, above 2, still the caller's; 0: /dev/null
};

struct spawned {
    pid_t pid;  // also its process group
    int output; // read end, non-blocking
    int watch;  // tie_watch of it; -1 where the kernel has none
};

// Returns once exec has happened. On failure nothing is left behind and err says which step failed:
// "cannot start /x/llama-server: No such file or directory".
bool spawn_process(const struct spawn_spec *spec, struct spawned *out, struct err *err);
