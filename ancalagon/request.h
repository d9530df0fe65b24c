// One proxied call, from its body's last byte to the last byte of its reply. Shared by the four
// files that serve it, and by no other:
//   front.c           the client's side: may it ask, which preset is meant
//   request.c         its life: admitted, refused, failed, cancelled; one way out
//   relay.c           the engine's answer on its way back, byte for byte
//   messages_relay.c  the Messages API, which is translated both ways (lib/chat)
#pragma once

#include "chat/call.h"
#include "planner.h"
#include "route.h"
#include "server.h"
#include "timings.h"

enum {
    REQUEST_MAX_PARTIAL = 1 << 20, // of an event that is not complete; a longer one goes in pieces
    REQUEST_MAX_FIELDS = 48 * 1024,
};

struct request {
    TAILQ_ENTRY(request) link; // in service->requests
    struct intent intent;      // until it is known whether its preset can be had
    struct ticket ticket;
    struct service *service;
    struct http_exchange *exchange;
    struct http_call *call; // at the engine
    struct chat_call *chat; // instead, for the Messages API; from the beginning
    const struct route *route;
    uint64_t id;
    char client[64]; // for status: address; empty until asked for
    bool stream;     // the client asked for server-sent events
    bool committed;  // we sent the stream's head before the engine answered
    bool sse;        // the engine answers with events
    bool finished;   // the last of them has: no end of the connection can spoil it
    bool unframed;   // its answer ends where the connection does
    bool held;       // it answers whole: kept in `partial` until it is, so that a cut can be told
    bool translate;  // its error is collected in `partial`, to be told in the client's protocol
    bool paused;
    bool retried;           // its first engine died before it did anything for it
    bool empty;             // no byte of it came
    bool lost;              // its engine's connection broke; waiting to hear why
    bool failing;           // its chat call tells the client why it ends
    unsigned status;        // the engine's; 0 = no word of it yet
    unsigned reply_status;  // what the chat call tells the client
    struct timings timings; // the engine's, as last told
    int64_t length;         // Content-Length of the engine's answer, -1 = unknown
    struct buf fields;      // of an answer that is held
    struct buf partial;     // of an event, an answer, or an engine's error
    struct timer timer;     // commit, then pings
    int64_t arrived_ms, admitted_ms, sent_ms;
};

// request.c
// When the client may ask again, in place of milliseconds.
enum { RETRY_NEVER = -1, RETRY_UNKNOWN = 0 };
// For client libraries, which else ask twice more whatever the 5xx: the header that they obey.
#define RETRY_NEVER_FIELD "X-Should-Retry: false\r\n"
struct request *request_create(struct service *service, struct http_exchange *exchange,
                               const struct route *route);
void request_end(struct request *request); // gives back all it holds, whatever its state
void request_fail(struct request *request, unsigned status, const struct err *why,
                  int64_t retry_ms); // tells the client, then ends; a lasting error: RETRY_NEVER
// An error as the reply to an exchange, with or without a request.
void reply_error(struct server *server, struct http_exchange *exchange, enum protocol protocol,
                 unsigned status, const char *message, const char *code, int64_t retry_ms);
void fields_with_cors(struct server *server, struct http_exchange *exchange, const char *fields,
                      struct buf *out);

// relay.c
extern const struct http_call_ops relay_ops; // arg = struct request
void relay_on_timer(void *arg);              // the request's timer: stream head, pings, autopsy
void relay_on_drain(struct http_exchange *exchange, void *arg);
void relay_open_stream(struct request *request); // its head, before the engine has said anything
void relay_lost(struct request *request);        // its engine's connection broke
void relay_send(struct request *request, const char *bytes, size_t length);
// The engine's first word, and its last: for the scheduler, the watchdog and the counters.
void relay_engine_began(struct request *request, unsigned status);
void relay_engine_ended(struct request *request);

// messages_relay.c. Takes the parsed body over.
void messages_open(struct request *request, struct messages_request *parsed);
bool messages_proceed(struct request *request, struct err *err); // it has been admitted
// Tells the client in its stream, then ends the request.
void messages_fail(struct request *request, unsigned status, const struct err *why);
