#include "trial_ask.h"

#include "base/mem.h"
#include "format/json.h"

#include <string.h>

enum {
    MAX_BODY = 80 << 20,   // a prompt's text, or its token numbers
    MAX_ANSWER = 80 << 20, // those numbers
    MAX_EVENT = 1 << 20,
};

static void on_event(void *arg, const struct sse_event *event);

void trial_ask_init(struct trial_ask *ask, const struct trial_ask_ops *ops, void *arg) {
    *ask = (struct trial_ask){.ops = ops, .arg = arg};
    buf_init(&ask->body, MAX_BODY);
    buf_init(&ask->answer, MAX_ANSWER);
    sse_init(&ask->sse, MAX_EVENT, on_event, ask);
}

void trial_ask_fini(struct trial_ask *ask) {
    trial_ask_cancel(ask);
    buf_fini(&ask->body);
    buf_fini(&ask->answer);
    sse_fini(&ask->sse);
}

void trial_ask_cancel(struct trial_ask *ask) {
    if (ask->call)
        http_call_cancel(ask->call);
    ask->call = NULL;
}

static double number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : 0;
}

static unsigned whole(const json_t *object, const char *key) {
    double value = number(object, key);
    return value > 0 && value < 1e9 ? (unsigned)value : 0;
}

static void learn_timings(struct trial_ask *ask, const json_t *timings) {
    if (!json_is_object(timings))
        return;
    ask->has_timings = true;
    ask->timings = (struct trial_timings){
        .prompt_n = whole(timings, "prompt_n"),
        .cached_n = whole(timings, "cache_n"),
        .predicted_n = whole(timings, "predicted_n"),
        .draft_n = whole(timings, "draft_n"),
        .draft_accepted = whole(timings, "draft_n_accepted"),
        .prompt_ms = number(timings, "prompt_ms"),
        .predicted_ms = number(timings, "predicted_ms"),
    };
}

static const char *error_text(const json_t *answer) {
    const json_t *error = json_object_get(answer, "error");
    return json_is_string(error) ? json_string_value(error)
                                 : json_get_text(error, "message", "no reason given");
}

static void on_event(void *arg, const struct sse_event *event) {
    struct trial_ask *ask = arg;
    json_t *json = json_parse(event->data.data, event->data.length, 0, 0, NULL);
    const json_t *progress = json_object_get(json, "prompt_progress");
    if (json_object_get(json, "error") && ask->error.code == ERR_NONE)
        err_set(&ask->error, ERR_PEER, "the engine broke off: %.300s", error_text(json));
    learn_timings(ask, json_object_get(json, "timings"));
    if (progress)
        ask->ops->on_progress(whole(progress, "processed"), ask->arg);
    else if (json && !json_get_bool(json, "stop", false))
        ask->ops->on_token(ask->arg);
    json_decref(json);
}

static void on_head(struct http_call *call, const struct http_head *head, void *arg) {
    ((struct trial_ask *)arg)->status = head->status;
}

static void on_body(struct http_call *call, const char *bytes, size_t length, void *arg) {
    struct trial_ask *ask = arg;
    if (ask->is_stream && ask->status == 200)
        sse_feed(&ask->sse, bytes, length);
    else
        buf_add(&ask->answer, bytes, length);
}

static void tell(struct trial_ask *ask, const json_t *answer, const struct err *why) {
    ask->call = NULL;
    ask->ops->on_done(answer, ask->is_stream && !why ? &ask->timings : NULL, why, ask->arg);
}

static void on_end(struct http_call *call, void *arg) {
    struct trial_ask *ask = arg;
    struct err why = {0};
    bool is_json = !ask->is_stream || ask->status != 200;
    json_t *answer =
        is_json ? json_parse(buf_bytes(&ask->answer), ask->answer.length, 0, 0, NULL) : NULL;
    if (ask->status != 200)
        err_set(&why, ERR_PEER, "the engine answered %s with %u: %.300s", ask->what, ask->status,
                error_text(answer));
    else if (ask->error.code != ERR_NONE)
        why = ask->error;
    else if (ask->is_stream ? !ask->has_timings : !answer)
        err_set(&why, ERR_PEER, "the engine answered %s without %s", ask->what,
                ask->is_stream ? "timings; is it a llama-server?" : "JSON");
    tell(ask, answer, why.code == ERR_NONE ? NULL : &why);
    json_decref(answer);
}

static void on_fail(struct http_call *call, const struct err *why, void *arg) {
    struct trial_ask *ask = arg;
    struct err text = *why;
    ask->is_cut = true;
    err_context(&text, "the engine did not answer %s", ask->what);
    tell(ask, NULL, &text);
}

static const struct http_call_ops call_ops = {on_head, on_body, on_end, on_fail};

bool trial_ask_start(struct trial_ask *ask, struct http_peer *peer, const char *auth,
                     const char *what, bool is_stream, struct err *err) {
    const char *space = strchr(what, ' ');
    char method[8], fields[256];
    snprintf(method, sizeof method, "%.*s", (int)(space - what), what);
    snprintf(fields, sizeof fields, "%s%s", auth,
             ask->body.length ? "Content-Type: application/json\r\n" : "");
    ask->what = what;
    ask->is_stream = is_stream;
    ask->status = 0;
    ask->has_timings = false;
    ask->is_cut = false;
    ask->error = (struct err){0};
    buf_clear(&ask->answer);
    sse_fini(&ask->sse);
    sse_init(&ask->sse, MAX_EVENT, on_event, ask);
    struct span body = {buf_bytes(&ask->body), ask->body.length};
    ask->call = http_call_start(peer, method, span_of(space + 1), span_of(fields), body, &call_ops,
                                ask, err);
    ask->is_cut = ask->call == NULL;
    return ask->call != NULL;
}
