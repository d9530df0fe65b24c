// The control socket: HTTP and JSON for lmswitch, status, logs, reload. Reached through the file
// system only (mode 0600), so whoever gets here may do everything.
//   GET  /status                  the state            GET  /events   the same, as it changes
//   GET  /presets                 what there is        GET  /logs?preset=NAME&follow=1
//   POST /switch {"preset": NAME} answered when ready or failed
//   POST /off {"only": NAME, "now": true}  answered when unloaded; /sleep is the same
//   POST /reload                  reads the presets file again
//   POST /stop                    ends the server
#include "base/log.h"
#include "base/mem.h"
#include "format/json.h"
#include "planner.h"
#include "server.h"
#include "status.h"

#include <string.h>

enum { MAX_ANSWER = 4 << 20, TAIL_LINES = 2000, MAX_LAG = 1 << 20 };

enum wait_kind { WAIT_SWITCH, WAIT_OFF, WAIT_EVENTS, WAIT_LOGS };

// A control client whose answer is still to come, or comes in pieces.
struct waiter {
    TAILQ_ENTRY(waiter) link;
    struct server *server;
    struct http_exchange *exchange;
    enum wait_kind kind;
    struct service *service;  // switch, off, logs
    struct intent intent;     // of a switch, until it is known whether it can be had
    uint64_t loads, failures; // of the service when the switch was asked for
    uint64_t runs;            // of all engines when off was asked for
    int64_t since_ms;
    struct log_watch watch;
};

static void reply_json(struct http_exchange *exchange, unsigned status, json_t *json) {
    struct buf body;
    buf_init(&body, MAX_ANSWER);
    json_write(&body, json);
    buf_adds(&body, "\n");
    http_reply(exchange, status, "application/json", NULL, buf_bytes(&body), body.length);
    buf_fini(&body);
    json_decref(json);
}

static void reply_error(struct http_exchange *exchange, unsigned status, const char *text) {
    reply_json(exchange, status, json_build("{s:{s:s}}", "error", "message", text));
}

static void reply_unknown(struct http_exchange *exchange, const char *name) {
    struct err err;
    err_set(&err, ERR_NOTFOUND, "there is no preset \"%.80s\"; see: ancalagon list", name);
    reply_error(exchange, 404, err.text);
}

static void waiter_end(struct waiter *waiter) {
    if (waiter->kind == WAIT_LOGS)
        log_ring_unwatch(waiter->service->log, &waiter->watch);
    planner_withdraw(&waiter->intent);
    if (waiter->service)
        waiter->service->watched--;
    TAILQ_REMOVE(&waiter->server->waiters, waiter, link);
    mem_free(waiter);
}

static struct waiter *waiter_begin(struct server *server, struct http_exchange *exchange,
                                   enum wait_kind kind, struct service *service) {
    struct waiter *waiter = mem_alloc(sizeof *waiter);
    waiter->server = server;
    waiter->exchange = exchange;
    waiter->kind = kind;
    waiter->service = service;
    waiter->since_ms = loop_now_ms();
    waiter->runs = server->runs;
    if (service) {
        waiter->loads = service->metrics.loads;
        waiter->failures = service->metrics.load_failures;
        service->watched++;
    }
    http_exchange_set_data(exchange, waiter);
    TAILQ_INSERT_TAIL(&server->waiters, waiter, link);
    return waiter;
}

// --- What has come of it

// True when the switch has ended, one way or the other, and was answered.
static bool settle_switch(struct waiter *waiter) {
    struct lane *lane = waiter->service->lane;
    if (waiter->intent.planner)
        return false;
    // It may have been ready and made room again already for requests that waited longer.
    if (lane_state(lane) == LANE_READY || waiter->service->metrics.loads > waiter->loads) {
        reply_json(waiter->exchange, 200,
                   json_build("{s:s, s:s, s:I, s:I}", "preset", lane_name(lane), "state", "ready",
                              "ms", (json_int_t)(loop_now_ms() - waiter->since_ms), "engine_pid",
                              (json_int_t)service_pid(waiter->service)));
        return true;
    }
    if (waiter->service->metrics.load_failures > waiter->failures) {
        reply_error(waiter->exchange, 502, lane_error(lane)->text);
        return true;
    }
    if (waiter->server->stopping)
        return false; // it is told when the server goes
    if (lane_state(lane) == LANE_OFF && scheduler_target(lane_scheduler(lane)) != lane) {
        reply_error(waiter->exchange, 409,
                    scheduler_is_off(lane_scheduler(lane)) ? "it was switched off in between"
                                                           : "another switch came in between");
        return true;
    }
    return false;
}

