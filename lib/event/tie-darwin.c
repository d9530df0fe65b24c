#include "event/tie.h"

#include "event/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/event.h>
#include <sys/wait.h>
#include <unistd.h>

static bool watch_end(int queue, pid_t pid) {
    struct kevent change;
    EV_SET(&change, (uintptr_t)pid, EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT, 0, NULL);
    return kevent(queue, &change, 1, NULL, 0, NULL) == 0;
}

// Waits for either end, and passes the parent's on. Of the processes that it knows only numbers,
// which stay theirs until the queue has told of their end.
static _Noreturn void watcher(pid_t self, pid_t parent, int signal_number) {
    struct kevent event;
    setsid(); // what is meant for the group of `self` is not for us
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    fd_close_from(0); // whoever waits for the end of its output waits for us, too
    int queue = kqueue();
    if (!watch_end(queue, self))
        _exit(0); // it has ended
    bool parent_lives = watch_end(queue, parent);
    int found;
    do
        found = parent_lives ? kevent(queue, NULL, 0, &event, 1, NULL) : 0;
    while (found < 0 && errno == EINTR);
    if (found != 1 || event.ident != (uintptr_t)self)
        kill(self, signal_number);
    _exit(0);
}

// No call of this system binds a process to its parent, so a watcher does. A process between us and
// what we become would change who our parent is, and a child would be one that the program does not
// know of: the watcher is a grandchild whose parent ends at once.
void tie_to_parent(pid_t parent, int signal_number) {
    pid_t self = getpid(), between = fork();
    if (between == 0) {
        if (fork() == 0)
            watcher(self, parent, signal_number);
        _exit(0);
    }
    while (between > 0 && waitpid(between, NULL, 0) < 0 && errno == EINTR)
        ;
    if (between < 0 || getppid() != parent) // nothing would end it
        _exit(127);
}

void tie_offer(const char *score, size_t length) {}

int tie_watch(pid_t pid) {
    int queue = kqueue();
    if (queue < 0)
        return -1;
    if (fcntl(queue, F_SETFD, FD_CLOEXEC) == 0 && watch_end(queue, pid))
        return queue;
    int error = errno;
    close(queue);
    errno = error;
    return -1;
}

bool tie_signal(int watch, pid_t pid, int signal_number) {
    struct pollfd ended = {.fd = watch, .events = POLLIN};
    if (poll(&ended, 1, 0) > 0) {
        errno = ESRCH; // and its number may be another's by now
        return false;
    }
    return kill(pid, signal_number) == 0;
}

void tie_adopt(void) {}

size_t tie_children(pid_t *out, size_t max) { return 0; }
