// A preset at run time: carries the scheduler's decisions out on the engine and tells it what
// became of them; keeps the watchdog on an engine that owes answers.
#include "base/log.h"
#include "base/mem.h"
#include "engine.h"
#include "engine/props.h"
#include "learned.h"
#include "planner.h"
#include "server.h"

#include <string.h>

enum {
    LOG_LINES = 2000,
    LOG_BYTES = 512 * 1024,
    WATCH_EVERY_MS = 250,
    LEARN_MS = 200,
};

static void on_watch(void *arg);
static void on_learn(void *arg);

void service_configure(struct service *service, const struct preset *preset) {
    service->preset = preset;
    planner_forget(service->planner);
    lane_set_idle_off(service->lane, preset->idle_off_ms);
    lane_set_limit(service->lane, preset->parallel > 0 ? (unsigned)preset->parallel : 0);
}

struct service *service_create(struct server *server, const struct preset *preset,
                               struct scheduler *group) {
    struct service *service = mem_alloc(sizeof *service);
    service->server = server;
    service->log = log_ring_create(LOG_LINES, LOG_BYTES);
    service->lane = lane_create(group, preset->name, service);
    service->planner = planner_create(service);
    service_configure(service, preset);
    timer_init(&service->watch, server->loop, on_watch, service);
    timer_init(&service->learn, server->loop, on_learn, service);
    TAILQ_INIT(&service->requests);
    TAILQ_INSERT_TAIL(&server->services, service, link);
    return service;
}

void service_destroy(struct service *service) {
    timer_stop(&service->watch);
    timer_stop(&service->learn);
    planner_withdraw(&service->restart);
    planner_destroy(service->planner);
    engine_destroy(service->engine);
    mem_free(service->memory);
    lane_destroy(service->lane);
    log_ring_destroy(service->log);
    TAILQ_REMOVE(&service->server->services, service, link);
    mem_free(service);
}

const char *service_state(const struct service *service) {
    switch (lane_state(service->lane)) {
    case LANE_LOADING: return "loading";
    case LANE_READY: return "ready";
    case LANE_STOPPING: return "stopping";
    default: return lane_error(service->lane)->code != ERR_NONE ? "failed" : "off";
    }
}

struct http_peer *service_peer(struct service *service) {
    return service->engine ? engine_peer(service->engine) : NULL;
}

int service_pid(const struct service *service) {
    return service->engine ? (int)engine_pid(service->engine) : 0;
}

int64_t service_window_tokens(const struct service *service) {
    return service->engine ? engine_props(service->engine)->window_tokens : 0;
}

bool service_sees(const struct service *service) {
    return !service->engine || !engine_props(service->engine)->blind;
}

bool service_is_toolless(const struct service *service) {
    return service->engine && engine_props(service->engine)->toolless;
}

const char *service_auth(struct service *service) {
    return service->engine ? engine_auth(service->engine) : "";
}

// --- The engine's life

static void on_ready(struct engine *engine, unsigned slots, void *arg) {
    struct service *service = arg;
    int64_t now = loop_now_ms(), took = now - lane_state_since_ms(service->lane);
    if (lane_state(service->lane) != LANE_LOADING)
        return; // it is being stopped already
    histogram_add(&service->metrics.load, took);
    service->metrics.loads++;
    service->expected_load_ms = took;
    log_info("engine.ready preset=%s pid=%d ms=%lld slots=%u", service->preset->name,
             service_pid(service), (long long)took, slots);
    watchdog_reset(&service->watchdog, now);
    speculation_begin(service);
    timer_start(&service->watch, WATCH_EVERY_MS);
    timer_start(&service->learn, LEARN_MS);
    scheduler_ready(service->lane, slots, now);
    server_tick(service->server);
}

static void on_end(struct engine *engine, const struct err *why, void *arg) {
    struct service *service = arg;
    struct err text = *why;
    enum lane_state state = lane_state(service->lane);
    timer_stop(&service->watch);
    if (service->learn.armed) // it ended before it was looked at
        on_learn(service);
    timer_stop(&service->learn);
    speculation_end(service);
    memory_watch_ended(service->memory, service->server->memory, &service->decision);
    learned_write(service->server);
    if (state == LANE_READY) {
        scheduler_condemn(service->lane);
        proxy_retry_unseen(service);
        service->metrics.restarts++;
        err_context(&text, "the engine of preset %s ended unexpectedly", service->preset->name);
    } else if (state == LANE_LOADING) {
        service->metrics.load_failures++;
        err_context(&text, "preset %s could not start", service->preset->name);
    }
    if (state != LANE_STOPPING)
        log_warn("engine.end preset=%s why=\"%s\"", service->preset->name, text.text);
    proxy_fail_running(service, &text);
    service->engine = NULL;
    engine_destroy(engine);
    int64_t now = loop_now_ms();
    service->server->engine_ended_ms = now;
    if (state == LANE_READY)
        scheduler_died(service->lane, &text, now);
    else if (state == LANE_LOADING)
        scheduler_failed(service->lane, &text, now);
    else
        scheduler_stopped(service->lane, now);
    server_tick(service->server);
}

static void on_line(const char *line, void *arg) {
    struct service *service = arg;
    log_ring_add(service->log, line);
    memory_watch_line(service->memory, line);
    // llama-server reports each batch of a prompt: the only sign of life of a long prefill.
    if (strstr(line, "prompt processing"))
        service_progress(service);
}

