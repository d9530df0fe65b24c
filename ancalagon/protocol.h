// Errors and keep-alives in the words of each API, for bodies and for streams already begun.
//   OpenAI:     {"error":{"message","type","param","code"}}; in a stream `data: {"error":...}`
//   Responses:  the same body; in a stream `event: error` with {"type":"error","message",...}
//   Anthropic:  {"type":"error","error":{"type","message"}}; its streams are lib/chat's
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
// The same as the last event of a stream; not of Anthropic's.
void protocol_error_event(struct buf *out, enum protocol protocol, unsigned status,
                          const char *message, const char *code);
// A comment between two events.
struct span protocol_ping(void);

// Rewrites an engine's own error body ({"error":{"code","message","type"}}) for the protocol.
// False: leave it as it is.
bool protocol_translate_error(struct buf *out, enum protocol protocol, unsigned status,
                              struct span body, bool as_event);
