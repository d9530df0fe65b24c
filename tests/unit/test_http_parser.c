// Every message in pieces of every size: the verdict must not depend on how the network cut it.
#include "http/parser.h"

#include "base/buf.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct http_limits limits = {
    .head_bytes = 400, .field_count = 8, .overhead_bytes = 100};

static bool on_head(const struct http_head *head, void *arg) {
    if (head->status)
        buf_printf(arg, "%u", head->status);
    else
        buf_printf(arg, "%.*s %.*s", (int)head->method.length, head->method.data,
                   (int)head->target.length, head->target.data);
    buf_printf(arg, " 1.%u", head->minor);
    if (head->content_length >= 0)
        buf_printf(arg, " length=%lld", (long long)head->content_length);
    buf_printf(arg, "%s%s%s (", head->chunked ? " chunked" : "", head->keep_alive ? "" : " close",
               head->expect_continue ? " expect" : "");
    return true;
}

static bool on_body(const char *bytes, size_t length, void *arg) {
    buf_add(arg, bytes, length);
    return true;
}

static bool on_end(void *arg) {
    buf_adds(arg, ") ");
    return true;
}

static const struct http_parser_ops ops = {on_head, on_body, on_end};

// What the parser made of the bytes; "!400" = refused, "..." = the end was cut off.
static char *parse(enum http_kind kind, const char *bytes, size_t length, size_t piece, bool head) {
    struct buf out;
    buf_init(&out, 1 << 20);
    struct http_parser *parser = http_parser_create(kind, &limits, &ops, &out);
    struct http_parser_error error = {0};
    bool ok = true, first = true;
    if (head)
        http_parser_expect_no_body(parser);
    for (size_t at = 0; ok && at < length;) {
        if (http_parser_done(parser))
            http_parser_reset(parser);
        // Every piece in memory of its own, so that ASan sees any step outside it.
        size_t n = length - at < piece ? length - at : piece, used;
        char *copy = mem_alloc(n);
        memcpy(copy, bytes + at, n);
        ok = http_parser_feed(parser, copy, n, &used, &error);
        mem_free(copy);
        assert_true(used <= n);
        assert_true(!ok || used > 0 || first);
        first = false;
        at += used;
    }
    if (ok && !http_parser_finish(parser, &error))
        buf_adds(&out, "...");
    else if (!ok)
        buf_printf(&out, "!%u", error.status);
    if (!ok)
        assert_true(error.err.text[0] && error.err.code != ERR_NONE);
    http_parser_destroy(parser);
    return buf_take(&out, NULL);
}

struct message {
    const char *text;
    size_t length;
    const char *expected;
};
#define M(text, expected)                                                                          \
    { text, sizeof text - 1, expected }
