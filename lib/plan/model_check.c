#include "plan/model_check.h"

#include <stdio.h>
#include <string.h>

enum { HEADS_MAX = 65536, TENSOR_NAMES = 5 };

// What the plan reads, and what is possible. Everything after this multiplies freely.
struct bound {
    const char *key; // without the architecture
    uint64_t most;
    enum { MAY_BE_NONE, NEVER_ZERO, NEEDED } least;
    bool by_layer; // may be an array
    // A layer with one of these tensors needs the value: none there is an error, and 0 too. Without
    // names, the model needs it.
    const char *tensors[TENSOR_NAMES];
};

#define ATTENTION                                                                                  \
    { "attn_q.", "attn_k.", "attn_qkv.", "attn_kv_a_mqa." }
static const struct bound BOUNDS[] = {
    {"block_count", MODEL_LAYERS_MAX, NEEDED, false, {0}},
    {"embedding_length", MODEL_WIDTH_MAX, NEEDED, false, {0}},
    {"context_length", MODEL_WIDTH_MAX, NEVER_ZERO, false, {0}},
    {"vocab_size", MODEL_WIDTH_MAX, MAY_BE_NONE, false, {0}},
    {"attention.head_count", HEADS_MAX, NEEDED, true, ATTENTION},
    {"attention.head_count_kv", HEADS_MAX, NEVER_ZERO, true, ATTENTION},
    {"attention.key_length", HEADS_MAX, NEVER_ZERO, false, ATTENTION},
    {"attention.value_length", HEADS_MAX, NEVER_ZERO, false, ATTENTION},
    {"attention.key_length_swa", HEADS_MAX, NEVER_ZERO, false, ATTENTION},
    {"attention.value_length_swa", HEADS_MAX, NEVER_ZERO, false, ATTENTION},
    {"attention.sliding_window", MODEL_WIDTH_MAX, MAY_BE_NONE, false, {0}},
    {"attention.indexer.key_length", MODEL_WIDTH_MAX, MAY_BE_NONE, false, {0}},
    {"feed_forward_length", MODEL_WIDTH_MAX, NEVER_ZERO, true, {"ffn_down."}},
    {"expert_count", MODEL_WIDTH_MAX, NEEDED, false, {"ffn_down_exps."}},
    {"expert_used_count", MODEL_WIDTH_MAX, NEEDED, true, {"ffn_down_exps."}},
    {"expert_feed_forward_length", MODEL_WIDTH_MAX, NEVER_ZERO, true, {"ffn_down_exps."}},
    {"expert_shared_feed_forward_length", MODEL_WIDTH_MAX, MAY_BE_NONE, false, {0}},
    {"ssm.conv_kernel", HEADS_MAX, NEEDED, false, {"ssm_conv1d."}},
    {"ssm.inner_size", MODEL_WIDTH_MAX, NEEDED, false, {"ssm_conv1d."}},
    {"ssm.state_size", HEADS_MAX, NEEDED, false, {"ssm_conv1d."}},
    {"ssm.time_step_rank", MODEL_WIDTH_MAX, NEVER_ZERO, false, {"ssm_conv1d."}},
    {"ssm.group_count", HEADS_MAX, MAY_BE_NONE, false, {0}},
    {"shortconv.l_cache", HEADS_MAX, NEEDED, false, {"shortconv.conv."}},
    {"wkv.head_size", HEADS_MAX, NEEDED, false, {"time_mix_"}},
    {"kda.head_dim", HEADS_MAX, NEVER_ZERO, false, {0}},
};
#undef ATTENTION

struct checking {
    const struct model *model;
    struct err *err;
    char key[160];
};

enum found { FOUND_NOTHING, FOUND_NUMBER, FOUND_NONSENSE };

// The value for a layer: of an array its own, else the one for all.
static enum found find(struct checking *c, const struct bound *bound, uint32_t layer,
                       uint64_t *out) {
    const struct gguf *gguf = c->model->gguf;
    enum gguf_value_type type;
    uint64_t count;
    snprintf(c->key, sizeof c->key, "%s.%s", c->model->arch, bound->key);
    if (gguf_uint(gguf, c->key, out) ||
        (bound->by_layer && gguf_array_uint(gguf, c->key, layer, out)))
        return FOUND_NUMBER;
    bool beyond = bound->by_layer && gguf_array(gguf, c->key, &type, &count) && layer >= count;
    return gguf_has(gguf, c->key) && !beyond ? FOUND_NONSENSE : FOUND_NOTHING;
}

static const char *tensor_of(const struct bound *bound, const char *suffix) {
    for (size_t i = 0; i < TENSOR_NAMES && bound->tensors[i]; i++)
        if (strncmp(suffix, bound->tensors[i], strlen(bound->tensors[i])) == 0)
            return bound->tensors[i];
    return NULL;
}

