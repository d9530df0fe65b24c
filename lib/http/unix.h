// Addresses of unix sockets. sun_path holds 107 bytes (macOS: 103); a longer path is reached
// through its folder's descriptor where the system has that (fd_path), so that deep home folders
// work too.
#pragma once

#include "base/err.h"

#include <sys/socket.h>
#include <sys/un.h>

struct unix_address {
    struct sockaddr_un address;
    socklen_t length;
    int folder; // descriptor that keeps the short form valid, or -1
};

bool unix_address_open(struct unix_address *where, const char *path, struct err *err);
void unix_address_close(struct unix_address *where); // after bind or connect
