#define _GNU_SOURCE
#include "http/server.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "event/conn.h"

#include <assert.h>
#include <errno.h>
#include <event2/listener.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

enum {
    MAX_LISTENERS = 8,
    MAX_PIPELINED = 64 * 1024, // bytes kept behind the request being answered
    ACCEPT_RETRY_MS = 100,     // after running out of descriptors
};

const struct http_server_limits http_server_default_limits = {
    .head = {.head_bytes = 32 * 1024, .field_count = 100, .overhead_bytes = 64 * 1024},
    .body_bytes = 64u << 20,
    .held_bytes = 1u << 30,
    .connections = 4096,
    .head_timeout_ms = 10 * 1000,
    .body_timeout_ms = 30 * 1000,
    .idle_timeout_ms = 75 * 1000,
    .write_timeout_ms = 60 * 1000,
    .write_queue_bytes = 8u << 20,
};

// What the connection is waiting for; each has its own deadline.
enum phase { WAIT_REQUEST, WAIT_HEAD, WAIT_BODY, HANDLING };

struct http_exchange {
    TAILQ_ENTRY(http_exchange) link;
    struct http_server *server;
    struct conn *conn;
    struct http_parser *parser;
    enum phase phase;
    struct timer deadline;
    struct buf body;
    struct buf pipelined;
    void *data;
    struct sockaddr_storage peer;
    struct deferred reclaim, next;
    // The reply:
    bool begun, chunked, keep_alive, no_body, close_after, gone, malformed;
    bool told;       // on_gone was called
    bool overflowed; // a piece of the reply found no room: what follows would be misread
    int64_t left;    // bytes of a reply of stated length still owed
    // The body goes to on_body as it comes:
    bool streams;
    uint64_t streamed, stream_max; // bytes
};

TAILQ_HEAD(exchange_list, http_exchange);

struct http_server {
    struct loop *loop;
    struct http_server_limits limits;
    const struct http_handler *handler;
    void *arg;
    struct evconnlistener *listeners[MAX_LISTENERS];
    size_t listener_count;
    struct timer accept_retry;
    struct exchange_list exchanges;
    unsigned connections;
    size_t held; // bytes of all request bodies
    bool winding_down;
};

static void schedule_next(struct http_exchange *exchange);

// --- Life of a connection

static void drop_body(struct http_exchange *exchange) {
    exchange->server->held -= exchange->body.length;
    buf_fini(&exchange->body);
}

void http_exchange_drop_body(struct http_exchange *exchange) { drop_body(exchange); }

void http_exchange_stream_body(struct http_exchange *exchange, uint64_t most) {
    assert(exchange->server->handler->on_body);
    exchange->streams = true;
    exchange->stream_max = most;
}

static void free_exchange(void *arg) {
    struct http_exchange *exchange = arg;
    http_parser_destroy(exchange->parser);
    buf_fini(&exchange->pipelined);
    mem_free(exchange);
}

// Detaches the exchange from everything. The conn is either destroyed or left to finish alone.
static void retire(struct http_exchange *exchange, bool flush) {
    if (exchange->gone)
        return;
    exchange->gone = true;
    drop_body(exchange);
    timer_stop(&exchange->deadline);
    loop_undefer(exchange->server->loop, &exchange->next);
    TAILQ_REMOVE(&exchange->server->exchanges, exchange, link);
    exchange->server->connections--;
    if (flush)
        conn_finish(exchange->conn);
    else
        conn_destroy(exchange->conn);
    exchange->conn = NULL;
    loop_defer(exchange->server->loop, &exchange->reclaim, free_exchange, exchange);
}

// The client is gone or given up: the handler hears of it if it owes a reply.
static void lose(struct http_exchange *exchange, const struct err *why) {
    if (exchange->gone)
        return;
    const struct http_handler *handler = exchange->server->handler;
    bool open = exchange->phase == HANDLING || (exchange->streams && exchange->phase == WAIT_BODY);
    bool owed = open && !exchange->malformed && !exchange->told;
    exchange->told = true; // the handler may close the server, which loses every exchange
    if (owed && handler->on_gone)
        handler->on_gone(exchange, why, exchange->server->arg);
    retire(exchange, false);
}

// --- Reading

