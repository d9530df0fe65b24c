// JSON as it comes in, in pieces of any size: a body of 200 MB is read without ever being held.
// Events go to one callback; long strings come as several pieces, already unescaped. Only structure
// is judged (RFC 8259): text may be any bytes, which json_text makes valid where it is kept.
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum json_event {
    JSON_EVENT_OBJECT,
    JSON_EVENT_OBJECT_END,
    JSON_EVENT_ARRAY,
    JSON_EVENT_ARRAY_END,
    JSON_EVENT_KEY,      // bytes: the whole key, unescaped
    JSON_EVENT_TEXT,     // bytes: a piece of a string, at least one byte
    JSON_EVENT_TEXT_END, // the string is complete; an empty one has only this
    JSON_EVENT_NUMBER,   // bytes: as it is written
    JSON_EVENT_TRUE,
    JSON_EVENT_FALSE,
    JSON_EVENT_NULL,
};

enum { JSON_STREAM_KEY_MAX = 256, JSON_STREAM_NUMBER_MAX = 64, JSON_STREAM_DEPTH_MAX = 64 };

// False ends the reading; json_stream_feed then returns false with the callback's err.
typedef bool json_stream_fn(void *arg, enum json_event event, const char *bytes, size_t length,
                            struct err *err);

// In place; owns nothing. The fields are the parser's own.
struct json_stream {
    json_stream_fn *on_event;
    void *arg;
    uint64_t offset; // bytes read so far
    uint64_t arrays; // bit i: the bracket at depth i is an array
    unsigned depth;
    uint8_t state, after; // `after` a string: what it was
    bool failed;
    uint8_t digits;      // of \uXXXX still to come
    uint16_t unit, high; // of it so far; a high surrogate that waits for its low one
    const char *literal; // what of true, false or null is still to come
    enum json_event literal_event;
    char held[JSON_STREAM_KEY_MAX]; // a key or number that is not complete
    size_t held_length;
};

void json_stream_init(struct json_stream *stream, json_stream_fn *on_event, void *arg);
// ERR_INVALID (the text names the byte, counted from 0) or ERR_LIMIT. Once false, always false.
bool json_stream_feed(struct json_stream *stream, const char *bytes, size_t length,
                      struct err *err);
// The input has ended: was it one whole document?
bool json_stream_end(struct json_stream *stream, struct err *err);
