#define _GNU_SOURCE
#include "relay.h"

#include "airgap.h"
#include "base/mem.h"
#include "base/str.h"
#include "chat/chat_error.h"
#include "chat/messages.h"
#include "format/json.h"
#include "http/client.h"
#include "http/server.h"
#include "trim.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    TOKEN_BYTES = 24,
    BACKLOG_HIGH = 1 << 20, // unsent bytes of an answer, above which the backend is not read
    MAX_CONNECTIONS = 64,
    MAX_PAGE = 64 * 1024,
    LOOKS = 16,
    BUSY_S = 2, // a backend that is busy and does not say for how long
};

// One request on its way.
struct relayed {
    TAILQ_ENTRY(relayed) link;
    struct relay *relay;
    struct http_exchange *exchange;
    struct chat_call *call;
    bool paused;
    bool measured; // its prompt is that of a conversation: no title, no count
    double mcp;    // which part of it are tools of MCP servers
};

TAILQ_HEAD(relayed_list, relayed);

struct relay {
    struct loop *loop;
    struct http_server *server;
    struct chat_backend backend;
    struct relayed_list open;
    char *fields;
    const char *model;
    bool plain, trims;
    bool trim_told; // the user knows
    char notice[160];
    struct chat_learned learned;
    int64_t prompt_tokens, mcp_tokens;
    unsigned looked_at; // requests, for tools of MCP servers
    unsigned port;
    char url[64];
    char token[2 * TOKEN_BYTES + 1];
};

// --- Who may ask, and what

static void reply_error(struct http_exchange *exchange, unsigned status, const char *text) {
    struct chat_error error = {.status = status, .type = chat_error_type(status)};
    struct buf body;
    buf_init(&body, MAX_PAGE);
    snprintf(error.text, sizeof error.text, "%s", text);
    chat_error_body(&error, &body);
    http_reply(exchange, status, "application/json", NULL, buf_bytes(&body), body.length);
    buf_fini(&body);
}

