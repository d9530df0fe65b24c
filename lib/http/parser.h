// One direction of one HTTP/1 connection: bytes in, heads and body bytes out. Framing is llhttp's
// (strict); around it we refuse what llhttp lets pass and a second parser could read otherwise:
// bare LF, obs-fold, control bytes in values, Content-Length beside Transfer-Encoding, a transfer
// coding other than chunked, a missing or second Host. RFC 9112.
#pragma once

#include "base/err.h"
#include "http/head.h"

#include <stddef.h>

enum http_kind { HTTP_REQUESTS, HTTP_RESPONSES };

struct http_limits {
    size_t head_bytes; // start line and fields
    size_t field_count;
    size_t overhead_bytes; // chunk sizes, extensions and trailers of one body
};
extern const struct http_limits http_default_limits;

struct http_parser;

struct http_parser_ops {
    // The head is complete; its spans are good until the next message begins. Returning false stops
    // the parser (http_parser_feed returns what it has used, without an error).
    bool (*on_head)(const struct http_head *head, void *arg);
    bool (*on_body)(const char *bytes, size_t length, void *arg);
    bool (*on_end)(void *arg); // the message is complete
};

// Status to answer a request that could not be parsed with: 400, 431, 501, 505...
struct http_parser_error {
    unsigned status;
    struct err err;
};

struct http_parser *http_parser_create(enum http_kind kind, const struct http_limits *limits,
                                       const struct http_parser_ops *ops, void *arg);
void http_parser_destroy(struct http_parser *parser);

// Uses bytes up to the end of one message at most; *used tells how many. False: the peer broke the
// protocol and the connection cannot go on.
bool http_parser_feed(struct http_parser *parser, const char *bytes, size_t length, size_t *used,
                      struct http_parser_error *error);
// The peer ended its side: completes a response delimited by that, else an error if mid-message.
bool http_parser_finish(struct http_parser *parser, struct http_parser_error *error);
// Makes ready for the next message on the connection. Small buffers are kept.
void http_parser_reset(struct http_parser *parser);
// Frees the bytes of a head that is complete: no method, target or field is left to look at.
void http_parser_drop_head(struct http_parser *parser);
// The response being read answers a HEAD request: it has no body.
void http_parser_expect_no_body(struct http_parser *parser);
bool http_parser_idle(const struct http_parser *parser); // no byte of a message seen yet
bool http_parser_done(const struct http_parser *parser); // a whole message was seen
const struct http_head *http_parser_head(const struct http_parser *parser);
