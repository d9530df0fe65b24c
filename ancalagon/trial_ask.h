// One question at a time to the engine of a trial: a JSON answer, or a streamed completion with its
// timings. Loop thread.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "format/sse.h"
#include "http/client.h"

#include <jansson.h>
#include <stdbool.h>

struct trial_ask;

// llama-server's "timings".
struct trial_timings {
    unsigned prompt_n, cached_n, predicted_n, draft_n, draft_accepted;
    double prompt_ms, predicted_ms;
};

struct trial_ask_ops {
    // The prompt has moved on to so many tokens; a token came; the engine gave some sign of life.
    void (*on_progress)(unsigned prompt_tokens, void *arg);
    void (*on_token)(void *arg);
    // Exactly once, unless cancelled. why NULL: it went well, and either `answer` (borrowed) or
    // `timings` is there.
    void (*on_done)(const json_t *answer, const struct trial_timings *timings,
                    const struct err *why, void *arg);
};

struct trial_ask {
    const struct trial_ask_ops *ops;
    void *arg;
    struct http_call *call; // NULL: nothing is being asked
    const char *what;       // for errors: "POST /completion"
    unsigned status;
    bool is_stream;
    bool has_timings;
    bool is_cut; // why: no whole answer came; the engine may be dying
    struct trial_timings timings;
    struct err error; // that the stream told
    struct buf body;  // ours, while it is sent
    struct buf answer;
    struct sse sse;
};

void trial_ask_init(struct trial_ask *ask, const struct trial_ask_ops *ops, void *arg);
void trial_ask_fini(struct trial_ask *ask); // cancels what is being asked

// `what` is "GET /props": method and target; it must stay. The body is what stands in ask->body.
// False when it could not even be sent.
bool trial_ask_start(struct trial_ask *ask, struct http_peer *peer, const char *auth,
                     const char *what, bool is_stream, struct err *err);
void trial_ask_cancel(struct trial_ask *ask);
