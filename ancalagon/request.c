#define _GNU_SOURCE
#include "request.h"

#include "base/log.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { UNSEEN_MS = 1000 }; // sent so shortly before the engine's end, it gets another try

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

struct request *request_create(struct service *service, struct http_exchange *exchange,
                               const struct route *route) {
    struct server *server = service->server;
    struct request *request = mem_alloc(sizeof *request);
    request->service = service;
    request->exchange = exchange;
    request->route = route;
    request->id = ++server->next_id;
    request->arrived_ms = request->sent_ms = loop_now_ms();
    buf_init(&request->partial, REQUEST_MAX_PARTIAL);
    buf_init(&request->fields, REQUEST_MAX_FIELDS);
    timer_init(&request->timer, server->loop, relay_on_timer, request);
    request->ticket.owner = request;
    request->ticket.client = client_number(request, http_exchange_head(exchange));
    request->ticket.light = route->kind == ROUTE_LIGHT || route->kind == ROUTE_PEEK;
    http_exchange_set_data(exchange, request);
    TAILQ_INSERT_TAIL(&service->requests, request, link);
    server->requests++;
    service->metrics.requests++;
    return request;
}

// The one way out: whatever the request holds is given back, in whatever state it is.
void request_end(struct request *request) {
    struct service *service = request->service;
    if (request->call)
        http_call_cancel(request->call);
    request->call = NULL;
    if (request->chat)
        chat_call_cancel(request->chat);
    request->chat = NULL;
    timer_stop(&request->timer);
    buf_fini(&request->partial);
    buf_fini(&request->fields);
    TAILQ_REMOVE(&service->requests, request, link);
    planner_withdraw(&request->intent);
    scheduler_leave(&request->ticket, loop_now_ms());
    server_changed(service->server);
    server_tick(service->server);
    mem_free(request);
}

void fields_with_cors(struct server *server, struct http_exchange *exchange, const char *fields,
                      struct buf *out) {
    struct span origin = http_head_value(http_exchange_head(exchange), "origin");
    if (fields)
        buf_adds(out, fields);
    if (origin.length && guard_origin_allowed(server->guard, origin))
        buf_printf(out, "Access-Control-Allow-Origin: %.*s\r\nVary: Origin\r\n", (int)origin.length,
                   origin.data);
}

void reply_error(struct server *server, struct http_exchange *exchange, enum protocol protocol,
                 unsigned status, const char *message, const char *code, int64_t retry_ms) {
    struct buf body, fields;
    buf_init(&body, 64 * 1024);
    buf_init(&fields, 1024);
    char retry[64] = "";
    if (retry_ms > 0)
        snprintf(retry, sizeof retry, "Retry-After: %lld\r\n", (long long)(retry_ms + 999) / 1000);
    if (retry_ms == RETRY_NEVER)
        snprintf(retry, sizeof retry, RETRY_NEVER_FIELD);
    if (status == 401)
        snprintf(retry, sizeof retry, "WWW-Authenticate: Bearer realm=\"ancalagon\"\r\n");
    fields_with_cors(server, exchange, retry, &fields);
    protocol_error_body(&body, protocol, status, message, code);
    http_reply(exchange, status, "application/json", buf_text(&fields), buf_bytes(&body),
               body.length);
    buf_fini(&body);
    buf_fini(&fields);
}

// Tells the client why its request ends without an answer: as a reply while that can still be
// begun, as a last event in a stream, and by a visible cut in anything else.
void request_fail(struct request *request, unsigned status, const struct err *why,
                  int64_t retry_ms) {
    struct http_exchange *exchange = request->exchange;
    enum protocol protocol = request->route->protocol;
    log_info("request.fail id=%llu preset=%s status=%u why=\"%s\"", (unsigned long long)request->id,
             lane_name(request->service->lane), status, why->text);
    if (!http_reply_begun(exchange)) {
        reply_error(request->service->server, exchange, protocol, status, why->text, NULL,
                    err_is_lasting(why) ? RETRY_NEVER : retry_ms);
    } else if (request->chat) {
        messages_fail(request, status, why);
        return;
    } else if (request->finished) {
        http_reply_end(exchange);
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
        if (request->chat)
            chat_call_withdraw(request->chat);
        request->lost = false;
        request->retried = true;
        timer_stop(&request->timer);
        if (request->stream && !request->chat)
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
        if ((request->call || (request->chat && request->ticket.admitted && !request->lost)) &&
            !request->paused)
            return true;
    return false;
}

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

// The client's own request, but for the fields that stay here.
static bool pass_on(struct request *request, struct err *err) {
    struct service *service = request->service;
    const struct http_head *head = http_exchange_head(request->exchange);
    struct buf fields;
    buf_init(&fields, REQUEST_MAX_FIELDS);
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
                        http_exchange_body(request->exchange), &relay_ops, request, err);
    buf_fini(&fields);
    return request->call != NULL;
}

void proxy_admit(struct ticket *ticket, void *arg) {
    struct request *request = ticket->owner;
    struct service *service = request->service;
    struct err err;
    request->admitted_ms = loop_now_ms();
    histogram_add(&service->metrics.queue_wait, request->admitted_ms - request->arrived_ms);
    service_progress(service);
    if (!(request->chat ? messages_proceed : pass_on)(request, &err)) {
        bool unreachable = err.code == ERR_NOTFOUND; // its socket was removed: it is of no use
        err_context(&err, "cannot reach the engine of preset %s", lane_name(service->lane));
        request_fail(request, 502, &err, 0);
        if (unreachable)
            service_kill(service, &err);
    }
}

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