static void wait_for(struct http_exchange *exchange, enum phase phase) {
    const struct http_server_limits *limits = &exchange->server->limits;
    exchange->phase = phase;
    if (phase == WAIT_REQUEST)
        timer_start(&exchange->deadline, limits->idle_timeout_ms);
    else if (phase == WAIT_HEAD)
        timer_start(&exchange->deadline, limits->head_timeout_ms);
    else if (phase == WAIT_BODY)
        timer_start(&exchange->deadline, limits->body_timeout_ms);
    else
        timer_stop(&exchange->deadline);
}

// Answers a request that cannot be served as HTTP and gives the connection up.
static void malformed(struct http_exchange *exchange, unsigned status, const struct err *why) {
    const struct http_handler *handler = exchange->server->handler;
    bool known = exchange->streams && exchange->phase == WAIT_BODY && !exchange->told;
    wait_for(exchange, HANDLING);
    exchange->malformed = true;
    exchange->keep_alive = false;
    if (known && handler->on_gone) { // it has seen a part of it
        exchange->told = true;
        handler->on_gone(exchange, why, exchange->server->arg);
        if (exchange->gone)
            return;
    }
    if (handler->on_malformed) {
        handler->on_malformed(exchange, status, why, exchange->server->arg);
        return;
    }
    http_reply(exchange, status, "text/plain", NULL, why->text, strlen(why->text));
}

