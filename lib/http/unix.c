#define _GNU_SOURCE
#include "http/unix.h"

#include "base/mem.h"
#include "event/fd.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool unix_address_open(struct unix_address *where, const char *path, struct err *err) {
    *where = (struct unix_address){.address = {.sun_family = AF_UNIX}, .folder = -1};
    size_t room = sizeof where->address.sun_path;
    int n;
    const char *slash = strrchr(path, '/');
    if (strlen(path) < room || !slash) {
        n = snprintf(where->address.sun_path, room, "%s", path);
    } else {
        char *folder = mem_strndup(path, (size_t)(slash - path));
        where->folder = open(folder, O_DIRECTORY | O_CLOEXEC | O_RDONLY);
        mem_free(folder);
        if (where->folder < 0)
            return err_errno(err, "cannot open the folder of %s", path);
        n = fd_path(where->folder, slash, where->address.sun_path, room);
    }
    if (n < 0 || (size_t)n >= room) {
        unix_address_close(where);
        return err_set(err, ERR_LIMIT, "the path %s is too long for a socket", path);
    }
    where->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n + 1);
    return true;
}

void unix_address_close(struct unix_address *where) {
    if (where->folder >= 0)
        close(where->folder);
    where->folder = -1;
}
