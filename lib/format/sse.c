#include "format/sse.h"

#include <string.h>

// A line or data kept for one event larger than this is given back after it.
#define KEEP_BYTES 4096u

void sse_init(struct sse *sse, size_t max_event_bytes, sse_event_fn *on_event, void *arg) {
    *sse = (struct sse){.on_event = on_event, .arg = arg, .max_event_bytes = max_event_bytes};
    buf_init(&sse->line, max_event_bytes);
    buf_init(&sse->data, max_event_bytes);
}

void sse_fini(struct sse *sse) {
    buf_fini(&sse->line);
    buf_fini(&sse->data);
}

static void empty(struct buf *buf) {
    if (buf->capacity > KEEP_BYTES)
        buf_fini(buf);
    else
        buf_clear(buf);
}

static void skip_event(struct sse *sse) {
    sse->skipping = true;
    sse->near = (struct span){NULL, 0};
    buf_fini(&sse->line);
    buf_fini(&sse->data);
}

// Moves the data that still lies in the caller's bytes to our own buffer.
static void keep_near(struct sse *sse) {
    if (sse->near.data && !buf_add(&sse->data, sse->near.data, sse->near.length))
        skip_event(sse);
    sse->near = (struct span){NULL, 0};
}

// value is in the caller's bytes when is_near, else in sse->line.
static void on_data(struct sse *sse, struct span value, bool is_near) {
    bool first = !sse->has_data;
    sse->has_data = true;
    if (first && is_near) {
        sse->near = value;
        return;
    }
    keep_near(sse);
    if (!sse->skipping && ((!first && !buf_add(&sse->data, "\n", 1)) ||
                           !buf_add(&sse->data, value.data, value.length)))
        skip_event(sse);
}

static void on_blank(struct sse *sse) {
    if (sse->skipping) {
        sse->skipped++;
    } else if (sse->has_data) {
        struct sse_event event = {
            .name =
                sse->name_length ? (struct span){sse->name, sse->name_length} : span_of("message"),
            .data =
                sse->near.data ? sse->near : (struct span){buf_bytes(&sse->data), sse->data.length},
            .raw_bytes = sse->raw_bytes,
        };
        sse->on_event(sse->arg, &event);
    }
    // Comments and events without data count towards the next one, as its raw_bytes promise.
    if (sse->skipping || sse->has_data)
        sse->raw_bytes = 0;
    sse->name_length = 0;
    sse->has_data = sse->skipping = false;
    sse->near = (struct span){NULL, 0};
    empty(&sse->data);
}

static void on_line(struct sse *sse, struct span line, bool is_near) {
    if (!sse->begun && line.length >= 3 && memcmp(line.data, "\xef\xbb\xbf", 3) == 0)
        line = (struct span){line.data + 3, line.length - 3};
    sse->begun = true;
    if (line.length == 0) {
        on_blank(sse);
        return;
    }
    if (sse->skipping || line.data[0] == ':')
        return;
    const char *colon = memchr(line.data, ':', line.length);
    struct span field = {line.data, colon ? (size_t)(colon - line.data) : line.length};
    struct span value = {line.data + line.length, 0};
    if (colon) {
        size_t lead = field.length + 1;
        lead += lead < line.length && line.data[lead] == ' ';
        value = (struct span){line.data + lead, line.length - lead};
    }
    if (span_is(field, "data")) {
        on_data(sse, value, is_near);
    } else if (span_is(field, "event")) {
        if (value.length > sizeof sse->name) {
            skip_event(sse);
            return;
        }
        memcpy(sse->name, value.data, value.length);
        sse->name_length = value.length;
    }
}

// The first LF or CR.
static const char *find_end(const char *p, size_t length) {
    const char *lf = memchr(p, '\n', length);
    const char *cr = memchr(p, '\r', lf ? (size_t)(lf - p) : length);
    return cr ? cr : lf;
}

static void keep_line(struct sse *sse, const char *bytes, size_t length) {
    if (!sse->skipping && !buf_add(&sse->line, bytes, length))
        skip_event(sse);
}

// The limit is on what would have to be kept: each line, and the joined data. So the answer does
// not depend on where the input is cut.
static void end_line(struct sse *sse, const char *bytes, size_t length) {
    if (!sse->cut) {
        if (length > sse->max_event_bytes)
            skip_event(sse);
        on_line(sse, (struct span){bytes, length}, true);
        return;
    }
    keep_line(sse, bytes, length);
    // The text of a skipped line is gone, but it was cut, so it is not blank.
    on_line(sse,
            sse->skipping ? span_of("x") : (struct span){buf_bytes(&sse->line), sse->line.length},
            false);
    empty(&sse->line);
    sse->cut = false;
}

void sse_feed(struct sse *sse, const char *bytes, size_t length) {
    while (length > 0) {
        if (sse->after_cr && *bytes == '\n') {
            sse->after_cr = false;
            sse->raw_bytes++;
            bytes++;
            length--;
            continue;
        }
        sse->after_cr = false;
        const char *end = find_end(bytes, length);
        size_t part = end ? (size_t)(end - bytes) : length;
        size_t taken = part + (end != NULL);
        sse->raw_bytes += taken;
        if (end) {
            sse->after_cr = *end == '\r';
            end_line(sse, bytes, part);
        } else {
            keep_line(sse, bytes, part);
            sse->cut = true;
        }
        bytes += taken;
        length -= taken;
    }
    keep_near(sse);
}

bool sse_comment(struct buf *out, const char *text) {
    size_t before = out->length;
    if (buf_adds(out, ": ") && buf_adds(out, text) && buf_adds(out, "\n\n"))
        return true;
    out->length = before;
    return false;
}

bool sse_write(struct buf *out, const char *name, const char *data, size_t length) {
    size_t before = out->length;
    bool ok = !name || (buf_adds(out, "event: ") && buf_adds(out, name) && buf_adds(out, "\n"));
    while (ok) {
        const char *end = length ? find_end(data, length) : NULL;
        size_t part = end ? (size_t)(end - data) : length;
        ok = buf_adds(out, "data: ") && buf_add(out, data, part) && buf_adds(out, "\n");
        if (!end)
            break;
        part += *end == '\r' && part + 1 < length && end[1] == '\n' ? 2 : 1;
        data += part;
        length -= part;
    }
    if (ok && buf_adds(out, "\n"))
        return true;
    out->length = before;
    return false;
}
