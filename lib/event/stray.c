#define _GNU_SOURCE
#include "event/stray.h"

#include "base/mem.h"
#include "telemetry/process.h"

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
    if (getentropy(&random, sizeof random) != 0)
        return err_errno(err, "cannot get random bytes");
    snprintf(mark, STRAY_MARK_MAX, "ANCALAGON_RUN=%d-%016llx.", (int)getpid(),
             (unsigned long long)random);
    return true;
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
    size_t length = process_environment(pid, environment, MAX_ENVIRONMENT);
    bool found = find_mark(environment, length, mark, run);
    mem_free(environment);
    return found;
}

static int kill_pass(const char *mark) {
    pid_t *pids;
    unsigned run;
    int found = 0;
    size_t count = process_list(&pids);
    for (size_t i = 0; i < count; i++)
        if (pids[i] > 1 && pids[i] != getpid() && stray_read(pids[i], mark, &run) &&
            kill(pids[i], SIGKILL) == 0)
            found++;
    mem_free(pids);
    return found;
}

void stray_kill(const char *mark) {
    for (int i = 0; i < PASSES && kill_pass(mark) > 0; i++)
        poll(NULL, 0, PASS_MS);
}
