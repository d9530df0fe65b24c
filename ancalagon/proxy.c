// From a client's request to an engine's answer. Bytes pass untouched but for these rules: hop
// headers are ours, keys stay here, an engine's error is told in the caller's protocol, and a
// stream is passed on in whole events so that a ping or an error can be put between two of them.
#define _GNU_SOURCE
#include "base/log.h"
#include "base/mem.h"
#include "format/json_peek.h"
#include "local_routes.h"
#include "route.h"
#include "server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    HIGH_WATER = 256 * 1024,      // a client this far behind pauses its engine
    MAX_PARTIAL_EVENT = 1 << 20,  // a longer event is passed on in pieces
    MAX_HELD_ANSWER = 256 * 1024, // a longer answer that is no stream, too
    MAX_ERROR_BODY = 64 * 1024,   // of an engine's error that is translated
    MAX_FIELDS = 48 * 1024,
    ADMITTED_GRACE_MS = 1000, // an engine refuses a bad request within this time
    UNSEEN_MS = 1000,         // sent so shortly before the engine's end, it gets another try
    AUTOPSY_MS = 100,         // how long a broken request waits for the engine's own reason
};

struct request {
    TAILQ_ENTRY(request) link; // in service->requests
    struct ticket ticket;
    struct service *service;
    struct http_exchange *exchange;
    struct http_call *call;
    const struct route *route;
    uint64_t id;
    char client[64]; // for status: address; empty until asked for
    bool stream;     // the client asked for server-sent events
    bool committed;  // we sent the stream's head before the engine answered
    bool sse;        // the engine answers with events
    bool opened;     // the first of them has passed
    bool unframed;   // its answer ends where the connection does
    bool held;       // it answers whole: kept in `partial` until it is, so that a cut can be told
    bool translate;  // its error is collected in `partial`, to be told in the client's protocol
    bool paused;
    bool retried; // its first engine died before it did anything for it
    bool empty;   // no byte of it came
    bool lost;    // its engine's connection broke; waiting to hear why
    unsigned status;
    int64_t length;     // Content-Length of the engine's answer, -1 = unknown
    struct buf fields;  // of an answer that is held
    struct buf partial; // of an event, an answer, or an engine's error
    struct timer timer; // commit, then pings
    int64_t arrived_ms, admitted_ms, sent_ms;
};

static void on_timer(void *arg);

// --- Ends

// The one way out: whatever the request holds is given back, in whatever state it is.
static void request_end(struct request *request) {
    struct service *service = request->service;
    if (request->call)
        http_call_cancel(request->call);
    request->call = NULL;
    timer_stop(&request->timer);
    buf_fini(&request->partial);
    buf_fini(&request->fields);
    TAILQ_REMOVE(&service->requests, request, link);
    scheduler_leave(&request->ticket, loop_now_ms());
    server_changed(service->server);
    server_tick(service->server);
    mem_free(request);
}

static void fields_with_cors(struct server *server, struct http_exchange *exchange,
                             const char *fields, struct buf *out) {
    struct span origin = http_head_value(http_exchange_head(exchange), "origin");
    if (fields)
        buf_adds(out, fields);
    if (origin.length && guard_origin_allowed(server->guard, origin))
        buf_printf(out, "Access-Control-Allow-Origin: %.*s\r\nVary: Origin\r\n", (int)origin.length,
                   origin.data);
}

static void reply_error(struct server *server, struct http_exchange *exchange,
                        enum protocol protocol, unsigned status, const char *message,
                        const char *code, int64_t retry_ms) {
    struct buf body, fields;
    buf_init(&body, 64 * 1024);
    buf_init(&fields, 1024);
    char retry[64] = "";
    if (retry_ms > 0)
        snprintf(retry, sizeof retry, "Retry-After: %lld\r\n", (long long)(retry_ms + 999) / 1000);
    if (status == 401)
        snprintf(retry, sizeof retry, "WWW-Authenticate: Bearer\r\n");
    fields_with_cors(server, exchange, retry, &fields);
    protocol_error_body(&body, protocol, status, message, code);
    http_reply(exchange, status, "application/json", buf_text(&fields), buf_bytes(&body),
               body.length);
    buf_fini(&body);
    buf_fini(&fields);
}

