#define _GNU_SOURCE
#include "http/client.h"

#include "base/mem.h"
#include "event/conn.h"
#include "http/address.h"
#include "http/parser.h"
#include "http/unix.h"

#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

enum {
    MAX_IDLE = 64,
    IDLE_MS = 2000, // llama-server closes after 5 s; we must be first
    MAX_HEAD_OUT = 128 * 1024,
};

struct http_call {
    TAILQ_ENTRY(http_call) link; // in peer->idle while no request is on the connection
    struct http_peer *peer;
    struct conn *conn;
    struct http_parser *parser;
    struct timer idle_timer;
    struct deferred reclaim;
    bool idle, closed;
    // The request on it, kept whole until the first byte of the response for one retry:
    const struct http_call_ops *ops;
    void *arg;
    char *head_out;
    size_t head_length;
    struct span body;
    bool reused, answered, ended, no_body;
    bool cut; // the request was not sent whole: another one would be taken for the rest of it
};

TAILQ_HEAD(call_list, http_call);

struct http_peer {
    struct loop *loop;
    char *unix_path, *host;
    struct sockaddr_storage address;
    socklen_t address_length;
    struct call_list idle;
    unsigned idle_count;
};

static const struct conn_ops conn_ops;
static const struct http_parser_ops parser_ops;

struct http_peer *http_peer_create(struct loop *loop, const char *unix_path, const char *address,
                                   unsigned port) {
    struct http_peer *peer = mem_alloc(sizeof *peer);
    peer->loop = loop;
    peer->unix_path = mem_strdup(unix_path);
    if (unix_path) {
        peer->host = mem_strdup("localhost");
    } else {
        int length = (int)strcspn(address, "%"); // an interface of ours is no name of the peer
        peer->host =
            mem_printf(strchr(address, ':') ? "[%.*s]:%u" : "%.*s:%u", length, address, port);
        peer->address_length = address_parse(address, port, &peer->address);
    }
    TAILQ_INIT(&peer->idle);
    return peer;
}

static void free_call(void *arg) {
    struct http_call *call = arg;
    http_parser_destroy(call->parser);
    mem_free(call->head_out);
    mem_free(call);
}

static void leave_idle(struct http_call *call) {
    if (!call->idle)
        return;
    call->idle = false;
    timer_stop(&call->idle_timer);
    TAILQ_REMOVE(&call->peer->idle, call, link);
    call->peer->idle_count--;
}

static void close_call(struct http_call *call) {
    if (call->closed)
        return;
    call->closed = true;
    leave_idle(call);
    conn_destroy(call->conn);
    call->conn = NULL;
    loop_defer(call->peer->loop, &call->reclaim, free_call, call);
}

void http_peer_close_idle(struct http_peer *peer) {
    while (!TAILQ_EMPTY(&peer->idle))
        close_call(TAILQ_FIRST(&peer->idle));
}

void http_peer_destroy(struct http_peer *peer) {
    if (!peer)
        return;
    http_peer_close_idle(peer);
    mem_free(peer->unix_path);
    mem_free(peer->host);
    mem_free(peer);
}

unsigned http_peer_idle(const struct http_peer *peer) { return peer->idle_count; }

static void on_idle_timer(void *arg) { close_call(arg); }

static struct conn *dial(struct http_call *call, struct err *err) {
    struct http_peer *peer = call->peer;
    if (!peer->unix_path)
        return conn_connect(peer->loop, (struct sockaddr *)&peer->address, peer->address_length,
                            MAX_HEAD_OUT, &conn_ops, call, err);
    struct unix_address where;
    if (!unix_address_open(&where, peer->unix_path, err))
        return NULL;
    struct conn *conn = conn_connect(peer->loop, (struct sockaddr *)&where.address, where.length,
                                     MAX_HEAD_OUT, &conn_ops, call, err);
    unix_address_close(&where);
    return conn;
}

static void send_request(struct http_call *call) {
    conn_write(call->conn, call->head_out, call->head_length);
    conn_write_borrowed(call->conn, call->body);
}

static char *write_head(struct http_peer *peer, const char *method, struct span target,
                        struct span fields, struct span body, size_t *length) {
    bool has_body = body.length > 0 || strcmp(method, "POST") == 0;
    char content_length[48] = "";
    if (has_body)
        snprintf(content_length, sizeof content_length, "Content-Length: %zu\r\n", body.length);
    size_t room = strlen(method) + target.length + strlen(peer->host) + fields.length + 128;
    char *head = mem_alloc(room);
    *length = (size_t)snprintf(head, room, "%s %.*s HTTP/1.1\r\nHost: %s\r\n%s%.*s\r\n", method,
                               (int)target.length, target.data, peer->host, content_length,
                               (int)fields.length, fields.data);
    return head;
}

// An idle connection if there is one, else a new one.
static struct http_call *obtain(struct http_peer *peer, struct err *err) {
    struct http_call *call = TAILQ_FIRST(&peer->idle);
    if (call) {
        leave_idle(call);
        http_parser_reset(call->parser);
        call->reused = true;
        return call;
    }
    call = mem_alloc(sizeof *call);
    call->peer = peer;
    call->conn = dial(call, err);
    if (!call->conn) {
        mem_free(call);
        return NULL;
    }
    timer_init(&call->idle_timer, peer->loop, on_idle_timer, call);
    call->parser = http_parser_create(HTTP_RESPONSES, &http_default_limits, &parser_ops, call);
    return call;
}

