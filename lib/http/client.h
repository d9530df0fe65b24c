// An HTTP/1.1 client on the loop, for one peer (an engine, or the control socket). Connections
// that a finished call leaves clean are kept for a moment and used again.
//
// A `struct http_call` is one request with its response. It ends with exactly one of on_end and
// on_fail; after that, or after http_call_cancel, the pointer is dead. Cancelling closes the
// connection: that is the signal by which llama-server frees the slot.
#pragma once

#include "base/err.h"
#include "event/loop.h"
#include "http/head.h"

struct http_peer;
struct http_call;

struct http_call_ops {
    // The head is the client's again when this returns.
    void (*on_head)(struct http_call *call, const struct http_head *head, void *arg);
    void (*on_body)(struct http_call *call, const char *bytes, size_t length, void *arg);
    void (*on_end)(struct http_call *call, void *arg);
    void (*on_fail)(struct http_call *call, const struct err *why, void *arg);
};

// Where the peer listens: a unix socket's path, or a numeric address (IPv4 or IPv6, perhaps with
// its interface, no name) and a port (unix_path == NULL).
struct http_peer *http_peer_create(struct loop *loop, const char *unix_path, const char *address,
                                   unsigned port);
// Every call must have ended. Idle connections are closed.
void http_peer_destroy(struct http_peer *peer);
void http_peer_close_idle(struct http_peer *peer);
unsigned http_peer_idle(const struct http_peer *peer);

// `fields` are complete lines besides Host, Content-Length and Connection, or NULL. The body stays
// the caller's and must live until on_head, on_fail or cancel. Never calls back before returning:
// NULL means that the call could not even start.
struct http_call *http_call_start(struct http_peer *peer, const char *method, struct span target,
                                  struct span fields, struct span body,
                                  const struct http_call_ops *ops, void *arg, struct err *err);
void http_call_cancel(struct http_call *call);
void http_call_pause(struct http_call *call); // stop reading: the peer will block
void http_call_resume(struct http_call *call);