// Tells the client why its request ends without an answer: as a reply while that can still be
// begun, as a last event in a stream, and by a visible cut in anything else.
static void request_fail(struct request *request, unsigned status, const struct err *why,
                         int64_t retry_ms) {
    struct http_exchange *exchange = request->exchange;
    enum protocol protocol = request->route->protocol;
    log_info("request.fail id=%llu preset=%s status=%u why=\"%s\"", (unsigned long long)request->id,
             lane_name(request->service->lane), status, why->text);
    if (!http_reply_begun(exchange)) {
        reply_error(request->service->server, exchange, protocol, status, why->text, NULL,
                    retry_ms);
    } else if (request->committed || request->sse) {
        struct buf event;
        buf_init(&event, 64 * 1024);
        protocol_error_event(&event, protocol, status, why->text, NULL);
        http_reply_body(exchange, buf_bytes(&event), event.length);
        http_reply_end(exchange);
        buf_fini(&event);
    } else {
        http_reply_abort(exchange);
    }
    request_end(request);
}

void proxy_refuse(struct ticket *ticket, const struct err *why, int64_t retry_ms, void *arg) {
    struct request *request = ticket->owner;
    request->service->metrics.refused++;
    request_fail(request, why->code == ERR_DENIED ? 403 : 503, why, retry_ms);
}

void proxy_fail_running(struct service *service, const struct err *why) {
    struct request *request, *next;
    for (request = TAILQ_FIRST(&service->requests); request; request = next) {
        next = TAILQ_NEXT(request, link);
        if (!request->ticket.admitted)
            continue;
        service->metrics.broken++;
        request_fail(request, 502, why, 0);
    }
}

// Requests that an engine got just before it died, and had not begun to answer, go to the next one;
// once, for the request itself may be what kills it.
void proxy_retry_unseen(struct service *service) {
    struct request *request, *next;
    for (request = TAILQ_FIRST(&service->requests); request; request = next) {
        next = TAILQ_NEXT(request, link);
        if (!request->ticket.admitted || request->status || request->retried ||
            loop_now_ms() - request->admitted_ms > UNSEEN_MS)
            continue;
        if (request->call)
            http_call_cancel(request->call);
        request->call = NULL;
        request->lost = false;
        request->retried = true;
        timer_stop(&request->timer);
        if (request->stream)
            timer_start(&request->timer, service->server->config->ping_after_ms);
        scheduler_requeue(&request->ticket);
    }
}

void proxy_cancel_all(struct service *service, const struct err *why) {
    struct request *request;
    while ((request = TAILQ_FIRST(&service->requests)))
        request_fail(request, 503, why, 0);
}

bool proxy_waits_for_engine(const struct service *service) {
    const struct request *request;
    TAILQ_FOREACH (request, &service->requests, link)
        if (request->call && !request->paused)
            return true;
    return false;
}

// The client left, stalled, or the server closes: the engine's connection closes with it, which is
// how llama-server learns that the slot is free.
static void on_gone(struct http_exchange *exchange, const struct err *why, void *arg) {
    struct request *request = http_exchange_data(exchange);
    if (!request)
        return;
    request->service->metrics.cancelled++;
    log_info("request.cancel id=%llu preset=%s why=\"%s\"", (unsigned long long)request->id,
             lane_name(request->service->lane), why->text);
    request_end(request);
}

static void on_drain(struct http_exchange *exchange, void *arg) {
    struct request *request = http_exchange_data(exchange);
    if (request && request->paused) {
        request->paused = false;
        service_progress(request->service); // the silence was the client's
        if (request->call)
            http_call_resume(request->call);
    }
}

// --- Streams

