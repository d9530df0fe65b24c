// A mount that hangs keeps whoever asks it for a file in the kernel, for ever, and no call takes a
// thread out of there. So a command bounds its waits: when one lasts too long, it says for what,
// and the process ends (EXIT_SHARE). What it had done is kept where it was kept before.
#pragma once

#include <stdint.h>
#include <sys/queue.h>

void file_wait_bound(int64_t most_ms); // from here on; before it nothing is bounded

// Around what asks for the file; any thread, in which it begins and ends. `path` is there
// meanwhile.
struct file_wait {
    TAILQ_ENTRY(file_wait) link;
    const char *path;
    int64_t until_ms;
};
void file_wait_begin(struct file_wait *wait, const char *path);
void file_wait_end(struct file_wait *wait); // keeps errno
