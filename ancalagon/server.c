#define _GNU_SOURCE
#include "server.h"

#include "base/log.h"
#include "base/mem.h"
#include "engine.h"
#include "learned.h"
#include "memory_store.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

// --- Finding

struct service *server_find(struct server *server, const char *name) {
    const struct preset *preset = config_find(server->config, name);
    struct service *service;
    if (preset)
        TAILQ_FOREACH (service, &server->services, link)
            if (service->preset == preset)
                return service;
    return NULL;
}

struct service *server_default(struct server *server) {
    const struct preset *preset = config_default(server->config);
    struct service *service = preset ? server_find(server, preset->name) : NULL;
    if (!service)
        return NULL;
    struct lane *current = scheduler_current(lane_scheduler(service->lane));
    if (!current || lane_state(current) == LANE_STOPPING)
        return service;
    return lane_owner(current);
}

// --- Effects of the scheduler

static void on_start(struct lane *lane, void *arg) { service_start(lane_owner(lane)); }
static void on_stop(struct lane *lane, void *arg) { service_stop(lane_owner(lane)); }
static void on_changed(void *arg) { server_changed(arg); }

static void on_cut(struct lane *lane, void *arg) {
    struct err why;
    err_set(&why, ERR_BUSY, "preset %s has to make room and drain-timeout has passed",
            lane_name(lane));
    proxy_fail_running(lane_owner(lane), &why);
}

static const struct scheduler_effects effects = {
    .start = on_start,
    .stop = on_stop,
    .admit = proxy_admit,
    .refuse = proxy_refuse,
    .cut = on_cut,
    .changed = on_changed,
};

static struct scheduler_rules rules_of(const struct config *config) {
    struct scheduler_rules rules = scheduler_default_rules;
    rules.max_hold_ms = config->max_hold_ms;
    rules.drain_ms = config->drain_timeout_ms;
    rules.max_queue = config->max_queue;
    return rules;
}

static struct scheduler *find_group(struct server *server, const char *name) {
    for (size_t i = 0; i < server->group_count; i++)
        if (strcmp(scheduler_group(server->groups[i]), name) == 0)
            return server->groups[i];
    struct scheduler_rules rules = rules_of(server->config);
    server->groups = mem_resize(server->groups, (server->group_count + 1) * sizeof *server->groups);
    return server->groups[server->group_count++] = scheduler_create(name, &rules, &effects, server);
}

// --- Time and news

// Services that left the config go once their engine is off.
static void sweep(struct server *server) {
    struct service *service, *next;
    bool kept = false;
    for (service = TAILQ_FIRST(&server->services); service; service = next) {
        next = TAILQ_NEXT(service, link);
        if (!service->leaving)
            continue;
        if (service->moves_to && lane_state(service->lane) == LANE_OFF) {
            struct scheduler *group = service->moves_to;
            service->moves_to = NULL;
            scheduler_release(group, loop_now_ms());
            server_tick(server);
        }
        if (lane_state(service->lane) == LANE_OFF && !lane_running(service->lane) &&
            TAILQ_EMPTY(&service->requests) && !service->watched)
            service_destroy(service);
        else
            kept = true;
    }
    for (size_t i = 0; !kept && i < server->retired_count; i++)
        config_destroy(server->retired[i]);
    if (!kept)
        server->retired_count = 0;
}

static void finish_stop(struct server *server) {
    struct service *service;
    TAILQ_FOREACH (service, &server->services, link)
        if (service->engine)
            return;
    loop_stop(server->loop);
}

static void run_announce(void *arg) {
    struct server *server = arg;
    admin_announce(server);
    sweep(server);
    if (server->stopping)
        finish_stop(server);
}

void server_changed(struct server *server) {
    loop_defer(server->loop, &server->announce, run_announce, server);
}

void server_tick(struct server *server) {
    int64_t now = loop_now_ms(), due = -1;
    for (size_t i = 0; i < server->group_count; i++) {
        int64_t when = scheduler_tick(server->groups[i], now);
        if (when >= 0 && (due < 0 || when < due))
            due = when;
    }
    if (due >= 0)
        timer_start(&server->group_timer, due > now ? due - now : 1);
    else
        timer_stop(&server->group_timer);
}

static void on_group_timer(void *arg) { server_tick(arg); }

// --- Config

static bool same_group(const struct service *service, const struct preset *preset) {
    return strcmp(scheduler_group(lane_scheduler(service->lane)), preset->group) == 0;
}

static struct service *find_by_name(struct server *server, const char *name) {
    struct service *service;
    TAILQ_FOREACH (service, &server->services, link)
        if (!service->leaving && strcmp(lane_name(service->lane), name) == 0)
            return service;
    return NULL;
}

static const struct preset *preset_named(const struct config *config, const char *name) {
    for (size_t i = 0; i < config->presets_count; i++)
        if (strcmp(config->presets[i].name, name) == 0)
            return &config->presets[i];
    return NULL;
}

// What the engines cannot do is told now, not at the first request; it also makes them known, so
// that no start has to ask.
static void warn_about_engines(struct config *config) {
    size_t before = config->problems_count;
    config_check_engines(config);
    for (size_t i = before; i < config->problems_count; i++)
        log_warn("config.engine line=%u why=\"%s\"", config->problems[i].line,
                 config->problems[i].text);
}

