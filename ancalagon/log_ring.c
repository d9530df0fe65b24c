#include "log_ring.h"

#include "base/mem.h"

#include <string.h>

struct line {
    TAILQ_ENTRY(line) link;
    size_t length;
    char text[];
};

TAILQ_HEAD(line_list, line);
TAILQ_HEAD(watch_list, log_watch);

struct log_ring {
    struct line_list lines;
    struct watch_list watches;
    size_t count, bytes, max_lines, max_bytes;
};

struct log_ring *log_ring_create(size_t max_lines, size_t max_bytes) {
    struct log_ring *ring = mem_alloc(sizeof *ring);
    ring->max_lines = max_lines;
    ring->max_bytes = max_bytes;
    TAILQ_INIT(&ring->lines);
    TAILQ_INIT(&ring->watches);
    return ring;
}

static void drop_first(struct log_ring *ring) {
    struct line *line = TAILQ_FIRST(&ring->lines);
    TAILQ_REMOVE(&ring->lines, line, link);
    ring->count--;
    ring->bytes -= line->length;
    mem_free(line);
}

void log_ring_destroy(struct log_ring *ring) {
    if (!ring)
        return;
    while (ring->count)
        drop_first(ring);
    mem_free(ring);
}

void log_ring_add(struct log_ring *ring, const char *text) {
    size_t length = strlen(text);
    struct line *line = mem_alloc(sizeof *line + length + 1);
    memcpy(line->text, text, length);
    line->length = length;
    TAILQ_INSERT_TAIL(&ring->lines, line, link);
    ring->count++;
    ring->bytes += length;
    while (ring->count > ring->max_lines || (ring->bytes > ring->max_bytes && ring->count > 1))
        drop_first(ring);
    struct log_watch *watch, *next;
    for (watch = TAILQ_FIRST(&ring->watches); watch; watch = next) {
        next = TAILQ_NEXT(watch, link); // a watcher may take itself out
        watch->on_line(text, watch->arg);
    }
}

void log_ring_tail(const struct log_ring *ring, size_t lines, struct buf *out) {
    const struct line *line = TAILQ_FIRST(&ring->lines);
    for (size_t skip = ring->count > lines ? ring->count - lines : 0; skip > 0; skip--)
        line = TAILQ_NEXT(line, link);
    for (; line; line = TAILQ_NEXT(line, link)) {
        if (!buf_reserve(out, line->length + 1))
            return;
        buf_add(out, line->text, line->length);
        buf_adds(out, "\n");
    }
}

void log_ring_watch(struct log_ring *ring, struct log_watch *watch) {
    TAILQ_INSERT_TAIL(&ring->watches, watch, link);
}

void log_ring_unwatch(struct log_ring *ring, struct log_watch *watch) {
    TAILQ_REMOVE(&ring->watches, watch, link);
}
