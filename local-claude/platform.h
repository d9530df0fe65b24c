// What each system does in its own way; platform-linux.c, platform-darwin.c.
#pragma once

#include <sys/types.h>

// In a new process, before it becomes another program: SIGTERM to it when `parent` ends, however
// that ends. Async-signal-safe. Ends the process when the parent is gone already.
void platform_end_with(pid_t parent);

// Path of the file that this process runs; the caller's, NULL when it cannot be told.
char *platform_program(void);