// A page in a browser that was made to find us knows neither the token nor our name.
static bool is_our_name(const struct relay *relay, struct span host) {
    char address[32], name[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", relay->port);
    snprintf(name, sizeof name, "localhost:%u", relay->port);
    return span_is(host, address) || span_is_nocase(host, name);
}

static bool has_token(const struct relay *relay, const struct http_head *head) {
    struct span given = http_head_value(head, "authorization");
    if (given.length < 7 || strncasecmp(given.data, "bearer ", 7) != 0)
        return false;
    return str_equal_secret(relay->token,
                            span_trim((struct span){given.data + 7, given.length - 7}));
}

enum path { PATH_NONE, PATH_HOME, PATH_MODELS, PATH_MODEL, PATH_MESSAGES, PATH_COUNT };

static enum path path_of(const struct http_head *head) {
    struct span path = http_head_path(head);
    bool get = span_is(head->method, "GET") || span_is(head->method, "HEAD");
    if (head->target.length == 0 ||
        head->target.data[0] != '/') // CONNECT host:port, GET http://...
        return PATH_NONE;
    if (span_is(path, "/") && get)
        return PATH_HOME;
    if (span_is(path, "/v1/models") && get)
        return PATH_MODELS;
    if (path.length > 11 && memcmp(path.data, "/v1/models/", 11) == 0 && get)
        return PATH_MODEL;
    if (!span_is(head->method, "POST"))
        return PATH_NONE;
    if (span_is(path, "/v1/messages"))
        return PATH_MESSAGES;
    return span_is(path, "/v1/messages/count_tokens") ? PATH_COUNT : PATH_NONE;
}

static void on_head(struct http_exchange *exchange, void *arg) {
    const struct relay *relay = arg;
    const struct http_head *head = http_exchange_head(exchange);
    enum path path = path_of(head);
    if (!is_our_name(relay, http_head_value(head, "host")) || http_head_find(head, "origin"))
        reply_error(exchange, 403, "this relay is for Claude Code on this machine only");
    else if (path == PATH_NONE)
        reply_error(exchange, 404, "this relay leads to one local model: POST /v1/messages");
    else if (path != PATH_HOME && !has_token(relay, head))
        reply_error(exchange, 401, "this relay takes the token of its own run only");
}

static void on_malformed(struct http_exchange *exchange, unsigned status, const struct err *why,
                         void *arg) {
    reply_error(exchange, status, why->text);
}

// --- What is answered here

static json_t *describe_model(const struct relay *relay) {
    return json_build("{s:s, s:s, s:s, s:s, s:I}", "type", "model", "id", relay->model,
                      "display_name", relay->backend.model, "created_at", "1970-01-01T00:00:00Z",
                      "context_window", (json_int_t)relay->backend.context_tokens);
}

static void reply_json(struct http_exchange *exchange, json_t *json) {
    struct buf body;
    buf_init(&body, MAX_PAGE);
    json_write(&body, json);
    http_reply(exchange, 200, "application/json", NULL, buf_bytes(&body), body.length);
    buf_fini(&body);
    json_decref(json);
}

static void reply_models(const struct relay *relay, struct http_exchange *exchange) {
    reply_json(exchange,
               json_build("{s:[o], s:b, s:s, s:s}", "data", describe_model(relay), "has_more", 0,
                          "first_id", relay->model, "last_id", relay->model));
}

// --- What goes on

static void forget(struct relayed *relayed) {
    TAILQ_REMOVE(&relayed->relay->open, relayed, link);
    mem_free(relayed);
}

static void on_answer_head(struct chat_call *call, unsigned status, const char *type, void *arg) {
    struct relayed *relayed = arg;
    char retry[48] = "";
    int64_t after = chat_call_retry_after(call);
    if (after == 0 && status == 429)
        after = BUSY_S;
    if (after > 0)
        snprintf(retry, sizeof retry, "Retry-After: %lld\r\n", (long long)after);
    char *fields = mem_printf("Content-Type: %s\r\n%s", type, retry);
    http_reply_begin(relayed->exchange, status, fields, -1);
    mem_free(fields);
}

static void on_answer_body(struct chat_call *call, const char *bytes, size_t length, void *arg) {
    struct relayed *relayed = arg;
    http_reply_body(relayed->exchange, bytes, length);
    if (!relayed->paused && http_reply_backlog(relayed->exchange) > BACKLOG_HIGH) {
        relayed->paused = true;
        chat_call_pause(call);
    }
}

static void measure(const struct relayed *relayed, int64_t tokens) {
    struct relay *relay = relayed->relay;
    int64_t mcp = (int64_t)(relayed->mcp * (double)tokens);
    if (relay->mcp_tokens == 0)
        relay->mcp_tokens = mcp;
    if (relay->prompt_tokens == 0)
        relay->prompt_tokens = tokens - mcp;
}

static void on_answer_end(struct chat_call *call, void *arg) {
    struct relayed *relayed = arg;
    struct http_exchange *exchange = relayed->exchange;
    if (relayed->measured && chat_call_status(call) == 200)
        measure(relayed, chat_call_prompt_tokens(call));
    forget(relayed);
    http_reply_end(exchange);
}

static void on_answer_cut(struct chat_call *call, const struct err *why, void *arg) {
    struct relayed *relayed = arg;
    struct http_exchange *exchange = relayed->exchange;
    forget(relayed);
    if (http_reply_begun(exchange))
        http_reply_abort(exchange);
    else
        reply_error(exchange, 502, why->text);
}

static const struct chat_call_ops call_ops = {
    .on_head = on_answer_head,
    .on_body = on_answer_body,
    .on_end = on_answer_end,
    .on_cut = on_answer_cut,
};

// What the backend cannot take goes, and once the user is told of it, in the answer: nothing else
// of ours can be seen while Claude Code has the terminal. False: nothing to tell.
static bool fit(struct relay *relay, struct messages_request *request) {
    if (relay->plain)
        json_object_del(request->root, "stop_sequences");
    if (!relay->trims)
        return false;
    int64_t window = relay->backend.context_tokens;
    size_t gone = trim_turns(request, window - relay->backend.max_output_tokens);
    if (gone == 0 || relay->trim_told || request->output_schema)
        return false;
    snprintf(relay->notice, sizeof relay->notice,
             "(The window of %lld tokens is full: from here on the oldest turns are left out; now "
             "%zu.)\n\n",
             (long long)window, gone);
    return relay->trim_told = true;
}

// The part that the tools of MCP servers ("mcp__SERVER__TOOL") have in a request of this many
// bytes. Servers that start slowly miss the first one; images would make the others' bytes many.
static double mcp_part(struct relay *relay, const struct messages_request *request, size_t length) {
    const json_t *tools = json_object_get(request->root, "tools");
    size_t bytes = 0;
    if (relay->mcp_tokens > 0 || relay->looked_at >= LOOKS || request->images || length == 0)
        return 0;
    relay->looked_at++;
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *tool = json_array_get(tools, i);
        if (str_starts(json_get_text(tool, "name", ""), "mcp__"))
            bytes += json_dumpb(tool, NULL, 0, JSON_COMPACT);
    }
    return bytes < length ? (double)bytes / (double)length : 0;
}

static void start_call(struct relay *relay, struct http_exchange *exchange, bool count) {
    struct messages_request request;
    struct err err = {0};
    struct span body = http_exchange_body(exchange);
    bool good = count ? messages_parse_count(&request, body.data, body.length, &err)
                      : messages_parse(&request, body.data, body.length, &err);
    if (!good) {
        reply_error(exchange, err.code == ERR_LIMIT ? 413 : 400, err.text);
        return;
    }
    size_t length = body.length;
    http_exchange_drop_body(exchange);
    request.may_shorten = true;
    struct relayed *relayed = mem_alloc(sizeof *relayed);
    relayed->relay = relay;
    relayed->exchange = exchange;
    relayed->measured = !count && !request.output_schema && !request.server_tool;
    if (relayed->measured)
        relayed->mcp = mcp_part(relay, &request, length);
    TAILQ_INSERT_TAIL(&relay->open, relayed, link);
    struct chat_backend backend = relay->backend;
    if (!count && fit(relay, &request))
        backend.preface = relay->notice;
    relayed->call = (count ? chat_call_count : chat_call_start)(relay->loop, &backend, &request,
                                                                &call_ops, relayed, &err);
    if (relayed->call) {
        http_exchange_set_data(exchange, relayed);
        return;
    }
    messages_fini(&request);
    forget(relayed);
    reply_error(exchange, 502, err.text);
}

