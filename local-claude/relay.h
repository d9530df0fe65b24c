// Our own server between Claude Code and a backend that is no ancalagon: on 127.0.0.1, a port that
// the system chooses, for one run. It answers HEAD /, GET /v1/models, POST /v1/messages and
// /v1/messages/count_tokens to whoever shows this run's token, and leads to one place only.
#pragma once

#include "backend.h"
#include "base/err.h"
#include "event/loop.h"

#include <stdint.h>

struct relay;
struct airgap;

// `place` is borrowed and must outlive the relay. `model` is the name that Claude Code uses. With
// an airgap it listens in there and nowhere else; NULL = none.
struct relay *relay_create(struct loop *loop, const struct place *place, const char *model,
                           struct airgap *airgap, struct err *err);
void relay_destroy(struct relay *relay); // NULL is fine
const char *relay_url(const struct relay *relay);
const char *relay_token(const struct relay *relay);
// What the first request of a conversation took, prompt and tools, but those of MCP servers; 0 =
// there was none yet.
int64_t relay_prompt_tokens(const struct relay *relay);
// And those, as their part of that request in bytes; 0 = none came so far.
int64_t relay_mcp_tokens(const struct relay *relay);
