// Base64 (RFC 4648) as it comes in, in pieces of any size: both alphabets, with or without padding,
// whitespace between, and a data URL's head ("data:image/jpeg;base64,") in front. Writing: the
// standard alphabet, padded.
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BASE64_HEAD_MAX = 128 };

struct base64 {
    uint32_t bits;
    unsigned count; // characters in `bits`, 0..3
    bool padded;    // "=" was seen: only padding and whitespace may follow
    unsigned pads;
    enum { BASE64_FIRST, BASE64_HEAD, BASE64_BODY } part;
    char head[BASE64_HEAD_MAX]; // of a data URL, as far as it is there
    size_t head_length;
};

void base64_init(struct base64 *base64);
// Appends the bytes that are complete. ERR_INVALID for other characters; ERR_LIMIT when `out` is
// full.
bool base64_feed(struct base64 *base64, const char *text, size_t length, struct buf *out,
                 struct err *err);
bool base64_end(struct base64 *base64, struct buf *out, struct err *err);

// All at once.
bool base64_decode(const char *text, size_t length, struct buf *out, struct err *err);
bool base64_encode(const void *bytes, size_t length, struct buf *out);
