#define _GNU_SOURCE
#include "base/mem.h"
#include "event/fd.h"
#include "http/address.h"
#include "http/server.h"
#include "http/unix.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int http_listen_tcp(const char *address, unsigned port, struct err *err) {
    struct sockaddr_storage where;
    socklen_t length = address_parse(address, port, &where);
    if (length == 0) {
        err_set(err, ERR_INVALID, "%s is not an IPv4 or IPv6 address", address);
        return -1;
    }
    int fd = fd_socket(where.ss_family, SOCK_STREAM), on = 1;
    if (fd < 0) {
        err_errno(err, "cannot open a socket");
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (where.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&where, length) != 0 || listen(fd, 1024) != 0) {
        if (errno == EADDRINUSE)
            err_set(err, ERR_BUSY, "port %u on %s is taken by another program", port, address);
        else
            err_errno(err, "cannot listen on %s port %u", address, port);
        close(fd);
        return -1;
    }
    return fd;
}

int http_listen_unix(const char *path, struct err *err) {
    struct unix_address where;
    if (!unix_address_open(&where, path, err))
        return -1;
    int fd = fd_socket(AF_UNIX, SOCK_STREAM);
    unlink(path); // a socket of a server that died; a live one holds the lock beside it
    mode_t mask = umask(0177);
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&where.address, where.length) == 0 &&
              listen(fd, 128) == 0;
    umask(mask);
    if (!ok) {
        err_errno(err, "cannot listen on %s", path);
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    unix_address_close(&where);
    return fd;
}
