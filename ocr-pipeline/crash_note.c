#include "crash_note.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/system.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const int FAULTS[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
enum { FAULT_COUNT = sizeof FAULTS / sizeof *FAULTS, NOTE_MAX = 128, STACK_BYTES = 64 << 10 };

// "r BOOT KILLS\n": it runs; since then its first letter may have become another.
enum { RUNS = 'r', FAULT = 'f' };

static char note[PATH_MAX];
static int note_fd = -1;
static struct sigaction before[FAULT_COUNT];

// The kernel tells nobody whom it killed but in its log, which may not be ours to read; and the
// counters of a cgroup go with it. The machine's stays.
static bool kernel_has_killed(const char *text) {
    struct system_kills kills;
    char boot[sizeof kills.boot];
    long long count;
    return system_kills_read(&kills) && sscanf(text, "%*c %39s %lld", boot, &count) == 2 &&
           strcmp(boot, kills.boot) == 0 && count != kills.count;
}

bool crash_note_tells(const char *path) {
    char *text = path_read_file(path, NOTE_MAX, NULL, NULL);
    bool tells = text && (text[0] == FAULT || kernel_has_killed(text));
    mem_free(text);
    return tells;
}

// Only what is allowed in the middle of anything (POSIX.1-2017 2.4.3), and needs no room on a disk.
static void on_fault(int number) {
    static const char letter = FAULT;
    ssize_t ignored = pwrite(note_fd, &letter, 1, 0);
    (void)ignored;
    for (int i = 0; i < FAULT_COUNT; i++)
        sigaction(FAULTS[i], &before[i], NULL);
    raise(number); // comes when this returns
}

static bool write_note(void) {
    struct system_kills kills = {.boot = "-"};
    char text[NOTE_MAX];
    system_kills_read(&kills);
    int length =
        snprintf(text, sizeof text, "%c %s %lld\n", RUNS, kills.boot, (long long)kills.count);
    note_fd = open(note, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return note_fd >= 0 && write(note_fd, text, (size_t)length) == length;
}

void crash_note_begin(const char *path) {
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK};
    if (snprintf(note, sizeof note, "%s", path) >= (int)sizeof note || !write_note())
        log_warn("crash_note.not_kept path=%s", path);
    for (int i = 0; i < FAULT_COUNT; i++)
        sigaction(FAULTS[i], &action, &before[i]);
}

void crash_note_end(void) {
    for (int i = 0; i < FAULT_COUNT; i++)
        sigaction(FAULTS[i], &before[i], NULL);
    if (note_fd >= 0)
        close(note_fd);
    note_fd = -1;
    unlink(note);
}

void *crash_note_stack(void) {
    stack_t now;
    if (sigaltstack(NULL, &now) != 0 || !(now.ss_flags & SS_DISABLE))
        return NULL; // a sanitizer's
    stack_t own = {.ss_sp = mem_alloc(STACK_BYTES), .ss_size = STACK_BYTES};
    sigaltstack(&own, NULL);
    return own.ss_sp;
}

void crash_note_stack_end(void *stack) {
    stack_t none = {.ss_flags = SS_DISABLE, .ss_size = STACK_BYTES};
    if (stack)
        sigaltstack(&none, NULL);
    mem_free(stack);
}
