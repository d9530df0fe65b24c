// The Messages API in front of an engine. What the client sent has been read and is told to the
// engine as a chat completion, which is where llama-server honours tool_choice, a schema and
// thinking; the answer becomes Messages again (lib/chat/call.h). Waiting, pings, refusals and the
// engine's end look to the client as the API itself would have them.
#include "request.h"

static void on_head(struct chat_call *call, unsigned status, const char *type, void *arg) {
    struct request *request = arg;
    request->reply_status = status;
    if (!request->stream || status != 200)
        return; // it is told whole
    relay_open_stream(request);
    http_exchange_drop_head(request->exchange); // nothing more is asked of it, for hours maybe
}

static void on_body(struct chat_call *call, const char *bytes, size_t length, void *arg) {
    struct request *request = arg;
    if (request->committed)
        relay_send(request, bytes, length);
    else
        buf_add(&request->partial, bytes, length); // the call keeps to that maximum
}

static void reply_whole(struct request *request) {
    int64_t retry_after_s = chat_call_retry_after(request->chat);
    struct buf fields;
    buf_init(&fields, REQUEST_MAX_FIELDS);
    if (request->reply_status >= 400 && retry_after_s > 0)
        buf_printf(&fields, "Retry-After: %lld\r\n", (long long)retry_after_s);
    if (request->reply_status == 501)
        buf_adds(&fields, RETRY_NEVER_FIELD);
    fields_with_cors(request->service->server, request->exchange, NULL, &fields);
    http_reply(request->exchange, request->reply_status, "application/json", buf_text(&fields),
               buf_bytes(&request->partial), request->partial.length);
    buf_fini(&fields);
}

static void on_end(struct chat_call *call, void *arg) {
    struct request *request = arg;
    if (request->committed)
        http_reply_end(request->exchange);
    else
        reply_whole(request);
    request->chat = NULL;
    if (request->status && !request->failing)
        relay_engine_ended(request);
    else if (!request->failing)
        request->service->metrics.refused += request->reply_status >= 400;
    request_end(request);
}

static void on_cut(struct chat_call *call, const struct err *why, void *arg) {
    struct request *request = arg;
    request->chat = NULL;
    request->service->metrics.broken++;
    http_reply_abort(request->exchange);
    request_end(request);
}

static void on_backend(struct chat_call *call, const char *bytes, size_t length, void *arg) {
    struct request *request = arg;
    if (length == 0) {
        relay_engine_began(request, chat_call_status(call));
        return;
    }
    service_progress(request->service);
    timings_learn(&request->service->metrics, &request->timings, bytes, length);
}

static bool on_lost(struct chat_call *call, const struct err *why, void *arg) {
    relay_lost(arg);
    return true;
}

static const struct chat_call_ops ops = {on_head, on_body, on_end, on_cut, on_backend, on_lost};

static struct chat_backend backend_of(struct service *service) {
    const struct config *config = service->server->config;
    return (struct chat_backend){
        .prefix = "",
        .llama = true,
        .early_ms = config->ping_after_ms > 0 ? config->ping_after_ms : 1,
        .ping_ms = config->ping_every_ms,
    };
}

void messages_open(struct request *request, struct messages_request *parsed) {
    struct chat_backend nobody = backend_of(request->service);
    request->stream = parsed->stream;
    request->partial.max = CHAT_REPLY_MAX;
    request->chat = (request->route->kind == ROUTE_LIGHT ? chat_call_count : chat_call_start)(
        request->service->server->loop, &nobody, parsed, &ops, request, NULL);
}

bool messages_proceed(struct request *request, struct err *err) {
    struct service *service = request->service;
    struct chat_backend backend = backend_of(service);
    backend.peer = service_peer(service);
    backend.fields = service_auth(service);
    backend.context_tokens = service_window_tokens(service);
    backend.blind = !service_sees(service);
    backend.learned = &service->learned_chat;
    backend.forgets = service->decision.forgets;
    return chat_call_proceed(request->chat, &backend, err);
}

void messages_fail(struct request *request, unsigned status, const struct err *why) {
    request->failing = true;
    chat_call_fail(request->chat, status, why);
}
