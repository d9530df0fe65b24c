// The runtime folder of a private server: its lock, and its engine's socket. Several may run at a
// time; those that were killed leave theirs behind for the next one to sweep.
#pragma once

#include "base/err.h"

// Makes and locks one, after sweeping those whose servers are dead. The path is the caller's, the
// descriptor holds the lock. NULL on failure.
char *private_folder_make(int *lock_fd, struct err *err);
void private_folder_remove(const char *path);