static void send_bytes(struct request *request, const char *bytes, size_t length) {
    request->sent_ms = loop_now_ms();
    http_reply_body(request->exchange, bytes, length);
    if (!request->paused && http_reply_backlog(request->exchange) > HIGH_WATER) {
        request->paused = true;
        http_call_pause(request->call);
    }
}

// Length of the part that ends with a complete event (an empty line).
static size_t complete_events(const char *bytes, size_t length) {
    for (size_t i = length; i >= 2; i--) {
        const char *newline = memrchr(bytes, '\n', i);
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

// llama-server 11434 leaves message_start out when the first token is only part of a character;
// without it every Anthropic client gives the stream up.
static void open_stream(struct request *request, const char *bytes, size_t length) {
    request->opened = true;
    if (request->route->protocol != PROTOCOL_ANTHROPIC ||
        !(begins(bytes, length, "event: content_block_") ||
          begins(bytes, length, "event: message_delta")))
        return;
    struct buf event;
    buf_init(&event, 1024);
    protocol_message_start(&event, request->id, lane_name(request->service->lane));
    http_reply_body(request->exchange, buf_bytes(&event), event.length);
    buf_fini(&event);
}

static void send_events(struct request *request, const char *bytes, size_t length) {
    if (!request->opened)
        open_stream(request, bytes, length);
    send_bytes(request, bytes, length);
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
static void commit(struct request *request) {
    struct buf fields;
    buf_init(&fields, 4096);
    fields_with_cors(request->service->server, request->exchange, stream_fields, &fields);
    http_reply_begin(request->exchange, 200, buf_text(&fields), -1);
    buf_fini(&fields);
    request->committed = true;
}

static void ping(struct request *request) {
    struct span event = protocol_ping(request->route->protocol);
    request->sent_ms = loop_now_ms();
    http_reply_body(request->exchange, event.data, event.length);
}

// First the head of the stream (once waiting has lasted ping-after, and an engine that has the
// request has had time to refuse it), then a ping whenever nothing was sent for ping-every.
static void on_timer(void *arg) {
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
            commit(request);
            ping(request);
        }
    } else if (now - request->sent_ms >= config->ping_every_ms && request->partial.length == 0) {
        ping(request);
    }
    if (http_reply_begun(request->exchange))
        due = request->sent_ms + config->ping_every_ms;
    timer_start(&request->timer, due > now ? due - now : config->ping_every_ms);
}

// --- The engine's answer

// The object after this key, from its brace on; NULL when it is not there. Braces are rare in
// answers: looking for them first makes this cheap enough for every event.
static const char *find_object(const char *bytes, size_t length, const char *key) {
    const char *from = bytes, *end = bytes + length;
    size_t key_length = strlen(key);
    while ((from = memchr(from, '{', (size_t)(end - from)))) {
        if ((size_t)(from - bytes) >= key_length && memcmp(from - key_length, key, key_length) == 0)
            return from;
        from++;
    }
    return NULL;
}

// Engine speed, from the "timings" that llama-server puts at the end of an answer.
static bool find_number(const char *from, const char *end, const char *key, double *out) {
    const char *at = memmem(from, (size_t)(end - from), key, strlen(key));
    if (!at)
        return false;
    double value = 0, scale = 1;
    bool fraction = false;
    for (at += strlen(key); at < end && ((*at >= '0' && *at <= '9') || *at == '.'); at++) {
        if (*at == '.') {
            fraction = true;
            continue;
        }
        value = value * 10 + (*at - '0');
        scale *= fraction ? 10 : 1;
    }
    *out = value / scale;
    return true;
}

static void learn_speed(struct service *service, const char *bytes, size_t length) {
    const char *from = find_object(bytes, length, "\"timings\":");
    if (!from)
        return;
    const char *end = memchr(from, '}', length - (size_t)(from - bytes));
    double prompt_n, prompt_ms, predicted_n, predicted_ms, cache_n = 0;
    if (!end || !find_number(from, end, "\"prompt_n\":", &prompt_n) ||
        !find_number(from, end, "\"prompt_ms\":", &prompt_ms) ||
        !find_number(from, end, "\"predicted_n\":", &predicted_n) ||
        !find_number(from, end, "\"predicted_ms\":", &predicted_ms))
        return;
    find_number(from, end, "\"cache_n\":", &cache_n);
    struct metrics *metrics = &service->metrics;
    metrics->prompt_tokens += (uint64_t)prompt_n;
    metrics->cached_tokens += (uint64_t)cache_n;
    metrics->generated_tokens += (uint64_t)predicted_n;
    metrics->prefill_s += prompt_ms / 1000;
    metrics->decode_s += predicted_ms / 1000;
}

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

static void collect_fields(struct request *request, const struct http_head *head) {
    struct buf *fields = &request->fields;
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        if (!drops_response_field(field->name))
            http_field_add(fields, field);
    }
    if (request->sse && !http_head_find(head, "x-accel-buffering"))
        buf_adds(fields, "X-Accel-Buffering: no\r\n");
    fields_with_cors(request->service->server, request->exchange, NULL, fields);
}