// Off for one preset, or for all. What counts are the engines that were there when it was asked:
// the next request may have loaded one again before anybody could look.
static bool settle_off(struct waiter *waiter) {
    const struct service *service;
    TAILQ_FOREACH (service, &waiter->server->services, link) {
        if ((waiter->service && service != waiter->service) || service->run > waiter->runs ||
            lane_state(service->lane) == LANE_OFF)
            continue;
        if (lane_state(service->lane) == LANE_STOPPING ||
            scheduler_is_off(lane_scheduler(service->lane)))
            return false;
        struct err why;
        err_set(&why, ERR_BUSY, "preset %s was asked for in between", lane_name(service->lane));
        reply_error(waiter->exchange, 409, why.text);
        return true;
    }
    reply_json(waiter->exchange, 200, json_build("{s:s}", "state", "off"));
    return true;
}

static void send_event(struct waiter *waiter) {
    if (http_reply_backlog(waiter->exchange) > MAX_LAG)
        return; // it reads too slowly; the next state says it all anyway
    struct buf event;
    buf_init(&event, MAX_ANSWER);
    json_t *json = status_json(waiter->server);
    buf_adds(&event, "event: status\ndata: ");
    json_write(&event, json);
    buf_adds(&event, "\n\n");
    http_reply_body(waiter->exchange, buf_bytes(&event), event.length);
    buf_fini(&event);
    json_decref(json);
}

void admin_announce(struct server *server) {
    struct waiter *waiter, *next;
    for (waiter = TAILQ_FIRST(&server->waiters); waiter; waiter = next) {
        next = TAILQ_NEXT(waiter, link);
        if (waiter->kind == WAIT_EVENTS)
            send_event(waiter);
        else if ((waiter->kind == WAIT_SWITCH && settle_switch(waiter)) ||
                 (waiter->kind == WAIT_OFF && settle_off(waiter)))
            waiter_end(waiter);
    }
}

void admin_detach_all(struct server *server) {
    struct waiter *waiter;
    while ((waiter = TAILQ_FIRST(&server->waiters))) {
        http_exchange_set_data(waiter->exchange, NULL);
        if (!http_reply_begun(waiter->exchange))
            reply_error(waiter->exchange, 503, "the server is shutting down");
        waiter_end(waiter);
    }
}

// --- Requests

static void get_status(struct server *server, struct http_exchange *exchange) {
    reply_json(exchange, 200, status_json(server));
}

static void get_presets(struct server *server, struct http_exchange *exchange) {
    reply_json(exchange, 200, status_presets(server));
}

static void get_events(struct server *server, struct http_exchange *exchange) {
    http_reply_begin(exchange, 200, "Content-Type: text/event-stream\r\n", -1);
    send_event(waiter_begin(server, exchange, WAIT_EVENTS, NULL));
}

static void on_log_line(const char *line, void *arg) {
    struct waiter *waiter = arg;
    if (http_reply_backlog(waiter->exchange) > MAX_LAG)
        return;
    http_reply_body(waiter->exchange, line, strlen(line));
    http_reply_body(waiter->exchange, "\n", 1);
}

// Named in the query or body; without a name the loaded one, else the default.
static struct service *named_service(struct server *server, const char *name) {
    return name && *name ? server_find(server, name) : server_default(server);
}

static void get_logs(struct server *server, struct http_exchange *exchange) {
    const struct http_head *head = http_exchange_head(exchange);
    char name[PRESET_NAME_MAX + 1] = "", follow[8] = "";
    http_head_query(head, "preset", name, sizeof name);
    http_head_query(head, "follow", follow, sizeof follow);
    struct service *service = named_service(server, name);
    if (!service) {
        reply_unknown(exchange, name);
        return;
    }
    struct buf tail;
    buf_init(&tail, MAX_ANSWER);
    log_ring_tail(service->log, TAIL_LINES, &tail);
    if (strcmp(follow, "1") != 0) {
        http_reply(exchange, 200, "text/plain; charset=utf-8", NULL, buf_bytes(&tail), tail.length);
    } else {
        http_reply_begin(exchange, 200, "Content-Type: text/plain; charset=utf-8\r\n", -1);
        http_reply_body(exchange, buf_bytes(&tail), tail.length);
        struct waiter *waiter = waiter_begin(server, exchange, WAIT_LOGS, service);
        waiter->watch = (struct log_watch){.on_line = on_log_line, .arg = waiter};
        log_ring_watch(service->log, &waiter->watch);
    }
    buf_fini(&tail);
}