static void on_request(struct http_exchange *exchange, void *arg) {
    struct relay *relay = arg;
    switch (path_of(http_exchange_head(exchange))) {
    case PATH_HOME: http_reply(exchange, 200, "text/plain", NULL, "local-claude\n", 13); break;
    case PATH_MODELS: reply_models(relay, exchange); break;
    case PATH_MODEL: reply_json(exchange, describe_model(relay)); break;
    case PATH_MESSAGES: start_call(relay, exchange, false); break;
    case PATH_COUNT: start_call(relay, exchange, true); break;
    case PATH_NONE: reply_error(exchange, 404, "there is no such path"); break;
    }
}

static void on_gone(struct http_exchange *exchange, const struct err *why, void *arg) {
    struct relayed *relayed = http_exchange_data(exchange);
    if (!relayed)
        return;
    chat_call_cancel(relayed->call);
    forget(relayed);
}

static void on_drain(struct http_exchange *exchange, void *arg) {
    struct relayed *relayed = http_exchange_data(exchange);
    if (!relayed || !relayed->paused)
        return;
    relayed->paused = false;
    chat_call_resume(relayed->call);
}

static const struct http_handler handler = {on_head, on_request, on_gone, on_drain, on_malformed};

// --- Life

static bool make_token(struct relay *relay, struct err *err) {
    unsigned char random[TOKEN_BYTES];
    if (getentropy(random, sizeof random) != 0)
        return err_errno(err, "cannot get random bytes for a token");
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(relay->token + 2 * i, 3, "%02x", random[i]);
    return true;
}

static int listen_outside(unsigned *port, struct err *err) {
    struct sockaddr_in address = {0};
    socklen_t length = sizeof address;
    int fd = http_listen_tcp("127.0.0.1", 0, err);
    if (fd >= 0 && getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        err_errno(err, "cannot tell our own port");
        close(fd);
        return -1;
    }
    *port = ntohs(address.sin_port);
    return fd;
}

// On a unix socket there is no port, but the client's URL has one.
static bool listen_here(struct relay *relay, struct airgap *airgap, struct err *err) {
    int fd = airgap ? airgap_listen(airgap, &relay->port, err) : listen_outside(&relay->port, err);
    if (fd < 0)
        return false;
    if (relay->port == 0)
        relay->port = 1;
    snprintf(relay->url, sizeof relay->url, "http://127.0.0.1:%u", relay->port);
    return http_server_listen(relay->server, fd, err);
}

struct relay *relay_create(struct loop *loop, const struct place *place, const char *model,
                           struct airgap *airgap, struct err *err) {
    struct relay *relay = mem_alloc(sizeof *relay);
    struct http_server_limits limits = http_server_default_limits;
    limits.connections = MAX_CONNECTIONS;
    relay->loop = loop;
    relay->model = model;
    relay->plain = place->plain;
    relay->trims = place->trims;
    TAILQ_INIT(&relay->open);
    if (place->key)
        relay->fields = mem_printf("Authorization: Bearer %s\r\n", place->key);
    relay->backend = (struct chat_backend){
        .peer = http_peer_create(loop, place->unix_path, place->address, place->port),
        .api = place->api,
        .prefix = place->prefix ? place->prefix : "",
        .fields = relay->fields,
        .model = place->model,
        .context_tokens = place->context_tokens,
        .llama = place->llama,
        .max_output_tokens = place->max_output_tokens,
        .blind = place->blind,
        .learned = &relay->learned,
    };
    relay->server = http_server_create(loop, &limits, &handler, relay);
    if (make_token(relay, err) && listen_here(relay, airgap, err))
        return relay;
    relay_destroy(relay);
    return NULL;
}

void relay_destroy(struct relay *relay) {
    if (!relay)
        return;
    http_server_destroy(relay->server); // on_gone cancels what is open
    http_peer_destroy(relay->backend.peer);
    if (relay->fields)
        mem_wipe(relay->fields, strlen(relay->fields));
    mem_free(relay->fields);
    mem_wipe(relay->token, sizeof relay->token);
    mem_free(relay);
}

const char *relay_url(const struct relay *relay) { return relay->url; }

const char *relay_token(const struct relay *relay) { return relay->token; }

int64_t relay_prompt_tokens(const struct relay *relay) { return relay->prompt_tokens; }

int64_t relay_mcp_tokens(const struct relay *relay) { return relay->mcp_tokens; }
