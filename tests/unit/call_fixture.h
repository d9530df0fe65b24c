// For tests of chat calls: a server that is a script, and a client that keeps what it hears.
#pragma once

#include "chat/call.h"

#include "base/mem.h"
#include "format/json.h"
#include "http/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loopback.h"

enum act { NOTHING, CANCEL_IN_HEAD, CANCEL_IN_BODY, FAIL_IN_BODY, PAUSE_IN_BODY };

struct fixture {
    struct loop *loop;
    struct http_peer *peer;
    struct http_server *server;
    int fds_before;
    // The backend's side
    struct http_exchange *asked; // not answered yet
    char path[100];
    struct buf body; // of the last request
    unsigned asks, left;
    // The client's side
    struct chat_call *call;
    char type[64];
    struct buf log;
    unsigned status, ended, cut, lost;
    size_t backend_bytes;
    int64_t retry_after_s;
    bool owns_losses;
    struct chat_learned learned;
    enum act act;
};

static inline void on_request(struct http_exchange *exchange, void *arg) {
    struct fixture *f = arg;
    struct span path = http_head_path(http_exchange_head(exchange));
    struct span body = http_exchange_body(exchange);
    f->asked = exchange;
    f->asks++;
    snprintf(f->path, sizeof f->path, "%.*s", (int)path.length, path.data);
    buf_clear(&f->body);
    buf_add(&f->body, body.data, body.length);
}

static inline void on_gone(struct http_exchange *exchange, const struct err *why, void *arg) {
    struct fixture *f = arg;
    f->left++;
    f->asked = NULL;
}

static inline void on_head(struct chat_call *call, unsigned status, const char *type, void *arg) {
    struct fixture *f = arg;
    assert_int_equal(f->status, 0);
    f->status = status;
    f->retry_after_s = chat_call_retry_after(call);
    snprintf(f->type, sizeof f->type, "%s", type);
    if (f->act == CANCEL_IN_HEAD) {
        chat_call_cancel(call);
        f->ended++;
    }
}

static inline void on_body(struct chat_call *call, const char *bytes, size_t length, void *arg) {
    struct fixture *f = arg;
    struct err why = {ERR_PEER, "the engine died"};
    enum act act = f->act;
    assert_true(f->status != 0 && length > 0);
    buf_add(&f->log, bytes, length);
    f->act = NOTHING;
    if (act == CANCEL_IN_BODY) {
        chat_call_cancel(call);
        f->ended++;
    } else if (act == FAIL_IN_BODY) {
        chat_call_fail(call, 502, &why);
    } else if (act == PAUSE_IN_BODY) {
        chat_call_pause(call);
    }
}

static inline void on_end(struct chat_call *call, void *arg) {
    struct fixture *f = arg;
    assert_true(f->status != 0);
    f->ended++;
}

static inline void on_cut(struct chat_call *call, const struct err *why, void *arg) {
    struct fixture *f = arg;
    f->cut++;
}

static inline void on_backend(struct chat_call *call, const char *bytes, size_t length, void *arg) {
    struct fixture *f = arg;
    f->backend_bytes += length;
}

static inline bool on_lost(struct chat_call *call, const struct err *why, void *arg) {
    struct fixture *f = arg;
    f->lost++;
    return f->owns_losses;
}

static const struct chat_call_ops ops = {on_head, on_body, on_end, on_cut, on_backend, on_lost};
static const struct http_handler handler = {.on_request = on_request, .on_gone = on_gone};

static inline void fixture_init(struct fixture *f) {
    struct err err = {0};
    *f = (struct fixture){.fds_before = count_fds()};
    f->loop = loop_create(&err);
    f->server = http_server_create(f->loop, &http_server_default_limits, &handler, f);
    int listener = http_listen_tcp("127.0.0.1", 0, &err);
    struct sockaddr_in where = {0};
    socklen_t length = sizeof where;
    getsockname(listener, (struct sockaddr *)&where, &length);
    assert_true(http_server_listen(f->server, listener, &err));
    f->peer = http_peer_create(f->loop, NULL, "127.0.0.1", ntohs(where.sin_port));
    buf_init(&f->log, 64 << 20);
    buf_init(&f->body, 64 << 20);
}

static inline void fixture_fini(struct fixture *f) {
    http_peer_destroy(f->peer);
    http_server_destroy(f->server);
    loop_destroy(f->loop);
    buf_fini(&f->log);
    buf_fini(&f->body);
    assert_int_equal(count_fds(), f->fds_before);
}

static inline struct chat_backend llama(const struct fixture *f) {
    return (struct chat_backend){
        .peer = f->peer, .prefix = "", .llama = true, .context_tokens = 4096};
}

// A prompt of so many words, streamed or not.
static inline struct messages_request request_of(unsigned words, bool stream, const char *more) {
    struct messages_request request;
    struct err err = {0};
    struct buf text;
    buf_init(&text, 64 << 20);
    buf_printf(&text,
               "{\"model\":\"local\",\"max_tokens\":1000,\"stream\":%s%s,\"messages\":[{"
               "\"role\":\"user\",\"content\":\"",
               stream ? "true" : "false", more);
    for (unsigned i = 0; i < words; i++)
        buf_adds(&text, "word ");
    buf_adds(&text, "\"}]}");
    if (!messages_parse(&request, buf_bytes(&text), text.length, &err))
        fail_msg("%s", err.text);
    buf_fini(&text);
    return request;
}

static inline void start(struct fixture *f, const struct chat_backend *backend,
                         struct messages_request request) {
    struct err err = {0};
    f->call = chat_call_start(f->loop, backend, &request, &ops, f, &err);
    if (!f->call)
        fail_msg("%s", err.text);
    assert_int_equal(f->status, 0);
}

static inline void wait_asked(struct fixture *f, const char *path) {
    PUMP_UNTIL(f->loop, f->asked);
    assert_string_equal(f->path, path);
}

static inline void reply(struct fixture *f, unsigned status, const char *fields, const char *body) {
    struct http_exchange *exchange = f->asked;
    f->asked = NULL;
    http_reply(exchange, status, "application/json", fields, body, strlen(body));
}

static inline void begin_events(struct fixture *f) {
    http_reply_begin(f->asked, 200, "Content-Type: text/event-stream\r\n", -1);
}

static inline void event(struct fixture *f, const char *data) {
    struct buf out;
    buf_init(&out, 1 << 20);
    buf_printf(&out, "data: %s\n\n", data);
    http_reply_body(f->asked, buf_bytes(&out), out.length);
    buf_fini(&out);
}

static inline void end_events(struct fixture *f) {
    struct http_exchange *exchange = f->asked;
    event(f, "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}");
    event(f, "[DONE]");
    f->asked = NULL;
    http_reply_end(exchange);
}

#define TEXT_EVENT "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"}}]}"
#define WHOLE_ANSWER                                                                               \
    "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"hello\"},"       \
    "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1}}"
#define COUNT "/v1/chat/completions/input_tokens"
#define CHAT "/v1/chat/completions"

static inline unsigned times(struct fixture *f, const char *text) {
    unsigned n = 0;
    for (const char *at = buf_text(&f->log); (at = strstr(at, text)); at++)
        n++;
    return n;
}

static inline void assert_heard(struct fixture *f, const char *text) {
    if (!times(f, text))
        fail_msg("\"%s\" is not in: %s", text, buf_text(&f->log));
}

static inline int64_t asked_number(struct fixture *f, const char *key) {
    json_t *body = json_parse(buf_bytes(&f->body), f->body.length, 0, 0, NULL);
    int64_t number = json_get_int(body, key, -1);
    json_decref(body);
    return number;
}