// `tensor`: one that needs the value, of the layer; NULL when the whole model does, or none.
static bool check_value(struct checking *c, const struct bound *bound, uint32_t layer,
                        const char *tensor) {
    uint64_t value = 0;
    const char *path = c->model->path;
    enum found found = find(c, bound, layer, &value);
    if (found == FOUND_NONSENSE && bound->least != MAY_BE_NONE)
        return err_set(c->err, ERR_INVALID, "%s: %s is no whole number of 0 or more", path, c->key);
    if (value > bound->most)
        return err_set(c->err, ERR_LIMIT, "%s: %s = %llu is beyond any real model", path, c->key,
                       (unsigned long long)value);
    bool judged = !bound->tensors[0] || tensor;
    if (!judged || value || bound->least == MAY_BE_NONE)
        return true;
    if (found == FOUND_NOTHING)
        return bound->least == NEVER_ZERO ||
               err_set(c->err, ERR_NOTFOUND, "%s: no %s in its metadata", path, c->key);
    if (!tensor)
        return err_set(c->err, ERR_INVALID, "%s: %s = 0, which no model has", path, c->key);
    return err_set(c->err, ERR_INVALID, "%s: %s = 0, but blk.%u.%.*s needs more", path, c->key,
                   layer, (int)strcspn(tensor, "."), tensor);
}

// The suffix of a tensor that its layer computes with.
static const char *layer_suffix(const struct model *model, size_t i) {
    const struct model_tensor *tensor = &model->tensors[i];
    const char *dot = strchr(tensor->gguf->name, '.');
    bool of_layer = tensor->place == MODEL_PLACE_LAYER && dot &&
                    strncmp(tensor->gguf->name, "blk.", 4) == 0 && !model->layer[tensor->layer].mtp;
    const char *suffix = of_layer ? strchr(dot + 1, '.') : NULL;
    return suffix ? suffix + 1 : NULL;
}

static bool check_bound(struct checking *c, const struct bound *bound) {
    enum gguf_value_type type;
    uint64_t count = 1;
    if (!check_value(c, bound, 0, NULL))
        return false;
    gguf_array(c->model->gguf, c->key, &type, &count);
    for (uint32_t i = 1; i < count && i < c->model->layers; i++)
        if (!check_value(c, bound, i, NULL))
            return false;
    for (size_t i = 0; bound->tensors[0] && i < c->model->tensor_count; i++) {
        const char *suffix = layer_suffix(c->model, i);
        const char *tensor = suffix ? tensor_of(bound, suffix) : NULL;
        if (tensor && !check_value(c, bound, c->model->tensors[i].layer, tensor))
            return false;
    }
    return true;
}

static bool check_experts(struct checking *c) {
    const struct model *model = c->model;
    return model->experts_used <= model->experts ||
           err_set(c->err, ERR_INVALID, "%s: %s.expert_used_count = %u of expert_count = %u",
                   model->path, model->arch, model->experts_used, model->experts);
}

// Heads of one width that share keys and values evenly.
static bool check_heads(struct checking *c, uint32_t i) {
    const struct model *model = c->model;
    const struct model_layer *layer = &model->layer[i];
    bool shares = layer->heads && layer->heads_kv;
    if (shares && layer->heads % layer->heads_kv)
        return err_set(c->err, ERR_INVALID,
                       "%s: %s.attention.head_count = %u (layer %u) is no multiple of "
                       "head_count_kv = %u",
                       model->path, model->arch, layer->heads, i, layer->heads_kv);
    snprintf(c->key, sizeof c->key, "%s.attention.key_length", model->arch);
    uint32_t first = model->layer[0].heads;
    return !layer->attends || gguf_has(model->gguf, c->key) || !first || model->embd % first == 0 ||
           err_set(c->err, ERR_INVALID,
                   "%s: %s.embedding_length = %u is no multiple of attention.head_count = %u",
                   model->path, model->arch, model->embd, first);
}

// llama.cpp makes the table embedding_length wide for every architecture.
static bool check_table(struct checking *c) {
    const struct model *model = c->model;
    for (size_t i = 0; i < model->tensor_count; i++) {
        const struct gguf_tensor *tensor = model->tensors[i].gguf;
        if (strcmp(tensor->name, "token_embd.weight") == 0 && tensor->ne[0] != model->embd)
            return err_set(c->err, ERR_INVALID,
                           "%s: %s.embedding_length = %u, but token_embd is %llu wide", model->path,
                           model->arch, model->embd, (unsigned long long)tensor->ne[0]);
    }
    return true;
}

bool model_check(const struct model *model, struct err *err) {
    struct checking c = {.model = model, .err = err};
    for (size_t i = 0; i < sizeof BOUNDS / sizeof *BOUNDS; i++)
        if (!check_bound(&c, &BOUNDS[i]))
            return false;
    if (model->vocab > MODEL_WIDTH_MAX)
        return err_set(err, ERR_LIMIT, "%s: a vocabulary beyond any real model", model->path);
    for (uint32_t i = 0; i < model->layers; i++)
        if (!check_heads(&c, i))
            return false;
    return check_experts(&c) && check_table(&c);
}
