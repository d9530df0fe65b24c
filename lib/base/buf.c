#include "base/buf.h"

#include "base/mem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void buf_init(struct buf *buf, size_t max) { *buf = (struct buf){.max = max}; }

void buf_fini(struct buf *buf) {
    mem_free(buf->data);
    *buf = (struct buf){.max = buf->max};
}

const char *buf_bytes(const struct buf *buf) { return buf->data ? buf->data + buf->start : ""; }

bool buf_reserve(struct buf *buf, size_t extra) {
    if (extra > buf->max || buf->length > buf->max - extra)
        return false;
    size_t need = buf->length + extra + 1; // one for the terminator of buf_text
    if (buf->start + need <= buf->capacity)
        return true;
    if (buf->start > 0) {
        memmove(buf->data, buf->data + buf->start, buf->length);
        buf->start = 0;
        if (need <= buf->capacity)
            return true;
    }
    size_t capacity = buf->capacity ? buf->capacity : 256;
    while (capacity < need)
        capacity += capacity < (1u << 20) ? capacity : capacity / 2;
    if (capacity > buf->max + 1)
        capacity = buf->max + 1;
    buf->data = mem_resize(buf->data, capacity);
    buf->capacity = capacity;
    return true;
}

bool buf_add(struct buf *buf, const void *bytes, size_t length) {
    if (length == 0)
        return true;
    if (!buf_reserve(buf, length))
        return false;
    memcpy(buf_tail(buf), bytes, length);
    buf->length += length;
    return true;
}

bool buf_adds(struct buf *buf, const char *text) { return buf_add(buf, text, strlen(text)); }

bool buf_printf(struct buf *buf, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    size_t room = buf->capacity - buf->start - buf->length;
    int n = vsnprintf(room ? buf_tail(buf) : NULL, room, format, args);
    va_end(args);
    bool ok = n >= 0 && ((size_t)n < room || buf_reserve(buf, (size_t)n));
    if (ok && (size_t)n >= room)
        vsnprintf(buf_tail(buf), (size_t)n + 1, format, again);
    if (ok)
        buf->length += (size_t)n;
    va_end(again);
    return ok;
}

char *buf_tail(struct buf *buf) { return buf->data + buf->start + buf->length; }

void buf_advance(struct buf *buf, size_t length) {
    assert(buf->start + buf->length + length < buf->capacity);
    buf->length += length;
}

void buf_drain(struct buf *buf, size_t length) {
    assert(length <= buf->length);
    buf->start += length;
    buf->length -= length;
    if (buf->length == 0)
        buf_fini(buf);
}

void buf_clear(struct buf *buf) { buf->start = buf->length = 0; }

const char *buf_text(struct buf *buf) {
    if (buf->length == 0)
        return "";
    buf->data[buf->start + buf->length] = '\0'; // buf_reserve always leaves this byte
    return buf->data + buf->start;
}

char *buf_take(struct buf *buf, size_t *length) {
    if (length)
        *length = buf->length;
    if (!buf->data)
        return mem_alloc(1);
    if (buf->start > 0)
        memmove(buf->data, buf->data + buf->start, buf->length);
    buf->data[buf->length] = '\0';
    char *data = buf->data;
    buf->data = NULL;
    buf_fini(buf);
    return data;
}
