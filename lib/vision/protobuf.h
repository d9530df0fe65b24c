// Just enough of Protocol Buffers' wire format to look into an ONNX file and to change it a little:
// fields of a message one after the other, and fields appended to a buf. Bytes are a stranger's.
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct protobuf_field {
    unsigned number;
    struct span whole; // with its tag
    struct span bytes; // of a text or a message; empty for a number
    uint64_t value;    // of a number
};

// Takes the first field off the message; false at its end, and at what is no field (then *message
// is not empty).
bool protobuf_take(struct span *message, struct protobuf_field *out);
// The first field of this number that has bytes; empty when there is none.
struct span protobuf_find(struct span message, unsigned number);

void protobuf_put_int(struct buf *out, unsigned number, uint64_t value);
void protobuf_put_bytes(struct buf *out, unsigned number, const void *bytes, size_t length);
void protobuf_put_text(struct buf *out, unsigned number, const char *text);
void protobuf_put_message(struct buf *out, unsigned number, struct buf *message); // which is freed
