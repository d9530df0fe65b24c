// An HTTP/1.1 server on the loop: accepts, reads requests whole (bounded), hands each to one
// handler, writes replies with keep-alive, chunking and back-pressure.
//
// A `struct http_exchange` is one request with its reply. It belongs to its connection: it is good
// from on_head until http_reply_end has been called or on_gone has returned, whichever comes first.
// While it is open the connection keeps reading, so a client that leaves is seen at once; a
// half-closed client counts as gone. Requests pipelined behind it are kept up to a bound.
#pragma once

#include "base/err.h"
#include "event/loop.h"
#include "http/head.h"
#include "http/parser.h"

#include <sys/socket.h>

struct http_server;
struct http_exchange;

struct http_server_limits {
    struct http_limits head;
    size_t body_bytes;        // one request's body; more is answered 413
    size_t held_bytes;        // all request bodies together; more is answered 503
    unsigned connections;     // more are answered 503 and closed
    int64_t head_timeout_ms;  // from the first byte of a head to its last
    int64_t body_timeout_ms;  // without a byte of the body
    int64_t idle_timeout_ms;  // keep-alive without a request
    int64_t write_timeout_ms; // the client takes no byte although some wait
    size_t write_queue_bytes; // unsent bytes of one reply
};
extern const struct http_server_limits http_server_default_limits;

struct http_handler {
    // Head only: may reply at once (an error) to spare the body. Optional.
    void (*on_head)(struct http_exchange *exchange, void *arg);
    // Head and body are complete. Must reply now or later.
    void (*on_request)(struct http_exchange *exchange, void *arg);
    // The client left or stalled, or the server closes, before http_reply_end. Optional.
    void (*on_gone)(struct http_exchange *exchange, const struct err *why, void *arg);
    // The reply's queue has drained. Optional.
    void (*on_drain)(struct http_exchange *exchange, void *arg);
    // A request that never became one: text in the protocol of the house. Optional.
    void (*on_malformed)(struct http_exchange *exchange, unsigned status, const struct err *why,
                         void *arg);
    // A piece of a body that http_exchange_stream_body asked for. May reply (an error), which ends
    // the reading. Optional.
    void (*on_body)(struct http_exchange *exchange, const char *bytes, size_t length, void *arg);
};

struct http_server *http_server_create(struct loop *loop, const struct http_server_limits *limits,
                                       const struct http_handler *handler, void *arg);
void http_server_destroy(struct http_server *server); // exchanges get on_gone
// Takes a listening socket over (systemd's, or one of http_listen_*).
bool http_server_listen(struct http_server *server, int fd, struct err *err);
// From here on each connection is closed after its reply; new ones are taken all the same, to be
// told that the server ends.
void http_server_drain(struct http_server *server);
// Takes no new connections, closes those that wait for a request, and each other one after its
// reply.
void http_server_wind_down(struct http_server *server);
void http_server_set_body_limit(struct http_server *server, size_t body_bytes);
unsigned http_server_connections(const struct http_server *server);

// Sockets ready for http_server_listen; -1 on failure. TCP takes an address, not a name.
int http_listen_tcp(const char *address, unsigned port, struct err *err);
// `path` longer than sun_path is reached through its folder's descriptor. Mode 0600.
int http_listen_unix(const char *path, struct err *err);

// The request.
const struct http_head *http_exchange_head(const struct http_exchange *exchange);
struct span http_exchange_body(const struct http_exchange *exchange);
void http_exchange_drop_body(struct http_exchange *exchange); // frees it early
// From on_head: the body is not kept but handed to on_body as it comes, up to `most` bytes (more is
// answered 413), whatever the server's limits say; http_exchange_body stays empty. From then on
// on_gone tells when the request never becomes complete.
void http_exchange_stream_body(struct http_exchange *exchange, uint64_t most);
void http_exchange_drop_head(struct http_exchange *exchange); // what remains has no fields
void http_exchange_set_data(struct http_exchange *exchange, void *data);
void *http_exchange_data(const struct http_exchange *exchange);
const struct sockaddr *http_exchange_peer(const struct http_exchange *exchange);

// The whole reply at once. `fields` are complete lines ("Retry-After: 1\r\n") or NULL.
void http_reply(struct http_exchange *exchange, unsigned status, const char *type,
                const char *fields, const void *body, size_t length);
// In pieces: begin, body..., end. `length` -1 = unknown (chunked, or until close for HTTP/1.0).
void http_reply_begin(struct http_exchange *exchange, unsigned status, const char *fields,
                      int64_t length);
// False when the client's queue is over its bound or the client is gone (on_gone follows).
bool http_reply_body(struct http_exchange *exchange, const void *bytes, size_t length);
void http_reply_end(struct http_exchange *exchange);
// Ends a begun reply so that the client can tell that it is cut: no last chunk, connection closed.
void http_reply_abort(struct http_exchange *exchange);
bool http_reply_begun(const struct http_exchange *exchange);
size_t http_reply_backlog(const struct http_exchange *exchange); // unsent bytes
