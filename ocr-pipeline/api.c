#include "api.h"

#include "api_jobs.h"
#include "base/log.h"
#include "base/mem.h"
#include "batch.h"
#include "feeder.h"
#include "format/json.h"
#include "gemini.h"
#include "openapi.h"
#include "report.h"

#include <stdio.h>
#include <string.h>

enum { PAGE_MAX = 256 << 20, CONNECTIONS = 256 };

// --- Replies

void api_reply(struct http_exchange *exchange, unsigned status, json_t *json) {
    struct buf body;
    buf_init(&body, PAGE_MAX);
    json_write(&body, json);
    json_decref(json);
    const char *fields = status == 429   ? "Retry-After: 2\r\n"
                         : status == 503 ? "Retry-After: 10\r\n"
                         : status == 405 ? route_allow(http_exchange_head(exchange))
                                         : NULL;
    http_reply(exchange, status, "application/json", fields, buf_bytes(&body), body.length);
    buf_fini(&body);
}

static void fail_as(struct http_exchange *exchange, bool gemini, unsigned status, const char *code,
                    const char *text) {
    if (!gemini) {
        api_reply(exchange, status,
                  json_build("{s:{s:s, s:s}}", "error", "code", code, "text", text));
        return;
    }
    struct gemini_fault fault = {.status = status};
    snprintf(fault.text, sizeof fault.text, "%s", text);
    api_reply(exchange, status, gemini_error_with(&fault, code));
}

void api_fail(struct http_exchange *exchange, unsigned status, const char *code, const char *text) {
    const struct http_head *head = http_exchange_head(exchange);
    fail_as(exchange, head && head->target.length && route_is_gemini(head), status, code, text);
}

unsigned api_status(const struct err *err) {
    switch (err->code) {
    case ERR_INVALID: return 400;
    case ERR_NOTFOUND: return 404;
    case ERR_LIMIT: return 413;
    case ERR_BUSY: return 429;
    case ERR_DENIED: return 403;
    case ERR_TIMEOUT: return 504;
    case ERR_PEER: return 502;
    case ERR_GARBLED: return 502;
    case ERR_UNAVAILABLE: return 503;
    case ERR_FULL: return 507;
    default: return 500;
    }
}

// A body that is no photo but the JSON around it.
static const char *ask_code(const struct err *err) {
    return err->code == ERR_INVALID ? "INVALID_REQUEST" : report_code(err);
}

void api_fail_request(struct http_exchange *exchange, const struct err *err) {
    fail_as(exchange, false, api_status(err), ask_code(err), err->text);
}

static void fail_ending(struct http_exchange *exchange, bool gemini) {
    fail_as(exchange, gemini, 503, "UNAVAILABLE", "the server ends; try again in a moment");
}

void api_turn_away(struct ask *ask) {
    struct http_exchange *exchange = ask->exchange;
    bool gemini = ask->gemini;
    ask_destroy(ask);
    fail_ending(exchange, gemini);
}

void api_fail_ask(struct ask *ask, const struct err *err) {
    struct http_exchange *exchange = ask->exchange;
    bool gemini = ask->gemini;
    if (exchange && ask->api->ending && err->code == ERR_BUSY) {
        api_turn_away(ask);
        return;
    }
    ask_destroy(ask);
    if (exchange)
        fail_as(exchange, gemini, api_status(err), ask_code(err), err->text);
}

// --- What needs no photo

static void reply_health(struct api *api, struct http_exchange *exchange) {
    api_reply(exchange, 200,
              json_build("{s:s, s:s, s:I, s:I, s:I}", "status", "ok", "version", ANCALAGON_VERSION,
                         "reading", (json_int_t)desk_running(api->desk), "waiting",
                         (json_int_t)desk_waiting(api->desk), "uptime_s",
                         (json_int_t)((loop_now_ms() - api->started_ms) / 1000)));
}

static void reply_home(struct http_exchange *exchange) {
    static const char text[] =
        "ocr-pipeline " ANCALAGON_VERSION " reads transformer nameplates on photos.\n\n"
        "  POST /v1beta/models/ocr-pipeline:generateContent   as Google's Gemini API\n"
        "  POST /api/v41/ocr/poste/ID                         {\"imagens\": [\"BASE64\"]}\n"
        "  POST /api/v41/ocr/poste/ID/texto                   what is written on the pole\n"
        "  POST /api/v41/ocr/lote                             many poles: a job\n"
        "  GET  /openapi.json                                 all of it\n";
    http_reply(exchange, 200, "text/plain; charset=utf-8", NULL, text, sizeof text - 1);
}

static void reply_plain(struct api *api, struct http_exchange *exchange, enum route route,
                        const char *name) {
    switch (route) {
    case ROUTE_HOME: reply_home(exchange); break;
    case ROUTE_HEALTH: reply_health(api, exchange); break;
    case ROUTE_OPENAPI:
        http_reply(exchange, 200, "application/json", NULL, openapi_json, strlen(openapi_json));
        break;
    case ROUTE_MODELS:
    case ROUTE_MODEL: api_models(exchange, route, name); break;
    case ROUTE_FEEDER: feeder_ask(api, exchange, name); break;
    case ROUTE_JOBS:
    case ROUTE_JOB:
    case ROUTE_JOB_CANCEL:
    case ROUTE_JOB_RESUME:
    case ROUTE_JOB_EVENTS:
    case ROUTE_JOB_RESULTS:
    case ROUTE_JOB_CSV:
    case ROUTE_JOB_POLES_CSV: api_jobs_ask(api, exchange, route, name); break;
    case ROUTE_WRONG_METHOD:
        api_fail(exchange, 405, "METHOD_NOT_ALLOWED", "this path takes another method");
        break;
    default:
        api_fail(exchange, 404, "NOT_FOUND", "there is no such path; see GET /openapi.json");
        break;
    }
}

