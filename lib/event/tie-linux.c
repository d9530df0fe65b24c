#define _GNU_SOURCE
#include "event/tie.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

void tie_to_parent(pid_t parent, int signal) {
    prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0);
    if (getppid() != parent) // it ended before the request was in place: nobody will tell us
        _exit(127);
}

void tie_offer(const char *score, size_t length) {
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t ignored = write(fd, score, length);
    (void)ignored;
    close(fd);
}

int tie_watch(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0U); }

bool tie_signal(int watch, pid_t pid, int signal) {
    return syscall(SYS_pidfd_send_signal, watch, signal, NULL, 0U) == 0;
}

void tie_adopt(void) { prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

size_t tie_children(pid_t *out, size_t max) {
    char path[64];
    size_t count = 0;
    long pid;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *list = fopen(path, "re");
    while (list && count < max && fscanf(list, "%ld", &pid) == 1)
        if (pid > 0)
            out[count++] = (pid_t)pid;
    if (list)
        fclose(list);
    return count;
}
