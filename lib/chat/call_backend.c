// What the backend is asked, and what it says: a count (where it can and it matters), then the
// request itself.
#include "chat/call_private.h"

#include "base/mem.h"
#include "format/json.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    // A prompt whose estimate, which is rather too high, is below this part of the window is not
    // counted: it would take longer than it tells.
    SURELY_FITS = 4,
    MIN_ANSWER = 512, // an answer with less room than this, or an eighth of the window, is none
    MAX_PATH = 512,
    LOADING_MS = 250, // between two looks at a backend that loads its model
    MAX_LOADING_MS = 3600 * 1000,
};

static const struct http_call_ops count_ops, ask_ops;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

bool call_write(struct chat_call *call, const struct messages_target *more) {
    const struct chat_backend *backend = &call->backend;
    struct messages_target target = *more;
    target.model = backend->model;
    target.context_tokens = backend->context_tokens;
    target.max_output_tokens = backend->max_output_tokens;
    target.llama = backend->llama;
    target.stream = call->stream && !more->opening;
    target.blind = backend->blind;
    target.form = call->form;
    buf_clear(&call->body);
    return (backend->api == CHAT_API_MESSAGES ? messages_write : messages_write_completions)(
        &call->request, &target, &call->body);
}

static bool write_body(struct chat_call *call, int64_t prompt_tokens) {
    return call_write(call, &(struct messages_target){.prompt_tokens = prompt_tokens});
}

bool call_post(struct chat_call *call, const char *path, const struct http_call_ops *ops,
               struct err *err) {
    const struct chat_backend *backend = &call->backend;
    char target[MAX_PATH];
    int length =
        snprintf(target, sizeof target, "%s%s", backend->prefix ? backend->prefix : "", path);
    if (length < 0 || (size_t)length >= sizeof target)
        return err_set(err, ERR_INVALID, "the backend's path is too long");
    char *fields =
        mem_printf("Content-Type: application/json\r\n%s", backend->fields ? backend->fields : "");
    call->http =
        http_call_start(backend->peer, "POST", span_of(target), span_of(fields),
                        (struct span){buf_bytes(&call->body), call->body.length}, ops, call, err);
    mem_free(fields);
    if (call->http && call->paused)
        http_call_pause(call->http);
    return call->http != NULL;
}

// Asking

static bool ask(struct chat_call *call, int64_t prompt_tokens, struct err *err) {
    bool native = call->backend.api == CHAT_API_MESSAGES;
    call->room_tokens = prompt_tokens;
    if (opening_begin(call))
        return true;
    if (!write_body(call, prompt_tokens))
        return err_set(err, ERR_LIMIT, "the request is too large");
    call->phase = CALL_ASKS;
    call->asked_ms = loop_now_ms();
    if (!call_post(call, native ? "/v1/messages" : "/v1/chat/completions", &ask_ops, err)) {
        call->phase = CALL_WAITS;
        return false;
    }
    return true;
}

// Room for an answer is left by an estimate, too: it is rather too high.
static int64_t estimate_for_room(const struct chat_call *call, int64_t estimate) {
    int64_t window = call->backend.context_tokens;
    return window > 0 ? least(estimate, window - window / 4) : estimate;
}

static void ask_or_fail(struct chat_call *call, int64_t prompt_tokens) {
    struct err why;
    if (!ask(call, prompt_tokens, &why)) {
        err_context(&why, "the backend cannot be reached");
        call_lost(call, &why);
        return;
    }
    call_arm(call);
}

void call_ask(struct chat_call *call) { ask_or_fail(call, call->room_tokens); }

static void on_answer_head(struct http_call *http, const struct http_head *head, void *arg) {
    struct chat_call *call = arg;
    char text[24];
    struct span retry = http_head_value(head, "retry-after");
    snprintf(text, sizeof text, "%.*s", (int)least((int64_t)retry.length, 20), retry.data);
    if (!str_to_int(text, 1, 86400, &call->retry_after_s))
        call->retry_after_s = 0;
    call->status = head->status;
    call->phase = head->status >= 200 && head->status < 300 ? CALL_ANSWERS : CALL_REFUSES;
    call_answer(call);
    buf_fini(&call->body);
    buf_clear(&call->heard);
    if (call->phase == CALL_REFUSES)
        return; // perhaps it is asked again
    messages_fini(&call->request);
    if (call->backend.learned)
        call->backend.learned->form = call->form;
    if (call->backend.preface)
        answer_preface(call->answer, call->backend.preface, &call->out);
    if (call->ops->on_backend)
        call->ops->on_backend(call, "", 0, call->arg);
}

