#include "crash_note.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

static const int FAULTS[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
enum { FAULT_COUNT = sizeof FAULTS / sizeof *FAULTS };

static char note[PATH_MAX];
static struct sigaction before[FAULT_COUNT];

bool crash_note_is_there(const char *path) { return access(path, F_OK) == 0; }

// Only what is allowed in the middle of anything (POSIX.1-2017 2.4.3).
static void on_fault(int number) {
    int fd = open(note, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    for (int i = 0; i < FAULT_COUNT; i++)
        sigaction(FAULTS[i], &before[i], NULL);
    raise(number); // comes when this returns
}

void crash_note_arm(const char *path) {
    struct sigaction action = {.sa_handler = on_fault};
    unlink(path);
    if (snprintf(note, sizeof note, "%s", path) >= (int)sizeof note)
        return;
    for (int i = 0; i < FAULT_COUNT; i++)
        sigaction(FAULTS[i], &action, &before[i]);
}
