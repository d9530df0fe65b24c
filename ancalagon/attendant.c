#include "attendant.h"

#include "base/mem.h"
#include "format/json.h"
#include "planner.h"
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { LOOK_MS = 20, TELL_MS = 250, MAX_LINE = 16 * 1024, LAST_CALL_MS = 1000 };

struct attendant {
    struct server *server;
    struct service *service;
    struct event *input;
    struct timer silence, look, last_call;
    struct intent intent;
    int64_t beat_ms, since_ms, told_ms;
    uint64_t loads, failures; // of the service when it was asked for
    bool demanded, settled, failed;
};

static void tell(json_t *json) {
    struct buf line;
    buf_init(&line, MAX_LINE);
    json_write(&line, json);
    buf_adds(&line, "\n");
    ssize_t ignored = write(STDOUT_FILENO, buf_bytes(&line), line.length);
    (void)ignored; // who does not read will be missed by its beats
    buf_fini(&line);
    json_decref(json);
}

// --- The other side's life

static void on_last_call(void *arg) {
    struct attendant *attendant = arg;
    server_stop(attendant->server); // the second time: at once
}

static void leave(struct attendant *attendant) {
    timer_stop(&attendant->silence);
    timer_stop(&attendant->look);
    event_del(attendant->input);
    if (!attendant->server->stopping)
        server_stop(attendant->server);
    timer_start(&attendant->last_call, LAST_CALL_MS);
}

static void on_silence(void *arg) { leave(arg); }

static void on_input(evutil_socket_t fd, short what, void *arg) {
    struct attendant *attendant = arg;
    char dropped[256];
    ssize_t n = read(fd, dropped, sizeof dropped);
    if (n > 0 && attendant->beat_ms > 0)
        timer_start(&attendant->silence, attendant->beat_ms);
    else if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        leave(attendant);
}

// --- The model

static void fail(struct attendant *attendant, const char *text) {
    attendant->settled = attendant->failed = true;
    tell(json_build("{s:s, s:s}", "state", "failed", "error", text));
    leave(attendant);
}

static void tell_ready(struct attendant *attendant) {
    const struct service *service = attendant->service;
    const struct decision *decision = &service->decision;
    int64_t ctx = decision->planned ? decision->plan.ctx_slot : service->preset->ctx_tokens;
    attendant->settled = true;
    tell(json_build("{s:s, s:s, s:s, s:I, s:b, s:o, s:I, s:I}", "state", "ready", "preset",
                    service->preset->name, "model", service->preset->model, "ctx", (json_int_t)ctx,
                    "tools", !service_is_toolless(service), "draft", speculation_json(service),
                    "ms", (json_int_t)(loop_now_ms() - attendant->since_ms), "engine_pid",
                    (json_int_t)service_pid(attendant->service)));
}

static void tell_loading(struct attendant *attendant) {
    const struct lane *lane = attendant->service->lane;
    int64_t now = loop_now_ms(), expected = attendant->service->expected_load_ms;
    if (now - attendant->told_ms < TELL_MS)
        return;
    attendant->told_ms = now;
    if (lane_state(lane) == LANE_LOADING)
        tell(json_build("{s:s, s:I, s:o}", "state", "loading", "elapsed_ms",
                        (json_int_t)(now - lane_state_since_ms(lane)), "expected_ms",
                        expected ? json_integer(expected) : json_null()));
    else
        tell(json_build("{s:s}", "state", "planning"));
}

static void on_look(void *arg) {
    struct attendant *attendant = arg;
    const struct service *service = attendant->service;
    if (attendant->settled || attendant->server->stopping)
        return;
    if (attendant->demanded &&
        (lane_state(service->lane) == LANE_READY || service->metrics.loads > attendant->loads)) {
        tell_ready(attendant);
        return;
    }
    if (attendant->demanded && service->metrics.load_failures > attendant->failures) {
        fail(attendant, lane_error(service->lane)->text);
        return;
    }
    tell_loading(attendant);
    timer_start(&attendant->look, LOOK_MS);
}

static void on_decided(void *arg, const struct err *why) {
    struct attendant *attendant = arg;
    struct service *service = attendant->service;
    if (service->server->stopping)
        return;
    if (why) {
        fail(attendant, why->text);
        return;
    }
    attendant->loads = service->metrics.loads;
    attendant->failures = service->metrics.load_failures;
    attendant->demanded = true;
    scheduler_demand(service->lane, loop_now_ms());
    server_tick(service->server);
}

// --- Life

struct attendant *attendant_start(struct server *server, const char *key, int64_t beat_ms) {
    struct attendant *attendant = mem_alloc(sizeof *attendant);
    attendant->server = server;
    attendant->service = server_default(server);
    attendant->beat_ms = beat_ms;
    attendant->since_ms = loop_now_ms();
    timer_init(&attendant->silence, server->loop, on_silence, attendant);
    timer_init(&attendant->look, server->loop, on_look, attendant);
    timer_init(&attendant->last_call, server->loop, on_last_call, attendant);
    tell(json_build("{s:s, s:s, s:i, s:s}", "listen", server->listen, "key", key, "pid",
                    (int)getpid(), "version", ANCALAGON_VERSION));
    fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
    attendant->input =
        event_new(loop_base(server->loop), STDIN_FILENO, EV_READ | EV_PERSIST, on_input, attendant);
    event_add(attendant->input, NULL);
    if (beat_ms > 0)
        timer_start(&attendant->silence, beat_ms);
    timer_start(&attendant->look, LOOK_MS);
    planner_ask(attendant->service->planner, &attendant->intent, on_decided, attendant);
    return attendant;
}

bool attendant_failed(const struct attendant *attendant) { return attendant && attendant->failed; }

void attendant_end(struct attendant *attendant) {
    if (!attendant)
        return;
    planner_withdraw(&attendant->intent);
    timer_stop(&attendant->silence);
    timer_stop(&attendant->look);
    timer_stop(&attendant->last_call);
    event_free(attendant->input);
    mem_free(attendant);
}
