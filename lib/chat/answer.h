// A model's answer on its way back to a client of Anthropic's Messages API: bytes of the backend
// in, cut anywhere, bytes for the client out. Whatever comes in, what goes out is a sequence that
// every SDK accepts: message_start; per block start, deltas, stop, in ascending order;
// message_delta with the final usage and stop reason; message_stop. Nothing here does I/O.
//
//   client streams          the backend's answer is read as server-sent events
//   client does not         the backend's whole JSON answer is collected, then told at once
//
// An event that cannot be read is passed over, with one log line for the first of an answer; an
// answer of which nothing could be read is an error, and so is a chunk lost amid a tool call, where
// something else than the model meant would be done. Of a backend that has no reasoning_content, a
// <think>...</think> in front of all text is told as thinking.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum answer_source {
    ANSWER_COMPLETIONS, // OpenAI's chat completions: text, reasoning_content, parallel tool_calls,
                        // errors in any shape
    ANSWER_MESSAGES,    // Messages already (native): ids, model name and usage are set right
};

struct answer;

struct answer_usage {
    int64_t input_tokens;  // of the prompt, without those that were cached
    int64_t cached_tokens; // taken from the backend's prefix cache
    int64_t output_tokens;
};

struct answer_options {
    enum answer_source source;
    bool stream;
    bool thinking;                // false: the client cannot show it; it is left out
    const char *model;            // what the client called it
    const char *id;               // "msg_..."
    int64_t prompt_tokens;        // counted beforehand; 0 = unknown. For an early message_start
    int64_t context_tokens;       // for the text of an overflow that the backend finds; 0 = unknown
    size_t max_bytes;             // of one event, one tool call or a whole answer
    const json_t *stop_sequences; // the client's, an array of texts; NULL = none. Only these are
                                  // told as stop_sequence: servers name their template's too
};

struct answer *answer_create(const struct answer_options *options); // texts are copied
void answer_destroy(struct answer *answer);

// message_start (and a ping) before the backend said a word; once. Not for a whole answer.
void answer_open(struct answer *answer, struct buf *out);
// Text of our own in front of what the backend says, once it has begun to answer.
void answer_preface(struct answer *answer, const char *text, struct buf *out);
// So many of the tokens that the backend calls cached it had read for this very answer, and just
// before: they are told as read.
void answer_read_before(struct answer *answer, int64_t tokens);
// A ping between events; what it appends is always a legal place for one.
void answer_ping(struct answer *answer, struct buf *out);
// False: the backend's bytes are no answer (ERR_PEER), larger than max_bytes or than what `out`
// takes (ERR_LIMIT), or tell an error of its own (its text, in Anthropic's words: ERR_INVALID when
// the prompt is too long, ERR_BUSY, else ERR_PEER); then answer_fail says it to the client. A tool
// call with broken arguments is no error: it passes as it is, the client corrects itself.
bool answer_feed(struct answer *answer, const char *bytes, size_t length, struct buf *out,
                 struct err *err);
// The backend's body has ended. True: what was still to be said (closing events, or the whole
// answer) is in `out`. False: it ended too early.
bool answer_end(struct answer *answer, struct buf *out, struct err *err);
// An error as the last thing that the client reads: an `event: error` in a stream (blocks that are
// open are closed before it), else nothing. A stream whose backend could not read its own model's
// words is ended as a message instead, so that the client goes on (answer_calls.c).
void answer_fail(struct answer *answer, unsigned status, const char *text, struct buf *out);
unsigned answer_status(const struct answer *answer); // that fits what feed or end told; 0 = nothing

bool answer_opened(const struct answer *answer);   // some byte has gone to the client
bool answer_complete(const struct answer *answer); // message_stop, or the whole answer, is out
struct answer_usage answer_usage(const struct answer *answer); // as last told

// A whole answer that no model gave, in either form: for what can be said at once.
void answer_say(struct answer *answer, const char *text, struct buf *out);