// --- Requests

static unsigned door_status(enum door_verdict verdict, bool gemini) {
    if (verdict == DOOR_BAD_KEY)
        return gemini ? 400 : 401; // Google's own choice
    return verdict == DOOR_NO_KEY ? gemini ? 403 : 401 : 403;
}

static void on_head(struct http_exchange *exchange, void *arg) {
    struct api *api = arg;
    const struct http_head *head = http_exchange_head(exchange);
    char name[ROUTE_NAME_MAX];
    enum route route = route_of(head, name);
    enum door_verdict verdict = door_check(api->door, head);
    if (verdict != DOOR_OPEN && (route != ROUTE_HEALTH || verdict == DOOR_BAD_HOST))
        api_fail(exchange, door_status(verdict, route_is_gemini(head)),
                 verdict == DOOR_NO_KEY || verdict == DOOR_BAD_KEY ? "API_KEY_INVALID"
                                                                   : "PERMISSION_DENIED",
                 door_says(verdict));
    else if (api->ending)
        fail_ending(exchange, route_is_gemini(head));
    else if (route == ROUTE_BATCH)
        batch_create(api, exchange);
    else if (route_takes_photos(route))
        ask_create(api, exchange, route, name);
}

static void on_body(struct http_exchange *exchange, const char *bytes, size_t length, void *arg) {
    struct guest *guest = http_exchange_data(exchange);
    struct err err = {0};
    if (guest && !guest->ops->body(guest, bytes, length, &err))
        guest->ops->refuse(guest, &err);
}

static void on_request(struct http_exchange *exchange, void *arg) {
    struct api *api = arg;
    struct guest *guest = http_exchange_data(exchange);
    char name[ROUTE_NAME_MAX];
    if (guest) {
        guest->ops->complete(guest);
        return;
    }
    enum route route = route_of(http_exchange_head(exchange), name);
    reply_plain(api, exchange, route, name);
}

static void on_gone(struct http_exchange *exchange, const struct err *why, void *arg) {
    struct guest *guest = http_exchange_data(exchange);
    http_exchange_set_data(exchange, NULL); // on_malformed may follow
    if (guest)
        guest->ops->gone(guest);
}

static void on_malformed(struct http_exchange *exchange, unsigned status, const struct err *why,
                         void *arg) {
    api_fail(exchange, status, status == 413 ? "TOO_LARGE" : "INVALID_REQUEST", why->text);
}

static const struct http_handler handler = {
    .on_head = on_head,
    .on_request = on_request,
    .on_gone = on_gone,
    .on_malformed = on_malformed,
    .on_body = on_body,
};

void api_begin(struct ask *ask) {
    struct err err = {0};
    if (ask->gemini ? !api_begin_gemini(ask) : !api_begin_pole(ask))
        return; // answered
    if (!ask_read(ask, &err))
        api_fail_ask(ask, &err);
}

void api_answer(struct ask *ask) {
    ask->api->answered++;
    if (ask->gemini)
        api_answer_gemini(ask);
    else
        api_answer_pole(ask);
    ask_destroy(ask);
}

// --- Life

static bool open_records(struct api *api, struct err *err) {
    if (!config_has_records(api->config))
        return true;
    api->records = records_open(&api->config->records, RECORDS_ASK, err);
    return api->records != NULL;
}

struct api *api_create(struct loop *loop, const struct config *config, struct pipeline *pipeline,
                       bool exposed, struct err *err) {
    struct api *api = mem_alloc(sizeof *api);
    struct http_server_limits limits = http_server_default_limits;
    limits.connections = CONNECTIONS;
    limits.body_bytes = 1 << 20; // of requests without photos
    api->config = config;
    api->loop = loop;
    api->pipeline = pipeline;
    api->started_ms = loop_now_ms();
    api->desk = desk_create(loop, config->workers, config->queue);
    api->server = http_server_create(loop, &limits, &handler, api);
    api->door = door_create(config, exposed, err);
    bool good = api->door && open_records(api, err);
    api->jobs = good ? jobs_create(loop, config, pipeline, api->records, api->desk, err) : NULL;
    if (api->jobs)
        return api;
    api_destroy(api);
    return NULL;
}

void api_destroy(struct api *api) {
    if (!api)
        return;
    http_server_destroy(api->server); // asks are gone
    desk_destroy(api->desk);
    jobs_destroy(api->jobs);
    records_close(api->records);
    door_destroy(api->door);
    mem_free(api);
}

static void on_jobs_idle(void *arg) {
    struct api *api = arg;
    api->on_idle(api->idle_arg);
}

// Photos that are read end before the store's clerk does, to whom they still go.
static void on_readers_idle(void *arg) {
    struct api *api = arg;
    jobs_wind_down(api->jobs, on_jobs_idle, api);
}

void api_wind_down(struct api *api, void (*on_idle)(void *arg), void *arg) {
    api->on_idle = on_idle;
    api->idle_arg = arg;
    api->ending = true;
    http_server_drain(api->server);
    desk_drop_waiting(api->desk);
    jobs_let_go(api->jobs);
    desk_wind_down(api->desk, on_readers_idle, api);
}
