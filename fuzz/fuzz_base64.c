// What base64 decodes to does not depend on how the text is cut, and comes back from what it is
// encoded to.
#include "base/buf.h"
#include "format/base64.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length);

static bool decode(const char *text, size_t length, size_t step, struct buf *out) {
    struct base64 base64;
    struct err err = {0};
    bool good = true;
    base64_init(&base64);
    for (size_t at = 0; good && at < length; at += step)
        good = base64_feed(&base64, text + at, length - at < step ? length - at : step, out, &err);
    good = good && base64_end(&base64, out, &err);
    assert(good == !err.code);
    return good;
}

static bool same(struct buf *a, struct buf *b) {
    return a->length == b->length && !memcmp(buf_bytes(a), buf_bytes(b), a->length);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length) {
    struct buf whole, parts, text, again;
    if (length < 1)
        return 0;
    buf_init(&whole, 1 << 16);
    buf_init(&parts, 1 << 16);
    buf_init(&text, 1 << 17);
    buf_init(&again, 1 << 16);
    const char *bytes = (const char *)data + 1;
    bool good = decode(bytes, length - 1, length, &whole);
    assert(decode(bytes, length - 1, data[0] % 8 + 1, &parts) == good);
    if (good) {
        assert(same(&whole, &parts));
        assert(base64_encode(buf_bytes(&whole), whole.length, &text));
        assert(decode(buf_bytes(&text), text.length, text.length + 1, &again) &&
               same(&whole, &again));
    }
    buf_fini(&whole);
    buf_fini(&parts);
    buf_fini(&text);
    buf_fini(&again);
    return 0;
}
