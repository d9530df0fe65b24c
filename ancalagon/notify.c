#define _GNU_SOURCE
#include "notify.h"

#include "base/str.h"
#include "event/fd.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_FD = 3 };

static bool is_for_us(const char *pid_text) {
    int64_t pid;
    return pid_text && str_to_int(pid_text, 1, INT32_MAX, &pid) && pid == getpid();
}

static bool open_socket(struct notify *notify, const char *path, struct err *err) {
    size_t length = strlen(path);
    if (length < 2 || (path[0] != '/' && path[0] != '@'))
        return err_set(err, ERR_INVALID, "NOTIFY_SOCKET is neither a path nor an @abstract name");
    if (length >= sizeof notify->address.sun_path)
        return err_set(err, ERR_LIMIT, "NOTIFY_SOCKET is too long");
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, path, length);
    if (path[0] == '@')
        notify->address.sun_path[0] = '\0';
    notify->address_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (path[0] == '/')
        notify->address_length++;
    notify->socket = fd_socket(AF_UNIX, SOCK_DGRAM);
    return notify->socket >= 0 || err_errno(err, "cannot make a socket for NOTIFY_SOCKET");
}

static bool read_watchdog(struct notify *notify, struct err *err) {
    const char *text = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    int64_t usec;
    if (!text || (pid && !is_for_us(pid)))
        return true;
    if (!str_to_int(text, 1, INT64_MAX, &usec))
        return err_set(err, ERR_INVALID, "WATCHDOG_USEC=%s is not a positive number", text);
    notify->watchdog_ms = usec / 2000 ? usec / 2000 : 1;
    return true;
}

// LISTEN_FDNAMES is one name a descriptor, separated by colons.
static bool take_fds(struct notify *notify, struct err *err) {
    const char *count_text = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
    int64_t count;
    if (!count_text || !is_for_us(getenv("LISTEN_PID")))
        return true;
    if (!str_to_int(count_text, 0, NOTIFY_MAX_FDS, &count))
        return err_set(err, ERR_INVALID, "LISTEN_FDS=%s is not a number up to %d", count_text,
                       NOTIFY_MAX_FDS);
    for (int fd = FIRST_FD; fd < FIRST_FD + (int)count; fd++) {
        struct notify_fd *taken = &notify->fds[notify->fds_count];
        int flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
            fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
            return err_errno(err, "descriptor %d of LISTEN_FDS", fd);
        taken->fd = fd;
        taken->name[0] = '\0';
        if (names) {
            size_t length = strcspn(names, ":");
            snprintf(taken->name, sizeof taken->name, "%.*s", (int)length, names);
            names = names[length] ? names + length + 1 : NULL;
        }
        notify->fds_count++;
    }
    return true;
}

bool notify_init(struct notify *notify, struct err *err) {
    static const char *const variables[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                            "LISTEN_FDS",    "LISTEN_PID",    "LISTEN_FDNAMES"};
    *notify = (struct notify){.socket = -1};
    const char *path = getenv("NOTIFY_SOCKET");
    bool ok = take_fds(notify, err);
    ok = ok ? read_watchdog(notify, err) : (read_watchdog(notify, NULL), false);
    if (path)
        ok = ok ? open_socket(notify, path, err) : (open_socket(notify, path, NULL), false);
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
    return ok;
}

void notify_fini(struct notify *notify) {
    if (notify->socket >= 0)
        close(notify->socket);
    notify->socket = -1;
    for (size_t i = 0; i < notify->fds_count; i++)
        if (notify->fds[i].fd >= 0)
            close(notify->fds[i].fd);
    notify->fds_count = 0;
}

bool notify_send(struct notify *notify, const char *lines) {
    return notify->socket >= 0 &&
           sendto(notify->socket, lines, strlen(lines), MSG_NOSIGNAL,
                  (struct sockaddr *)&notify->address, notify->address_length) >= 0;
}

void notify_ready(struct notify *notify) { notify_send(notify, "READY=1"); }

void notify_status(struct notify *notify, const char *format, ...) {
    char text[512] = "STATUS=";
    size_t start = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + start, sizeof text - start, format, args);
    va_end(args);
    for (char *p = text; *p; p++)
        if (*p == '\n' || *p == '\r')
            *p = ' ';
    notify_send(notify, text);
}

// Type=notify-reload (systemd 253) wants to know that this is newer than its SIGHUP.
void notify_reloading(struct notify *notify) {
    struct timespec now;
    char text[64];
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
             (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    notify_send(notify, text);
}

void notify_stopping(struct notify *notify) { notify_send(notify, "STOPPING=1"); }

void notify_watchdog(struct notify *notify) { notify_send(notify, "WATCHDOG=1"); }
