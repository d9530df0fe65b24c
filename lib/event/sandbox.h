// A system call filter for engines that have no business on the network: whoever talks to them
// does so over a unix socket, so any other socket they ask for is refused by the kernel.
//
// Built once in the parent (libseccomp allocates); applied in the child between fork and exec with
// two system calls and nothing else. The filter is inherited by everything the engine starts. On
// macOS it is a profile, and sandbox-exec(1), run in front of the engine, that applies it.
//
// Refused (sandbox-linux.c): socket and socketpair for any family but AF_UNIX (and AF_NETLINK,
// which getifaddrs and device discovery need); io_uring, which opens sockets past any rule on
// socket(); the 32-bit and x32 system call tables, which would be a second way in; ptrace,
// process_vm_* and pidfd_getfd, which borrow another process's sockets. Everything else, GPU
// drivers' ioctls included, passes.
#pragma once

#include "base/err.h"

struct sandbox;

struct sandbox *sandbox_no_network(struct err *err);
// For an agent and the tools that it starts, who are to reach one server only. The same refusals,
// and that of writing into the input of a terminal. With a network namespace of its own (and the
// user namespace that owns it) it is the other way round: IP sockets pass, which lead nowhere but
// to its own loopback, and unix ones do not, for their paths lead out; tracing passes, which a user
// namespace confines. Linux only: for local-claude/airgap-linux.c.
struct sandbox *sandbox_agent(bool own_network, struct err *err);
void sandbox_destroy(struct sandbox *sandbox); // NULL is fine

// The command line that runs `path` with `argv` in the sandbox, where that takes a program of its
// own; its first word is that program. The array is the caller's, the words borrowed. NULL where
// sandbox_apply does it all.
char **sandbox_command(const struct sandbox *sandbox, const char *path, char *const *argv);
// In the child, for good. Async-signal-safe; false leaves the reason in errno.
bool sandbox_apply(const struct sandbox *sandbox);
