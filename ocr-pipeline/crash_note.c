#include "crash_note.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/system.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const int FAULTS[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
enum { FAULT_COUNT = sizeof FAULTS / sizeof *FAULTS, STACK_BYTES = 64 << 10, CRASHES_MOST = 2 };

// "r BOOT KILLS\n": it runs; since then its first letter may have become another. Then a line for
// each photo that may be read at once, "ID CRASHES\n". All is as long from the beginning: what is
// written later needs no room on a disk.
enum {
    RUNS = 'r',
    FAULT = 'f',
    HEAD_BYTES = 80,
    LINE_BYTES = 24,
    NOTE_BYTES = HEAD_BYTES + CRASH_PHOTOS_MAX * LINE_BYTES,
};

static char note[PATH_MAX];
static int note_fd = -1;
static struct sigaction before[FAULT_COUNT];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool taken[CRASH_PHOTOS_MAX]; // under lock: lines of the note

// The kernel tells nobody whom it killed but in its log, which may not be ours to read; and the
// counters of a cgroup go with it. The machine's stays.
static bool kernel_has_killed(const char *text) {
    struct system_kills kills;
    char boot[sizeof kills.boot];
    long long count;
    return system_kills_read(&kills) && sscanf(text, "%*c %39s %lld", boot, &count) == 2 &&
           strcmp(boot, kills.boot) == 0 && count != kills.count;
}

static void read_photos(const char *text, struct crash_photos *photos) {
    unsigned long long id;
    unsigned crashes;
    const char *line = strchr(text, '\n');
    for (; line && photos->count < CRASH_PHOTOS_MAX; line = strchr(line + 1, '\n'))
        if (sscanf(line, "\n%16llx %3u", &id, &crashes) == 2)
            photos->list[photos->count++] = (struct crash_photo){id, crashes + 1};
}

bool crash_note_tells(const char *path, struct crash_photos *photos) {
    char *text = path_read_file(path, NOTE_BYTES, NULL, NULL);
    bool tells = text && (text[0] == FAULT || kernel_has_killed(text));
    photos->count = 0;
    if (tells)
        read_photos(text, photos);
    mem_free(text);
    return tells;
}

bool crash_note_gives_up(unsigned crashes, struct err *err) {
    if (crashes < CRASHES_MOST)
        return false;
    err_set(err, ERR_SYSTEM,
            "the program crashed %u times while this photo was being read; it is not tried again",
            crashes);
    return true;
}

// Only what is allowed in the middle of anything (POSIX.1-2017 2.4.3).
static void on_fault(int number) {
    static const char letter = FAULT;
    ssize_t ignored = pwrite(note_fd, &letter, 1, 0);
    (void)ignored;
    for (int i = 0; i < FAULT_COUNT; i++)
        sigaction(FAULTS[i], &before[i], NULL);
    raise(number); // comes when this returns
}

// The text, and blanks up to the end of the line.
static void fill_line(char *line, size_t size, const char *text) {
    size_t length = strnlen(text, size - 1);
    memcpy(line, text, length);
    memset(line + length, ' ', size - 1 - length);
    line[size - 1] = '\n';
}

static bool write_note(void) {
    struct system_kills kills = {.boot = "-"};
    char head[HEAD_BYTES], text[NOTE_BYTES];
    system_kills_read(&kills);
    snprintf(head, sizeof head, "%c %s %lld", RUNS, kills.boot, (long long)kills.count);
    fill_line(text, HEAD_BYTES, head);
    for (size_t i = 0; i < CRASH_PHOTOS_MAX; i++)
        fill_line(text + HEAD_BYTES + i * LINE_BYTES, LINE_BYTES, "");
    note_fd = open(note, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return note_fd >= 0 && write(note_fd, text, sizeof text) == sizeof text;
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

// --- One photo

static void write_line(int place, const char *text) {
    char line[LINE_BYTES];
    fill_line(line, sizeof line, text);
    ssize_t ignored = pwrite(note_fd, line, sizeof line, HEAD_BYTES + (off_t)place * LINE_BYTES);
    (void)ignored;
}

// -1: there are more photos than lines.
static int take_place(void) {
    int place = 0;
    pthread_mutex_lock(&lock);
    while (place < CRASH_PHOTOS_MAX && taken[place])
        place++;
    if (place < CRASH_PHOTOS_MAX)
        taken[place] = true;
    pthread_mutex_unlock(&lock);
    return place < CRASH_PHOTOS_MAX ? place : -1;
}

static void *give_stack(void) {
    stack_t now;
    if (sigaltstack(NULL, &now) != 0 || !(now.ss_flags & SS_DISABLE))
        return NULL; // a sanitizer's
    stack_t own = {.ss_sp = mem_alloc(STACK_BYTES), .ss_size = STACK_BYTES};
    sigaltstack(&own, NULL);
    return own.ss_sp;
}

void crash_note_enter(struct crash_watch *watch, struct crash_photo photo) {
    char text[LINE_BYTES];
    *watch = (struct crash_watch){take_place(), give_stack()};
    snprintf(text, sizeof text, "%016llx %u", (unsigned long long)photo.id, photo.crashes);
    if (watch->place >= 0)
        write_line(watch->place, text);
}

void crash_note_leave(struct crash_watch *watch) {
    stack_t none = {.ss_flags = SS_DISABLE, .ss_size = STACK_BYTES};
    if (watch->stack)
        sigaltstack(&none, NULL);
    mem_free(watch->stack);
    if (watch->place < 0)
        return;
    write_line(watch->place, "");
    pthread_mutex_lock(&lock);
    taken[watch->place] = false;
    pthread_mutex_unlock(&lock);
}
