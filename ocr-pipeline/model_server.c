#include "model_server.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "event/loop.h"
#include "format/json.h"
#include "http/client.h"
#include "http/keys.h"
#include "http/where.h"
#include "model_answer.h"

#include <pthread.h>
#include <string.h>

enum {
    ANSWER_MAX = 1 << 20,
    QUESTION_MAX = 32 << 20, // a photo of 1600 pixels, in base64
    FIELDS_MAX = 72 * 1024,  // with the longest key of a file
    TICK_MS = 50,            // how soon a recall is seen
    CHECK_MS = 5000,
    DOUBLINGS = 4, // of pause_ms, when it hangs again and again
};

struct model_server {
    struct model_options options;
    struct gpu_gate *gate;
    struct http_keys *keys; // NULL: none
    pthread_mutex_t lock;   // protects what is below
    int64_t closed_until_ms;
    unsigned hangs; // without an answer in between
};

static struct span key_of(const struct model_server *server) {
    return server->keys ? http_keys_first(server->keys) : (struct span){0};
}

// --- One exchange, on a loop of its own

struct exchange {
    struct loop *loop;
    struct http_call *call; // NULL: has ended
    struct timer deadline, tick;
    const struct recall *recall;
    int64_t timeout_ms;
    unsigned status;
    struct buf answer;
    struct err err; // there is no whole answer
    bool refused;   // the connection never came to be
};

static void end(struct exchange *exchange) {
    exchange->call = NULL;
    loop_stop(exchange->loop);
}

static void on_head(struct http_call *call, const struct http_head *head, void *arg) {
    struct exchange *exchange = arg;
    exchange->status = head->status;
}

static void on_body(struct http_call *call, const char *bytes, size_t length, void *arg) {
    struct exchange *exchange = arg;
    if (buf_add(&exchange->answer, bytes, length))
        return;
    http_call_cancel(call);
    err_set(&exchange->err, ERR_GARBLED, "its answer is longer than %d bytes", ANSWER_MAX);
    end(exchange);
}

static void on_end(struct http_call *call, void *arg) { end(arg); }

// What is no HTTP is nonsense; a connection that breaks while it works is a server that died.
static void on_fail(struct http_call *call, const struct err *why, void *arg) {
    struct exchange *exchange = arg;
    exchange->refused = str_starts(why->text, "cannot connect");
    exchange->err = *why;
    exchange->err.code = exchange->refused                  ? ERR_UNAVAILABLE
                         : strstr(why->text, "is not HTTP") ? ERR_GARBLED
                                                            : ERR_HANG;
    end(exchange);
}

static const struct http_call_ops call_ops = {on_head, on_body, on_end, on_fail};

static void give_up(struct exchange *exchange, enum err_code code, const char *text) {
    http_call_cancel(exchange->call);
    err_set(&exchange->err, code, "%s", text);
    end(exchange);
}

static void on_deadline(void *arg) {
    struct exchange *exchange = arg;
    char text[64];
    snprintf(text, sizeof text, "no answer in %.3g s", (double)exchange->timeout_ms / 1000);
    give_up(exchange, ERR_HANG, text);
}

static void on_tick(void *arg) {
    struct exchange *exchange = arg;
    if (atomic_load(&exchange->recall->asked))
        give_up(exchange, ERR_BUSY, "nobody waits for it any more");
    else
        timer_start(&exchange->tick, TICK_MS);
}

static void run(struct exchange *exchange, const struct model_server *server,
                const struct where *where, size_t address, const char *path, struct span body) {
    struct buf fields;
    char target[sizeof where->prefix + 64];
    snprintf(target, sizeof target, "%s%s", where->prefix, path);
    buf_init(&fields, FIELDS_MAX);
    buf_adds(&fields, body.length ? "Content-Type: application/json\r\n" : "");
    struct span key = key_of(server);
    if (key.length)
        buf_printf(&fields, "Authorization: Bearer %.*s\r\n", (int)key.length, key.data);
    struct http_peer *peer =
        http_peer_create(exchange->loop, NULL, where->addresses[address], where->port);
    exchange->refused = true; // until it is connected
    exchange->call = http_call_start(peer, body.length ? "POST" : "GET", span_of(target),
                                     (struct span){buf_bytes(&fields), fields.length}, body,
                                     &call_ops, exchange, &exchange->err);
    if (exchange->call) {
        exchange->refused = false;
        timer_start(&exchange->deadline, exchange->timeout_ms);
        if (exchange->recall)
            timer_start(&exchange->tick, TICK_MS);
        loop_run(exchange->loop);
        timer_stop(&exchange->deadline);
        timer_stop(&exchange->tick);
    } else {
        exchange->err.code = ERR_UNAVAILABLE;
    }
    http_peer_destroy(peer);
    mem_wipe(fields.data, fields.capacity);
    buf_fini(&fields);
}

// Names are asked anew each time: a server that moves is found again. Of several addresses the
// next is tried while nobody listens.
static bool fetch(const struct model_server *server, const char *path, struct span body,
                  int64_t timeout_ms, const struct recall *recall, struct exchange *exchange,
                  struct err *err) {
    struct where where;
    *exchange = (struct exchange){.recall = recall, .timeout_ms = timeout_ms};
    buf_init(&exchange->answer, ANSWER_MAX);
    if (!where_read(&where, server->options.url, 0, 80, err)) {
        err->code = ERR_UNAVAILABLE;
        return false;
    }
    if (!(exchange->loop = loop_create(err)))
        return false;
    timer_init(&exchange->deadline, exchange->loop, on_deadline, exchange);
    timer_init(&exchange->tick, exchange->loop, on_tick, exchange);
    exchange->refused = true;
    for (size_t i = 0; i < where.count && exchange->refused; i++) {
        exchange->err = (struct err){0};
        run(exchange, server, &where, i, path, body);
    }
    loop_destroy(exchange->loop);
    if (!exchange->err.code && exchange->status != 200)
        model_answer_error(exchange->status, buf_bytes(&exchange->answer), exchange->answer.length,
                           &exchange->err);
    if (exchange->err.code)
        *err = exchange->err;
    return !exchange->err.code;
}

