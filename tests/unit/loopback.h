// For tests that talk to the loop over real sockets: raw non-blocking clients and servers in the
// same thread. Waiting ends when what is waited for has happened; the deadline only ends a test
// that has gone wrong.
#pragma once

#include "base/buf.h"
#include "event/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static inline void pump(struct loop *loop) {
    event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
    usleep(100);
}

#define PUMP_UNTIL(loop, condition)                                                                \
    do {                                                                                           \
        int64_t pump_end = loop_now_ms() + 20000;                                                  \
        while (!(condition)) {                                                                     \
            pump(loop);                                                                            \
            if (loop_now_ms() > pump_end)                                                          \
                fail_msg("waited in vain for %s", #condition);                                     \
        }                                                                                          \
    } while (0)

static inline void pump_some(struct loop *loop) { // so that what must not happen could
    for (int i = 0; i < 50; i++)
        pump(loop);
}

static inline int raw_connect(int listener) {
    struct sockaddr_storage where;
    socklen_t length = sizeof where;
    if (getsockname(listener, (struct sockaddr *)&where, &length) != 0)
        abort();
    int fd = socket(where.ss_family, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&where, length) != 0)
        abort();
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static inline void raw_reset(int fd) { // closes with RST where the protocol knows it
    struct linger now = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

// Sends all, pumping while the kernel's queue is full; false when the peer is gone.
static inline bool raw_send(struct loop *loop, int fd, const char *bytes, size_t length) {
    for (int tries = 0; length > 0 && tries < 100000;) {
        ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return false;
        if (n > 0) {
            bytes += n;
            length -= (size_t)n;
        } else {
            tries++;
            pump(loop);
        }
    }
    return length == 0;
}

// Reads what there is; true at the end of the stream.
static inline bool raw_read(int fd, struct buf *into) {
    char block[65536];
    ssize_t n;
    while ((n = recv(fd, block, sizeof block, 0)) > 0)
        if (!buf_add(into, block, (size_t)n))
            abort();
    return n == 0 || errno != EAGAIN;
}

static inline int count_fds(void) {
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}
