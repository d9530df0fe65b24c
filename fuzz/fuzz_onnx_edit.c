// Changes to a stranger's ONNX file: it keeps its fields, and stays a file that is understood.
#include "base/mem.h"
#include "vision/onnx_edit.h"
#include "vision/protobuf.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length);

static size_t count_fields(struct span message) {
    struct protobuf_field field;
    size_t count = 0;
    for (; protobuf_take(&message, &field); count++)
        assert(field.whole.length > 0);
    return message.length ? 0 : count;
}

// What was written anew is understood, and not empty.
static void expect_understood(struct buf *out, bool changed) {
    assert(changed == (out->length > 0));
    assert(!changed || count_fields((struct span){buf_bytes(out), out->length}) > 0);
    buf_clear(out);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length) {
    static const struct network_pixels pixels = {{1, 2, 3}, {4, 5, 6}};
    uint8_t *copy = mem_alloc(length + 1);
    struct buf out;
    struct span before = {(const char *)data, length};
    memcpy(copy, data, length);
    if (onnx_edit_order(copy, length)) {
        struct span after = {(const char *)copy, length};
        assert(count_fields(after) == count_fields(before) && count_fields(after) > 0);
        onnx_edit_order(copy, length);
    } else {
        assert(memcmp(copy, data, length) == 0);
    }
    buf_init(&out, 2 * length + 65536);
    if (onnx_edit_pixels(&out, data, length, &pixels)) {
        struct span after = {buf_bytes(&out), out.length};
        assert(count_fields(after) == count_fields(before));
    } else {
        assert(out.length == 0);
    }
    struct onnx_line line = {0};
    buf_clear(&out);
    if (onnx_edit_line(&out, data, length, &line)) {
        struct span after = {buf_bytes(&out), out.length};
        assert(count_fields(after) == count_fields(before) && line.count > 0);
    } else {
        assert(out.length == 0);
    }
    buf_fini(&out);
    buf_init(&out, 8 * length + (8 << 20));
    expect_understood(&out, onnx_edit_gates(&out, data, length));
    expect_understood(&out, onnx_edit_enlarge(&out, data, length));
    expect_understood(&out, onnx_edit_phases(&out, data, length));
    expect_understood(&out, onnx_edit_sums(&out, data, length, 16));
    expect_understood(&out, onnx_edit_scales(&out, data, length));
    expect_understood(&out, onnx_edit_channels(&out, data, length, 16));
    buf_fini(&out);
    mem_free(copy);
    return 0;
}
