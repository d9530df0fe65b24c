#include "chat/call_private.h"

#include "base/mem.h"

#include <stdio.h>
#include <sys/random.h>

enum {
    EARLY_MS = 1000,
    PING_MS = 10000,
    GRACE_MS = 1000,             // a backend refuses a bad request within this time, by a status
    COUNT_MS = 10000,            // of a count; 22,000 tokens take 0.13 s
    MAX_ANSWER_BYTES = 32 << 20, // escaped, six times that
    MAX_BODY_BYTES = 512 << 20,  // twice what the reader takes: escapes may become longer
    MAX_HEARD_BYTES = 64 << 10,
};

static void release(void *arg) {
    struct chat_call *call = arg;
    messages_fini(&call->request);
    answer_destroy(call->answer);
    buf_fini(&call->body);
    buf_fini(&call->heard);
    buf_fini(&call->out);
    mem_free(call);
}

// What may still call back is stopped now, memory goes when the loop has unwound.
static void bury(struct chat_call *call) {
    call->dead = true;
    if (call->http)
        http_call_cancel(call->http);
    call->http = NULL;
    timer_stop(&call->timer);
    loop_defer(call->loop, &call->reclaim, release, call);
}

void call_end(struct chat_call *call) {
    bury(call);
    call->ops->on_end(call, call->arg);
}

static void cut(struct chat_call *call, const struct err *why) {
    bury(call);
    call->ops->on_cut(call, why, call->arg);
}

// What the client gets

static void tell_client(struct chat_call *call, unsigned status, const char *type) {
    struct buf out = call->out; // the owner may end or fail the call from within
    buf_init(&call->out, CHAT_REPLY_MAX);
    if (!call->told) {
        call->told = true;
        call->ops->on_head(call, status, type, call->arg);
    }
    call->sent_ms = loop_now_ms();
    if (!call->dead && out.length > 0)
        call->ops->on_body(call, buf_bytes(&out), out.length, call->arg);
    buf_fini(&out);
}

bool call_tell(struct chat_call *call) {
    if (call->out.length > 0)
        tell_client(call, 200, call->stream ? "text/event-stream" : "application/json");
    return !call->dead;
}

void call_reply(struct chat_call *call, unsigned status) {
    tell_client(call, status, "application/json");
    if (!call->dead)
        call_end(call);
}

static void make_id(char *out, size_t size) {
    unsigned char bytes[12] = {0};
    if (getentropy(bytes, sizeof bytes) != 0)
        snprintf((char *)bytes, sizeof bytes, "%lld", (long long)loop_now_us());
    size_t length = (size_t)snprintf(out, size, "msg_");
    for (size_t i = 0; i < sizeof bytes; i++)
        length += (size_t)snprintf(out + length, size - length, "%02x", bytes[i]);
}

struct answer *call_answer(struct chat_call *call) {
    char id[32];
    if (call->answer)
        return call->answer;
    make_id(id, sizeof id);
    const char *model =
        call->request.model && call->request.model[0] ? call->request.model : call->backend.model;
    call->answer = answer_create(&(struct answer_options){
        .source = call->backend.api == CHAT_API_MESSAGES ? ANSWER_MESSAGES : ANSWER_COMPLETIONS,
        .stream = call->stream,
        .thinking = call->request.thinking,
        .model = model,
        .id = id,
        .prompt_tokens = call->prompt_tokens,
        .context_tokens = call->backend.context_tokens,
        .max_bytes = MAX_ANSWER_BYTES,
        .stop_sequences = json_object_get(call->request.root, "stop_sequences"),
    });
    return call->answer;
}

// As a reply while that can still be begun, else as the last event of the stream.
void call_refuse(struct chat_call *call, const struct chat_error *error) {
    struct err why;
    if (!call->told) {
        buf_clear(&call->out);
        chat_error_body(error, &call->out);
        call_reply(call, error->status);
        return;
    }
    if (!call->stream) {
        err_set(&why, ERR_PEER, "%s", error->text);
        cut(call, &why);
        return;
    }
    if (!answer_complete(call_answer(call)))
        answer_fail(call_answer(call), error->status, error->text, &call->out);
    if (call_tell(call))
        call_end(call);
}

void call_fail(struct chat_call *call, unsigned status, const char *text) {
    struct chat_error error = {.status = status, .type = chat_error_type(status)};
    snprintf(error.text, sizeof error.text, "%s", text);
    call_refuse(call, &error);
}

void call_lost(struct chat_call *call, const struct err *why) {
    call->phase = CALL_WAITS;
    bool taken = call->ops->on_lost && call->ops->on_lost(call, why, call->arg);
    if (!call->dead && !taken)
        call_fail(call, 502, why->text);
}

static void say_honestly(struct chat_call *call) {
    char text[512];
    snprintf(text, sizeof text,
             "The tool \"%s\" runs on Anthropic's servers, and this is a local model: there is "
             "nobody here who could carry it out, so nothing was done and there is no result.",
             call->request.server_tool ? call->request.server_tool : "");
    answer_say(call_answer(call), text, &call->out);
    if (call_tell(call))
        call_end(call);
}

static void say(struct chat_call *call) {
    if (call->request.only_server_tools && !call->only_count)
        say_honestly(call);
    else
        call_uncounted(call);
}

// Time

static int64_t due_open(const struct chat_call *call) {
    int64_t due = call->started_ms + call->backend.early_ms;
    int64_t grace = call->phase == CALL_WAITS ? 0 : call->asked_ms + GRACE_MS;
    return grace > due ? grace : due;
}

