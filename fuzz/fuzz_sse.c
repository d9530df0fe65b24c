// sse_feed gives the same events however the input is cut.
#include "base/buf.h"
#include "format/sse.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t length);

static void record(void *arg, const struct sse_event *event) {
    buf_printf(arg, "%zu %zu %zu ", event->raw_bytes, event->name.length, event->data.length);
    buf_add(arg, event->name.data, event->name.length);
    buf_add(arg, event->data.data, event->data.length);
}

static uint64_t run(const char *bytes, size_t length, unsigned seed, struct buf *events) {
    struct sse sse;
    sse_init(&sse, 64, record, events);
    for (size_t done = 0; done < length;) {
        size_t part = seed ? 1 + (seed = seed * 1103515245u + 12345u) / 65536u % 7u : length;
        if (part > length - done)
            part = length - done;
        sse_feed(&sse, bytes + done, part);
        done += part;
    }
    uint64_t skipped = sse.skipped;
    sse_fini(&sse);
    return skipped;
}

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t length) {
    if (length < 1)
        return 0;
    struct buf whole, pieces;
    buf_init(&whole, 1u << 24);
    buf_init(&pieces, 1u << 24);
    const char *text = (const char *)bytes + 1;
    uint64_t skipped = run(text, length - 1, 0, &whole);
    assert(run(text, length - 1, bytes[0] + 1u, &pieces) == skipped);
    assert(whole.length == pieces.length);
    assert(memcmp(buf_bytes(&whole), buf_bytes(&pieces), whole.length) == 0);
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
