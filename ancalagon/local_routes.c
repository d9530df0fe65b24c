#include "local_routes.h"

#include "base/mem.h"
#include "format/json.h"
#include "preset_plan.h"

#include <stdio.h>
#include <string.h>

enum { MAX_PAGE = 4 << 20, ANTHROPIC_LIMIT = 20, ANTHROPIC_MAX_LIMIT = 1000 };

static const char *title_of(const struct preset *preset) {
    return preset->description[0] ? preset->description : preset->name;
}

// Tokens that one conversation can hold: of a loaded engine what it told, else a slot's share of
// the preset's context. 0: decided when it is loaded.
static int64_t window_of(const struct service *service) {
    struct plan_settings settings;
    const char *draft, *mmproj;
    int64_t tokens = service_window_tokens(service);
    if (tokens > 0)
        return tokens;
    tokens = service->preset->ctx_tokens;
    bool shared = !preset_plan_settings(service->preset, &settings, &draft, &mmproj, NULL) ||
                  settings.unified || settings.parallel < 2;
    return shared ? tokens : tokens / settings.parallel;
}

// OpenAI's shape, with members that Anthropic's clients read, too, where they do not say who they
// are.
static void write_model(struct server *server, struct buf *out, const struct service *service) {
    const struct preset *preset = service->preset;
    const char *title = title_of(preset);
    buf_adds(out, "{\"id\":");
    json_write_string(out, preset->name, strlen(preset->name));
    buf_adds(out, ",\"object\":\"model\",\"type\":\"model\",\"created\":0,"
                  "\"created_at\":\"1970-01-01T00:00:00Z\",\"owned_by\":\"ancalagon\","
                  "\"display_name\":");
    json_write_string(out, title, strlen(title));
    buf_printf(out, ",\"status\":\"%s\",\"context_window\":%lld,%s\"default\":%s,\"aliases\":[",
               service_state(service), (long long)window_of(service),
               service_is_toolless(service) ? "\"tools\":false," : "",
               service == server_default(server) ? "true" : "false");
    for (char **alias = preset->aliases; *alias; alias++) {
        buf_adds(out, alias == preset->aliases ? "" : ",");
        json_write_string(out, *alias, strlen(*alias));
    }
    buf_adds(out, "]}");
}

static void write_id(struct buf *out, const char *member, const struct service *service) {
    buf_printf(out, ",\"%s\":", member);
    if (service)
        json_write_string(out, service->preset->name, strlen(service->preset->name));
    else
        buf_adds(out, "null");
}

static void write_models(struct server *server, struct buf *out) {
    const struct service *service, *first = NULL, *last = NULL;
    buf_adds(out, "{\"object\":\"list\",\"data\":[");
    TAILQ_FOREACH (service, &server->services, link) {
        if (service->leaving)
            continue;
        buf_adds(out, first ? "," : "");
        write_model(server, out, service);
        first = first ? first : service;
        last = service;
    }
    buf_adds(out, "],\"has_more\":false");
    write_id(out, "first_id", first);
    write_id(out, "last_id", last);
    buf_adds(out, "}");
}

// Anthropic's shape, https://docs.claude.com/en/api/models-list. Its dates may be the epoch.
static void write_anthropic_model(struct buf *out, const struct service *service) {
    const char *title = title_of(service->preset);
    buf_adds(out, "{\"type\":\"model\",\"id\":");
    json_write_string(out, service->preset->name, strlen(service->preset->name));
    buf_adds(out, ",\"display_name\":");
    json_write_string(out, title, strlen(title));
    buf_adds(out, ",\"created_at\":\"1970-01-01T00:00:00Z\"}");
}

// ?limit=N and ?after_id=NAME page through it.
static void write_anthropic_models(struct server *server, const struct http_head *head,
                                   struct buf *out) {
    const struct service *service, *first = NULL, *last = NULL;
    char after[4 * PRESET_NAME_MAX], text[24];
    int64_t limit = ANTHROPIC_LIMIT, written = 0;
    if (http_head_query(head, "limit", text, sizeof text))
        str_to_int(text, 1, ANTHROPIC_MAX_LIMIT, &limit);
    bool skips = http_head_query(head, "after_id", after, sizeof after) && after[0], more = false;
    buf_adds(out, "{\"data\":[");
    TAILQ_FOREACH (service, &server->services, link) {
        if (service->leaving)
            continue;
        more = !skips && written == limit;
        if (more)
            break;
        if (!skips) {
            buf_adds(out, written++ ? "," : "");
            write_anthropic_model(out, service);
            first = first ? first : service;
            last = service;
        }
        skips = skips && strcmp(after, service->preset->name) != 0;
    }
    buf_printf(out, "],\"has_more\":%s", more ? "true" : "false");
    write_id(out, "first_id", first);
    write_id(out, "last_id", last);
    buf_adds(out, "}");
}

// /v1/models or /v1/models/NAME; false when there is no such preset.
static bool models_page(struct server *server, const struct http_head *head, struct buf *out) {
    struct span path = http_head_path(head);
    bool anthropic = route_protocol(head) == PROTOCOL_ANTHROPIC;
    if (path.length <= 11) {
        if (anthropic)
            write_anthropic_models(server, head, out);
        else
            write_models(server, out);
        return true;
    }
    char name[4 * PRESET_NAME_MAX];
    struct span part = {path.data + 11, path.length - 11};
    struct service *service =
        http_path_decode(part, name, sizeof name) ? server_find(server, name) : NULL;
    if (service && anthropic)
        write_anthropic_model(out, service);
    else if (service)
        write_model(server, out, service);
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