// The backend's own error, amid its answer or instead of it.
static void fail_by(struct chat_call *call, const struct err *why) {
    unsigned status = answer_status(call->answer);
    call_fail(call, status ? status : 502, why->text);
}

static void on_answer_body(struct http_call *http, const char *bytes, size_t length, void *arg) {
    struct chat_call *call = arg;
    struct err why;
    if (call->phase == CALL_REFUSES) {
        if (!buf_add(&call->heard, bytes, length)) // what does not fit is not needed
            buf_add(&call->heard, bytes, call->heard.max - call->heard.length);
        return;
    }
    if (call->ops->on_backend)
        call->ops->on_backend(call, bytes, length, call->arg);
    if (call->dead)
        return;
    bool good = answer_feed(call->answer, bytes, length, &call->out, &why);
    if (call_tell(call) && !good)
        fail_by(call, &why);
}

// Told that it is too long, Claude Code sums the conversation up; where that would not help,
// results of tools become shorter, and it is asked once more.
static bool shortens(struct chat_call *call, int64_t tokens, int64_t window) {
    if (call->only_count || !messages_shorten(&call->request, tokens, window))
        return false;
    call_again(call);
    return true;
}

// A template that refuses this form of the conversation may take the next one. Which one it took is
// kept only when it led to an answer: the request itself may be what no template takes.
static bool tries_next_form(struct chat_call *call) {
    bool refused = strstr(buf_text(&call->heard), "Jinja Exception") != NULL;
    if (!refused || call->form == MESSAGES_FORM_PLAIN || call->backend.api == CHAT_API_MESSAGES)
        return false;
    call->form++;
    call_again(call);
    return true;
}

// A bare llama-server that still loads its model says so; the client need not ask for it.
static bool waits_for_model(struct chat_call *call) {
    int64_t now = loop_now_ms();
    if (!call->backend.llama || call->status != 503 ||
        !strstr(buf_text(&call->heard), "Loading model") || now - call->started_ms > MAX_LOADING_MS)
        return false;
    call->phase = CALL_WAITS;
    call->status = 0;
    call->again_ms = now + LOADING_MS;
    call_arm(call);
    return true;
}

// A window that only the refusal tells is as good.
static int64_t window_of(const struct chat_call *call, const struct chat_error *error) {
    int64_t window = call->backend.context_tokens;
    return window > 0 ? window : error->context_tokens;
}

static void refused(struct chat_call *call) {
    struct chat_error error;
    if (waits_for_model(call) || tries_next_form(call))
        return;
    chat_error_read(&error, call->status,
                    (struct span){buf_bytes(&call->heard), call->heard.length}, call->prompt_tokens,
                    call->backend.context_tokens);
    if (chat_error_is_too_long(&error) &&
        shortens(call, error.prompt_tokens, window_of(call, &error)))
        return;
    if (call->ops->on_backend)
        call->ops->on_backend(call, "", 0, call->arg);
    if (!call->dead)
        call_refuse(call, &error);
}

static void on_answer_end(struct http_call *http, void *arg) {
    struct chat_call *call = arg;
    struct err why;
    call->http = NULL;
    if (call->phase == CALL_REFUSES) {
        refused(call);
        return;
    }
    bool good = answer_end(call->answer, &call->out, &why);
    opening_check(call);
    if (!call_tell(call))
        return;
    if (good)
        call_end(call);
    else if (answer_status(call->answer) == 502 && why.code == ERR_PEER)
        call_lost(call, &why); // cut off: whoever owns the backend may know why
    else
        fail_by(call, &why);
}

static void on_answer_fail(struct http_call *http, const struct err *why, void *arg) {
    struct chat_call *call = arg;
    call->http = NULL;
    if (answer_complete(call_answer(call))) { // it has said all, but did not end its body properly
        call_end(call);
        return;
    }
    call_lost(call, why);
}

static const struct http_call_ops ask_ops = {on_answer_head, on_answer_body, on_answer_end,
                                             on_answer_fail};

// Counting

static const char *count_path(const struct chat_call *call) {
    const struct chat_backend *backend = &call->backend;
    if (backend->learned && backend->learned->cannot_count)
        return NULL;
    if (backend->api == CHAT_API_MESSAGES)
        return "/v1/messages/count_tokens";
    return backend->llama ? "/v1/chat/completions/input_tokens" : NULL;
}

static bool is_worth_counting(const struct chat_call *call) {
    int64_t window = call->backend.context_tokens;
    if (call->only_count)
        return true;
    if (window <= 0)
        return false;
    return call->request.images || messages_estimate_tokens(&call->request) > window / SURELY_FITS;
}

