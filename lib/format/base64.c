#include "format/base64.h"

#include <string.h>

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// 0..63, 64 for padding, 65 for whitespace, 255 for what does not belong here.
enum { PADDING = 64, SPACE = 65, OTHER = 255 };

static uint8_t value_of(char c) {
    if (c >= 'A' && c <= 'Z')
        return (uint8_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint8_t)(c - 'a' + 26);
    if (c >= '0' && c <= '9')
        return (uint8_t)(c - '0' + 52);
    switch (c) {
    case '+':
    case '-': return 62;
    case '/':
    case '_': return 63;
    case '=': return PADDING;
    case ' ':
    case '\t':
    case '\r':
    case '\n': return SPACE;
    default: return OTHER;
    }
}

void base64_init(struct base64 *base64) { *base64 = (struct base64){.part = BASE64_FIRST}; }

static bool full(struct err *err, const struct buf *out) {
    return err_set(err, ERR_LIMIT, "base64 of more than %zu bytes", out->max);
}

static bool feed_body(struct base64 *b, const char *text, size_t length, struct buf *out,
                      struct err *err) {
    if (!buf_reserve(out, length / 4 * 3 + 3))
        return full(err, out);
    char *to = buf_tail(out);
    size_t n = 0;
    for (size_t i = 0; i < length; i++) {
        uint8_t v = value_of(text[i]);
        if (v == SPACE)
            continue;
        if (v == PADDING && b->count >= 2 && b->pads < 4 - b->count) {
            b->padded = true;
            b->pads++;
            continue;
        }
        if (v >= PADDING || b->padded) {
            buf_advance(out, n);
            return err_set(err, ERR_INVALID, "this is not base64: \"%c\" (0x%02x) does not belong",
                           text[i] >= ' ' && text[i] < 127 ? text[i] : '?',
                           (unsigned)(unsigned char)text[i]);
        }
        b->bits = b->bits << 6 | v;
        if (++b->count < 4)
            continue;
        to[n++] = (char)(b->bits >> 16);
        to[n++] = (char)(b->bits >> 8);
        to[n++] = (char)b->bits;
        b->bits = b->count = 0;
    }
    buf_advance(out, n);
    return true;
}

// "data:" [type] *(";" attribute) ";base64,": the head is held until it is clear what it is.
static bool feed_head(struct base64 *b, const char *text, size_t length, size_t *used,
                      struct buf *out, struct err *err) {
    static const char DATA[] = "data:", TAIL[] = ";base64";
    size_t i = 0;
    for (; i < length; i++) {
        if (b->head_length == 0 && value_of(text[i]) == SPACE)
            continue;
        if (b->head_length < strlen(DATA) && text[i] != DATA[b->head_length]) { // no data URL
            b->part = BASE64_BODY;
            *used = i;
            return feed_body(b, b->head, b->head_length, out, err);
        }
        if (text[i] == ',' && b->head_length >= strlen(DATA)) {
            size_t tail = strlen(TAIL);
            if (b->head_length < tail || memcmp(b->head + b->head_length - tail, TAIL, tail) != 0)
                return err_set(err, ERR_INVALID, "a data URL that is not base64");
            b->part = BASE64_BODY;
            *used = i + 1;
            return true;
        }
        if (b->head_length == sizeof b->head)
            return err_set(err, ERR_INVALID, "a data URL without a comma");
        b->head[b->head_length++] = text[i];
    }
    b->part = BASE64_HEAD;
    *used = i;
    return true;
}

bool base64_feed(struct base64 *b, const char *text, size_t length, struct buf *out,
                 struct err *err) {
    size_t used = 0;
    if (b->part != BASE64_BODY && !feed_head(b, text, length, &used, out, err))
        return false;
    return used == length || feed_body(b, text + used, length - used, out, err);
}

bool base64_end(struct base64 *b, struct buf *out, struct err *err) {
    if (b->part == BASE64_HEAD && b->head_length >= strlen("data:"))
        return err_set(err, ERR_INVALID, "a data URL without data");
    if (b->part == BASE64_HEAD && !feed_body(b, b->head, b->head_length, out, err))
        return false;
    b->part = BASE64_BODY;
    if (b->count == 1 || (b->padded && b->count + b->pads != 4))
        return err_set(err, ERR_INVALID, "this base64 is cut short");
    if (b->count == 0)
        return true;
    char last[2] = {(char)(b->bits >> (b->count == 2 ? 4 : 10)), (char)(b->bits >> 2)};
    if (!buf_add(out, last, b->count - 1))
        return full(err, out);
    return true;
}

bool base64_decode(const char *text, size_t length, struct buf *out, struct err *err) {
    struct base64 b;
    base64_init(&b);
    return base64_feed(&b, text, length, out, err) && base64_end(&b, out, err);
}

bool base64_encode(const void *bytes, size_t length, struct buf *out) {
    if (!buf_reserve(out, (length + 2) / 3 * 4))
        return false;
    const unsigned char *in = bytes;
    char *to = buf_tail(out);
    size_t n = 0;
    for (size_t i = 0; i < length; i += 3) {
        size_t left = length - i;
        uint32_t bits = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
                        (left > 2 ? in[i + 2] : 0);
        to[n++] = ALPHABET[bits >> 18];
        to[n++] = ALPHABET[bits >> 12 & 63];
        to[n++] = left > 1 ? ALPHABET[bits >> 6 & 63] : '=';
        to[n++] = left > 2 ? ALPHABET[bits & 63] : '=';
    }
    buf_advance(out, n);
    return true;
}
