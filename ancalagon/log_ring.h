// The last lines an engine printed, kept in memory across its restarts; with watchers who are told
// each new line (lmswitch logs -f).
#pragma once

#include "base/buf.h"

#include <stddef.h>
#include <sys/queue.h>

struct log_ring;

struct log_watch {
    TAILQ_ENTRY(log_watch) link;
    void (*on_line)(const char *line, void *arg); // without the line end
    void *arg;
};

struct log_ring *log_ring_create(size_t max_lines, size_t max_bytes);
void log_ring_destroy(struct log_ring *ring);               // no watchers any more
void log_ring_add(struct log_ring *ring, const char *text); // one line, without its end
// Appends the last `lines` lines, each with a line end, as far as out has room.
void log_ring_tail(const struct log_ring *ring, size_t lines, struct buf *out);
void log_ring_watch(struct log_ring *ring, struct log_watch *watch);
void log_ring_unwatch(struct log_ring *ring, struct log_watch *watch);