struct http_call *http_call_start(struct http_peer *peer, const char *method, struct span target,
                                  struct span fields, struct span body,
                                  const struct http_call_ops *ops, void *arg, struct err *err) {
    if (target.length + fields.length > MAX_HEAD_OUT / 2) {
        err_set(err, ERR_LIMIT, "the request head is too large");
        return NULL;
    }
    struct http_call *call = obtain(peer, err);
    if (!call)
        return NULL;
    call->ops = ops;
    call->arg = arg;
    call->answered = call->ended = call->cut = false;
    mem_free(call->head_out);
    call->head_out = write_head(peer, method, target, fields, body, &call->head_length);
    call->body = body;
    call->no_body = strcmp(method, "HEAD") == 0;
    if (call->no_body)
        http_parser_expect_no_body(call->parser);
    send_request(call);
    return call;
}

void http_call_cancel(struct http_call *call) {
    call->ended = true;
    close_call(call);
}

void http_call_pause(struct http_call *call) {
    if (!call->closed)
        conn_pause(call->conn);
}

void http_call_resume(struct http_call *call) {
    if (!call->closed)
        conn_resume(call->conn);
}

static void fail(struct http_call *call, const struct err *why) {
    if (call->ended)
        return;
    call->ended = true;
    close_call(call);
    call->ops->on_fail(call, why, call->arg);
}

// The response is complete: the connection goes to the idle list when both sides may reuse it.
// Not if bytes came after the response: they would be taken for the next one.
static void finish(struct http_call *call, bool surplus) {
    struct http_peer *peer = call->peer;
    call->ended = true;
    bool reuse = !surplus && !call->cut && http_parser_head(call->parser)->keep_alive &&
                 conn_backlog(call->conn) == 0 && peer->idle_count < MAX_IDLE;
    const struct http_call_ops *ops = call->ops;
    void *owner = call->arg;
    call->body = (struct span){0};
    if (reuse) {
        conn_resume(call->conn);
        call->idle = true;
        TAILQ_INSERT_HEAD(&peer->idle, call, link);
        peer->idle_count++;
        timer_start(&call->idle_timer, IDLE_MS);
    } else {
        close_call(call);
    }
    ops->on_end(call, owner);
}

static bool on_end(void *arg) { return false; } // on_data and on_close look themselves

static bool on_head(const struct http_head *head, void *arg) {
    struct http_call *call = arg;
    if (head->status < 200)
        return true;
    call->cut = !conn_disown(call->conn); // an early answer while the body is still going out
    call->body = (struct span){0};
    mem_free(call->head_out); // no retry any more
    call->head_out = NULL;
    call->ops->on_head(call, head, call->arg);
    if (head->content_length < 0) // a stream may last for hours
        http_parser_drop_head(call->parser);
    return !call->ended;
}

static bool on_body(const char *bytes, size_t length, void *arg) {
    struct http_call *call = arg;
    call->ops->on_body(call, bytes, length, call->arg);
    return !call->ended;
}

static const struct http_parser_ops parser_ops = {on_head, on_body, on_end};

// 100 Continue and its like come before the response proper.
static bool interim(const struct http_call *call) {
    return http_parser_head(call->parser)->status < 200;
}

static void prepare_parser(struct http_call *call) {
    http_parser_reset(call->parser);
    if (call->no_body)
        http_parser_expect_no_body(call->parser);
}

static void on_data(struct conn *conn, const char *bytes, size_t length, void *arg) {
    struct http_call *call = arg;
    if (call->idle) { // a peer that speaks unasked cannot be trusted with a request
        close_call(call);
        return;
    }
    call->answered = true;
    struct http_parser_error error;
    while (length > 0 && !call->ended) {
        size_t used;
        if (!http_parser_feed(call->parser, bytes, length, &used, &error)) {
            err_context(&error.err, "the engine's answer is not HTTP");
            fail(call, &error.err);
            return;
        }
        bytes += used;
        length -= used;
        if (call->ended || !http_parser_done(call->parser))
            continue;
        if (!interim(call)) {
            finish(call, length > 0); // after which it may carry another request
            return;
        }
        prepare_parser(call);
    }
}

// A kept connection may have been closed by the peer just as we used it; the request was not read.
static bool retry(struct http_call *call) {
    if (!call->reused || call->answered)
        return false;
    struct err err;
    call->reused = false;
    struct conn *conn = dial(call, &err);
    if (!conn)
        return false;
    conn_destroy(call->conn);
    call->conn = conn;
    prepare_parser(call);
    send_request(call);
    return true;
}

static void on_close(struct conn *conn, const struct err *why, void *arg) {
    struct http_call *call = arg;
    if (call->idle) {
        close_call(call);
        return;
    }
    struct http_parser_error error;
    if (call->ended || retry(call))
        return;
    if (why->code == ERR_PEER && !http_parser_idle(call->parser) &&
        http_parser_finish(call->parser, &error) && !interim(call))
        finish(call, false); // a body that lasts until the connection ends
    else
        fail(call, why);
}

static const struct conn_ops conn_ops = {.on_data = on_data, .on_close = on_close};
