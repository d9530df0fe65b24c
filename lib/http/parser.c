#define _GNU_SOURCE
#include "http/parser.h"

#include "base/buf.h"
#include "base/mem.h"

#include <llhttp.h>
#include <string.h>

const struct http_limits http_default_limits = {
    .head_bytes = 32 * 1024, .field_count = 100, .overhead_bytes = 64 * 1024};

enum { KEEP_BYTES = 2048, KEEP_FIELDS = 32 }; // what an idle connection may hold on to

enum state { IN_HEAD, IN_BODY, DONE, FAILED };

struct http_parser {
    enum http_kind kind;
    enum state state;
    struct http_limits limits;
    const struct http_parser_ops *ops;
    void *arg;
    llhttp_t llhttp;
    struct buf raw; // bytes of the head; the spans of `head` point into it
    size_t line;    // where the head line being read begins
    struct http_head head;
    size_t field_room;
    size_t body_seen, overhead;
    const char *framing; // in a chunked body: from here on nothing has been looked at
    char last;           // framing byte before that; '\0' after data
    bool stopped, no_body;
};

static bool refuse(struct http_parser_error *error, unsigned status, enum err_code code,
                   const char *text) {
    error->status = status;
    return err_set(&error->err, code, "%s", text);
}

// --- llhttp callbacks. During the head they only collect spans; llhttp gets the head whole, so
// --- that every span arrives in one piece.

static int on_method(llhttp_t *llhttp, const char *at, size_t length) {
    ((struct http_parser *)llhttp->data)->head.method = (struct span){at, length};
    return 0;
}

static int on_url(llhttp_t *llhttp, const char *at, size_t length) {
    ((struct http_parser *)llhttp->data)->head.target = (struct span){at, length};
    return 0;
}

static int on_field(llhttp_t *llhttp, const char *at, size_t length) {
    struct http_parser *parser = llhttp->data;
    if (parser->state != IN_HEAD)
        return 0; // a trailer: dropped
    struct http_head *head = &parser->head;
    if (head->field_count == parser->limits.field_count)
        return HPE_USER;
    if (head->field_count == parser->field_room) {
        parser->field_room = parser->field_room ? parser->field_room * 2 : 16;
        head->fields = mem_resize(head->fields, parser->field_room * sizeof *head->fields);
    }
    head->fields[head->field_count++] = (struct http_field){.name = {at, length}, .value = {"", 0}};
    return 0;
}

static int on_value(llhttp_t *llhttp, const char *at, size_t length) {
    struct http_parser *parser = llhttp->data;
    if (parser->state == IN_HEAD)
        parser->head.fields[parser->head.field_count - 1].value =
            span_trim((struct span){at, length});
    return 0;
}

static int on_headers_complete(llhttp_t *llhttp) {
    struct http_parser *parser = llhttp->data;
    unsigned status = parser->kind == HTTP_RESPONSES ? llhttp->status_code : 200;
    if (parser->no_body || status < 200 || status == 204 || status == 304)
        return 1; // no body whatever the fields say (RFC 9112 6.3)
    return 0;
}

// Chunk sizes, extensions and trailers, up to the data at `end`. llhttp lets some line ends pass
// that we do not, and bounds nothing: a chunk of one byte costs five; more than eight a body byte
// is only there to keep us busy.
static bool check_chunk_framing(struct http_parser *parser, const char *end) {
    char last = parser->last;
    for (const char *p = parser->framing; p < end; p++) {
        unsigned char c = (unsigned char)*p;
        bool control = (c < 0x20 && c != '\t' && c != '\r' && c != '\n') || c == 0x7f;
        bool folded = last == '\n' && (c == ' ' || c == '\t');
        if (control || folded || (c == '\n') != (last == '\r'))
            return false;
        last = (char)c;
    }
    parser->overhead += (size_t)(end - parser->framing);
    parser->framing = end;
    parser->last = last;
    return parser->overhead <= parser->limits.overhead_bytes + 8 * parser->body_seen;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t length) {
    struct http_parser *parser = llhttp->data;
    if (length && parser->head.chunked) {
        if (!check_chunk_framing(parser, at))
            return HPE_USER;
        parser->framing = at + length;
        parser->last = '\0';
    }
    parser->body_seen += length;
    if (length && !parser->ops->on_body(at, length, parser->arg)) {
        parser->stopped = true;
        return HPE_PAUSED;
    }
    return 0;
}