static void begin_reply(struct request *request, int64_t length) {
    http_reply_begin(request->exchange, request->status, buf_text(&request->fields), length);
    buf_fini(&request->fields);
    request->held = false;
}

static void on_answer_head(struct http_call *call, const struct http_head *head, void *arg) {
    struct request *request = arg;
    struct service *service = request->service;
    struct span type = http_head_value(head, "content-type");
    int64_t now = loop_now_ms();
    request->status = head->status;
    request->empty = true;
    request->sse = head->status < 300 && type.length >= 17 &&
                   span_is_nocase((struct span){type.data, 17}, "text/event-stream");
    http_exchange_drop_body(request->exchange);
    histogram_add(&service->metrics.first_byte, now - request->arrived_ms);
    service_progress(service);
    watchdog_first_byte(&service->watchdog, now - request->admitted_ms);
    scheduler_answering(&request->ticket, now);
    request->translate = request->committed
                             ? !request->sse
                             : head->status >= 400 && request->route->protocol != PROTOCOL_OPENAI;
    request->held = !request->sse && !request->translate;
    request->partial.max = request->translate ? MAX_ERROR_BODY
                           : request->held    ? MAX_HELD_ANSWER
                                              : MAX_PARTIAL_EVENT;
    request->length = head->content_length;
    request->unframed = head->content_length < 0 && !head->chunked;
    if (!request->committed && !request->translate)
        collect_fields(request, head);
    if (request->sse && !request->committed)
        begin_reply(request, -1);
    if (request->sse) {
        http_exchange_drop_head(request->exchange); // nothing more is asked of it, for hours maybe
        request->sent_ms = now;
        timer_start(&request->timer, service->server->config->ping_every_ms);
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
    learn_speed(request->service, bytes, length);
    if (request->sse) {
        relay_events(request, bytes, length);
        return;
    }
    if (request->held && buf_add(&request->partial, bytes, length))
        return;
    if (request->held) {
        begin_reply(request, request->length);
        send_bytes(request, buf_bytes(&request->partial), request->partial.length);
        buf_fini(&request->partial);
    }
    send_bytes(request, bytes, length);
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
        http_reply(exchange, request->status, "application/json", NULL, text.data, text.length);
    }
    buf_fini(&out);
}

// Mostly this is the first sign that the engine died. Its exit, a moment later, tells why, and
// proxy_fail_running passes that on; without an exit the timer gives up.
static void on_answer_fail(struct http_call *call, const struct err *why, void *arg) {
    struct request *request = arg;
    request->call = NULL;
    request->lost = true;
    timer_start(&request->timer, AUTOPSY_MS);
}

