// The engine's answer on its way to the client. Bytes pass untouched but for these rules: hop
// headers are ours, an engine's error is told in the caller's protocol, and a stream is passed on
// in whole events so that a ping or an error can be put between two of them.
#define _GNU_SOURCE
#include "base/str.h"
#include "request.h"

#include <string.h>

enum {
    HIGH_WATER = 256 * 1024,      // a client this far behind pauses its engine
    MAX_HELD_ANSWER = 256 * 1024, // a longer answer that is no stream goes in pieces, too
    MAX_ERROR_BODY = 64 * 1024,   // of an engine's error that is translated
    ADMITTED_GRACE_MS = 1000,     // an engine refuses a bad request within this time
    AUTOPSY_MS = 100,             // how long a broken request waits for the engine's own reason
};

void relay_on_drain(struct http_exchange *exchange, void *arg) {
    struct request *request = http_exchange_data(exchange);
    if (request && request->paused) {
        request->paused = false;
        service_progress(request->service); // the silence was the client's
        if (request->call)
            http_call_resume(request->call);
        if (request->chat)
            chat_call_resume(request->chat);
    }
}

void relay_send(struct request *request, const char *bytes, size_t length) {
    request->sent_ms = loop_now_ms();
    http_reply_body(request->exchange, bytes, length);
    if (request->paused || http_reply_backlog(request->exchange) <= HIGH_WATER)
        return;
    request->paused = true;
    if (request->call)
        http_call_pause(request->call);
    if (request->chat)
        chat_call_pause(request->chat);
}

// Length of the part that ends with a complete event (an empty line).
static size_t complete_events(const char *bytes, size_t length) {
    for (size_t i = length; i >= 2; i--) {
        const char *newline = str_last(bytes, i, '\n');
        if (!newline)
            return 0;
        i = (size_t)(newline - bytes) + 1;
        if (i >= 2 &&
            (bytes[i - 2] == '\n' || (i >= 3 && bytes[i - 2] == '\r' && bytes[i - 3] == '\n')))
            return i;
    }
    return 0;
}

static bool begins(const char *bytes, size_t length, const char *text) {
    size_t n = strlen(text);
    return length >= n && memcmp(bytes, text, n) == 0;
}

// The last of these events, each of which ends in an empty line.
static struct span last_event(const char *bytes, size_t length) {
    size_t start = length, newlines = 0;
    while (start > 0 && (bytes[start - 1] == '\n' || bytes[start - 1] == '\r'))
        start--;
    for (; start > 0 && newlines < 2; start--)
        newlines = bytes[start - 1] == '\n'   ? newlines + 1
                   : bytes[start - 1] == '\r' ? newlines
                                              : 0;
    if (newlines == 2)
        while (bytes[start] == '\n' || bytes[start] == '\r')
            start++;
    return (struct span){bytes + start, length - start};
}

// Does the client, by its protocol, need nothing after these events?
static bool ends_answer(const char *bytes, size_t length) {
    static const char *const ends[] = {"data: [DONE]", "data:[DONE]", "event: response.completed",
                                       "event: response.incomplete", "event: response.failed"};
    struct span event = last_event(bytes, length);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (begins(event.data, event.length, ends[i]))
            return true;
    return false;
}

static void send_events(struct request *request, const char *bytes, size_t length) {
    request->finished = ends_answer(bytes, length);
    relay_send(request, bytes, length);
}

static void relay_events(struct request *request, const char *bytes, size_t length) {
    struct buf *partial = &request->partial;
    if (partial->length == 0) {
        size_t whole = complete_events(bytes, length);
        if (whole)
            send_events(request, bytes, whole);
        bytes += whole;
        length -= whole;
    }
    if (length == 0)
        return;
    if (!buf_add(partial, bytes, length)) {
        send_events(request, buf_bytes(partial), partial->length);
        send_events(request, bytes, length);
        buf_fini(partial);
        return;
    }
    size_t whole = complete_events(buf_bytes(partial), partial->length);
    if (whole) {
        send_events(request, buf_bytes(partial), whole);
        buf_drain(partial, whole);
    }
}

static const char stream_fields[] = "Content-Type: text/event-stream\r\n"
                                    "Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n";

