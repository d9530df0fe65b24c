// The two things systemd and a service say to each other, sd_notify(3) and sd_listen_fds(3), spoken
// directly: one datagram of KEY=value lines to $NOTIFY_SOCKET, and descriptors from 3 on counted by
// $LISTEN_FDS. Without systemd every call does nothing. notify_init takes the variables out of the
// environment, so that no child mistakes itself for the service.
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { NOTIFY_MAX_FDS = 16 };

struct notify {
    int socket; // -1: nobody listens
    struct sockaddr_un address;
    socklen_t address_length;
    int64_t watchdog_ms; // ping at least this often times two; 0: no watchdog
    struct notify_fd {
        int fd;            // close-on-exec, non-blocking
        char name[64];     // FileDescriptorName=, "" when not given
    } fds[NOTIFY_MAX_FDS]; // handed over by socket activation; whoever uses one sets fd to -1
    size_t fds_count;
};

// False when the variables are there but wrong; what could be understood is in place all the same.
bool notify_init(struct notify *notify, struct err *err);
void notify_fini(struct notify *notify); // closes descriptors that nobody took

// Sends lines as they are; false when it could not be delivered.
bool notify_send(struct notify *notify, const char *lines);
void notify_ready(struct notify *notify);
// STATUS=, shown by `systemctl status`. Line ends in it become spaces.
void notify_status(struct notify *notify, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void notify_reloading(struct notify *notify); // followed by notify_ready
void notify_stopping(struct notify *notify);
void notify_watchdog(struct notify *notify);
