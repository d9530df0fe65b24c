// Errors and keep-alives in the words of each API, for bodies and for streams already begun.
//   OpenAI:     {"error":{"message","type","param","code"}}; in a stream `data: {"error":...}`
//   Responses:  the same body; in a stream `event: error` with {"type":"error","message",...}
//   Anthropic:  {"type":"error","error":{"type","message"}}; in a stream `event: error`
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum protocol { PROTOCOL_OPENAI, PROTOCOL_RESPONSES, PROTOCOL_ANTHROPIC };

// The HTTP status that fits an error of ours.
unsigned protocol_status(enum err_code code);

// `code` is a machine-readable word such as "model_not_found"; NULL = none.
void protocol_error_body(struct buf *out, enum protocol protocol, unsigned status,
                         const char *message, const char *code);
// The same as the last event of a stream.
void protocol_error_event(struct buf *out, enum protocol protocol, unsigned status,
                          const char *message, const char *code);
// An event that every client of the protocol ignores.
struct span protocol_ping(enum protocol protocol);

// Anthropic's first event, for engines that forget it.
void protocol_message_start(struct buf *out, uint64_t id, const char *model);

// Rewrites an engine's own error body ({"error":{"code","message","type"}}) for the protocol, with
// the text that Claude Code understands when the context is too small. False: leave it as it is.
bool protocol_translate_error(struct buf *out, enum protocol protocol, unsigned status,
                              struct span body, bool as_event);