// When the client is to hear something; 0 = never.
static int64_t due_word(const struct chat_call *call) {
    if (!call->stream || call->paused)
        return 0;
    return call->told ? call->sent_ms + call->backend.ping_ms : due_open(call);
}

// The next moment at which something is to be done; 0 = none.
static int64_t due_next(const struct chat_call *call) {
    int64_t word = due_word(call);
    if (call->phase == CALL_SAYS)
        return call->started_ms;
    if (call->phase == CALL_COUNTS)
        return call->asked_ms + COUNT_MS;
    return call->again_ms && (!word || call->again_ms < word) ? call->again_ms : word;
}

void call_arm(struct chat_call *call) {
    int64_t due = due_next(call), now = loop_now_ms();
    if (due > 0)
        timer_start(&call->timer, due > now ? due - now : 0);
    else
        timer_stop(&call->timer);
}

static void on_timer(void *arg) {
    struct chat_call *call = arg;
    int64_t due = due_next(call);
    if (due == 0 || loop_now_ms() < due) {
        call_arm(call);
    } else if (call->phase == CALL_SAYS) {
        say(call);
    } else if (call->phase == CALL_COUNTS) {
        call_uncounted(call);
    } else if (due == call->again_ms) {
        call_again(call);
    } else {
        answer_open(call_answer(call), &call->out);
        if (call->told)
            answer_ping(call->answer, &call->out);
        call->sent_ms = loop_now_ms(); // an answer that is complete has no pings
        if (call_tell(call))
            call_arm(call);
    }
}

// Life

static struct chat_call *create(struct loop *loop, const struct chat_backend *backend,
                                const struct messages_request *request,
                                const struct chat_call_ops *ops, void *arg) {
    struct chat_call *call = mem_alloc(sizeof *call);
    call->loop = loop;
    call->backend = *backend;
    call->ops = ops;
    call->arg = arg;
    call->request = *request;
    call->stream = request->stream;
    call->form = backend->learned ? backend->learned->form : MESSAGES_FORM_USUAL;
    call->started_ms = call->sent_ms = loop_now_ms();
    if (call->backend.early_ms <= 0)
        call->backend.early_ms = EARLY_MS;
    if (call->backend.ping_ms <= 0)
        call->backend.ping_ms = PING_MS;
    buf_init(&call->body, MAX_BODY_BYTES);
    buf_init(&call->heard, MAX_HEARD_BYTES);
    buf_init(&call->out, CHAT_REPLY_MAX);
    timer_init(&call->timer, loop, on_timer, call);
    return call;
}

static struct chat_call *begin(struct chat_call *call, struct messages_request *request,
                               struct err *err) {
    if (call->request.only_server_tools && !call->only_count) {
        call->phase = CALL_SAYS;
    } else if (call->backend.peer && !call_begin(call, err)) {
        call->request = (struct messages_request){0}; // the caller's again
        release(call);
        return NULL;
    }
    *request = (struct messages_request){0};
    call_arm(call);
    return call;
}

struct chat_call *chat_call_start(struct loop *loop, const struct chat_backend *backend,
                                  struct messages_request *request, const struct chat_call_ops *ops,
                                  void *arg, struct err *err) {
    return begin(create(loop, backend, request, ops, arg), request, err);
}

struct chat_call *chat_call_count(struct loop *loop, const struct chat_backend *backend,
                                  struct messages_request *request, const struct chat_call_ops *ops,
                                  void *arg, struct err *err) {
    struct chat_call *call = create(loop, backend, request, ops, arg);
    call->only_count = true;
    call->stream = false;
    return begin(call, request, err);
}

bool chat_call_proceed(struct chat_call *call, const struct chat_backend *backend,
                       struct err *err) {
    if (call->phase == CALL_SAYS)
        return true;
    int64_t early_ms = call->backend.early_ms, ping_ms = call->backend.ping_ms;
    call->backend = *backend;
    call->backend.early_ms = early_ms;
    call->backend.ping_ms = ping_ms;
    if (backend->learned)
        call->form = backend->learned->form;
    bool begun = call_begin(call, err);
    call_arm(call);
    return begun;
}

void chat_call_withdraw(struct chat_call *call) {
    if (call->http)
        http_call_cancel(call->http);
    call->http = NULL;
    call->again_ms = 0;
    if (call->phase != CALL_SAYS)
        call->phase = CALL_WAITS;
    call->started_ms = loop_now_ms();
    call_arm(call);
}

void chat_call_cancel(struct chat_call *call) {
    if (!call->dead)
        bury(call);
}

void chat_call_fail(struct chat_call *call, unsigned status, const struct err *why) {
    if (call->http)
        http_call_cancel(call->http);
    call->http = NULL;
    call_fail(call, status, why->text);
}

void chat_call_pause(struct chat_call *call) {
    if (call->dead)
        return;
    call->paused = true;
    if (call->http)
        http_call_pause(call->http);
}

void chat_call_resume(struct chat_call *call) {
    if (call->dead)
        return;
    call->paused = false;
    if (call->http)
        http_call_resume(call->http);
    call_arm(call);
}

unsigned chat_call_status(const struct chat_call *call) { return call->status; }
bool chat_call_complete(const struct chat_call *call) {
    return call->answer && answer_complete(call->answer);
}
int64_t chat_call_retry_after(const struct chat_call *call) { return call->retry_after_s; }
int64_t chat_call_prompt_tokens(const struct chat_call *call) {
    struct answer_usage usage =
        call->answer ? answer_usage(call->answer) : (struct answer_usage){0};
    int64_t told = usage.input_tokens + usage.cached_tokens;
    return told > 0 ? told : call->prompt_tokens;
}
