#include "platform.h"

#include "base/mem.h"

#include <limits.h>
#include <mach-o/dyld.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/event.h>
#include <unistd.h>

// A process between us and what we become would change who our parent is, so the watcher is a
// child: it waits for either end, ours or the parent's.
void platform_end_with(pid_t parent) {
    pid_t self = getpid();
    if (fork() != 0) {
        if (getppid() != parent)
            _exit(127);
        return;
    }
    for (int fd = 0; fd < 256; fd++) // whoever waits for our output's end waits for the watcher too
        close(fd);
    int queue = kqueue();
    struct kevent watch[2], event;
    EV_SET(&watch[0], (uintptr_t)parent, EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT, 0, NULL);
    EV_SET(&watch[1], (uintptr_t)self, EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT, 0, NULL);
    bool watching = kevent(queue, &watch[1], 1, NULL, 0, NULL) == 0;
    bool parent_lives = kevent(queue, &watch[0], 1, NULL, 0, NULL) == 0 && kill(parent, 0) == 0;
    if (watching && parent_lives && kevent(queue, NULL, 0, &event, 1, NULL) == 1 &&
        event.ident == (uintptr_t)self)
        _exit(0);
    kill(self, SIGTERM);
    _exit(0);
}

char *platform_program(void) {
    char path[PATH_MAX];
    uint32_t size = sizeof path;
    return _NSGetExecutablePath(path, &size) == 0 ? mem_strdup(path) : NULL;
}