static void on_answer_end(struct http_call *call, void *arg) {
    struct request *request = arg;
    struct service *service = request->service;
    int64_t took = loop_now_ms() - request->admitted_ms;
    request->call = NULL;
    service_progress(service);
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
    service->metrics.completed++;
    service->average_ms = service->average_ms ? (service->average_ms * 7 + took) / 8 : took;
    if (request->status < 500)
        lane_succeeded(service->lane);
    request_end(request);
}

static const struct http_call_ops call_ops = {on_answer_head, on_answer_body, on_answer_end,
                                              on_answer_fail};

// Is the field named in Connection? Then it speaks of the connection only (RFC 9110 7.6.1).
static bool is_hop_field(const struct http_head *head, struct span name) {
    for (size_t i = 0; i < head->field_count; i++) {
        if (!span_is_nocase(head->fields[i].name, "connection"))
            continue;
        struct span rest = head->fields[i].value;
        while (rest.length > 0) {
            const char *comma = memchr(rest.data, ',', rest.length);
            size_t length = comma ? (size_t)(comma - rest.data) : rest.length;
            struct span word = span_trim((struct span){rest.data, length});
            if (word.length == name.length && strncasecmp(word.data, name.data, name.length) == 0)
                return true;
            rest.data += length + (comma != NULL);
            rest.length -= length + (comma != NULL);
        }
    }
    return false;
}

// Request headers that stay here: the connection's, the caller's secrets, the browser's.
static bool drops_request_field(struct span name) {
    static const char *const dropped[] = {"host",
                                          "connection",
                                          "keep-alive",
                                          "transfer-encoding",
                                          "content-length",
                                          "te",
                                          "trailer",
                                          "upgrade",
                                          "expect",
                                          "authorization",
                                          "cookie",
                                          "x-api-key",
                                          "origin",
                                          "accept-encoding",
                                          "proxy-authorization",
                                          "referer",
                                          "x-forwarded-for",
                                          "forwarded"};
    for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++)
        if (span_is_nocase(name, dropped[i]))
            return true;
    return false;
}

void proxy_admit(struct ticket *ticket, void *arg) {
    struct request *request = ticket->owner;
    struct service *service = request->service;
    const struct http_head *head = http_exchange_head(request->exchange);
    struct buf fields;
    struct err err;
    request->admitted_ms = loop_now_ms();
    histogram_add(&service->metrics.queue_wait, request->admitted_ms - request->arrived_ms);
    buf_init(&fields, MAX_FIELDS);
    buf_adds(&fields, service_auth(service));
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        if (!drops_request_field(field->name) && !is_hop_field(head, field->name))
            http_field_add(&fields, field);
    }
    char method[8];
    snprintf(method, sizeof method, "%.*s", (int)head->method.length, head->method.data);
    request->call =
        http_call_start(service_peer(service), method, head->target,
                        (struct span){buf_bytes(&fields), fields.length},
                        http_exchange_body(request->exchange), &call_ops, request, &err);
    buf_fini(&fields);
    service_progress(service);
    if (!request->call) {
        err_context(&err, "cannot reach the engine of preset %s", lane_name(service->lane));
        request_fail(request, 502, &err, 0);
    }
}

// --- The client's request

// The bytes of an address without its port; none for a unix socket.
static struct span address_of(const struct sockaddr *peer) {
    if (peer->sa_family == AF_INET)
        return (struct span){(const char *)&((const struct sockaddr_in *)peer)->sin_addr, 4};
    if (peer->sa_family == AF_INET6)
        return (struct span){(const char *)&((const struct sockaddr_in6 *)peer)->sin6_addr, 16};
    return (struct span){"", 0};
}

static uint64_t mix(uint64_t hash, struct span text) {
    for (size_t i = 0; i < text.length; i++)
        hash = (hash ^ (unsigned char)text.data[i]) * 1099511628211u;
    return hash * 31;
}