#define H "Host: h\r\n"
#define E "\r\n\r\n"
#define POST "POST /x HTTP/1.1\r\n" H
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static const struct message requests[] = {
    // Good ones
    M("GET / HTTP/1.1\r\n" H "\r\n", "GET / 1.1 () "),
    M("\r\nGET / HTTP/1.1\r\n" H "\r\n", "GET / 1.1 () "),
    M("GET /a?b=c%20d HTTP/1.1\r\nhOsT:h\r\n\r\n", "GET /a?b=c%20d 1.1 () "),
    M("GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / 1.1 () "),
    M("GET / HTTP/1.1\r\nHost: \t h \t \r\nA:\r\n\r\n", "GET / 1.1 () "),
    M("GET / HTTP/1.1\r\n" H "A: \xc3\xa9\r\n\r\n", "GET / 1.1 () "),
    M("HEAD / HTTP/1.1\r\n" H "\r\nGET /b HTTP/1.1\r\n" H "\r\n", "HEAD / 1.1 () GET /b 1.1 () "),
    M("DELETE /x HTTP/1.1\r\n" H "\r\n", "DELETE /x 1.1 () "),
    M("GET / HTTP/1.0\r\n\r\n", "GET / 1.0 close () "),
    M("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET / 1.0 () "),
    M("GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "GET / 1.1 close () "),
    M(POST "Content-Length: 5\r\n\r\nhello", "POST /x 1.1 length=5 (hello) "),
    M(POST "Content-Length: 0\r\n\r\n", "POST /x 1.1 length=0 () "),
    M(POST "Content-Length:  5 \r\n\r\nhello", "POST /x 1.1 length=5 (hello) "),
    M(POST "Content-Length: 005\r\n\r\nhello", "POST /x 1.1 length=5 (hello) "),
    M(POST "\r\n", "POST /x 1.1 () "),
    M(POST "Content-Length: 2\r\n\r\nab" POST "Content-Length: 1\r\n\r\nc",
      "POST /x 1.1 length=2 (ab) POST /x 1.1 length=1 (c) "),
    M(POST "Content-Length: 2\r\nExpect: 100-Continue\r\n\r\nab",
      "POST /x 1.1 length=2 expect (ab) "),
    M(CHUNKED "5\r\nhello\r\n0\r\n\r\n", "POST /x 1.1 chunked (hello) "),
    M(CHUNKED "1\r\na\r\n00A\r\n" TEN "\r\n000\r\n\r\n" POST "\r\n",
      "POST /x 1.1 chunked (a" TEN ") POST /x 1.1 () "),
    M(CHUNKED "5;a\r\nhello\r\n0\r\nTrailer: x\r\n\r\n", "POST /x 1.1 chunked (hello) "),
    M(CHUNKED "0\r\n\r\n", "POST /x 1.1 chunked () "),
    M(POST "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", "POST /x 1.1 chunked () "),
    M(POST "Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nab" POST "\r\n",
      "POST /x 1.1 length=2 close (ab) POST /x 1.1 () "),
    M("GET / HTTP/1.1\r\n" H "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
      "GET /b HTTP/1.1\r\n" H "\r\n",
      "GET / 1.1 close () GET /b 1.1 () "),

    // Cut off
    M("", ""),
    M("\r\n", ""),
    M("GET / HT", "..."),
    M("GET / HTTP/1.1\r\n" H, "..."),
    M(POST "Content-Length: 5\r\n\r\nhell", "POST /x 1.1 length=5 (hell..."),
    M(CHUNKED "5\r\nhello", "POST /x 1.1 chunked (hello..."),
    M(CHUNKED "5\r\nhello\r\n0\r\n", "POST /x 1.1 chunked (hello..."),

    // Line ends
    M("GET / HTTP/1.1\n" H "\r\n", "!400"),
    M("GET / HTTP/1.1\r\nHost: h\n\r\n", "!400"),
    M("GET / HTTP/1.1\r\nHost: h\r\n\n", "!400"),
    M("\nGET / HTTP/1.1\r\n" H "\r\n", "!400"),
    M("\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", "!400"),
    M("GET / HTTP/1.1\r\nHost: h\rA: b\r\n\r\n", "!400"),
    M("GET / HTTP/1.1\r\r\n" H "\r\n", "!505"),
    M("GET / HTTP/1.1\r\nHost: h\r\r\n\r\n", "!400"),
    M("GET / HTTP/1.1\r\n" H "A: b\r\n c\r\n\r\n", "!400"),
    M("GET / HTTP/1.1\r\n" H "A: b\r\n\tc\r\n\r\n", "!400"),
    M("GET / HTTP/1.1\r\n Host: h\r\n\r\n", "!400"),
    M(" GET / HTTP/1.1\r\n" H "\r\n", "!400"),

    // Two ways to tell the length
    M(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "!400"),
    M(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", "!400"),
    M(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "!400"),
    M(POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "!400"),
    M(POST "Content-Length: 5\r\ncontent-length: 6\r\n\r\nhello", "!400"),
    M(POST "Content-Length: 5, 5\r\n\r\nhello", "!400"),
    M(POST "Content-Length: 5,5\r\n\r\nhello", "!400"),
    M(POST "Content-Length: +5\r\n\r\nhello", "!400"),
    M(POST "Content-Length: -5\r\n\r\nhello", "!400"),
    M(POST "Content-Length: 0x5\r\n\r\nhello", "!400"),
    M(POST "Content-Length: 5x\r\n\r\nhello", "!400"),
    M(POST "Content-Length: 1 1\r\n\r\nhello", "!400"),
    M(POST "Content-Length: \r\n\r\nhello", "!400"),
    M(POST "Content-Length: five\r\n\r\nhello", "!400"),
    M(POST "Content-Length: 5\0\r\n\r\nhello", "!400"),
    M(POST "Content-Length: 9223372036854775808\r\n\r\nhello", "!400"),
    M(POST "Content-Length: 18446744073709551621\r\n\r\nhello", "!400"),
    M(POST "Content-Length: 99999999999999999999999999\r\n\r\nhello", "!400"),
    M(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "!400"),
    M(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", "!400"),
    M(POST "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", "!400"),
    M(POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "!501"),
    M(POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "!400"),
    M(POST "Transfer-Encoding: identity\r\n\r\n", "!400"),
    M(POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "!400"),
    M(POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", "!400"),
    M(POST "Transfer-Encoding:\r\n\r\n0\r\n\r\n", "!501"),
    M(POST "Transfer-Encoding: chunked\v\r\n\r\n0\r\n\r\n", "!400"),
    M(POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "!400"),
    M(POST "Transfer_Encoding: chunked\r\n\r\n", "POST /x 1.1 () "),
    M("POST /x HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "!400"),

    // Fields
    M("GET / HTTP/1.1\r\n" H "A: b\0c\r\n\r\n", "!400"),
    M("GET / HTTP/1.1\r\n" H "A: b\x01\r\n\r\n", "!400"),
    M("GET / HTTP/1.1\r\n" H "A: b\x7f\r\n\r\n", "!400"),
    M("GET / HTTP/1.1\r\n" H "A\0b: c\r\n\r\n", "!400"),
    M("GET / HTTP/1.1\r\n" H "A\x01: c\r\n\r\n", "!400"),
    M("GET / HTTP/1.1\r\n" H "\xc3\xa9: c\r\n\r\n", "!400"),
    M("GET / HTTP/1.1\r\n" H "A : c\r\n\r\n", "!400"),
    M("GET / HTTP/1.1\r\n" H "A\t: c\r\n\r\n", "!400"),
    M("GET / HTTP/1.1\r\n" H "A b: c\r\n\r\n", "!400"),
    M("GET / HTTP/1.1\r\n" H "(A): c\r\n\r\n", "!400"),
    M("GET / HTTP/1.1\r\n" H ": c\r\n\r\n", "!400"),
    M("GET / HTTP/1.1\r\n" H "A\r\n\r\n", "!400"),
    M("GET / HTTP/1.1\r\n\r\n", "!400"),
    M("GET / HTTP/1.1\r\n" H "Host: i\r\n\r\n", "!400"),
    M("GET / HTTP/1.1\r\n" H H "\r\n", "!400"),
    M("GET / HTTP/1.0\r\n" H H "\r\n", "!400"),
    M("GET / HTTP/1.1\r\n" H "Expect: a-miracle\r\n\r\n", "!417"),
    M("GET / HTTP/1.1\r\n" H "A:1\r\nB:1\r\nC:1\r\nD:1\r\nE:1\r\nF:1\r\nG:1\r\n\r\n",
      "GET / 1.1 () "),
    M("GET / HTTP/1.1\r\n" H "A:1\r\nB:1\r\nC:1\r\nD:1\r\nE:1\r\nF:1\r\nG:1\r\nI:1\r\n\r\n",
      "!431"),
    M("GET / HTTP/1.1\r\n" H "A: " HUNDRED HUNDRED HUNDRED HUNDRED "\r\n\r\n", "!431"),
    M("GET /" HUNDRED HUNDRED HUNDRED HUNDRED " HTTP/1.1\r\n" H "\r\n", "!431"),

    // The request line
    M("GET http://h/ HTTP/1.1\r\n" H "\r\n", "!400"),
    M("CONNECT h:443 HTTP/1.1\r\n" H "\r\n", "!400"),
    M("OPTIONS * HTTP/1.1\r\n" H "\r\n", "!400"),
    M("GET x HTTP/1.1\r\n" H "\r\n", "!400"),
    M("GET /a#b HTTP/1.1\r\n" H "\r\n", "!400"),
    M("GET /a\x01 HTTP/1.1\r\n" H "\r\n", "!400"),
    M("GET /a\0 HTTP/1.1\r\n" H "\r\n", "!400"),
    M("GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n", "!400"),
    M("GET /a b HTTP/1.1\r\n" H "\r\n", "!400"),
    M("GET\t/ HTTP/1.1\r\n" H "\r\n", "!400"),
    M("GET /\tHTTP/1.1\r\n" H "\r\n", "!400"),
    M("GET  / HTTP/1.1\r\n" H "\r\n", "!400"),
    M("GET /  HTTP/1.1\r\n" H "\r\n", "!400"),
    M("GET / HTTP/1.1 \r\n" H "\r\n", "!400"),
    M("GET /\r\n\r\n", "!400"),
    M("GET / \r\n\r\n", "!400"),
    M("GET HTTP/1.1\r\n" H "\r\n", "!400"),
    M("get / HTTP/1.1\r\n" H "\r\n", "!400"),
    M("BREW / HTTP/1.1\r\n" H "\r\n", "!400"),
    M("GET / HTTP/2.0\r\n" H "\r\n", "!505"),
    M("GET / HTTP/1.2\r\n" H "\r\n", "!505"),
    M("GET / HTTP/0.9\r\n" H "\r\n", "!505"),
    M("GET / HTTP/9.9\r\n" H "\r\n", "!505"),
    M("GET / http/1.1\r\n" H "\r\n", "!400"),
    M("GET / HTTP/1\r\n" H "\r\n", "!505"),
    M("GET / HTTP/1.10\r\n" H "\r\n", "!505"),
    M("GET / HTTP/ 1.1\r\n" H "\r\n", "!400"),
    M("GET / ICE/1.0\r\n" H "\r\n", "!400"),
    M("GET / RTSP/1.0\r\n" H "\r\n", "!505"),
    M("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "!505"),
    M("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "!400"),
    M("\x16", "!400"), // told at once: a TLS client waits for us, and sends no line
    M("\x05", "!400"),
    M("\x00", "!400"),
    M("\xff", "!400"),
    M("\r\n\x16", "!400"),
    M("G", "..."),
    M("HTTP/1.1 200 OK\r\n\r\n", "!400"),

    // Chunks
    M(CHUNKED "5\nhello\r\n0\r\n\r\n", "POST /x 1.1 chunked (!400"),
    M(CHUNKED "5\r\nhello\n0\r\n\r\n", "POST /x 1.1 chunked (hello!400"),
    M(CHUNKED "5\r\nhello\r\n0\n\r\n", "POST /x 1.1 chunked (hello!400"),
    M(CHUNKED "5\r\nhello\r\n0\r\n\n", "POST /x 1.1 chunked (hello!400"),
    M(CHUNKED "5\r\nhelloX\r\n0\r\n\r\n", "POST /x 1.1 chunked (hello!400"),
    M(CHUNKED "4\r\nhello\r\n0\r\n\r\n", "POST /x 1.1 chunked (hell!400"),
    M(CHUNKED "-1\r\nhello\r\n0\r\n\r\n", "POST /x 1.1 chunked (!400"),
    M(CHUNKED "+5\r\nhello\r\n0\r\n\r\n", "POST /x 1.1 chunked (!400"),
    M(CHUNKED "0x5\r\nhello\r\n0\r\n\r\n", "POST /x 1.1 chunked (!400"),
    M(CHUNKED " 5\r\nhello\r\n0\r\n\r\n", "POST /x 1.1 chunked (!400"),
    M(CHUNKED "5 \r\nhello\r\n0\r\n\r\n", "POST /x 1.1 chunked (!400"),
    M(CHUNKED "5 ;a\r\nhello\r\n0\r\n\r\n", "POST /x 1.1 chunked (!400"),
    M(CHUNKED "5g\r\nhello\r\n0\r\n\r\n", "POST /x 1.1 chunked (!400"),
    M(CHUNKED "\r\nhello\r\n0\r\n\r\n", "POST /x 1.1 chunked (!400"),
    M(CHUNKED ";a\r\nhello\r\n0\r\n\r\n", "POST /x 1.1 chunked (!400"),
    M(CHUNKED "10000000000000005\r\nhello\r\n0\r\n\r\n", "POST /x 1.1 chunked (!400"),
    M(CHUNKED "fffffffffffffffff\r\nhello\r\n0\r\n\r\n", "POST /x 1.1 chunked (!400"),
    M(CHUNKED "5;a=\n\r\nhello\r\n0\r\n\r\n", "POST /x 1.1 chunked (!400"),
    M(CHUNKED "5;a=\x01\r\nhello\r\n0\r\n\r\n", "POST /x 1.1 chunked (!400"),
    M(CHUNKED "5;a\0\r\nhello\r\n0\r\n\r\n", "POST /x 1.1 chunked (!400"),
    M(CHUNKED "5;a=b\rc\r\nhello\r\n0\r\n\r\n", "POST /x 1.1 chunked (!400"),
    M(CHUNKED "5;" HUNDRED "\r\nhello\r\n0\r\n\r\n", "POST /x 1.1 chunked (!400"),
    M(CHUNKED "00000000000" HUNDRED "5\r\nhello\r\n0\r\n\r\n", "POST /x 1.1 chunked (!400"),
    M(CHUNKED "5\r\nhello\r\n0\r\nA: " HUNDRED HUNDRED "\r\n\r\n",
      "POST /x 1.1 chunked (hello!400"),
    M(CHUNKED "5\r\nhello\r\n0\r\nA : b\r\n\r\n", "POST /x 1.1 chunked (hello!400"),
    M(CHUNKED "5\r\nhello\r\n0\r\nA: b\n\r\n", "POST /x 1.1 chunked (hello!400"),
    M(CHUNKED "5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n", "POST /x 1.1 chunked (hello!400"),
    M(CHUNKED "5\r\nhello\r\n0\r\nA: b\0\r\n\r\n", "POST /x 1.1 chunked (hello!400"),
    M(CHUNKED "5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n" POST "\r\n",
      "POST /x 1.1 chunked (hello) POST /x 1.1 () "),
    M(CHUNKED "5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n" POST "\r\n",
      "POST /x 1.1 chunked (hello!400"),
};

#define R "HTTP/1.1 200 OK\r\n"
static const struct message responses[] = {
    M(R "Content-Length: 2\r\n\r\nab" R "Content-Length: 0\r\n\r\n",
      "200 1.1 length=2 (ab) 200 1.1 length=0 () "),
    M(R "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", "200 1.1 chunked (ab) "),
    M(R "\r\nuntil the end", "200 1.1 close (until the end) "),
    M(R "\r\n", "200 1.1 close () "),
    M("HTTP/1.0 200 OK\r\n\r\nx", "200 1.0 close (x) "),
    M("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx",
      "200 1.0 length=1 (x) "),
    M(R "Connection: close\r\nContent-Length: 1\r\n\r\nx", "200 1.1 length=1 close (x) "),
    M("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "200 1.1 length=0 () "),
    M("HTTP/1.1 204 No Content\r\n\r\n" R "Content-Length: 0\r\n\r\n",
      "204 1.1 () 200 1.1 length=0 () "),
    M("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n" R "Content-Length: 0\r\n\r\n",
      "304 1.1 length=5 () 200 1.1 length=0 () "),
    M("HTTP/1.1 100 Continue\r\n\r\n" R "Content-Length: 1\r\n\r\nx",
      "100 1.1 () 200 1.1 length=1 (x) "),
    M(R "Content-Length: 2\r\n\r\na", "200 1.1 length=2 (a..."),
    M(R "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", "200 1.1 chunked (ab..."),
    M(R "Content-Le", "..."),
    M(R "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", "!400"),
    M(R "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", "!400"),
    M(R "Transfer-Encoding: gzip\r\n\r\n", "!501"),
    M("HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", "!400"),
    M("HTTP/1.1 20 OK\r\n\r\n", "!400"),
    M("HTTP/1.1 2000 OK\r\n\r\n", "!400"),
    M("HTTP/2 200 OK\r\n\r\n", "!505"),
    M("HTTP/3.0 200 OK\r\n\r\n", "!505"),
    M("GET / HTTP/1.1\r\n" H "\r\n", "!400"),
    M(R "A: b\r\n c\r\n\r\n", "!400"),
    M(R "A: " HUNDRED HUNDRED HUNDRED HUNDRED "\r\n\r\n", "!431"),
    M("SSH-2.0-OpenSSH_9.2\r\n\r\n", "!400"),
};

static const struct message answers_to_head[] = {
    M(R "Content-Length: 5\r\n\r\n", "200 1.1 length=5 () "),
    M(R "Transfer-Encoding: chunked\r\n\r\n", "200 1.1 chunked () "),
    M(R "\r\n", "200 1.1 () "),
};

static bool check(enum http_kind kind, const struct message *message, size_t piece, bool head) {
    char *got = parse(kind, message->text, message->length, piece, head);
    bool same = strcmp(got, message->expected) == 0;
    if (!same)
        print_error("in pieces of %zu: %s\n  expected %s\n  got      %s\n", piece, message->text,
                    message->expected, got);
    mem_free(got);
    return same;
}

static void check_all(enum http_kind kind, const struct message *messages, size_t count,
                      bool head) {
    unsigned wrong = 0;
    for (size_t i = 0; i < count; i++) {
        bool good = check(kind, &messages[i], 1 << 20, head);
        for (size_t piece = 1; good && piece <= messages[i].length; piece++)
            good = check(kind, &messages[i], piece, head);
        wrong += !good;
    }
    assert_int_equal(wrong, 0);
}

static void test_requests(void **state) {
    check_all(HTTP_REQUESTS, requests, sizeof requests / sizeof *requests, false);
}

static void test_responses(void **state) {
    check_all(HTTP_RESPONSES, responses, sizeof responses / sizeof *responses, false);
}

static void test_answers_to_head(void **state) {
    check_all(HTTP_RESPONSES, answers_to_head, sizeof answers_to_head / sizeof *answers_to_head,
              true);
}

// Framing that outweighs what it frames, for ever.
static void test_endless(void **state) {
    static const struct {
        const char *start, *more;
    } floods[] = {
        {CHUNKED, "1;aaaaaaaaaaaaaaaaaaaa\r\nx\r\n"},
        {CHUNKED "0\r\n", "A: b\r\n"},
        {CHUNKED "1;", "a"},
        {CHUNKED, "0"},
        {"GET / HTTP/1.1\r\n", "A: b\r\n"},
        {"GET / HTTP/1.1\r\nA: ", "b"},
        {"GET /", "a"},
        {"", "\r\n"},
        {"", "A"},
    };
    for (size_t i = 0; i < sizeof floods / sizeof *floods; i++) {
        struct buf text;
        buf_init(&text, 1 << 20);
        buf_adds(&text, floods[i].start);
        while (text.length < 10000)
            buf_adds(&text, floods[i].more);
        char *whole = parse(HTTP_REQUESTS, buf_bytes(&text), text.length, text.length, false);
        char *bytes = parse(HTTP_REQUESTS, buf_bytes(&text), text.length, 1, false);
        assert_non_null(strchr(whole, '!'));
        assert_string_equal(whole, bytes);
        mem_free(whole);
        mem_free(bytes);
        buf_fini(&text);
    }
}

// One byte a chunk is wasteful, not hostile.
static void test_small_chunks(void **state) {
    struct buf text;
    buf_init(&text, 1 << 20);
    buf_adds(&text, CHUNKED);
    for (int i = 0; i < 1000; i++)
        buf_adds(&text, "1\r\nx\r\n");
    buf_adds(&text, "0\r\n\r\n");
    char *got = parse(HTTP_REQUESTS, buf_bytes(&text), text.length, 7, false);
    assert_int_equal(strlen(got), strlen("POST /x 1.1 chunked () ") + 1000);
    mem_free(got);
    buf_fini(&text);
}

static bool stop_head(const struct http_head *head, void *arg) { return *(int *)arg != 0; }
static bool stop_body(const char *bytes, size_t length, void *arg) { return *(int *)arg != 1; }
static bool count_end(void *arg) {
    *(int *)arg = 9;
    return true;
}

// A callback that stops the parser: what is used is told, no error, no further callback.
static void test_stop(void **state) {
    static const struct http_parser_ops stopping = {stop_head, stop_body, count_end};
    static const char text[] = POST "Content-Length: 5\r\n\r\nhelloGET";
    static const size_t expected[] = {sizeof text - 9, sizeof text - 4};
    for (int stop = 0; stop < 2; stop++) {
        int arg = stop;
        struct http_parser *parser =
            http_parser_create(HTTP_REQUESTS, &http_default_limits, &stopping, &arg);
        struct http_parser_error error;
        size_t used;
        assert_true(http_parser_feed(parser, text, sizeof text - 1, &used, &error));
        assert_true(used <= expected[1] && used >= expected[0]);
        assert_int_equal(arg, stop);
        assert_false(http_parser_done(parser));
        http_parser_destroy(parser);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_answers_to_head), cmocka_unit_test(test_endless),
        cmocka_unit_test(test_small_chunks),    cmocka_unit_test(test_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