static void reply_count(struct chat_call *call, int64_t tokens, bool estimate) {
    buf_clear(&call->out);
    buf_printf(&call->out, "{\"input_tokens\":%lld%s}", (long long)tokens,
               estimate ? ",\"estimate\":true" : "");
    call_reply(call, 200);
}

// Where the prompt leaves no room for an answer, only a shorter prompt helps, and Claude Code
// compacts on this text alone: the other one, with so little room, ends the session.
static bool is_too_long(const struct chat_call *call, int64_t tokens, struct chat_error *error) {
    int64_t window = call->backend.context_tokens;
    int64_t room = least(least(MIN_ANSWER, window / 8), call->request.max_tokens);
    if (window <= 0 || tokens + room <= window)
        return false;
    chat_error_overflow(error, tokens, tokens > window ? window : window - room);
    return true;
}

// What is sure is said here: some servers cut a prompt that is too long, and say nothing.
static bool is_surely_too_long(const struct chat_call *call) {
    int64_t window = call->backend.context_tokens;
    return window > 0 && messages_least_tokens(&call->request) >= window;
}

void call_uncounted(struct chat_call *call) {
    struct chat_error error;
    int64_t estimate = messages_estimate_tokens(&call->request);
    if (call->http)
        http_call_cancel(call->http);
    call->http = NULL;
    if (call->only_count) {
        reply_count(call, estimate, true);
    } else if (is_surely_too_long(call)) {
        if (shortens(call, 0, call->backend.context_tokens))
            return;
        chat_error_overflow(&error, estimate, call->backend.context_tokens);
        call_refuse(call, &error);
    } else {
        ask_or_fail(call, estimate_for_room(call, estimate));
    }
}

static void counted(struct chat_call *call, int64_t tokens) {
    struct chat_error error;
    call->prompt_tokens = tokens;
    if (call->only_count)
        reply_count(call, tokens, false);
    else if (!is_too_long(call, tokens, &error))
        ask_or_fail(call, tokens);
    else if (!shortens(call, tokens, call->backend.context_tokens))
        call_refuse(call, &error);
}

static void on_count_head(struct http_call *http, const struct http_head *head, void *arg) {
    struct chat_call *call = arg;
    call->retry_after_s = 0;
    if ((head->status == 404 || head->status == 405 || head->status == 501) &&
        call->backend.learned)
        call->backend.learned->cannot_count = true;
    buf_clear(&call->heard);
}

static void on_count_body(struct http_call *http, const char *bytes, size_t length, void *arg) {
    struct chat_call *call = arg;
    buf_add(&call->heard, bytes, length);
}

// Servers that know no such path may answer 200 all the same: the body tells.
static void on_count_end(struct http_call *http, void *arg) {
    struct chat_call *call = arg;
    struct err err;
    call->http = NULL;
    json_t *json = json_parse(buf_bytes(&call->heard), call->heard.length, 0, 0, &err);
    int64_t tokens = json_get_int(json, "input_tokens", -1);
    json_decref(json);
    if (tokens >= 0)
        counted(call, tokens);
    else if (!tries_next_form(call))
        call_uncounted(call);
}

static void on_count_fail(struct http_call *http, const struct err *why, void *arg) {
    struct chat_call *call = arg;
    call->http = NULL;
    call_uncounted(call);
}

static const struct http_call_ops count_ops = {on_count_head, on_count_body, on_count_end,
                                               on_count_fail};

// Beginning

static bool count(struct chat_call *call, const char *path, struct err *err) {
    if (!write_body(call, 0))
        return err_set(err, ERR_LIMIT, "the request is too large");
    call->phase = CALL_COUNTS;
    call->asked_ms = loop_now_ms();
    if (call_post(call, path, &count_ops, err))
        return true;
    call->phase = CALL_WAITS;
    return false;
}

bool call_begin(struct chat_call *call, struct err *err) {
    const char *path = is_worth_counting(call) ? count_path(call) : NULL;
    assert(call->request.root); // which a backend that answers has used up
    call->status = 0;
    call->again_ms = 0;
    call->openings = 0;
    if (path)
        return count(call, path, err);
    int64_t estimate = messages_estimate_tokens(&call->request);
    if (!call->only_count && !is_surely_too_long(call))
        return ask(call, estimate_for_room(call, estimate), err);
    call->phase = CALL_SAYS;
    call->started_ms = loop_now_ms();
    return true;
}

void call_again(struct chat_call *call) {
    struct err why;
    if (call_begin(call, &why))
        call_arm(call);
    else
        call_lost(call, &why);
}
