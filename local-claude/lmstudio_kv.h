// The type of LM Studio's KV cache: set for one model, and verified, for LM Studio says nothing
// when it ignores a setting.
#pragma once

#include "base/err.h"
#include "lmstudio.h"

// Loads the model with this type (a loaded one is unloaded first) and compares what the instance
// tells, or the memory measured before and after, with what was asked. When it did not come about
// the settings are as before, and the model too if it was loaded; err says why.
bool lmstudio_kv_set(struct lmstudio *lmstudio, const char *key, const char *type,
                     int64_t context_tokens, struct err *err);
// One line on what the instance tells, to stderr; a warning when it is not what was wanted (NULL =
// whatever it is).
void lmstudio_kv_tell(const struct lmstudio_model *model, const char *wanted);
