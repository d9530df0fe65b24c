// Feeds a stream of HTTP messages whole and in pieces: the verdict and what was read must be the
// same. What is accepted must be framed so that no second parser could read it otherwise.
#pragma once

#include "base/buf.h"
#include "http/parser.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static bool is_token(struct span span) {
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < span.length; i++) {
        char c = span.data[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!alnum && (c == '\0' || !strchr(others, c)))
            return false;
    }
    return span.length > 0;
}

static void check_head(const struct http_head *head) {
    unsigned lengths = 0, codings = 0, hosts = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        assert(is_token(field->name));
        for (size_t k = 0; k < field->value.length; k++) {
            unsigned char c = (unsigned char)field->value.data[k];
            assert((c >= 0x20 && c != 0x7f) || c == '\t');
        }
        lengths += span_is_nocase(field->name, "content-length");
        codings += span_is_nocase(field->name, "transfer-encoding");
        hosts += span_is_nocase(field->name, "host");
    }
    assert(lengths + codings <= 1);
    assert(head->chunked == (codings == 1));
    assert((head->content_length >= 0) == (lengths == 1));
    assert(head->minor <= 1 && !(codings && head->minor == 0));
    if (head->status)
        return;
    assert(is_token(head->method));
    assert(head->target.length && head->target.data[0] == '/');
    assert(hosts == 1 || (hosts == 0 && head->minor == 0));
}

static bool fuzz_head(const struct http_head *head, void *arg) {
    check_head(head);
    buf_printf(arg, "\n%u %.*s %.*s %u %lld %d%d%d:", head->status, (int)head->method.length,
               head->method.length ? head->method.data : "", (int)head->target.length,
               head->target.length ? head->target.data : "", head->minor,
               (long long)head->content_length, head->chunked, head->keep_alive,
               head->expect_continue);
    return true;
}

static bool fuzz_body(const char *bytes, size_t length, void *arg) {
    assert(length > 0);
    return buf_add(arg, bytes, length);
}

static bool fuzz_end(void *arg) { return buf_adds(arg, ".\n"); }

static const struct http_parser_ops fuzz_ops = {fuzz_head, fuzz_body, fuzz_end};

static void fuzz_run(enum http_kind kind, const char *bytes, size_t length, unsigned seed,
                     struct buf *out) {
    static const struct http_limits limits = {
        .head_bytes = 600, .field_count = 10, .overhead_bytes = 64};
    struct http_parser *parser = http_parser_create(kind, &limits, &fuzz_ops, out);
    struct http_parser_error error = {0};
    bool ok = true;
    for (size_t at = 0; ok && at < length;) {
        if (http_parser_done(parser))
            http_parser_reset(parser);
        size_t part = seed ? 1 + (seed = seed * 1103515245u + 12345u) / 65536u % 9u : length;
        if (part > length - at)
            part = length - at;
        char *copy = malloc(part); // so that a step outside it is seen
        memcpy(copy, bytes + at, part);
        size_t used = 0;
        ok = http_parser_feed(parser, copy, part, &used, &error);
        free(copy);
        assert(used <= part && (!ok || used > 0));
        at += used;
    }
    if (ok)
        ok = http_parser_finish(parser, &error);
    assert(ok || (error.status >= 400 && error.err.text[0]));
    buf_printf(out, "%s %u", ok ? "good" : "refused", ok ? 0 : error.status);
    http_parser_destroy(parser);
}

static int fuzz_both(enum http_kind kind, const unsigned char *bytes, size_t length) {
    if (length < 1)
        return 0;
    struct buf whole, pieces;
    buf_init(&whole, 1u << 24);
    buf_init(&pieces, 1u << 24);
    fuzz_run(kind, (const char *)bytes + 1, length - 1, 0, &whole);
    fuzz_run(kind, (const char *)bytes + 1, length - 1, bytes[0] + 1u, &pieces);
    assert(whole.length == pieces.length);
    assert(memcmp(buf_bytes(&whole), buf_bytes(&pieces), whole.length) == 0);
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
