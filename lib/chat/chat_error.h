// What backends say when they refuse, and how Claude Code must hear it. It compacts the
// conversation on two texts only (Claude Code 2.1.197, tests/clients); any other text for the same
// thing ends the session:
//   prompt is too long: N tokens > M maximum
//   input length and `max_tokens` exceed context limit: N + K > M      (asks again with less)
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct chat_error {
    unsigned status;  // for the client
    const char *type; // "invalid_request_error", "overloaded_error", "api_error", ...
    char text[1024];
    bool overflow; // the prompt does not fit; the counts below where the backend told them
    int64_t prompt_tokens, context_tokens;
    bool garbled; // the backend could not read what its own model said: nothing is wrong with the
                  // request. An open stream goes on (answer_calls.c); else the client asks again by
                  // itself, as every SDK does after a 500
};

// Reads a backend's error body, whatever its shape: OpenAI's, llama-server's, LM Studio's, vLLM's,
// Anthropic's, or plain text. The counts that are known are used where the backend tells none.
// In an open stream (status 0) a number or a word in the body may tell one.
void chat_error_read(struct chat_error *error, unsigned status, struct span body,
                     int64_t prompt_tokens, int64_t context_tokens);
void chat_error_overflow(struct chat_error *error, int64_t prompt_tokens, int64_t context_tokens);
// Does an answer, or an event of one, tell an error? Members that are null, empty or zero tell
// none.
bool chat_error_is(const json_t *answer);
// It is about the prompt, not about the room for an answer.
bool chat_error_is_too_long(const struct chat_error *error);
const char *chat_error_type(unsigned status); // Anthropic's word for an HTTP status

// {"type":"error","error":{"type","message"}}
void chat_error_body(const struct chat_error *error, struct buf *out);
