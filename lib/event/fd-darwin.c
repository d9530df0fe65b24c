#include "event/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

// What another thread forks between the two calls would inherit it: spawn.c closes all of it.
static bool close_on_exec(int fd) { return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0; }

static void give_up(int fd) {
    int error = errno;
    close(fd);
    errno = error;
}

bool fd_pipe(int ends[2]) {
    if (pipe(ends) != 0)
        return false;
    if (close_on_exec(ends[0]) && close_on_exec(ends[1]))
        return true;
    give_up(ends[0]);
    give_up(ends[1]);
    return false;
}

int fd_socket(int family, int type) {
    int fd = socket(family, type, 0);
    if (fd < 0 || (close_on_exec(fd) && fcntl(fd, F_SETFL, O_NONBLOCK) == 0))
        return fd;
    give_up(fd);
    return -1;
}

static int highest(void) {
    int max = getdtablesize();
    return max > 0 && max < 65536 ? max : 65536;
}

void fd_close_from(int first) {
    for (int fd = first, end = highest(); fd < end; fd++)
        close(fd);
}

void fd_close_on_exec_from(int first) {
    for (int fd = first, end = highest(); fd < end; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

pid_t fd_peer(int fd) {
    pid_t pid = -1;
    socklen_t size = sizeof pid;
    return getsockopt(fd, SOL_LOCAL, LOCAL_PEERPID, &pid, &size) == 0 ? pid : -1;
}

// /dev/fd/N is the open file itself here, and leads to nothing in it.
int fd_path(int folder, const char *name, char *out, size_t size) { return -1; }
