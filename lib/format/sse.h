// Server-sent events (WHATWG HTML, 9.2): an observer that splits a stream into events, and writers.
// Nothing here changes the bytes that pass.
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SSE_NAME_MAX 64u

struct sse_event {
    struct span name; // "message" when the stream gives none
    struct span data; // lines joined by LF; valid during the callback only
    size_t raw_bytes; // from the end of the previous event, comments included, to this one's end
};

typedef void sse_event_fn(void *arg, const struct sse_event *event);

// Splits bytes cut anywhere; lines end with LF, CR or CRLF. An event with a line,
// or data, larger than max_event_bytes is passed over and counted, no error: we only look on. Holds
// memory only inside an event that is not complete. Fields are private.
struct sse {
    sse_event_fn *on_event;
    void *arg;
    size_t max_event_bytes;
    uint64_t skipped; // events passed over for their size; may be read
    struct buf line;  // a line cut by the end of the input
    struct buf data;  // data lines that had to be kept
    struct span near; // the only data line so far, still in the caller's bytes
    size_t raw_bytes;
    char name[SSE_NAME_MAX];
    size_t name_length;
    bool has_data, cut, after_cr, skipping, begun;
};

void sse_init(struct sse *sse, size_t max_event_bytes, sse_event_fn *on_event, void *arg);
void sse_feed(struct sse *sse, const char *bytes, size_t length);
void sse_fini(struct sse *sse);

// Append ": text" or an event with its blank line; false when the buf's maximum is hit. The text
// of a comment and the name must have no line ends; data may.
bool sse_comment(struct buf *out, const char *text);
bool sse_write(struct buf *out, const char *name, const char *data, size_t length);
