// Which of the models that a server lists is meant.
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

// The index of `wanted` among the names: as it is, in another case, or as the one name that it is
// part of ("qwen3-8b" for "models/Qwen3-8B-Q4_K_M.gguf"). -1: none, and err names the nearest ones.
int model_choice(const char *wanted, const char *const *names, size_t count, struct err *err);

// The user means one of Anthropic's models ("sonnet", "claude-..."), out of habit or by a script.
bool model_choice_is_anthropic(const char *wanted);
