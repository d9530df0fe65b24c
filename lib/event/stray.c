#define _GNU_SOURCE
#include "event/stray.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    MAX_ENVIRONMENT = 256 * 1024, // read of one process
    PASSES = 50,
    PASS_MS = 2,
};

bool stray_mark(char mark[STRAY_MARK_MAX], struct err *err) {
    uint64_t random;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return err_errno(err, "cannot get random bytes");
    snprintf(mark, STRAY_MARK_MAX, "ANCALAGON_RUN=%d-%016llx.", (int)getpid(),
             (unsigned long long)random);
    return true;
}

// The first `size` bytes of /proc/PID/environ: "A=1\0B=2\0".
static size_t read_environment(pid_t pid, char *out, size_t size) {
    char path[64];
    size_t length = 0;
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && length < size) {
        ssize_t got = read(fd, out + length, size - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    if (fd >= 0)
        close(fd);
    return length;
}

static bool find_mark(const char *environment, size_t length, const char *mark, unsigned *run) {
    size_t mark_length = strlen(mark);
    for (const char *entry = environment; length > 0;) {
        size_t size = strnlen(entry, length);
        if (size == length)
            return false; // cut
        if (size > mark_length && memcmp(entry, mark, mark_length) == 0) {
            *run = (unsigned)strtoul(entry + mark_length, NULL, 10);
            return true;
        }
        entry += size + 1;
        length -= size + 1;
    }
    return false;
}

bool stray_read(pid_t pid, const char *mark, unsigned *run) {
    char *environment = mem_alloc(MAX_ENVIRONMENT);
    size_t length = read_environment(pid, environment, MAX_ENVIRONMENT);
    bool found = find_mark(environment, length, mark, run);
    mem_free(environment);
    return found;
}

static int kill_pass(const char *mark) {
    int found = 0;
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10); // 0: not a process
        unsigned run;
        if (pid > 1 && pid != getpid() && stray_read(pid, mark, &run) && kill(pid, SIGKILL) == 0)
            found++;
    }
    if (folder)
        closedir(folder);
    return found;
}

void stray_kill(const char *mark) {
    for (int i = 0; i < PASSES && kill_pass(mark) > 0; i++)
        poll(NULL, 0, PASS_MS);
}