// Opens the stream before the engine has said anything, so that the client need not wonder.
void relay_open_stream(struct request *request) {
    struct buf fields;
    buf_init(&fields, 4096);
    fields_with_cors(request->service->server, request->exchange, stream_fields, &fields);
    http_reply_begin(request->exchange, 200, buf_text(&fields), -1);
    buf_fini(&fields);
    request->committed = true;
}

static void ping(struct request *request) {
    struct span event = protocol_ping();
    request->sent_ms = loop_now_ms();
    http_reply_body(request->exchange, event.data, event.length);
}

// First the head of the stream (once waiting has lasted ping-after, and an engine that has the
// request has had time to refuse it), then a ping whenever nothing was sent for ping-every.
void relay_on_timer(void *arg) {
    struct request *request = arg;
    const struct config *config = request->service->server->config;
    int64_t now = loop_now_ms(), due = now;
    if (request->lost) {
        struct err why;
        err_set(&why, ERR_PEER, "the engine of preset %s broke the connection while answering",
                lane_name(request->service->lane));
        request->service->metrics.broken++;
        request_fail(request, 502, &why, 0);
        return;
    }
    if (!http_reply_begun(request->exchange)) {
        due = request->arrived_ms + config->ping_after_ms;
        if (request->admitted_ms && request->admitted_ms + ADMITTED_GRACE_MS > due)
            due = request->admitted_ms + ADMITTED_GRACE_MS;
        if (now >= due) {
            relay_open_stream(request);
            ping(request);
        }
    } else if (now - request->sent_ms >= config->ping_every_ms && request->partial.length == 0) {
        ping(request);
    }
    if (http_reply_begun(request->exchange))
        due = request->sent_ms + config->ping_every_ms;
    timer_start(&request->timer, due > now ? due - now : config->ping_every_ms);
}

// --- The answer itself

// Response headers that are about the engine's connection, or that are ours to set.
static bool drops_response_field(struct span name) {
    static const char *const dropped[] = {"connection",     "keep-alive", "transfer-encoding",
                                          "content-length", "server",     "trailer",
                                          "upgrade"};
    for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++)
        if (span_is_nocase(name, dropped[i]))
            return true;
    struct span head = {name.data, name.length < 15 ? name.length : 15};
    return span_is_nocase(head, "access-control-");
}

// What the engine cannot do (501), it cannot do the second time either.
static const char *retry_field(unsigned status) { return status == 501 ? RETRY_NEVER_FIELD : NULL; }

static void collect_fields(struct request *request, const struct http_head *head) {
    struct buf *fields = &request->fields;
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        if (!drops_response_field(field->name))
            http_field_add(fields, field);
    }
    if (request->sse && !http_head_find(head, "x-accel-buffering"))
        buf_adds(fields, "X-Accel-Buffering: no\r\n");
    fields_with_cors(request->service->server, request->exchange, retry_field(request->status),
                     fields);
}

static void begin_reply(struct request *request, int64_t length) {
    http_reply_begin(request->exchange, request->status, buf_text(&request->fields), length);
    buf_fini(&request->fields);
    request->held = false;
}

void relay_engine_began(struct request *request, unsigned status) {
    struct service *service = request->service;
    int64_t now = loop_now_ms();
    request->status = status;
    http_exchange_drop_body(request->exchange);
    histogram_add(&service->metrics.first_byte, now - request->arrived_ms);
    service_progress(service);
    watchdog_first_byte(&service->watchdog, now - request->admitted_ms);
    scheduler_answering(&request->ticket, now);
}