// Who shares a turn in the queue: same address, same key, same program.
static uint64_t client_number(const struct request *request, const struct http_head *head) {
    uint64_t hash = mix(14695981039346656037u, address_of(http_exchange_peer(request->exchange)));
    hash = mix(hash, http_head_value(head, "authorization"));
    hash = mix(hash, http_head_value(head, "x-api-key"));
    return mix(hash, http_head_value(head, "user-agent"));
}

static void unknown_model(struct server *server, struct http_exchange *exchange,
                          const struct route *route, const char *model) {
    struct buf text;
    buf_init(&text, 32 * 1024);
    buf_printf(&text, "there is no preset \"%s\"; there are: ", model);
    const struct service *service;
    const char *comma = "";
    TAILQ_FOREACH (service, &server->services, link) {
        if (service->leaving)
            continue;
        buf_printf(&text, "%s%s", comma, service->preset->name);
        comma = ", ";
        for (char **alias = service->preset->aliases; *alias; alias++)
            buf_printf(&text, ", %s", *alias);
    }
    reply_error(server, exchange, route->protocol, 404, buf_text(&text), "model_not_found", 0);
    buf_fini(&text);
}

// The preset a request is for; NULL when it was answered with an error.
static struct service *choose_service(struct server *server, struct http_exchange *exchange,
                                      const struct route *route, const char *model) {
    struct service *service = model[0] ? server_find(server, model) : server_default(server);
    if (!service && model[0]) {
        unknown_model(server, exchange, route, model);
        return NULL;
    }
    if (!service) {
        reply_error(server, exchange, route->protocol, 503,
                    "no preset is configured; add one to the presets file", NULL, 0);
        return NULL;
    }
    bool loaded = lane_state(service->lane) == LANE_READY;
    if (!loaded && (route->kind == ROUTE_PEEK || !server->config->on_demand) &&
        lane_state(service->lane) != LANE_LOADING) {
        reply_error(server, exchange, route->protocol, 503,
                    route->kind == ROUTE_PEEK ? "the preset is not loaded"
                                              : "the preset is not loaded and on-demand is off; "
                                                "load it with: lmswitch PRESET",
                    NULL, 0);
        return NULL;
    }
    struct err err;
    if (lane_state(service->lane) == LANE_OFF && !service_can_start(service, &err)) {
        service->metrics.refused++;
        reply_error(server, exchange, route->protocol, 503, err.text, NULL, 0);
        return NULL;
    }
    return service;
}

static void open_request(struct service *service, struct http_exchange *exchange,
                         const struct route *route, bool stream) {
    struct server *server = service->server;
    struct request *request = mem_alloc(sizeof *request);
    request->service = service;
    request->exchange = exchange;
    request->route = route;
    request->id = ++server->next_id;
    request->stream = stream;
    request->arrived_ms = request->sent_ms = loop_now_ms();
    buf_init(&request->partial, MAX_PARTIAL_EVENT);
    buf_init(&request->fields, MAX_FIELDS);
    timer_init(&request->timer, server->loop, on_timer, request);
    request->ticket.owner = request;
    request->ticket.client = client_number(request, http_exchange_head(exchange));
    request->ticket.light = route->kind != ROUTE_GENERATE;
    http_exchange_set_data(exchange, request);
    TAILQ_INSERT_TAIL(&service->requests, request, link);
    server->requests++;
    service->metrics.requests++;
    if (stream)
        timer_start(&request->timer, server->config->ping_after_ms);
    server_changed(server);
    scheduler_enqueue(service->lane, &request->ticket, request->arrived_ms); // may end it
    server_tick(server);
}

static void proxy_request(struct server *server, struct http_exchange *exchange,
                          const struct route *route) {
    struct json_peek peek = {0};
    struct err err;
    struct span body = http_exchange_body(exchange);
    if (route->kind == ROUTE_PEEK) {
        if (!http_head_query(http_exchange_head(exchange), "model", peek.model, sizeof peek.model))
            peek.model[0] = '\0';
    } else if (!json_peek(body.data, body.length, 0, &peek, &err)) {
        reply_error(server, exchange, route->protocol, 400, err.text, "invalid_json", 0);
        return;
    }
    struct service *service = choose_service(server, exchange, route, peek.model);
    if (service)
        open_request(service, exchange, route, peek.stream && route->kind == ROUTE_GENERATE);
}

