#include "vision/protobuf.h"

#include <string.h>

// Protocol Buffers, "Encoding": a tag is number x 8 + wire type, numbers are base-128 varints.
enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static bool take_varint(struct span *in, uint64_t *out) {
    *out = 0;
    for (unsigned shift = 0; shift < 64 && in->length > 0; shift += 7) {
        uint8_t byte = (uint8_t)*in->data;
        in->data++;
        in->length--;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

bool protobuf_take(struct span *message, struct protobuf_field *out) {
    struct span rest = *message;
    uint64_t tag, length = 0;
    *out = (struct protobuf_field){0};
    if (!take_varint(&rest, &tag))
        return false;
    unsigned wire = tag & 7;
    if (wire == FIXED64 || wire == FIXED32)
        length = wire == FIXED64 ? 8 : 4;
    else if (wire == VARINT ? !take_varint(&rest, &out->value)
                            : wire != BYTES || !take_varint(&rest, &length))
        return false;
    if (length > rest.length || tag >> 3 > 1 << 29)
        return false;
    if (wire == BYTES)
        out->bytes = (struct span){rest.data, length};
    rest.data += length;
    rest.length -= length;
    out->number = (unsigned)(tag >> 3);
    out->whole = (struct span){message->data, message->length - rest.length};
    *message = rest;
    return true;
}

struct span protobuf_find(struct span message, unsigned number) {
    struct protobuf_field field;
    while (protobuf_take(&message, &field))
        if (field.number == number && field.bytes.data)
            return field.bytes;
    return (struct span){0};
}

static void put_varint(struct buf *out, uint64_t value) {
    for (; value > 0x7f; value >>= 7)
        buf_add(out, &(char){(char)(value | 0x80)}, 1);
    buf_add(out, &(char){(char)value}, 1);
}

void protobuf_put_int(struct buf *out, unsigned number, uint64_t value) {
    put_varint(out, (uint64_t)number << 3 | VARINT);
    put_varint(out, value);
}

void protobuf_put_bytes(struct buf *out, unsigned number, const void *bytes, size_t length) {
    put_varint(out, (uint64_t)number << 3 | BYTES);
    put_varint(out, length);
    buf_add(out, bytes, length);
}

void protobuf_put_text(struct buf *out, unsigned number, const char *text) {
    protobuf_put_bytes(out, number, text, strlen(text));
}

void protobuf_put_message(struct buf *out, unsigned number, struct buf *message) {
    protobuf_put_bytes(out, number, buf_bytes(message), message->length);
    buf_fini(message);
}