// Brings the services in line with server->config. An engine goes on unless its own command line
// would differ now.
static void apply_presets(struct server *server) {
    struct service *service, *next;
    int64_t now = loop_now_ms();
    for (service = TAILQ_FIRST(&server->services); service; service = next) {
        next = TAILQ_NEXT(service, link);
        const struct preset *preset = preset_named(server->config, lane_name(service->lane));
        if (service->leaving)
            continue;
        if (!preset || !same_group(service, preset)) {
            service->leaving = true;
            if (preset && lane_state(service->lane) != LANE_OFF) {
                service->moves_to = find_group(server, preset->group);
                scheduler_hold(service->moves_to);
            }
            scheduler_retire(service->lane, now);
            continue;
        }
        bool same = preset_same_engine(service->preset, preset);
        service_configure(service, preset);
        if (!same)
            service_restart(service);
    }
    for (size_t i = 0; i < server->config->presets_count; i++) {
        const struct preset *preset = &server->config->presets[i];
        if (!find_by_name(server, preset->name))
            service_create(server, preset, find_group(server, preset->group));
    }
}

void server_waits_for_restart(const struct server *server, char *out, size_t size) {
    const struct config *config = server->config;
    bool moved =
        !server->listen_given && (strcmp(config->listen_host, server->fixed.listen_host) != 0 ||
                                  config->listen_port != server->fixed.listen_port);
    const struct {
        const char *key;
        bool differs;
    } keys[] = {{"listen", moved},
                {"max-connections", config->max_connections != server->fixed.max_connections},
                {"max-held", config->max_held_bytes != server->fixed.max_held_bytes}};
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < sizeof keys / sizeof *keys && used < size; i++)
        if (keys[i].differs)
            used +=
                (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", keys[i].key);
}

bool server_reload(struct server *server, struct err *err) {
    if (server->stopping)
        return err_set(err, ERR_BUSY, "the server is shutting down");
    struct config *config = config_load(server->config_path, err);
    if (!config)
        return false;
    struct guard *guard = guard_create(config, guard_wants_key(server->guard), err);
    if (!guard) {
        config_destroy(config);
        return false;
    }
    guard_destroy(server->guard);
    server->guard = guard;
    server->retired =
        mem_resize(server->retired, (server->retired_count + 1) * sizeof *server->retired);
    server->retired[server->retired_count++] = server->config;
    server->config = config;
    warn_about_engines(config);
    struct scheduler_rules rules = rules_of(config);
    for (size_t i = 0; i < server->group_count; i++)
        scheduler_set_rules(server->groups[i], &rules);
    http_server_set_body_limit(server->front, config->max_body_bytes);
    apply_presets(server);
    log_info("server.reload presets=%zu", config->presets_count);
    char waits[64];
    server_waits_for_restart(server, waits, sizeof waits);
    if (waits[0])
        log_warn("server.reload needs_restart=\"%s\"", waits);
    server_changed(server);
    server_tick(server);
    return true;
}

// --- Life

struct server *server_create(struct loop *loop, struct config *config, const char *runtime_dir,
                             bool of_this_run, bool exposed, struct err *err) {
    struct server *server = mem_alloc(sizeof *server);
    server->loop = loop;
    server->config = config;
    server->config_path = mem_strdup(config->path);
    server->fixed.listen_host = mem_strdup(config->listen_host);
    server->fixed.listen_port = config->listen_port;
    server->fixed.max_connections = config->max_connections;
    server->fixed.max_held_bytes = config->max_held_bytes;
    server->runtime_dir = mem_strdup(runtime_dir);
    server->started_ms = loop_now_ms();
    TAILQ_INIT(&server->services);
    TAILQ_INIT(&server->waiters);
    timer_init(&server->group_timer, loop, on_group_timer, server);
    struct http_server_limits limits = http_server_default_limits;
    limits.body_bytes = config->max_body_bytes;
    limits.held_bytes = config->max_held_bytes;
    limits.connections = config->max_connections;
    server->front = http_server_create(loop, &limits, &proxy_handler, server);
    limits = http_server_default_limits;
    limits.body_bytes = 64 * 1024;
    server->control = http_server_create(loop, &limits, &admin_handler, server);
    server->guard = guard_create(config, exposed, err);
    server->memory = memory_store_open();
    server->launch =
        server->guard ? launch_context_create(loop, runtime_dir, of_this_run, err) : NULL;
    if (!server->launch) {
        server_destroy(server);
        return NULL;
    }
    warn_about_engines(server->config);
    apply_presets(server);
    learned_load(server);
    return server;
}

void server_stop(struct server *server) {
    struct err why;
    struct service *service;
    err_set(&why, ERR_BUSY, "the server is shutting down");
    if (server->stopping) { // asked twice: no more patience
        TAILQ_FOREACH (service, &server->services, link)
            service_kill(service, &why);
        return;
    }
    log_info("server.stop");
    server->stopping = true;
    http_server_wind_down(server->front);
    http_server_wind_down(server->control);
    TAILQ_FOREACH (service, &server->services, link)
        proxy_cancel_all(service, &why);
    for (size_t i = 0; i < server->group_count; i++)
        scheduler_close(server->groups[i], loop_now_ms());
    server_changed(server);
}

void server_destroy(struct server *server) {
    if (!server)
        return;
    if (server->launch)
        learned_save(server);
    admin_detach_all(server);
    http_server_destroy(server->front);
    http_server_destroy(server->control);
    struct service *service;
    while ((service = TAILQ_FIRST(&server->services)))
        service_destroy(service);
    for (size_t i = 0; i < server->group_count; i++)
        scheduler_destroy(server->groups[i]);
    launch_context_destroy(server->launch);
    guard_destroy(server->guard);
    memory_store_close(server->memory);
    timer_stop(&server->group_timer);
    loop_undefer(server->loop, &server->announce);
    for (size_t i = 0; i < server->retired_count; i++)
        config_destroy(server->retired[i]);
    config_destroy(server->config);
    mem_free(server->retired);
    mem_free(server->groups);
    mem_free(server->config_path);
    mem_free(server->fixed.listen_host);
    mem_free(server->runtime_dir);
    mem_free(server);
}