// A browser asks before it sends (CORS preflight).
static void reply_preflight(struct http_exchange *exchange) {
    struct span origin = http_head_value(http_exchange_head(exchange), "origin");
    struct buf fields;
    buf_init(&fields, 4096);
    if (origin.length)
        buf_printf(&fields,
                   "Access-Control-Allow-Origin: %.*s\r\nVary: Origin\r\n"
                   "Access-Control-Allow-Methods: GET, POST\r\n"
                   "Access-Control-Allow-Headers: authorization, content-type, x-api-key, "
                   "anthropic-version, anthropic-beta\r\nAccess-Control-Max-Age: 600\r\n",
                   (int)origin.length, origin.data);
    buf_adds(&fields, "Allow: GET, POST, OPTIONS\r\n");
    http_reply(exchange, 204, NULL, buf_text(&fields), NULL, 0);
    buf_fini(&fields);
}

// Before the body is read: who may ask, and is there such a path?
static void on_head(struct http_exchange *exchange, void *arg) {
    struct server *server = arg;
    const struct http_head *head = http_exchange_head(exchange);
    struct span path = http_head_path(head);
    enum protocol protocol = route_guess_protocol(path);
    struct err why;
    enum guard_verdict verdict = guard_check(server->guard, head, &why);
    if (verdict != GUARD_PASS) {
        reply_error(server, exchange, protocol, verdict == GUARD_NO_KEY ? 401 : 403, why.text, NULL,
                    0);
        return;
    }
    if (span_is(head->method, "OPTIONS")) {
        reply_preflight(exchange);
        return;
    }
    const char *wrong_method = NULL;
    if (route_find(head->method, path, &wrong_method))
        return;
    if (wrong_method)
        err_set(&why, ERR_INVALID, "this path takes %s", wrong_method);
    else
        err_set(&why, ERR_NOTFOUND, "there is no %.*s here",
                (int)(path.length > 100 ? 100 : path.length), path.data);
    reply_error(server, exchange, protocol, wrong_method ? 405 : 404, why.text, NULL, 0);
}

static void on_request(struct http_exchange *exchange, void *arg) {
    struct server *server = arg;
    const struct http_head *head = http_exchange_head(exchange);
    const struct route *route = route_find(head->method, http_head_path(head), NULL);
    if (route->kind == ROUTE_GENERATE || route->kind == ROUTE_LIGHT || route->kind == ROUTE_PEEK)
        proxy_request(server, exchange, route);
    else
        local_route_reply(server, exchange, route);
}

static void on_malformed(struct http_exchange *exchange, unsigned status, const struct err *why,
                         void *arg) {
    const struct http_head *head = http_exchange_head(exchange);
    enum protocol protocol =
        head->target.length ? route_guess_protocol(http_head_path(head)) : PROTOCOL_OPENAI;
    reply_error(arg, exchange, protocol, status, why->text, NULL, status == 503 ? 1000 : 0);
}

const struct http_handler proxy_handler = {on_head, on_request, on_gone, on_drain, on_malformed};

// --- For status

const char *request_client(struct request *request) {
    const struct sockaddr *peer = http_exchange_peer(request->exchange);
    struct span address = address_of(peer);
    if (!request->client[0] &&
        (!address.length ||
         !inet_ntop(peer->sa_family, address.data, request->client, sizeof request->client)))
        snprintf(request->client, sizeof request->client, "local");
    return request->client;
}
uint64_t request_id(const struct request *request) { return request->id; }
struct ticket *request_ticket(struct request *request) {
    return &request->ticket;
}

struct request *request_after(const struct service *service, const struct request *request) {
    return request ? TAILQ_NEXT(request, link) : TAILQ_FIRST(&service->requests);
}
