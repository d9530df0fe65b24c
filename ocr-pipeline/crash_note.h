// A note of a process that outlives it, and tells the next one that it died of its own work: by a
// fault (a decoder, a network's runtime), or killed by the kernel for want of memory. Whom somebody
// else killed, however often, has nobody to blame. One process of a note at a time.
#pragma once

#include <stdbool.h>

bool crash_note_tells(const char *path); // of a crash
// Begins the note of this process, instead of the one before. From here on a fault is noted, and
// the process ends as it would have.
void crash_note_begin(const char *path);
void crash_note_end(void); // in good order: the note is taken away

// A fault may be that there is no more stack; in between, the handler has one of its own in this
// thread. NULL is fine.
void *crash_note_stack(void);
void crash_note_stack_end(void *stack);
