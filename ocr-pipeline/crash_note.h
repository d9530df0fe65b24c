// A note of a process that outlives it, and tells the next one that it died of its own work: by a
// fault (a decoder, a network's runtime), or killed by the kernel for want of memory. Whom somebody
// else killed, however often, has nobody to blame. One process of a note at a time.
//
// It also tells which photos were being read. Of several it is not known whose crash it was: so
// each is read alone then, and the next crash is its own.
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CRASH_PHOTOS_MAX = 16 };

struct crash_photo {
    uint64_t id;
    unsigned crashes; // while it was being read
};
struct crash_photos {
    struct crash_photo list[CRASH_PHOTOS_MAX];
    size_t count;
};

// Of a crash; then also of the photos that were being read, with that crash counted.
bool crash_note_tells(const char *path, struct crash_photos *photos);
// False: it may be tried (again); true with the error that its photo gets instead.
bool crash_note_gives_up(unsigned crashes, struct err *err);

// Begins the note of this process, instead of the one before. From here on a fault is noted, and
// the process ends as it would have.
void crash_note_begin(const char *path);
void crash_note_end(void); // in good order: the note is taken away

// Around the reading of a photo, in its thread. A fault may be that there is no more stack: in
// between, the handler has one of its own.
struct crash_watch {
    int place; // in the note
    void *stack;
};
void crash_note_enter(struct crash_watch *watch, struct crash_photo photo);
void crash_note_leave(struct crash_watch *watch);