static json_t *body_json(struct http_exchange *exchange) {
    struct span body = http_exchange_body(exchange);
    return json_parse(body.data, body.length, 8, 0, NULL);
}

static void on_decided(void *arg, const struct err *why) {
    struct waiter *waiter = arg;
    struct service *service = waiter->service;
    if (service->server->stopping)
        return; // it is told when the server goes
    if (why) {
        reply_error(waiter->exchange, 422, why->text);
        waiter_end(waiter);
        return;
    }
    waiter->loads = service->metrics.loads;
    waiter->failures = service->metrics.load_failures;
    scheduler_demand(service->lane, loop_now_ms());
    server_tick(service->server);
    if (settle_switch(waiter))
        waiter_end(waiter);
}

static void post_switch(struct server *server, struct http_exchange *exchange) {
    json_t *body = body_json(exchange);
    const char *name = json_get_text(body, "preset", "");
    struct service *service = name[0] ? server_find(server, name) : NULL;
    if (!name[0])
        reply_error(exchange, 400, "say which: {\"preset\": \"NAME\"}");
    else if (!service)
        reply_unknown(exchange, name);
    json_decref(body);
    if (!service)
        return;
    log_info("control.switch preset=%s", service->preset->name);
    struct waiter *waiter = waiter_begin(server, exchange, WAIT_SWITCH, service);
    planner_ask(service->planner, &waiter->intent, on_decided, waiter);
}

static void post_off(struct server *server, struct http_exchange *exchange) {
    json_t *body = body_json(exchange);
    const char *only = json_get_text(body, "only", "");
    struct service *service = only[0] ? server_find(server, only) : NULL;
    bool now = json_get_bool(body, "now", false), known = !only[0] || service;
    if (!known)
        reply_unknown(exchange, only);
    json_decref(body);
    if (!known)
        return;
    log_info("control.off only=%s", service ? service->preset->name : "");
    struct err why;
    err_set(&why, ERR_BUSY, "switched off by the operator");
    for (size_t i = 0; i < server->group_count; i++) {
        struct lane *current = scheduler_current(server->groups[i]);
        if (service && (!current || lane_owner(current) != service))
            continue; // something else is loaded: nothing to do
        if (current && now)
            proxy_cancel_all(lane_owner(current), &why);
        scheduler_off(server->groups[i], loop_now_ms());
    }
    struct waiter *waiter = waiter_begin(server, exchange, WAIT_OFF, service);
    server_tick(server);
    if (settle_off(waiter))
        waiter_end(waiter);
}

static void post_reload(struct server *server, struct http_exchange *exchange) {
    struct err err;
    char waits[64];
    if (!server_reload(server, &err)) {
        reply_error(exchange, 422, err.text);
        return;
    }
    server_waits_for_restart(server, waits, sizeof waits);
    reply_json(exchange, 200,
               json_build("{s:I, s:s}", "presets", (json_int_t)server->config->presets_count,
                          "needs_restart", waits));
}

static void post_stop(struct server *server, struct http_exchange *exchange) {
    reply_json(exchange, 200, json_build("{s:s}", "state", "stopping"));
    server_stop(server);
}

static const struct {
    const char *method, *path;
    void (*answer)(struct server *server, struct http_exchange *exchange);
} routes[] = {
    {"GET", "/status", get_status},   {"GET", "/presets", get_presets},
    {"GET", "/events", get_events},   {"GET", "/logs", get_logs},
    {"POST", "/switch", post_switch}, {"POST", "/off", post_off},
    {"POST", "/sleep", post_off},     {"POST", "/reload", post_reload},
    {"POST", "/stop", post_stop},
};

static void on_request(struct http_exchange *exchange, void *arg) {
    const struct http_head *head = http_exchange_head(exchange);
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (span_is(head->method, routes[i].method) &&
            span_is(http_head_path(head), routes[i].path)) {
            routes[i].answer(arg, exchange);
            return;
        }
    }
    reply_error(exchange, 404, "the control socket has no such path");
}

static void on_gone(struct http_exchange *exchange, const struct err *why, void *arg) {
    struct waiter *waiter = http_exchange_data(exchange);
    if (waiter)
        waiter_end(waiter);
}

const struct http_handler admin_handler = {.on_request = on_request, .on_gone = on_gone};
