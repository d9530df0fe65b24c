// LM Studio's file with the load settings of one model. Its REST API takes no type of the KV cache
// (lmstudio-bug-tracker #2024), so it is written there, as a checkbox with a value: a bare text is
// ignored without a word.
//
//   ~/.lmstudio/.internal/user-concrete-model-default-config/PUBLISHER/REPO/FILE.gguf.json
//   {"load": {"fields": [{"key": "llm.load.llama.kCacheQuantizationType",
//                         "value": {"checked": true, "value": "q8_0"}}, ...]}, ...}
//
// Which file is a model's, .internal/model-index-cache.json tells. LMSTUDIO_HOME stands for
// ~/.lmstudio.
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct lmstudio_config {
    char *path;
    char *before; // its text as it was found; NULL = there was no file
    size_t before_length;
};

bool lmstudio_config_open(struct lmstudio_config *config, const char *key, struct err *err);
void lmstudio_config_close(struct lmstudio_config *config);

// Writes both types, and flash attention, without which a quantised V cache makes the load fail;
// all else in the file stays. What was there is kept beside it (.before-local-claude) until the
// next change.
bool lmstudio_config_write(const struct lmstudio_config *config, const char *type, struct err *err);
// As it was found.
bool lmstudio_config_restore(const struct lmstudio_config *config, struct err *err);

bool lmstudio_config_is_type(const char *type);
#define LMSTUDIO_KV_TYPES "f32, f16, q8_0, q5_1, q5_0, q4_1, q4_0, iq4_nl"

// The text of such a file with the type in it, the caller's. `text` NULL: there is none yet. NULL:
// it is no such file.
char *lmstudio_config_edit(const char *text, size_t length, const char *type, size_t *out_length,
                           struct err *err);