static void on_learn(void *arg) {
    struct service *service = arg;
    char text[160];
    if (memory_watch_loaded(service->memory, service->server->memory, service->preset,
                            &service->decision, text, sizeof text))
        log_warn("plan.differs preset=%s why=\"%s\"", service->preset->name, text);
    learned_write(service->server);
    server_changed(service->server);
}

static void on_probe(struct engine *engine, bool moved, void *arg) {
    struct service *service = arg;
    if (moved)
        service_progress(service);
    else
        watchdog_probe_answered(&service->watchdog);
}

static const struct engine_ops engine_ops = {on_ready, on_end, on_line, on_probe};

static void log_plan(const struct service *service) {
    const struct plan *plan = &service->decision.plan;
    double mib = 1024.0 * 1024.0;
    if (service->decision.planned)
        log_info("plan preset=%s ctx=%u device_mib=%.0f host_mib=%.0f", service->preset->name,
                 plan->ctx_total, plan->devices ? (double)plan_total(&plan->device[0]) / mib : 0.0,
                 (double)plan_total(&plan->host) / mib);
}

void service_start(struct service *service) {
    service->run = ++service->server->runs;
    planner_start(service->planner);
}

void service_begin(struct service *service, const struct decision *decision,
                   const struct err *why) {
    struct server *server = service->server;
    struct err err = why ? *why : (struct err){0};
    if (!why) {
        service->decision = *decision;
        if (!service->memory)
            service->memory = mem_alloc(sizeof *service->memory);
        memory_watch_begin(service->memory, server->memory, service->preset, &service->decision);
        log_plan(service);
        service->engine = engine_start(server->launch, service->preset, &service->decision,
                                       server->config->stop_grace_ms, &engine_ops, service, &err);
    }
    service->learned_chat = (struct chat_learned){0};
    if (service->engine) {
        log_info("engine.start preset=%s pid=%d", service->preset->name, service_pid(service));
        server_changed(server);
        return;
    }
    service->metrics.load_failures++;
    err_context(&err, "preset %s could not start", service->preset->name);
    log_warn("engine.start preset=%s why=\"%s\"", service->preset->name, err.text);
    scheduler_failed(service->lane, &err, loop_now_ms());
    server_tick(server);
}

// What runs goes on when its new settings would not.
static void on_restart_decided(void *arg, const struct err *why) {
    struct service *service = arg;
    if (!why)
        scheduler_restart(service->lane, loop_now_ms());
    server_tick(service->server);
}

void service_restart(struct service *service) {
    planner_withdraw(&service->restart);
    if (lane_state(service->lane) == LANE_READY)
        planner_check(service->planner, &service->restart, on_restart_decided, service);
    else
        scheduler_restart(service->lane, loop_now_ms());
}

void service_stop(struct service *service) {
    log_info("engine.stop preset=%s pid=%d", service->preset->name, service_pid(service));
    timer_stop(&service->watch);
    if (planner_cancel(service->planner))
        scheduler_stopped(service->lane, loop_now_ms());
    else
        engine_stop(service->engine);
}

void service_kill(struct service *service, const struct err *why) {
    if (!service->engine)
        return;
    struct err text = *why;
    err_context(&text, "the engine of preset %s was ended", service->preset->name);
    scheduler_condemn(service->lane); // whom we tell may ask again at once
    proxy_fail_running(service, &text);
    engine_kill(service->engine, why);
}

// --- The watchdog

void service_progress(struct service *service) {
    watchdog_progress(&service->watchdog, loop_now_ms());
}

static bool in_prefill(const struct service *service) {
    struct request *request = NULL;
    while ((request = request_after(service, request))) {
        const struct ticket *ticket = request_ticket(request);
        if (ticket->admitted && !ticket->answering)
            return true;
    }
    return false;
}

static void on_watch(void *arg) {
    struct service *service = arg;
    int64_t now = loop_now_ms();
    timer_start(&service->watch, WATCH_EVERY_MS);
    speculation_tick(service);
    if (!proxy_waits_for_engine(service)) {
        watchdog_reset(&service->watchdog, now); // it owes nothing: silence is fine
        return;
    }
    if (now - service->watchdog.last_ms < WATCH_EVERY_MS)
        return; // tokens come: not worth a look at /proc
    struct watchdog_view view = {
        .now_ms = now,
        .floor_ms = service->server->config->stall_timeout_ms,
        .cpu_ms = engine_cpu_ms(service->engine),
        .prefill = in_prefill(service),
    };
    struct err why;
    switch (watchdog_check(&service->watchdog, &view)) {
    case WATCHDOG_FINE: return;
    case WATCHDOG_PROBE:
        watchdog_probe_sent(&service->watchdog, now);
        engine_probe(service->engine);
        return;
    case WATCHDOG_FROZEN:
        err_set(&why, ERR_TIMEOUT, "it stopped answering and uses no CPU (frozen)");
        break;
    case WATCHDOG_HUNG:
        err_set(&why, ERR_TIMEOUT, "no token and no prompt progress for %lld s",
                (long long)(now - service->watchdog.last_ms) / 1000);
        break;
    }
    service->metrics.stalls++;
    service_kill(service, &why);
}