static void on_answer_head(struct http_call *call, const struct http_head *head, void *arg) {
    struct request *request = arg;
    struct span type = http_head_value(head, "content-type");
    request->empty = true;
    request->sse = head->status < 300 && type.length >= 17 &&
                   span_is_nocase((struct span){type.data, 17}, "text/event-stream");
    relay_engine_began(request, head->status);
    request->translate = request->committed
                             ? !request->sse
                             : head->status >= 400 && request->route->protocol != PROTOCOL_OPENAI;
    request->held = !request->sse && !request->translate;
    request->partial.max = request->translate ? MAX_ERROR_BODY
                           : request->held    ? MAX_HELD_ANSWER
                                              : REQUEST_MAX_PARTIAL;
    request->length = head->content_length;
    request->unframed = head->content_length < 0 && !head->chunked;
    if (!request->committed && !request->translate)
        collect_fields(request, head);
    if (request->sse && !request->committed)
        begin_reply(request, -1);
    if (request->sse) {
        http_exchange_drop_head(request->exchange); // nothing more is asked of it, for hours maybe
        request->sent_ms = loop_now_ms();
        timer_start(&request->timer, request->service->server->config->ping_every_ms);
    } else {
        timer_stop(&request->timer);
    }
}

static void on_answer_body(struct http_call *call, const char *bytes, size_t length, void *arg) {
    struct request *request = arg;
    service_progress(request->service);
    request->empty = false;
    if (request->translate) {
        buf_add(&request->partial, bytes, length); // what does not fit is not needed
        return;
    }
    timings_learn(&request->service->metrics, &request->timings, bytes, length);
    if (request->sse) {
        relay_events(request, bytes, length);
        return;
    }
    if (request->held && buf_add(&request->partial, bytes, length))
        return;
    if (request->held) {
        begin_reply(request, request->length);
        relay_send(request, buf_bytes(&request->partial), request->partial.length);
        buf_fini(&request->partial);
    }
    relay_send(request, bytes, length);
}

// An error that the engine told as a body becomes one in the caller's protocol.
static void finish_translated(struct request *request) {
    struct http_exchange *exchange = request->exchange;
    struct span body = {buf_bytes(&request->partial), request->partial.length};
    struct buf out;
    buf_init(&out, 2 * MAX_ERROR_BODY);
    unsigned status = request->status < 400 ? 502 : request->status;
    bool translated =
        protocol_translate_error(&out, request->route->protocol, status, body, request->committed);
    struct span text = translated ? (struct span){buf_bytes(&out), out.length} : body;
    if (request->committed) {
        http_reply_body(exchange, text.data, text.length);
        http_reply_end(exchange);
    } else {
        http_reply(exchange, request->status, "application/json", retry_field(request->status),
                   text.data, text.length);
    }
    buf_fini(&out);
}

static void on_answer_end(struct http_call *call, void *arg);

// Mostly this is the first sign that the engine died. Its exit, a moment later, tells why, and
// proxy_fail_running passes that on; without an exit the timer gives up.
void relay_lost(struct request *request) {
    request->lost = true;
    timer_start(&request->timer, AUTOPSY_MS);
}

static void on_answer_fail(struct http_call *call, const struct err *why, void *arg) {
    struct request *request = arg;
    if (request->finished) { // it has said all, but did not end the body properly
        on_answer_end(call, request);
        return;
    }
    request->call = NULL;
    relay_lost(request);
}

void relay_engine_ended(struct request *request) {
    struct service *service = request->service;
    int64_t took = loop_now_ms() - request->admitted_ms;
    service_progress(service);
    service->metrics.completed++;
    speculation_answered(service);
    service->average_ms = service->average_ms ? (service->average_ms * 7 + took) / 8 : took;
    if (request->status < 500)
        lane_succeeded(service->lane);
}

static void on_answer_end(struct http_call *call, void *arg) {
    struct request *request = arg;
    request->call = NULL;
    service_progress(request->service);
    if (request->unframed && request->empty && request->status == 200) {
        on_answer_fail(call, NULL, request); // nothing at all came before the end: it was cut
        return;
    }
    if (request->translate) {
        finish_translated(request);
    } else {
        if (request->held) // the length of an answer to HEAD is not that of its body
            begin_reply(request, request->partial.length ? (int64_t)request->partial.length
                                 : request->length > 0   ? request->length
                                                         : 0);
        if (request->partial.length)
            http_reply_body(request->exchange, buf_bytes(&request->partial),
                            request->partial.length);
        http_reply_end(request->exchange);
    }
    relay_engine_ended(request);
    request_end(request);
}

const struct http_call_ops relay_ops = {on_answer_head, on_answer_body, on_answer_end,
                                        on_answer_fail};
