// LM Studio's REST API: which models it has, which are loaded and how; loading and unloading. Its
// v1 (0.4.0 and later), else v0, which lists but loads only by being asked something.
// Source: https://lmstudio.ai/docs/developer/rest
#pragma once

#include "base/err.h"
#include "http/where.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lmstudio_model {
    char *key; // what it is loaded by
    char *quantisation;
    int64_t bytes;              // of its file; 0 = not told
    int64_t max_context_tokens; // 0 = not told
    char *instance;             // what requests name; NULL = not loaded
    int64_t context_tokens;     // of the instance; 0 = not told
    char *k_type, *v_type;      // of its KV cache, "f16"; NULL = not told
};

struct lmstudio {
    const char *address; // points into `where`
    unsigned port;
    const char *key; // borrowed; NULL = none
    char prefix[256];
    bool v1;
    struct lmstudio_model *models; // language models only
    size_t count;
};

// Asks every address of `where`; ERR_NOTFOUND: what answers there is no LM Studio, or nothing does.
bool lmstudio_open(struct lmstudio *lmstudio, const struct where *where, const char *key,
                   int64_t timeout_ms, struct err *err);
void lmstudio_close(struct lmstudio *lmstudio);
// The list anew.
bool lmstudio_refresh(struct lmstudio *lmstudio, struct err *err);
const struct lmstudio_model *lmstudio_find(const struct lmstudio *lmstudio, const char *key);

// Minutes; shown on a terminal. ERR_LIMIT: LM Studio refuses, in its words.
// context_tokens 0: as LM Studio thinks. The list is asked for anew.
// To be called for models that are not loaded: LM Studio would make a second instance.
bool lmstudio_load(struct lmstudio *lmstudio, const char *key, int64_t context_tokens,
                   struct err *err);
bool lmstudio_unload(struct lmstudio *lmstudio, const char *instance, struct err *err);