static int on_message_complete(llhttp_t *llhttp) {
    struct http_parser *parser = llhttp->data;
    parser->state = DONE;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_method = on_method,
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

struct http_parser *http_parser_create(enum http_kind kind, const struct http_limits *limits,
                                       const struct http_parser_ops *ops, void *arg) {
    struct http_parser *parser = mem_alloc(sizeof *parser);
    parser->kind = kind;
    parser->limits = *limits;
    parser->ops = ops;
    parser->arg = arg;
    buf_init(&parser->raw, limits->head_bytes);
    http_parser_reset(parser);
    return parser;
}

void http_parser_destroy(struct http_parser *parser) {
    if (!parser)
        return;
    buf_fini(&parser->raw);
    mem_free(parser->head.fields);
    mem_free(parser);
}

void http_parser_reset(struct http_parser *parser) {
    if (parser->raw.capacity > KEEP_BYTES)
        buf_fini(&parser->raw);
    buf_clear(&parser->raw);
    struct http_field *fields = parser->head.fields;
    if (parser->field_room > KEEP_FIELDS) {
        mem_free(fields);
        fields = NULL;
        parser->field_room = 0;
    }
    parser->head = (struct http_head){.fields = fields, .content_length = -1};
    parser->state = IN_HEAD;
    parser->line = parser->body_seen = parser->overhead = 0;
    parser->last = '\0';
    parser->stopped = parser->no_body = false;
    llhttp_init(&parser->llhttp, parser->kind == HTTP_REQUESTS ? HTTP_REQUEST : HTTP_RESPONSE,
                &settings);
    parser->llhttp.data = parser;
}

// --- The head

// Three words with one space between each: llhttp would let more pass.
static bool check_request_line(const char *line, size_t length) {
    unsigned spaces = 0;
    for (size_t i = 0; i < length; i++) {
        if (line[i] == '\t' || (line[i] == ' ' && i > 0 && line[i - 1] == ' '))
            return false;
        spaces += line[i] == ' ';
    }
    return spaces == 2;
}

// Whoever speaks another protocol may wait for our answer without ever sending a line: it is told
// at its first byte and not at the deadline. The byte 22 begins every TLS connection (RFC
// 8446 5.1).
static bool check_first_byte(char byte, struct http_parser_error *error) {
    unsigned char c = (unsigned char)byte;
    if (c == 22)
        return refuse(error, 400, ERR_PEER, "this port speaks no TLS: use http://, not https://");
    if ((c < 0x20 && c != '\r' && c != '\n') || c >= 0x7f)
        return refuse(error, 400, ERR_PEER, "this is no HTTP request");
    return true;
}

// Copies bytes into `raw` line by line until the empty line that ends the head, refusing what a
// lenient parser would take for a line end or a continuation. *complete tells whether it was seen.
static bool collect_head(struct http_parser *parser, const char *bytes, size_t length, size_t *used,
                         bool *complete, struct http_parser_error *error) {
    *used = 0;
    *complete = false;
    while (*used < length) {
        const char *from = bytes + *used;
        if (parser->kind == HTTP_REQUESTS && parser->raw.length == 0 &&
            !check_first_byte(*from, error))
            return false;
        const char *newline = memchr(from, '\n', length - *used);
        size_t n = newline ? (size_t)(newline - from) + 1 : length - *used;
        if (!buf_add(&parser->raw, from, n))
            return refuse(error, 431, ERR_LIMIT, "the request head is too large");
        *used += n;
        if (!newline)
            return true;
        const char *raw = buf_bytes(&parser->raw);
        const char *line = raw + parser->line;
        size_t line_length = parser->raw.length - parser->line;
        if (line_length < 2 || line[line_length - 2] != '\r')
            return refuse(error, 400, ERR_PEER, "a line of the head ends in a bare LF");
        if (line_length == 2) {
            if (parser->line == 0) { // RFC 9112 2.2: an empty line before the request line
                buf_clear(&parser->raw);
                if (++parser->overhead > 4)
                    return refuse(error, 400, ERR_PEER, "empty lines before the head");
                continue;
            }
            *complete = true;
            return true;
        }
        if (line[0] == ' ' || line[0] == '\t')
            return refuse(error, 400, ERR_PEER, "a folded or indented header line");
        if (line[0] == ':')
            return refuse(error, 400, ERR_PEER, "a header line without a name");
        if (parser->line == 0 && parser->kind == HTTP_REQUESTS &&
            !check_request_line(line, line_length))
            return refuse(error, 400, ERR_PEER, "the request line is not METHOD TARGET VERSION");
        parser->line = parser->raw.length;
    }
    return true;
}

static bool check_value(struct span value) {
    for (size_t i = 0; i < value.length; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool check_host(const struct http_head *head) {
    unsigned hosts = 0;
    for (size_t i = 0; i < head->field_count; i++)
        hosts += span_is_nocase(head->fields[i].name, "host");
    return hosts == 1 || (hosts == 0 && head->minor == 0);
}

static bool read_length(struct span value, int64_t *out) {
    char digits[20];
    if (value.length == 0 || value.length >= sizeof digits)
        return false;
    memcpy(digits, value.data, value.length);
    digits[value.length] = '\0';
    return digits[0] != '-' && str_to_int(digits, 0, INT64_MAX, out);
}

// Body framing, decided here as well as in llhttp; where the two could differ we refuse.
static bool check_framing(struct http_parser *parser, struct http_parser_error *error) {
    struct http_head *head = &parser->head;
    unsigned lengths = 0, codings = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        struct http_field *field = &head->fields[i];
        if (!check_value(field->value))
            return refuse(error, 400, ERR_PEER, "a control byte in a header value");
        if (span_is_nocase(field->name, "content-length")) {
            lengths++;
            if (!read_length(field->value, &head->content_length))
                return refuse(error, 400, ERR_PEER, "Content-Length is not a plain number");
        } else if (span_is_nocase(field->name, "transfer-encoding")) {
            codings++;
            head->chunked = span_is_nocase(field->value, "chunked");
            if (!head->chunked)
                return refuse(error, 501, ERR_PEER, "a transfer coding other than chunked");
        } else if (span_is_nocase(field->name, "expect")) {
            head->expect_continue = span_is_nocase(field->value, "100-continue");
            if (!head->expect_continue)
                return refuse(error, 417, ERR_PEER, "an unknown expectation");
        }
    }
    if (lengths + codings > 1)
        return refuse(error, 400, ERR_PEER,
                      "more than one Content-Length or Transfer-Encoding header");
    if (codings && head->minor == 0)
        return refuse(error, 400, ERR_PEER, "Transfer-Encoding in an HTTP/1.0 message");
    return true;
}

static bool check_request(struct http_head *head, struct http_parser_error *error) {
    if (!check_host(head))
        return refuse(error, 400, ERR_PEER, "an HTTP/1.1 request needs exactly one Host header");
    for (size_t i = 0; i < head->target.length; i++) {
        unsigned char c = (unsigned char)head->target.data[i];
        if (c <= 0x20 || c >= 0x7f || c == '#')
            return refuse(error, 400, ERR_PEER, "an invalid byte in the request target");
    }
    if (head->target.length == 0 || head->target.data[0] != '/')
        return refuse(error, 400, ERR_PEER, "the request target must be a path");
    return true;
}

// True when the error is only our own pause; anything else is the peer's fault.
static bool paused(struct http_parser *parser, llhttp_errno_t code) {
    if (code != HPE_PAUSED && code != HPE_PAUSED_UPGRADE)
        return code == HPE_OK;
    if (code == HPE_PAUSED_UPGRADE)
        llhttp_resume_after_upgrade(&parser->llhttp);
    return true;
}

// llhttp takes a request in RTSP's or ICE's name too.
static bool says_http(const struct http_parser *parser) {
    const char *raw = buf_bytes(&parser->raw);
    const char *end = memchr(raw, '\r', parser->raw.length);
    return parser->kind == HTTP_RESPONSES || (end - raw > 9 && memcmp(end - 9, " HTTP/1.", 8) == 0);
}

static bool parse_head(struct http_parser *parser, struct http_parser_error *error) {
    const char *raw = buf_bytes(&parser->raw);
    llhttp_errno_t code = llhttp_execute(&parser->llhttp, raw, parser->raw.length);
    struct http_head *head = &parser->head;
    if (code == HPE_USER)
        return refuse(error, 431, ERR_LIMIT, "too many header fields");
    if (code == HPE_INVALID_VERSION)
        return refuse(error, 505, ERR_PEER, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    if (!paused(parser, code)) {
        error->status = 400;
        return err_set(&error->err, ERR_PEER, "malformed HTTP: %s",
                       llhttp_get_error_reason(&parser->llhttp)
                           ? llhttp_get_error_reason(&parser->llhttp)
                           : llhttp_errno_name(code));
    }
    if (parser->llhttp.http_major != 1 || parser->llhttp.http_minor > 1 || !says_http(parser))
        return refuse(error, 505, ERR_PEER, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    head->minor = parser->llhttp.http_minor;
    head->status = parser->llhttp.status_code;
    if (!check_framing(parser, error))
        return false;
    if (parser->kind == HTTP_RESPONSES && head->status < 100)
        return refuse(error, 400, ERR_PEER, "a status of less than three digits");
    if (parser->kind == HTTP_REQUESTS && !check_request(head, error))
        return false;
    // Who asks for another protocol may go on in it: what follows must not be read as a request.
    head->keep_alive = llhttp_should_keep_alive(&parser->llhttp) && !parser->llhttp.upgrade;
    return true;
}

// --- Feeding

static bool feed_body(struct http_parser *parser, const char *bytes, size_t length, size_t *used,
                      struct http_parser_error *error) {
    parser->framing = bytes;
    llhttp_errno_t code = llhttp_execute(&parser->llhttp, bytes, length);
    const char *stop = code == HPE_OK ? bytes + length : llhttp_get_error_pos(&parser->llhttp);
    *used = stop && stop >= bytes && stop <= bytes + length ? (size_t)(stop - bytes) : length;
    if (code == HPE_PAUSED)
        llhttp_resume(&parser->llhttp);
    bool ours = parser->head.chunked && !parser->stopped &&
                (code == HPE_USER || code == HPE_OK || code == HPE_PAUSED);
    if (ours && (code == HPE_USER || !check_chunk_framing(parser, bytes + *used)))
        return refuse(error, 400, ERR_PEER, "malformed or oversized chunk framing");
    if (!paused(parser, code)) {
        error->status = 400;
        return err_set(&error->err, ERR_PEER, "malformed body: %s", llhttp_errno_name(code));
    }
    return true;
}

bool http_parser_feed(struct http_parser *parser, const char *bytes, size_t length, size_t *used,
                      struct http_parser_error *error) {
    size_t n = 0;
    *used = 0;
    bool ok = true;
    if (parser->state == IN_HEAD && length > 0) {
        bool complete = false;
        ok = collect_head(parser, bytes, length, &n, &complete, error);
        *used = n;
        if (ok && complete) {
            ok = parse_head(parser, error);
            bool ended = parser->state == DONE; // llhttp saw that there is no body
            if (ok && !ended)
                parser->state = IN_BODY;
            if (ok && !parser->ops->on_head(&parser->head, parser->arg))
                return true;
            if (ok && ended)
                return parser->ops->on_end(parser->arg), true;
        }
    }
    if (ok && parser->state == IN_BODY && *used < length) {
        ok = feed_body(parser, bytes + *used, length - *used, &n, error);
        *used += n;
        if (ok && parser->stopped)
            return true;
        if (ok && parser->state == DONE)
            parser->ops->on_end(parser->arg);
    }
    if (!ok)
        parser->state = FAILED;
    return ok;
}

bool http_parser_finish(struct http_parser *parser, struct http_parser_error *error) {
    if (http_parser_idle(parser) || parser->state == DONE)
        return true;
    if (parser->state == IN_BODY && llhttp_message_needs_eof(&parser->llhttp)) {
        parser->state = DONE;
        parser->ops->on_end(parser->arg);
        return true;
    }
    parser->state = FAILED;
    return refuse(error, 400, ERR_PEER, "the connection ended in the middle of a message");
}

void http_parser_drop_head(struct http_parser *parser) {
    struct http_head *head = &parser->head;
    buf_fini(&parser->raw);
    mem_free(head->fields);
    head->fields = NULL;
    head->method = head->target = (struct span){"", 0};
    head->field_count = parser->field_room = 0;
}

void http_parser_expect_no_body(struct http_parser *parser) { parser->no_body = true; }

bool http_parser_idle(const struct http_parser *parser) {
    return parser->state == IN_HEAD && parser->raw.length == 0;
}

bool http_parser_done(const struct http_parser *parser) { return parser->state == DONE; }

const struct http_head *http_parser_head(const struct http_parser *parser) { return &parser->head; }
