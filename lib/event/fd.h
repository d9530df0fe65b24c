// Descriptors, made as we want them: none of ours passes an exec. fd-linux.c, fd-darwin.c.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

// Both ends are closed by exec. False leaves the reason in errno.
bool fd_pipe(int ends[2]);
// Non-blocking, closed by exec; -1 leaves the reason in errno.
int fd_socket(int family, int type);
// For what a new process inherits, from `first` on; both are async-signal-safe.
void fd_close_from(int first);
void fd_close_on_exec_from(int first);
// The process at the other end of a connected unix socket, by the kernel's word; -1.
pid_t fd_peer(int fd);
// A path, as short as a socket's address wants it, to what is called `name` ("/x.sock") in the
// folder that is open as `folder`. Its length, as snprintf counts; -1 where there is no such path.
int fd_path(int folder, const char *name, char *out, size_t size);
