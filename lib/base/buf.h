// Growable bytes with a stated maximum. A buf owns its memory; an empty buf owns none, so that
// thousands of idle connections cost nothing. The maximum is given at init and never passed:
// appending past it changes nothing and returns false.
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data; // bytes [start, start + length) are the content
    size_t start;
    size_t length;
    size_t capacity;
    size_t max;
};

void buf_init(struct buf *buf, size_t max);
void buf_fini(struct buf *buf);               // frees; the buf may be used again
const char *buf_bytes(const struct buf *buf); // first byte of the content; not terminated
bool buf_add(struct buf *buf, const void *bytes, size_t length);
bool buf_adds(struct buf *buf, const char *text);
bool buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool buf_reserve(struct buf *buf, size_t extra);  // room for `extra` more without moving again
char *buf_tail(struct buf *buf);                  // where reserved room begins
void buf_advance(struct buf *buf, size_t length); // counts bytes written at buf_tail
void buf_drain(struct buf *buf, size_t length);   // drops from the front; frees when it gets empty
void buf_clear(struct buf *buf);                  // empties, keeps the memory
const char *buf_text(struct buf *buf);            // NUL-terminated view; "" when empty
char *buf_take(struct buf *buf, size_t *length);  // hands the bytes over (mem_free), terminated