static bool on_head(const struct http_head *head, void *arg) {
    struct http_exchange *exchange = arg;
    struct http_server *server = exchange->server;
    exchange->keep_alive = head->keep_alive;
    exchange->no_body = span_is(head->method, "HEAD");
    wait_for(exchange, HANDLING); // a handler that replies from on_head must find it open
    if (server->handler->on_head)
        server->handler->on_head(exchange, server->arg);
    if (exchange->gone || exchange->begun || exchange->phase != HANDLING)
        return false; // answered; perhaps so completely that the next request may come
    struct err err;
    uint64_t most = exchange->streams ? exchange->stream_max : server->limits.body_bytes;
    bool large = head->content_length > 0 && (uint64_t)head->content_length > most;
    wait_for(exchange, large && !exchange->streams ? HANDLING : WAIT_BODY);
    if (large) {
        err_set(&err, ERR_LIMIT, "the request body has %lld bytes; at most %llu are taken",
                (long long)head->content_length, (unsigned long long)most);
        malformed(exchange, 413, &err);
        return false;
    }
    if (head->expect_continue && (head->chunked || head->content_length > 0))
        conn_write(exchange->conn, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    return true;
}

static bool stream_body(struct http_exchange *exchange, const char *bytes, size_t length) {
    struct http_server *server = exchange->server;
    struct err err;
    if (length > exchange->stream_max - exchange->streamed) {
        err_set(&err, ERR_LIMIT, "the request body is larger than %llu bytes",
                (unsigned long long)exchange->stream_max);
        malformed(exchange, 413, &err);
        return false;
    }
    exchange->streamed += length;
    wait_for(exchange, HANDLING); // it may reply
    server->handler->on_body(exchange, bytes, length, server->arg);
    if (exchange->gone || exchange->begun || exchange->phase != HANDLING)
        return false;
    wait_for(exchange, WAIT_BODY);
    return true;
}

static bool on_body(const char *bytes, size_t length, void *arg) {
    struct http_exchange *exchange = arg;
    struct http_server *server = exchange->server;
    struct err err;
    if (exchange->streams)
        return stream_body(exchange, bytes, length);
    size_t taken = exchange->body.length, most = server->limits.body_bytes; // may have shrunk
    if (taken > most || length > most - taken) {
        err_set(&err, ERR_LIMIT, "the request body is larger than %zu bytes",
                server->limits.body_bytes);
        malformed(exchange, 413, &err);
        return false;
    }
    if (length > server->limits.held_bytes - server->held) {
        err_set(&err, ERR_BUSY, "too many large requests are waiting; try again later");
        malformed(exchange, 503, &err);
        return false;
    }
    exchange->body.max = server->limits.body_bytes;
    int64_t stated = http_parser_head(exchange->parser)->content_length;
    // A stated length is believed only as far as bytes have come: room for it is taken at once
    // when small, else it grows with the data.
    if (exchange->body.length == 0 && stated > 0 && stated <= (1 << 20))
        buf_reserve(&exchange->body, (size_t)stated);
    buf_add(&exchange->body, bytes, length);
    server->held += length;
    timer_start(&exchange->deadline, server->limits.body_timeout_ms);
    return true;
}

static bool on_end(void *arg) {
    struct http_exchange *exchange = arg;
    wait_for(exchange, HANDLING);
    exchange->server->handler->on_request(exchange, exchange->server->arg);
    return false;
}

static const struct http_parser_ops parser_ops = {on_head, on_body, on_end};

// Bytes that come while a request is being answered belong to the next one.
static void keep_for_later(struct http_exchange *exchange, const char *bytes, size_t length) {
    if (exchange->close_after || !exchange->keep_alive)
        return;
    if (!buf_add(&exchange->pipelined, bytes, length)) {
        buf_fini(&exchange->pipelined);
        exchange->close_after = true;
    }
}

static void feed(struct http_exchange *exchange, const char *bytes, size_t length) {
    if (exchange->phase == WAIT_REQUEST)
        wait_for(exchange, WAIT_HEAD);
    size_t used;
    struct http_parser_error error;
    bool ok = http_parser_feed(exchange->parser, bytes, length, &used, &error);
    if (exchange->gone)
        return;
    if (!ok) {
        malformed(exchange, error.status, &error.err);
        return;
    }
    if (used < length) // answered or being answered: the rest is the next request's
        keep_for_later(exchange, bytes + used, length - used);
    if (exchange->phase == WAIT_REQUEST) // answered from inside http_parser_feed
        schedule_next(exchange);
}

static void on_data(struct conn *conn, const char *bytes, size_t length, void *arg) {
    struct http_exchange *exchange = arg;
    if (exchange->phase == HANDLING || exchange->next.queued)
        keep_for_later(exchange, bytes, length);
    else
        feed(exchange, bytes, length);
}

static void on_drain(struct conn *conn, void *arg) {
    struct http_exchange *exchange = arg;
    const struct http_handler *handler = exchange->server->handler;
    if (exchange->phase == HANDLING && handler->on_drain)
        handler->on_drain(exchange, exchange->server->arg);
}

static void on_close(struct conn *conn, const struct err *why, void *arg) { lose(arg, why); }

static const struct conn_ops conn_ops = {
    .on_data = on_data, .on_drain = on_drain, .on_close = on_close};

static void on_deadline(void *arg) {
    struct http_exchange *exchange = arg;
    struct err err;
    if (exchange->phase == WAIT_REQUEST) {
        retire(exchange, true);
        return;
    }
    err_set(&err, ERR_TIMEOUT, "the request did not arrive in time");
    malformed(exchange, 408, &err);
}

// --- Accepting

static void refuse_connection(struct http_server *server, int fd) {
    static const char reply[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"
                                "Content-Length: 0\r\nConnection: close\r\n\r\n";
    if (send(fd, reply, sizeof reply - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        log_debug("http.refuse error=\"%s\"", strerror(errno));
    evutil_closesocket(fd);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int length, void *arg) {
    struct http_server *server = arg;
    if (server->connections >= server->limits.connections) {
        refuse_connection(server, fd);
        return;
    }
    struct http_exchange *exchange = mem_alloc(sizeof *exchange);
    exchange->server = server;
    if (length > 0 && (size_t)length <= sizeof exchange->peer)
        memcpy(&exchange->peer, address, (size_t)length);
    buf_init(&exchange->body, server->limits.body_bytes);
    buf_init(&exchange->pipelined, MAX_PIPELINED);
    exchange->parser =
        http_parser_create(HTTP_REQUESTS, &server->limits.head, &parser_ops, exchange);
    timer_init(&exchange->deadline, server->loop, on_deadline, exchange);
    exchange->conn =
        conn_open(server->loop, fd, server->limits.write_queue_bytes, &conn_ops, exchange);
    conn_set_write_timeout(exchange->conn, server->limits.write_timeout_ms);
    TAILQ_INSERT_TAIL(&server->exchanges, exchange, link);
    server->connections++;
    wait_for(exchange, WAIT_HEAD); // a fresh connection owes its first head soon
}

static void enable_listeners(struct http_server *server, bool enable) {
    for (size_t i = 0; i < server->listener_count; i++) {
        if (enable)
            evconnlistener_enable(server->listeners[i]);
        else
            evconnlistener_disable(server->listeners[i]);
    }
}

static void on_accept_retry(void *arg) { enable_listeners(arg, true); }

static void on_accept_error(struct evconnlistener *listener, void *arg) {
    struct http_server *server = arg;
    log_warn("http.accept error=\"%s\"", strerror(errno));
    enable_listeners(server, false);
    timer_start(&server->accept_retry, ACCEPT_RETRY_MS);
}

struct http_server *http_server_create(struct loop *loop, const struct http_server_limits *limits,
                                       const struct http_handler *handler, void *arg) {
    struct http_server *server = mem_alloc(sizeof *server);
    server->loop = loop;
    server->limits = *limits;
    server->handler = handler;
    server->arg = arg;
    TAILQ_INIT(&server->exchanges);
    timer_init(&server->accept_retry, loop, on_accept_retry, server);
    return server;
}

bool http_server_listen(struct http_server *server, int fd, struct err *err) {
    assert(server->listener_count < MAX_LISTENERS);
    evutil_make_socket_nonblocking(fd);
    evutil_make_socket_closeonexec(fd);
    struct evconnlistener *listener =
        evconnlistener_new(loop_base(server->loop), on_accept, server,
                           LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 1024, fd);
    if (!listener)
        return err_errno(err, "cannot listen");
    evconnlistener_set_error_cb(listener, on_accept_error);
    server->listeners[server->listener_count++] = listener;
    return true;
}

static void stop_listening(struct http_server *server) {
    timer_stop(&server->accept_retry);
    for (size_t i = 0; i < server->listener_count; i++)
        evconnlistener_free(server->listeners[i]);
    server->listener_count = 0;
}

void http_server_drain(struct http_server *server) { server->winding_down = true; }

void http_server_wind_down(struct http_server *server) {
    stop_listening(server);
    http_server_drain(server);
    struct http_exchange *exchange, *next;
    for (exchange = TAILQ_FIRST(&server->exchanges); exchange; exchange = next) {
        next = TAILQ_NEXT(exchange, link);
        if (exchange->phase == WAIT_REQUEST)
            retire(exchange, true);
    }
}

void http_server_destroy(struct http_server *server) {
    if (!server)
        return;
    stop_listening(server);
    struct err why;
    err_set(&why, ERR_BUSY, "the server is shutting down");
    struct http_exchange *exchange;
    while ((exchange = TAILQ_FIRST(&server->exchanges)))
        lose(exchange, &why);
    mem_free(server);
}

void http_server_set_body_limit(struct http_server *server, size_t body_bytes) {
    server->limits.body_bytes = body_bytes;
}

unsigned http_server_connections(const struct http_server *server) { return server->connections; }

// --- The request

const struct http_head *http_exchange_head(const struct http_exchange *exchange) {
    return http_parser_head(exchange->parser);
}

struct span http_exchange_body(const struct http_exchange *exchange) {
    return (struct span){buf_bytes(&exchange->body), exchange->body.length};
}

void http_exchange_drop_head(struct http_exchange *exchange) {
    http_parser_drop_head(exchange->parser);
}

void http_exchange_set_data(struct http_exchange *exchange, void *data) { exchange->data = data; }
void *http_exchange_data(const struct http_exchange *exchange) { return exchange->data; }

const struct sockaddr *http_exchange_peer(const struct http_exchange *exchange) {
    return (const struct sockaddr *)&exchange->peer;
}

// --- The reply

bool http_reply_begun(const struct http_exchange *exchange) { return exchange->begun; }

size_t http_reply_backlog(const struct http_exchange *exchange) {
    return exchange->gone ? 0 : conn_backlog(exchange->conn);
}

void http_reply_begin(struct http_exchange *exchange, unsigned status, const char *fields,
                      int64_t length) {
    assert(exchange->phase == HANDLING && !exchange->begun && !exchange->gone);
    const struct http_head *request = http_parser_head(exchange->parser);
    exchange->begun = true;
    exchange->left = length;
    exchange->chunked = length < 0 && request->minor == 1;
    // Without the whole request read, the rest of it would be taken for the next one.
    if (!http_parser_done(exchange->parser) || (length < 0 && !exchange->chunked) ||
        exchange->server->winding_down)
        exchange->keep_alive = false;
    const char *connection = !exchange->keep_alive ? "Connection: close\r\n"
                             : request->minor == 0 ? "Connection: keep-alive\r\n"
                                                   : "";
    char head[256], framing[48] = "";
    if (length >= 0)
        snprintf(framing, sizeof framing, "Content-Length: %lld\r\n", (long long)length);
    int n = snprintf(head, sizeof head, "HTTP/1.1 %u %s\r\n%s%s", status, http_status_text(status),
                     exchange->chunked ? "Transfer-Encoding: chunked\r\n" : framing, connection);
    const struct span pieces[] = {{head, (size_t)n}, span_of(fields ? fields : ""), {"\r\n", 2}};
    conn_write_pieces(exchange->conn, pieces, 3);
}

static bool write_chunk(struct conn *conn, const void *bytes, size_t length) {
    char size[20], *first = size + sizeof size; // its hexadecimal digits, from the last one on
    *--first = '\n';
    *--first = '\r';
    size_t left = length;
    do
        *--first = "0123456789abcdef"[left & 15];
    while (left >>= 4);
    const struct span pieces[] = {
        {first, (size_t)(size + sizeof size - first)}, {bytes, length}, {"\r\n", 2}};
    return conn_write_pieces(conn, pieces, 3);
}

bool http_reply_body(struct http_exchange *exchange, const void *bytes, size_t length) {
    assert(exchange->begun);
    if (exchange->gone || length == 0)
        return !exchange->gone;
    if (exchange->left >= 0) {
        assert((int64_t)length <= exchange->left);
        exchange->left -= (int64_t)length;
    }
    if (exchange->no_body)
        return true;
    bool ok =
        !exchange->overflowed && (exchange->chunked ? write_chunk(exchange->conn, bytes, length)
                                                    : conn_write(exchange->conn, bytes, length));
    exchange->overflowed = !ok;
    return ok;
}

// The next request on the connection, if its bytes are here already.
static void run_next(void *arg) {
    struct http_exchange *exchange = arg;
    size_t length;
    char *bytes = buf_take(&exchange->pipelined, &length);
    feed(exchange, bytes, length);
    mem_free(bytes);
}

// Never from inside the handler: its stack still holds the exchange.
static void schedule_next(struct http_exchange *exchange) {
    if (exchange->pipelined.length)
        loop_defer(exchange->server->loop, &exchange->next, run_next, exchange);
}

static void start_next(struct http_exchange *exchange) {
    drop_body(exchange);
    http_parser_reset(exchange->parser);
    exchange->data = NULL;
    exchange->begun = exchange->streams = false;
    exchange->streamed = 0;
    wait_for(exchange, WAIT_REQUEST);
    schedule_next(exchange);
}

void http_reply_end(struct http_exchange *exchange) {
    assert(exchange->begun);
    if (exchange->gone)
        return;
    assert(exchange->left <= 0);
    if (exchange->overflowed) {
        http_reply_abort(exchange);
        return;
    }
    if (exchange->chunked && !exchange->no_body)
        conn_write(exchange->conn, "0\r\n\r\n", 5);
    if (!exchange->keep_alive || exchange->close_after || exchange->server->winding_down)
        retire(exchange, true);
    else
        start_next(exchange);
}

void http_reply_abort(struct http_exchange *exchange) {
    if (!exchange->gone)
        retire(exchange, true);
}

void http_reply(struct http_exchange *exchange, unsigned status, const char *type,
                const char *fields, const void *body, size_t length) {
    if (exchange->gone)
        return;
    char *lines = mem_printf("%s%s%s%s", type ? "Content-Type: " : "", type ? type : "",
                             type ? "\r\n" : "", fields ? fields : "");
    http_reply_begin(exchange, status, lines, (int64_t)length);
    mem_free(lines);
    http_reply_body(exchange, body, length);
    http_reply_end(exchange);
}
