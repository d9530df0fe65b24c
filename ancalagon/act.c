#include "act.h"

#include "base/progress.h"
#include "format/json.h"
#include "format/sse.h"

#include <signal.h>
#include <string.h>

enum {
    DRAW_EVERY_MS = 100,
    LOOK_EVERY_MS = 5 * 1000, // is the server still there to answer?
    ANSWER_MS = 10 * 1000,    // it must say so within this time
    MAX_EVENT = 4 << 20,
};

struct act {
    struct control *control;
    struct act_result *result;
    struct progress progress;
    struct timer draw, look;
    bool looking; // a question whether it lives is under way
    struct signal_watch interrupt;
    struct sse sse;
    char label[200];
    int64_t since_ms, expected_ms; // of what the label says
    struct err err;
};

static void draw(void *arg) {
    struct act *act = arg;
    progress_draw(&act->progress, act->label, loop_now_ms() - act->since_ms, act->expected_ms);
    timer_start(&act->draw, DRAW_EVERY_MS);
}

static void set_label(struct act *act, const char *verb, const char *preset, int64_t since_ms,
                      int64_t expected_ms) {
    char label[sizeof act->label];
    snprintf(label, sizeof label, "%s %s", verb, preset);
    if (strcmp(label, act->label) != 0 || expected_ms != act->expected_ms)
        act->since_ms = since_ms;
    memcpy(act->label, label, sizeof label);
    act->expected_ms = expected_ms;
}

static void on_event(void *arg, const struct sse_event *event) {
    struct act *act = arg;
    json_t *status = json_parse(event->data.data, event->data.length, 0, 0, NULL);
    const char *preset = json_get_text(status, "preset", NULL);
    const char *state = json_get_text(status, "state", "");
    const json_t *progress = json_object_get(status, "progress");
    int64_t now = loop_now_ms();
    if (preset && strcmp(state, "loading") == 0)
        set_label(act, "loading", preset, now - json_get_int(progress, "elapsed_ms", 0),
                  json_get_int(progress, "expected_ms", 0));
    else if (preset && strcmp(state, "stopping") == 0)
        set_label(act, "stopping", preset, now, 0);
    else if (preset && strcmp(state, "ready") == 0 && json_get_int(status, "inflight", 0) > 0)
        set_label(act, "waiting for the requests of", preset, now, 0);
    json_decref(status);
}

static void on_event_bytes(void *arg, const char *bytes, size_t length) {
    struct act *act = arg;
    sse_feed(&act->sse, bytes, length);
}

// Events only feed the line; without them the answer still comes.
static void on_events_end(void *arg, struct control_reply *reply, const struct err *why) {}

static void on_answer(void *arg, struct control_reply *reply, const struct err *why) {
    struct act *act = arg;
    if (why) {
        act->err = *why;
    } else {
        act->result->answered = true;
        act->result->reply = *reply;
        *reply = (struct control_reply){0};
    }
    control_stop(act->control);
}

static void on_alive(void *arg, struct control_reply *reply, const struct err *why) {
    struct act *act = arg;
    act->looking = false;
    timer_start(&act->look, LOOK_EVERY_MS);
}

// A switch may take as long as it takes, but a server that answers nothing at all is not at it.
static void on_look(void *arg) {
    struct act *act = arg;
    if (act->looking) {
        err_set(&act->err, ERR_TIMEOUT, "the server (pid %d) did not answer within %d s",
                (int)control_server_pid(act->control), ANSWER_MS / 1000);
        control_stop(act->control);
        return;
    }
    act->looking =
        control_start(act->control, "GET", "/status", NULL, NULL, on_alive, act, &act->err);
    timer_start(&act->look, ANSWER_MS);
}

static void on_interrupt(int signal, void *arg) {
    struct act *act = arg;
    act->result->interrupted = true;
    control_stop(act->control);
}

bool act_run(struct control *control, const char *target, const char *body, const char *label,
             struct act_result *result, struct err *err) {
    struct act act = {.control = control, .result = result, .since_ms = loop_now_ms()};
    *result = (struct act_result){0};
    snprintf(act.label, sizeof act.label, "%s", label);
    progress_init(&act.progress, stdout);
    sse_init(&act.sse, MAX_EVENT, on_event, &act);
    timer_init(&act.draw, control_loop(control), draw, &act);
    timer_init(&act.look, control_loop(control), on_look, &act);
    signal_watch_start(&act.interrupt, control_loop(control), SIGINT, on_interrupt, &act);
    bool ok = !act.progress.shown || control_start(control, "GET", "/events", NULL, on_event_bytes,
                                                   on_events_end, &act, err);
    ok = ok && control_start(control, "POST", target, body, NULL, on_answer, &act, err);
    if (ok) {
        on_look(&act);
        if (act.progress.shown)
            timer_start(&act.draw, DRAW_EVERY_MS);
        while (!result->answered && !result->interrupted && act.err.code == ERR_NONE)
            control_run(control);
    }
    timer_stop(&act.draw);
    timer_stop(&act.look);
    signal_watch_stop(&act.interrupt);
    control_cancel_all(control);
    sse_fini(&act.sse);
    progress_clear(&act.progress);
    if (ok && act.err.code != ERR_NONE && err)
        *err = act.err;
    return ok && act.err.code == ERR_NONE;
}

void act_result_fini(struct act_result *result) { control_reply_fini(&result->reply); }
