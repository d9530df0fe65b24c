// One call of the Messages API at one backend: counted, refused when it cannot fit, begun early so
// that no client times out while a long prompt is read, translated, and ended in Anthropic's words
// whatever happens. Used by ancalagon (over an engine's unix socket) and by local-claude's relay.
//
//   wait until there is a backend (ancalagon loads one; else it is there at once)
//   -> count, where the backend can and the prompt is not surely small
//   -> too long: 400, nothing was opened
//   -> a conversation that begins, at a backend that keeps no more than some places of what it has
//   read: what others begin with too is read by itself first, so that it keeps that place
//   -> ask, in the form that the model's template takes -> after `early_ms` without a word: 200,
//   message_start, and a ping each `ping_ms`
//   -> events, translated (lib/chat/answer.h) -> end
//
// Ends with exactly one of on_end and, when the client cannot be told any more, on_cut; after that,
// or after chat_call_cancel, the pointer is dead. Cancelling closes the backend's connection. Every
// function may be called from within the call's own callbacks.
#pragma once

#include "base/err.h"
#include "chat/messages.h"
#include "event/loop.h"
#include "http/client.h"

struct chat_call;

enum { CHAT_REPLY_MAX = 193 << 20 }; // bytes of a reply that is told whole, and of one on_body

enum chat_api {
    CHAT_API_COMPLETIONS, // POST /v1/chat/completions
    CHAT_API_MESSAGES,    // POST /v1/messages; for backends that speak only this
};

enum { CHAT_OPENINGS = 32 };

// What calls found out about a backend, kept from one to the next by its owner.
struct chat_learned {
    bool cannot_count;       // it has no path for it
    bool cannot_open;        // it refuses to read an opening alone
    enum messages_form form; // that the template of its model takes
    struct chat_opening {    // that it has read; a ring
        uint64_t hash;       // of the request's bytes; 0 = none
        int64_t tokens;
    } opening[CHAT_OPENINGS];
    size_t openings; // ever
};

// What a backend can do. Texts are the caller's and must outlive the calls.
struct chat_backend {
    struct http_peer *peer; // NULL: not there yet; chat_call_proceed brings it
    enum chat_api api;
    const char *prefix;           // of its paths: "" or "/api/v1"...; before "/v1/chat/completions"
    const char *fields;           // complete header lines (Authorization), or NULL
    const char *model;            // the name that it knows; NULL = the client's
    int64_t context_tokens;       // 0 = unknown
    bool llama;                   // a llama-server: counts exactly, takes its own members
    bool blind;                   // the model takes no images: they become words
    bool forgets;                 // it cannot go back to any token of what it has read (recurrent
                                  // and sliding-window models); needs `learned`
    const char *preface;          // said to the client in front of the answer; NULL = nothing
    struct chat_learned *learned; // NULL = found out anew by every call
    int64_t max_output_tokens;    // clamp; 0 = by the window only
    int64_t early_ms, ping_ms;    // 0 = the defaults (1 s, 10 s)
};

struct chat_call_ops {
    // The reply's status and Content-Type, once, before any body.
    void (*on_head)(struct chat_call *call, unsigned status, const char *type, void *arg);
    void (*on_body)(struct chat_call *call, const char *bytes, size_t length, void *arg);
    void (*on_end)(struct chat_call *call, void *arg);
    void (*on_cut)(struct chat_call *call, const struct err *why, void *arg);
    // The backend's own bytes as they arrive, for whoever watches its progress; first, with no
    // bytes, its head. Not those of a count. Optional.
    void (*on_backend)(struct chat_call *call, const char *bytes, size_t length, void *arg);
    // The backend broke the connection, or could not be reached. True: the owner knows better what
    // to do, and does it (fail, withdraw, cancel), now or later. Optional; else the call fails.
    bool (*on_lost)(struct chat_call *call, const struct err *why, void *arg);
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
// The backend of a call that waits for one. False: it cannot be reached; the call goes on waiting.
bool chat_call_proceed(struct chat_call *call, const struct chat_backend *backend, struct err *err);
// Back to waiting, for a backend that went before it said a word (chat_call_status is 0).
void chat_call_withdraw(struct chat_call *call);
void chat_call_cancel(struct chat_call *call);
// Ends it from outside (the engine died, a deadline passed): the client is told in its protocol.
void chat_call_fail(struct chat_call *call, unsigned status, const struct err *why);
void chat_call_pause(struct chat_call *call); // the client takes no bytes: stop reading
void chat_call_resume(struct chat_call *call);

unsigned chat_call_status(const struct chat_call *call); // the backend's; 0 = no word of it yet
// Nothing that the backend could still do spoils it: its last event is out.
bool chat_call_complete(const struct chat_call *call);
// Seconds after which to ask again, when the backend refused with such advice; 0 = none. Good from
// on_head on.
int64_t chat_call_retry_after(const struct chat_call *call);
// Tokens of the prompt, cached ones included: as the backend told with its answer, else as counted;
// 0 = unknown. Good until on_end has returned.
int64_t chat_call_prompt_tokens(const struct chat_call *call);