// --- Hangs

static bool is_left_alone(struct model_server *server, struct err *err) {
    pthread_mutex_lock(&server->lock);
    int64_t left_ms = server->closed_until_ms - loop_now_ms();
    pthread_mutex_unlock(&server->lock);
    if (left_ms <= 0)
        return false;
    err_set(err, ERR_HANG, "it hung; it is asked again in %lld s",
            (long long)((left_ms + 999) / 1000));
    return true;
}

static void note(struct model_server *server, enum err_code code) {
    if (code == ERR_BUSY) // says nothing of the server
        return;
    pthread_mutex_lock(&server->lock);
    if (code == ERR_HANG) {
        int64_t times = INT64_C(1) << (server->hangs < DOUBLINGS ? server->hangs : DOUBLINGS);
        server->closed_until_ms = loop_now_ms() + times * server->options.pause_ms;
        server->hangs++;
        log_warn("model.hang stage=%s pause_ms=%lld", server->options.section,
                 (long long)(times * server->options.pause_ms));
    } else {
        server->hangs = 0;
        server->closed_until_ms = 0;
    }
    pthread_mutex_unlock(&server->lock);
}

// --- Questions

static bool write_question(const struct model_server *server, json_t *messages, json_t *format,
                           struct buf *out, struct err *err) {
    const struct model_options *options = &server->options;
    json_t *question = json_build("{s:o, s:i, s:i, s:b}", "messages", messages, "temperature", 0,
                                  "max_tokens", (int)options->tokens, "stream", 0);
    if (options->model)
        json_set(question, "model", json_text(options->model));
    if (format)
        json_set(question, "response_format", format);
    bool good = json_write(out, question);
    json_decref(question);
    return good || err_set(err, ERR_LIMIT, "a question of more than %d bytes", QUESTION_MAX);
}

// The caller's turn.
static char *ask_now(struct model_server *server, struct span body, const struct recall *recall,
                     struct err *err) {
    struct exchange exchange;
    char *text = NULL;
    if (is_left_alone(server, err))
        return NULL;
    if (fetch(server, "/v1/chat/completions", body, server->options.timeout_ms, recall, &exchange,
              err))
        text = model_answer_text(buf_bytes(&exchange.answer), exchange.answer.length, err);
    note(server, text ? ERR_NONE : err->code);
    buf_fini(&exchange.answer);
    return text;
}

// Says whose fault it is, where the settings name it.
static void tell(const struct model_server *server, struct err *err) {
    if (err->code != ERR_BUSY)
        err_context(err, "[%s] %s", server->options.section, server->options.url);
}

char *model_server_ask(struct model_server *server, json_t *messages, json_t *format,
                       const struct recall *recall, struct err *err) {
    struct buf body;
    struct err why = {0};
    char *text = NULL;
    buf_init(&body, QUESTION_MAX);
    if (write_question(server, messages, format, &body, &why) && !is_left_alone(server, &why) &&
        gpu_gate_enter(server->gate, server->options.wait_ms, recall, &why)) {
        text = ask_now(server, (struct span){buf_bytes(&body), body.length}, recall, &why);
        gpu_gate_leave(server->gate);
    }
    buf_fini(&body);
    if (text)
        return text;
    tell(server, &why);
    if (err)
        *err = why;
    return NULL;
}

bool model_server_check(struct model_server *server, struct err *err) {
    struct exchange exchange;
    const char *model = server->options.model;
    bool good =
        fetch(server, "/v1/models", (struct span){0}, CHECK_MS, NULL, &exchange, err) &&
        (!model || model_answer_lists(buf_bytes(&exchange.answer), exchange.answer.length, model) ||
         err_set(err, ERR_NOTFOUND, "it does not list the model \"%s\"", model));
    buf_fini(&exchange.answer);
    if (!good)
        tell(server, err);
    return good;
}

// --- Life

// The first of the file; blanks and odd characters have no place in a head.
static bool read_key(struct model_server *server, struct err *err) {
    const char *path = server->options.key_file;
    if (path && !(server->keys = http_keys_read(path, "", err)))
        return false;
    struct span key = key_of(server);
    for (size_t i = 0; i < key.length; i++)
        if (key.data[i] <= ' ' || key.data[i] > '~')
            return err_set(err, ERR_INVALID, "%s: a key has neither blanks nor odd characters",
                           path);
    return true;
}

struct model_server *model_server_open(const struct model_options *options, struct gpu_gate *gate,
                                       struct err *err) {
    struct model_server *server = mem_alloc(sizeof *server);
    struct err why = {0};
    server->options = *options;
    server->gate = gate;
    pthread_mutex_init(&server->lock, NULL);
    if (read_key(server, &why))
        return server;
    err_context(&why, "[%s]", options->section);
    if (err)
        *err = why;
    model_server_close(server);
    return NULL;
}

void model_server_close(struct model_server *server) {
    if (!server)
        return;
    http_keys_destroy(server->keys);
    pthread_mutex_destroy(&server->lock);
    mem_free(server);
}
