// The client's side of the public port: may it ask (guard), is there such a path (route), which
// preset does it mean. What is left becomes a request and goes to the scheduler.
#include "base/log.h"
#include "format/json_peek.h"
#include "local_routes.h"
#include "request.h"

#include <string.h>

enum { MAX_ASKED_HEADERS = 2048 };

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
                    "no preset is configured; add one to the presets file", NULL, RETRY_NEVER);
        return NULL;
    }
    bool loaded = lane_state(service->lane) == LANE_READY;
    if (!loaded && (route->kind == ROUTE_PEEK || !server->config->on_demand) &&
        lane_state(service->lane) != LANE_LOADING) {
        reply_error(server, exchange, route->protocol, 503,
                    route->kind == ROUTE_PEEK ? "the preset is not loaded"
                                              : "the preset is not loaded and on-demand is off; "
                                                "load it with: lmswitch PRESET",
                    NULL, RETRY_NEVER);
        return NULL;
    }
    return service;
}

// What is known to fail is refused before anything else is unloaded for it.
static void on_decided(void *arg, const struct err *why) {
    struct request *request = arg;
    struct service *service = request->service;
    struct server *server = service->server;
    if (why) {
        service->metrics.refused++;
        request_fail(request, 503, why, 0);
        return;
    }
    scheduler_enqueue(service->lane, &request->ticket, request->arrived_ms); // may end it
    server_tick(server);
}

static void queue_request(struct request *request) {
    struct service *service = request->service;
    server_changed(service->server);
    planner_ask(service->planner, &request->intent, on_decided, request); // may end it
}

static void open_request(struct service *service, struct http_exchange *exchange,
                         const struct route *route, bool stream) {
    struct request *request = request_create(service, exchange, route);
    request->stream = stream;
    if (stream)
        timer_start(&request->timer, service->server->config->ping_after_ms);
    queue_request(request);
}

// What it says is translated, so it is read before it waits: a mistake is told at once.
static void open_messages(struct service *service, struct http_exchange *exchange,
                          const struct route *route) {
    struct span body = http_exchange_body(exchange);
    bool counts = route->kind == ROUTE_LIGHT;
    struct messages_request parsed;
    struct err err;
    if (!(counts ? messages_parse_count : messages_parse)(&parsed, body.data, body.length, &err)) {
        reply_error(service->server, exchange, route->protocol, 400, err.text, NULL, 0);
        return;
    }
    // Claude Code's session would end with what it cannot sum up; anybody else is told.
    parsed.may_shorten = http_head_find(http_exchange_head(exchange), "x-claude-code-session-id");
    bool needs_engine = counts || !parsed.only_server_tools;
    struct request *request = request_create(service, exchange, route);
    messages_open(request, &parsed);
    if (needs_engine)
        queue_request(request);
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
    if (service && route->protocol == PROTOCOL_ANTHROPIC)
        open_messages(service, exchange, route);
    else if (service)
        open_request(service, exchange, route, peek.stream && route->kind == ROUTE_GENERATE);
}

// The header names that a page says it will send. Who may ask was judged by Origin; which headers
// an SDK adds changes with its version, so any list of names will do.
static struct span wanted_headers(const struct http_head *head) {
    struct span asked = http_head_value(head, "access-control-request-headers");
    bool good = asked.length > 0 && asked.length <= MAX_ASKED_HEADERS;
    for (size_t i = 0; good && i < asked.length; i++) {
        char c = asked.data[i];
        good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == ',' || c == ' ';
    }
    return good ? asked
                : span_of("authorization, content-type, x-api-key, anthropic-version, "
                          "anthropic-beta");
}

// A browser asks before it sends (CORS preflight).
static void reply_preflight(struct http_exchange *exchange) {
    const struct http_head *head = http_exchange_head(exchange);
    struct span origin = http_head_value(head, "origin"), wanted = wanted_headers(head);
    struct buf fields;
    buf_init(&fields, 4096);
    if (origin.length)
        buf_printf(&fields,
                   "Access-Control-Allow-Origin: %.*s\r\n"
                   "Vary: Origin, Access-Control-Request-Headers\r\n"
                   "Access-Control-Allow-Methods: GET, POST\r\n"
                   "Access-Control-Allow-Headers: %.*s\r\nAccess-Control-Max-Age: 600\r\n",
                   (int)origin.length, origin.data, (int)wanted.length, wanted.data);
    buf_adds(&fields, "Allow: GET, POST, OPTIONS\r\n");
    http_reply(exchange, 204, NULL, buf_text(&fields), NULL, 0);
    buf_fini(&fields);
}

// Before the body is read: who may ask, and is there such a path?
static void on_head(struct http_exchange *exchange, void *arg) {
    struct server *server = arg;
    const struct http_head *head = http_exchange_head(exchange);
    struct span path = http_head_path(head);
    enum protocol protocol = route_protocol(head);
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
    if (route->kind < ROUTE_MODELS)
        proxy_request(server, exchange, route);
    else
        local_route_reply(server, exchange, route);
}

static void on_malformed(struct http_exchange *exchange, unsigned status, const struct err *why,
                         void *arg) {
    const struct http_head *head = http_exchange_head(exchange);
    enum protocol protocol = head->target.length ? route_protocol(head) : PROTOCOL_OPENAI;
    reply_error(arg, exchange, protocol, status, why->text, NULL, status == 503 ? 1000 : 0);
}

const struct http_handler proxy_handler = {on_head, on_request, on_gone, relay_on_drain,
                                           on_malformed};
