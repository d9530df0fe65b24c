#include "format/share_wire.h"

#include <string.h>

bool share_frame_write(struct buf *out, char kind, const void *payload, size_t length) {
    if (length > SHARE_FRAME_MAX || !buf_reserve(out, SHARE_FRAME_HEAD + length))
        return false;
    char head[SHARE_FRAME_HEAD] = {kind, (char)(length >> 24), (char)(length >> 16),
                                   (char)(length >> 8), (char)length};
    return buf_add(out, head, sizeof head) && buf_add(out, payload, length);
}

bool share_frame_read(const struct buf *in, struct share_frame *frame, bool *wrong) {
    const unsigned char *bytes = (const unsigned char *)buf_bytes(in);
    *wrong = false;
    if (in->length < SHARE_FRAME_HEAD)
        return false;
    size_t length =
        (size_t)bytes[1] << 24 | (size_t)bytes[2] << 16 | (size_t)bytes[3] << 8 | bytes[4];
    *wrong = length > SHARE_FRAME_MAX;
    if (*wrong || in->length - SHARE_FRAME_HEAD < length)
        return false;
    *frame = (struct share_frame){(char)bytes[0], (const char *)bytes + SHARE_FRAME_HEAD, length};
    return true;
}

void share_frame_drop(struct buf *in, const struct share_frame *frame) {
    buf_drain(in, SHARE_FRAME_HEAD + frame->length);
}

const char *share_frame_text(const struct share_frame *frame, size_t *at) {
    const char *text = frame->payload + *at;
    const char *end = *at < frame->length ? memchr(text, '\0', frame->length - *at) : NULL;
    if (!end)
        return NULL;
    *at += (size_t)(end - text) + 1;
    return text;
}

bool share_path_is_inside(const char *path) {
    if (path[0] == '/')
        return false;
    for (const char *at = path; at; at = strchr(at, '/')) {
        at += *at == '/';
        if (strncmp(at, "..", 2) == 0 && (at[2] == '/' || at[2] == '\0'))
            return false;
    }
    return true;
}

void share_put_size(unsigned char out[8], uint64_t size) {
    for (int i = 0; i < 8; i++)
        out[i] = (unsigned char)(size >> (56 - 8 * i));
}

uint64_t share_get_size(const unsigned char bytes[8]) {
    uint64_t size = 0;
    for (int i = 0; i < 8; i++)
        size = size << 8 | bytes[i];
    return size;
}
