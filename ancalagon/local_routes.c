#include "local_routes.h"

#include "base/mem.h"
#include "format/json.h"

#include <stdio.h>
#include <string.h>

enum { MAX_PAGE = 4 << 20 };

// One shape that both the OpenAI and the Anthropic SDK read: a list with `data`, items with `id`.
static void write_model(struct buf *out, const struct service *service) {
    const struct preset *preset = service->preset;
    const char *title = preset->description[0] ? preset->description : preset->name;
    buf_adds(out, "{\"id\":");
    json_write_string(out, preset->name, strlen(preset->name));
    buf_adds(out, ",\"object\":\"model\",\"type\":\"model\",\"created\":0,"
                  "\"created_at\":\"1970-01-01T00:00:00Z\",\"owned_by\":\"ancalagon\","
                  "\"display_name\":");
    json_write_string(out, title, strlen(title));
    buf_printf(out, ",\"status\":\"%s\",\"context_window\":%lld,\"aliases\":[",
               service_state(service), (long long)preset->ctx_tokens);
    for (char **alias = preset->aliases; *alias; alias++) {
        buf_adds(out, alias == preset->aliases ? "" : ",");
        json_write_string(out, *alias, strlen(*alias));
    }
    buf_adds(out, "]}");
}

static void write_models(struct server *server, struct buf *out) {
    const struct service *service, *first = NULL, *last = NULL;
    buf_adds(out, "{\"object\":\"list\",\"data\":[");
    TAILQ_FOREACH (service, &server->services, link) {
        if (service->leaving)
            continue;
        buf_adds(out, first ? "," : "");
        write_model(out, service);
        first = first ? first : service;
        last = service;
    }
    buf_adds(out, "],\"has_more\":false,\"first_id\":");
    if (!first) {
        buf_adds(out, "null,\"last_id\":null}");
        return;
    }
    json_write_string(out, first->preset->name, strlen(first->preset->name));
    buf_adds(out, ",\"last_id\":");
    json_write_string(out, last->preset->name, strlen(last->preset->name));
    buf_adds(out, "}");
}

// /v1/models or /v1/models/NAME; false when there is no such preset.
static bool models_page(struct server *server, const struct http_head *head, struct buf *out) {
    struct span path = http_head_path(head);
    if (path.length <= 11) {
        write_models(server, out);
        return true;
    }
    char name[4 * PRESET_NAME_MAX];
    struct span part = {path.data + 11, path.length - 11};
    struct service *service =
        http_path_decode(part, name, sizeof name) ? server_find(server, name) : NULL;
    if (service)
        write_model(out, service);
    else
        protocol_error_body(out, route_protocol(head), 404, "there is no such preset",
                            "model_not_found");
    return service != NULL;
}

void local_metrics(struct server *server, struct buf *out) {
    size_t count = 0, i = 0;
    struct service *service;
    TAILQ_FOREACH (service, &server->services, link)
        count++;
    const struct metrics **metrics = mem_alloc(count * sizeof *metrics);
    struct metrics_now *now = mem_alloc(count * sizeof *now);
    TAILQ_FOREACH (service, &server->services, link) {
        metrics[i] = &service->metrics;
        now[i++] = (struct metrics_now){service->preset->name, service_state(service),
                                        lane_waiting(service->lane), lane_running(service->lane)};
    }
    metrics_write(out, metrics, now, count);
    mem_free(metrics);
    mem_free(now);
    buf_printf(out,
               "# HELP ancalagon_connections Open client connections\n"
               "# TYPE ancalagon_connections gauge\nancalagon_connections %u\n"
               "# HELP ancalagon_uptime_seconds Since the server started\n"
               "# TYPE ancalagon_uptime_seconds gauge\nancalagon_uptime_seconds %lld\n",
               http_server_connections(server->front),
               (long long)(loop_now_ms() - server->started_ms) / 1000);
}

static void home_page(struct server *server, struct buf *out) {
    buf_printf(out,
               "Ancalagon %s serves one local model at a time on %s.\n\n"
               "  OpenAI API     http://%s/v1\n  Anthropic API  http://%s\n"
               "  Metrics        http://%s/metrics\n\nPresets:\n",
               ANCALAGON_VERSION, server->listen, server->listen, server->listen, server->listen);
    const struct service *service;
    TAILQ_FOREACH (service, &server->services, link)
        buf_printf(out, "  %-20s %s\n", service->preset->name, service_state(service));
}

void local_route_reply(struct server *server, struct http_exchange *exchange,
                       const struct route *route) {
    struct buf page;
    unsigned status = 200;
    const char *type = "application/json";
    buf_init(&page, MAX_PAGE);
    if (route->kind == ROUTE_MODELS) {
        status = models_page(server, http_exchange_head(exchange), &page) ? 200 : 404;
    } else if (route->kind == ROUTE_HEALTH) {
        buf_adds(&page, "{\"status\":\"ok\"}");
    } else if (route->kind == ROUTE_METRICS) {
        type = "text/plain; version=0.0.4";
        local_metrics(server, &page);
    } else {
        type = "text/plain; charset=utf-8";
        home_page(server, &page);
    }
    struct span origin = http_head_value(http_exchange_head(exchange), "origin");
    char cors[512] = "";
    if (origin.length && origin.length < 300 && guard_origin_allowed(server->guard, origin))
        snprintf(cors, sizeof cors, "Access-Control-Allow-Origin: %.*s\r\nVary: Origin\r\n",
                 (int)origin.length, origin.data);
    http_reply(exchange, status, type, cors, buf_bytes(&page), page.length);
    buf_fini(&page);
}
