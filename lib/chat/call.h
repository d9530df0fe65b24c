// One call of the Messages API at one backend: counted, refused when it cannot fit, begun early so
// that no client times out while a long prompt is read, translated, and ended in Anthropic's words
// whatever happens. Used by ancalagon (over an engine's unix socket) and by local-claude's relay.
//
//   count (where the backend can) -> too long: 400, nothing was opened
//   -> ask -> after `early_ms` without a word: 200, message_start, and a ping each `ping_ms`
//   -> events, translated (lib/chat/answer.h) -> end
//
// Ends with exactly one of on_end and, when the client cannot be told any more, on_cut; after that,
// or after chat_call_cancel, the pointer is dead. Cancelling closes the backend's connection.
#pragma once

#include "base/err.h"
#include "chat/messages.h"
#include "event/loop.h"
#include "http/client.h"

struct chat_call;

enum chat_api {
    CHAT_API_COMPLETIONS, // POST /v1/chat/completions
    CHAT_API_MESSAGES,    // POST /v1/messages; for backends that speak only this
};

// What a backend can do. Texts are the caller's and must outlive the calls.
struct chat_backend {
    struct http_peer *peer;
    enum chat_api api;
    const char *prefix;        // of its paths: "" or "/api/v1"...; before "/v1/chat/completions"
    const char *fields;        // complete header lines (Authorization), or NULL
    const char *model;         // the name that it knows; NULL = the client's
    int64_t context_tokens;    // 0 = unknown
    bool llama;                // a llama-server: counts exactly, takes its own members
    int64_t max_output_tokens; // clamp; 0 = by the window only
    int64_t early_ms, ping_ms; // 0 = the defaults (1 s, 10 s)
};

struct chat_call_ops {
    // The reply's status and Content-Type, once, before any body.
    void (*on_head)(struct chat_call *call, unsigned status, const char *type, void *arg);
    void (*on_body)(struct chat_call *call, const char *bytes, size_t length, void *arg);
    void (*on_end)(struct chat_call *call, void *arg);
    void (*on_cut)(struct chat_call *call, const struct err *why, void *arg);
    // The backend's own bytes as they arrive, for whoever watches its progress. Optional.
    void (*on_backend)(struct chat_call *call, const char *bytes, size_t length, void *arg);
};

// Takes the request over (messages_fini is the call's). Never calls back before returning; NULL
// means that it could not even start, and then the request is still the caller's.
struct chat_call *chat_call_start(struct loop *loop, const struct chat_backend *backend,
                                  struct messages_request *request, const struct chat_call_ops *ops,
                                  void *arg, struct err *err);
// POST /v1/messages/count_tokens: {"input_tokens": N}; counted where the backend can, else the
// estimate, then with "estimate": true.
struct chat_call *chat_call_count(struct loop *loop, const struct chat_backend *backend,
                                  struct messages_request *request, const struct chat_call_ops *ops,
                                  void *arg, struct err *err);
void chat_call_cancel(struct chat_call *call);
// Ends it from outside (the engine died, a deadline passed): the client is told in its protocol.
void chat_call_fail(struct chat_call *call, unsigned status, const struct err *why);
void chat_call_pause(struct chat_call *call); // the client takes no bytes: stop reading
void chat_call_resume(struct chat_call *call);
