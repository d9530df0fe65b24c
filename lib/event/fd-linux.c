#define _GNU_SOURCE
#include "event/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

bool fd_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC) == 0; }

int fd_socket(int family, int type) {
    return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

// Kernels before 5.9 (close) and 5.11 (on exec) have no such call.
static int highest(void) {
    long max = sysconf(_SC_OPEN_MAX);
    return max > 0 && max < 65536 ? (int)max : 65536;
}

void fd_close_from(int first) {
    if (syscall(SYS_close_range, (unsigned)first, ~0U, 0U) == 0)
        return;
    for (int fd = first, end = highest(); fd < end; fd++)
        close(fd);
}

void fd_close_on_exec_from(int first) {
    if (syscall(SYS_close_range, (unsigned)first, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return;
    for (int fd = first, end = highest(); fd < end; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

pid_t fd_peer(int fd) {
    struct ucred peer = {.pid = -1};
    socklen_t size = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : -1;
}

int fd_path(int folder, const char *name, char *out, size_t size) {
    return snprintf(out, size, "/proc/self/fd/%d%s", folder, name);
}
