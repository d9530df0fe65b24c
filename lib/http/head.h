// The head of an HTTP/1 message: start line and header fields, as spans into bytes that somebody
// else owns (the parser). Names keep their case; lookups fold it.
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct http_field {
    struct span name, value;
};

struct http_head {
    struct span method, target; // requests
    unsigned status;            // responses
    unsigned minor;             // HTTP/1.minor
    struct http_field *fields;
    size_t field_count;
    int64_t content_length; // -1: not stated
    bool chunked;
    bool keep_alive; // what the peer asked for and the framing allows
    bool expect_continue;
};

// The first field of that name, or NULL.
const struct http_field *http_head_find(const struct http_head *head, const char *name);
// The value, or an empty span.
struct span http_head_value(const struct http_head *head, const char *name);
// Path of the target, without the query.
struct span http_head_path(const struct http_head *head);
// Part of a path with its %XX decoded; false when malformed or too long, or when a NUL is in it.
bool http_path_decode(struct span part, char *out, size_t size);
// Value of a query parameter, percent-decoded into out; false when absent or too long.
bool http_head_query(const struct http_head *head, const char *name, char *out, size_t size);
// Appends the field as a line of a head; false when it finds no room.
bool http_field_add(struct buf *out, const struct http_field *field);
// "Not Found" for 404 and so on.
const char *http_status_text(unsigned status);
