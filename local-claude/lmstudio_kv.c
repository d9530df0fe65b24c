#include "lmstudio_kv.h"

#include "base/mem.h"
#include "lmstudio_config.h"
#include "lmstudio_memory.h"

#include <stdio.h>
#include <string.h>

enum { MIB = 1 << 20, NOISE_MIB = 8 };

// Bits of one value, in halves, from llama.cpp's ggml-common.h.
static unsigned half_bits(const char *type) {
    static const struct {
        const char *type;
        unsigned half_bits;
    } types[] = {{"f32", 64},  {"f16", 32},  {"q8_0", 17}, {"q5_1", 12},
                 {"q5_0", 11}, {"q4_1", 10}, {"q4_0", 9},  {"iq4_nl", 9}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].type, type) == 0)
            return types[i].half_bits;
    return 32;
}

// What was there before the change.
struct earlier {
    bool loaded;
    int64_t context_tokens;
    char *k_type; // NULL = not told
    uint64_t memory;
};

static void take_earlier(struct earlier *earlier, const struct lmstudio_model *model) {
    *earlier = (struct earlier){.loaded = model->instance != NULL,
                                .context_tokens = model->context_tokens,
                                .k_type = mem_strdup(model->k_type),
                                .memory = model->instance ? lmstudio_memory() : 0};
}

static bool has(const struct lmstudio_model *model, const char *type) {
    return model->instance && model->k_type && model->v_type && strcmp(model->k_type, type) == 0 &&
           strcmp(model->v_type, type) == 0;
}

static bool unload(struct lmstudio *lmstudio, const char *key, struct err *err) {
    const struct lmstudio_model *model = lmstudio_find(lmstudio, key);
    if (!model || !model->instance)
        return true;
    char *instance = mem_strdup(model->instance);
    bool ok = lmstudio_unload(lmstudio, instance, err);
    mem_free(instance);
    return ok;
}

// Where an instance that tells nothing is measured: it was loaded before, with the same context, in
// a type that takes clearly more.
static bool is_comparable(const struct earlier *earlier, const struct lmstudio_model *model,
                          const char *type, uint64_t now) {
    return earlier->memory > 0 && now > 0 && earlier->context_tokens == model->context_tokens &&
           half_bits(type) < half_bits(earlier->k_type ? earlier->k_type : "f16");
}

static bool verify(const struct lmstudio_model *model, const struct earlier *earlier,
                   const char *type, struct err *err) {
    uint64_t now = lmstudio_memory();
    bool told = model->k_type && model->v_type;
    bool comparable = is_comparable(earlier, model, type, now);
    bool fell = now + (uint64_t)NOISE_MIB * MIB < earlier->memory;
    if (told && !has(model, type))
        return err_set(err, ERR_PEER, "LM Studio loaded it with K %s, V %s all the same",
                       model->k_type, model->v_type);
    if (!told && comparable && !fell)
        return err_set(err, ERR_PEER,
                       "its memory did not fall (%llu MiB before, %llu MiB now), so LM Studio has "
                       "ignored it",
                       (unsigned long long)(earlier->memory / MIB),
                       (unsigned long long)(now / MIB));
    if (!told && !comparable)
        fprintf(stderr,
                "local-claude: warning: LM Studio does not tell the type of its KV cache, "
                "and there is no earlier load to compare its memory with: %s is not "
                "verified\n",
                type);
    if (comparable)
        fprintf(stderr, "local-claude: KV cache %s: memory %llu MiB before, %llu MiB now%s\n", type,
                (unsigned long long)(earlier->memory / MIB), (unsigned long long)(now / MIB),
                fell ? "" : "; warning: it should have fallen");
    return true;
}

static bool load_and_verify(struct lmstudio *lmstudio, const char *key, const char *type,
                            int64_t context_tokens, const struct earlier *earlier,
                            struct err *err) {
    if (!lmstudio_load(lmstudio, key, context_tokens, err))
        return false;
    const struct lmstudio_model *model = lmstudio_find(lmstudio, key);
    if (!model || !model->instance)
        return err_set(err, ERR_PEER, "LM Studio says it is loaded, and does not list it so");
    return verify(model, earlier, type, err);
}

// Back to what was; what goes wrong here is said beside the reason for it.
static void undo(struct lmstudio *lmstudio, const struct lmstudio_config *config, const char *key,
                 const struct earlier *earlier, struct err *err) {
    struct err also = {0};
    struct err why = *err;
    bool ok = lmstudio_config_restore(config, &also) && unload(lmstudio, key, &also) &&
              (!earlier->loaded || lmstudio_load(lmstudio, key, earlier->context_tokens, &also));
    if (ok)
        err_set(err, why.code, "%.300s; its settings are as before", why.text);
    else
        err_set(err, why.code, "%.200s; and they could not be put back: %.200s", why.text,
                also.text);
}

bool lmstudio_kv_set(struct lmstudio *lmstudio, const char *key, const char *type,
                     int64_t context_tokens, struct err *err) {
    const struct lmstudio_model *model = lmstudio_find(lmstudio, key);
    struct lmstudio_config config;
    struct earlier earlier;
    if (has(model, type))
        return true;
    if (!lmstudio->v1)
        return err_set(err, ERR_PEER, "--kv needs LM Studio 0.4.0 or later");
    if (!lmstudio_config_open(&config, key, err)) {
        err_context(err, "--kv");
        return false;
    }
    take_earlier(&earlier, model);
    bool ok = lmstudio_config_write(&config, type, err);
    if (ok && !(unload(lmstudio, key, err) &&
                load_and_verify(lmstudio, key, type, context_tokens, &earlier, err))) {
        undo(lmstudio, &config, key, &earlier, err);
        ok = false;
    }
    if (!ok)
        err_context(err, "--kv %s", type);
    mem_free(earlier.k_type);
    lmstudio_config_close(&config);
    return ok;
}

void lmstudio_kv_tell(const struct lmstudio_model *model, const char *wanted) {
    if (!model->k_type || !model->v_type)
        return;
    fprintf(stderr, "local-claude: KV cache K %s, V %s%s\n", model->k_type, model->v_type,
            wanted && !has(model, wanted) ? "; warning: it is not what was asked for" : "");
    if (strcmp(model->k_type, model->v_type) != 0)
        fputs("local-claude: warning: K and V of different types are many times slower\n", stderr);
}
