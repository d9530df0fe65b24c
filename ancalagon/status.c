#include "status.h"

#include "format/json.h"

#include <unistd.h>

// The group that the one-line answers speak of: the default preset's.
static struct scheduler *main_group(struct server *server) {
    const struct preset *preset = config_default(server->config);
    struct service *service = preset ? server_find(server, preset->name) : NULL;
    return service ? lane_scheduler(service->lane) : NULL;
}

static json_t *aliases_json(const struct preset *preset) {
    json_t *aliases = json_array();
    for (char **alias = preset->aliases; *alias; alias++)
        json_array_append_new(aliases, json_text(*alias));
    return aliases;
}

static json_t *text_or_null(const char *text) {
    return text && *text ? json_text(text) : json_null();
}

static json_t *pid_or_null(int pid) { return pid ? json_integer(pid) : json_null(); }

static json_t *error_of(const struct service *service) {
    const struct err *err = lane_error(service->lane);
    return err->code == ERR_NONE ? json_null() : json_text(err->text);
}

// How the last run with this plan turned out; null until it was measured.
static json_t *memory_json(const struct service *service) {
    if (!service->memory || !service->memory->known)
        return json_null();
    const struct memory_seen *seen = &service->memory->seen;
    return json_build("{s:s, s:f, s:f, s:f, s:b}", "worst", seen->worst, "predicted_mib",
                      seen->predicted, "measured_mib", seen->measured, "difference_percent",
                      memory_seen_difference(seen) * 100, "differs", memory_seen_differs(seen));
}

// What the loaded engine was planned to hold: {"CUDA0": MiB}.
static json_t *holds_json(const struct service *service) {
    const struct decision *decision = &service->decision;
    json_t *holds = json_object();
    for (size_t i = 0; service->engine && decision->planned && i < decision->plan.devices; i++)
        json_set(holds, decision->machine.device[i].name,
                 json_real((double)plan_total(&decision->plan.device[i]) / 1048576));
    return holds;
}

static json_t *preset_json(struct service *service) {
    int64_t breaker = lane_breaker_ms(service->lane, loop_now_ms());
    const struct preset *preset = service->preset;
    return json_build(
        "{s:s, s:o, s:s, s:s, s:s, s:o, s:I, s:I, s:s, s:I, s:I, s:b, s:I, s:o, s:o, s:o, s:o}",
        "name", lane_name(service->lane), "aliases", aliases_json(preset), "description",
        preset->description, "group", scheduler_group(lane_scheduler(service->lane)), "state",
        service_state(service), "engine_pid", pid_or_null(service_pid(service)), "queued",
        (json_int_t)lane_waiting(service->lane), "inflight",
        (json_int_t)lane_running(service->lane), "model", preset->model, "restarts",
        (json_int_t)service->metrics.restarts, "requests", (json_int_t)service->metrics.requests,
        "breaker", breaker > 0, "breaker_ms", (json_int_t)breaker, "error", error_of(service),
        "memory", memory_json(service), "holds", holds_json(service), "draft",
        speculation_json(service));
}

json_t *status_presets(struct server *server) {
    json_t *presets = json_array();
    struct service *service;
    TAILQ_FOREACH (service, &server->services, link) {
        if (!service->leaving)
            json_array_append_new(presets, preset_json(service));
    }
    return presets;
}

// When a waiting request may start: the loading still to come, then those before it. A guess from
// averages; null while there is nothing to go by.
static json_t *eta_json(struct service *service, unsigned position, int64_t now) {
    int64_t eta = 0;
    enum lane_state state = lane_state(service->lane);
    if (state != LANE_READY) {
        if (!service->expected_load_ms)
            return json_null();
        int64_t spent = state == LANE_LOADING ? now - lane_state_since_ms(service->lane) : 0;
        eta = service->expected_load_ms > spent ? service->expected_load_ms - spent : 0;
    }
    if (position > 1 && !service->average_ms)
        return json_null();
    return json_integer(eta + (int64_t)(position - 1) * service->average_ms);
}

static json_t *queue_json(struct server *server) {
    json_t *queue = json_array();
    int64_t now = loop_now_ms();
    struct service *service;
    TAILQ_FOREACH (service, &server->services, link) {
        unsigned position = 0;
        struct request *request = NULL;
        while ((request = request_after(service, request))) {
            const struct ticket *ticket = request_ticket(request);
            if (ticket->admitted || !ticket->lane)
                continue;
            position++;
            json_array_append_new(
                queue,
                json_build("{s:I, s:s, s:s, s:I, s:I, s:o}", "id", (json_int_t)request_id(request),
                           "preset", lane_name(service->lane), "client", request_client(request),
                           "waited_ms", (json_int_t)(now - ticket->since_ms), "position",
                           (json_int_t)position, "eta_ms", eta_json(service, position, now)));
        }
    }
    return queue;
}

static json_t *progress_json(const struct service *service) {
    if (!service || lane_state(service->lane) != LANE_LOADING)
        return json_null();
    return json_build(
        "{s:I, s:o}", "elapsed_ms",
        (json_int_t)(loop_now_ms() - lane_state_since_ms(service->lane)), "expected_ms",
        service->expected_load_ms ? json_integer(service->expected_load_ms) : json_null());
}

// With nothing loaded, a preset that failed is worth naming: the one that failed last.
static const struct service *failed_service(struct server *server) {
    const struct service *service, *last = NULL;
    TAILQ_FOREACH (service, &server->services, link) {
        if (lane_error(service->lane)->code != ERR_NONE &&
            (!last || lane_state_since_ms(service->lane) > lane_state_since_ms(last->lane)))
            last = service;
    }
    return last;
}

json_t *status_json(struct server *server) {
    struct scheduler *group = main_group(server);
    struct lane *lane = group ? scheduler_current(group) : NULL;
    struct service *current = lane ? lane_owner(lane) : NULL;
    const struct service *failed = current ? NULL : failed_service(server);
    unsigned waiting = 0, running = 0;
    struct service *service;
    TAILQ_FOREACH (service, &server->services, link) {
        waiting += lane_waiting(service->lane);
        running += lane_running(service->lane);
    }
    const char *state = current ? service_state(current) : failed ? "failed" : "off";
    return json_build(
        "{s:o, s:s, s:o, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:i, s:o, s:o, s:o, s:o}", "preset",
        text_or_null(lane ? lane_name(lane) : NULL), "state", state, "engine_pid",
        pid_or_null(current ? service_pid(current) : 0), "queued", (json_int_t)waiting, "requests",
        (json_int_t)server->requests, "inflight", (json_int_t)running, "uptime_s",
        (json_int_t)((loop_now_ms() - server->started_ms) / 1000), "listen", server->listen,
        "version", ANCALAGON_VERSION, "config", server->config_path, "pid", (int)getpid(), "error",
        current  ? error_of(current)
        : failed ? error_of(failed)
                 : json_null(),
        "progress", progress_json(current), "presets", status_presets(server), "queue",
        queue_json(server));
}
