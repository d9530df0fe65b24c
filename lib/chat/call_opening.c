// A recurrent or sliding-window model cannot be taken back to any place of what it has read. Its
// engine keeps the state at some: where a user's turn begins (of templates that it knows well) and
// near the end of each prompt. Two projects part in the middle of the first turn, and so do two
// conversations of one. So when a conversation begins, what it shares with others is read as a
// prompt of its own: at the end of that a state is kept, from which the next one goes on. Once for
// each opening: a shorter prompt takes an engine away from what it has read of a conversation.
#include "chat/call_private.h"

#include "base/str.h"
#include "format/json.h"

#include <string.h>

enum {
    LEAST_TOKENS = 1024, // by estimate; less is read as quickly
    MISSED = 64,         // tokens that may be missing from an opening that was found
};

static struct chat_opening *find(struct chat_learned *learned, uint64_t hash) {
    for (size_t i = 0; i < CHAT_OPENINGS; i++)
        if (learned->opening[i].hash == hash)
            return &learned->opening[i];
    return NULL;
}

static bool begins_conversation(const struct chat_call *call) {
    const struct messages_request *request = &call->request;
    return request->opening[0].blocks + request->opening[0].bytes > 0 && !call->only_count &&
           json_array_size(json_object_get(request->root, "messages")) == 1;
}

static bool is_wanted(const struct chat_call *call) {
    const struct chat_backend *backend = &call->backend;
    return backend->forgets && backend->learned && !backend->learned->cannot_open &&
           backend->api == CHAT_API_COMPLETIONS && begins_conversation(call) &&
           messages_estimate_tokens(&call->request) >= LEAST_TOKENS;
}

static void on_head(struct http_call *http, const struct http_head *head, void *arg) {
    struct chat_call *call = arg;
    call->opening_status = head->status;
    buf_clear(&call->heard);
}

static void on_body(struct http_call *http, const char *bytes, size_t length, void *arg) {
    struct chat_call *call = arg;
    buf_add(&call->heard, bytes, length);
}

static void learn(struct chat_call *call) {
    struct chat_learned *learned = call->backend.learned;
    json_t *told = json_parse(buf_bytes(&call->heard), call->heard.length, 0, 0, NULL);
    const json_t *timings = json_object_get(told, "timings");
    int64_t read = json_get_int(timings, "prompt_n", 0);
    int64_t tokens = read + json_get_int(timings, "cache_n", 0);
    json_decref(told);
    if (tokens <= 0)
        return;
    learned->opening[learned->openings++ % CHAT_OPENINGS] =
        (struct chat_opening){call->opening[call->openings - 1], tokens};
    call->opening_read += read;
    answer_read_before(call_answer(call), call->opening_read);
}

// A template that refuses this form of it will refuse the request, too, which knows what to do.
static void on_end(struct http_call *http, void *arg) {
    struct chat_call *call = arg;
    bool is_form = strstr(buf_text(&call->heard), "Jinja Exception") != NULL;
    call->http = NULL;
    if (call->opening_status == 200)
        learn(call);
    else if (call->opening_status != 503 && !is_form)
        call->backend.learned->cannot_open = true;
    call_ask(call);
}

static void on_fail(struct http_call *http, const struct err *why, void *arg) {
    struct chat_call *call = arg;
    call->http = NULL;
    call_ask(call);
}

static const struct http_call_ops ops = {on_head, on_body, on_end, on_fail};

// Reads the next one, unless the backend has.
static bool read_next(struct chat_call *call) {
    size_t number = call->openings++;
    const struct messages_target part = {.opening = &call->request.opening[number]};
    if (!call_write(call, &part))
        return false;
    call->opening[number] = str_hash(buf_text(&call->body));
    if (find(call->backend.learned, call->opening[number]) ||
        !call_post(call, "/v1/chat/completions", &ops, NULL))
        return false;
    call->phase = CALL_OPENS;
    call->asked_ms = loop_now_ms();
    return true;
}

bool opening_begin(struct chat_call *call) {
    bool reads = false;
    while (!reads && call->openings < MESSAGES_OPENINGS && is_wanted(call))
        reads = read_next(call);
    return reads;
}

// It may be gone: overwritten by other conversations, or dropped for want of room.
void opening_check(struct chat_call *call) {
    int64_t found = answer_usage(call->answer).cached_tokens + call->opening_read;
    for (size_t i = 0; i < call->openings; i++) {
        struct chat_opening *opening = find(call->backend.learned, call->opening[i]);
        if (opening && found + MISSED < opening->tokens)
            opening->hash = 0;
    }
}
