#include "plan/model.h"

#include "base/mem.h"
#include "plan/model_check.h"

#include <stdio.h>
#include <string.h>

// What the architecture decides and the file does not say. `pattern` n: of every n layers the last
// is a full one (the first, with `full_first`); 0: the file's own array is the only source.
enum { ALL_SLIDE = 255 }; // every layer that attends

struct arch_rule {
    const char *arch;
    enum { NEVER, WHEN_SET, ALWAYS } sliding;
    uint8_t pattern;
    bool full_first;
    uint16_t window; // when the file gives none
    enum { NO_STATE, ALL_STATE, BY_HEADS, BY_INTERVAL, BY_HEADS_AND_FF, BOTH } state;
    uint8_t kv_first; // layers that keep a cache, counted from the first; the rest share
    bool tied_own, rolls_back;
    bool indexer;  // a second cache of keys, that chooses which tokens are attended to
    bool no_cache; // diffusion: every pass reads all tokens anew
};

static const struct arch_rule RULES[] = {
    {"llama"},
    {"mistral3"},
    {"deci"},
    {"qwen2"},
    {"qwen2moe"},
    {"qwen2vl"},
    {"qwen3"},
    {"qwen3moe"},
    {"qwen3vl"},
    {"qwen3vlmoe"},
    {"phi2"},
    {"phi3"},
    {"phimoe"},
    {"gemma"},
    {"starcoder"},
    {"starcoder2"},
    {"stablelm"},
    {"falcon"},
    {"gpt2"},
    {"gptneox"},
    {"mpt"},
    {"internlm2"},
    {"minicpm"},
    {"minicpm3"},
    {"command-r"},
    {"olmo"},
    {"olmoe"},
    {"openelm"},
    {"arctic"},
    {"deepseek"},
    {"deepseek2"},
    {"chatglm", .tied_own = true},
    {"glm4"},
    {"glm4moe"},
    {"bitnet"},
    {"exaone"},
    {"granite"},
    {"granitemoe"},
    {"nemotron"},
    {"orion"},
    {"baichuan"},
    {"xverse"},
    {"refact"},
    {"bloom", .tied_own = true},
    {"dbrx"},
    {"grok"},
    {"ernie4_5"},
    {"ernie4_5-moe"},
    {"hunyuan-moe"},
    {"hunyuan-dense"},
    {"smollm3"},
    {"dots1"},
    {"bailingmoe"},
    {"bailingmoe2"},
    {"seed_oss"},
    {"apertus"},
    {"minimax-m2"},
    {"arcee"},
    {"codeshell"},
    {"grovemoe"},
    {"hunyuan_vl"},
    {"hy_v3"},
    {"jais"},
    {"jais2"},
    {"maincoder"},
    {"mistral4"},
    {"nanbeige"},
    {"paddleocr"},
    {"pangu-embedded"},
    {"plamo"},
    {"pockettts"},
    {"qwen"},
    {"qwen3tts"},
    {"talkie"},
    {"deepseek32", .indexer = true},
    {"glm-dsa", .indexer = true},
    {"gemma2", .sliding = ALWAYS, .pattern = 2, .window = 4096},
    {"gemma3", .sliding = WHEN_SET, .pattern = 6},
    {"gemma3n", .sliding = ALWAYS, .pattern = 5, .kv_first = 20, .tied_own = true},
    {"gemma4", .sliding = ALWAYS, .tied_own = true},
    {"gpt-oss", .sliding = ALWAYS, .pattern = 2},
    {"cohere2", .sliding = ALWAYS, .pattern = 4},
    {"cohere2moe", .sliding = ALWAYS, .pattern = 4, .full_first = true},
    {"olmo2", .sliding = WHEN_SET, .pattern = 4},
    {"exaone4", .sliding = WHEN_SET, .pattern = 4, .window = 4096},
    {"exaone-moe", .sliding = ALWAYS, .pattern = 4, .window = 128},
    {"llama4", .sliding = ALWAYS, .pattern = 4, .window = 8192},
    {"smallthinker", .sliding = WHEN_SET, .pattern = 4, .full_first = true, .window = 4096},
    {"afmoe", .sliding = WHEN_SET, .pattern = 4},
    {"mellum", .sliding = WHEN_SET, .pattern = 4},
    {"plamo3", .sliding = WHEN_SET, .pattern = 8},
    {"laguna", .sliding = WHEN_SET, .pattern = 4, .full_first = true},
    {"step35", .sliding = ALWAYS},
    {"mimo2", .sliding = ALWAYS},
    {"granite_swa", .sliding = ALWAYS},
    {"maple", .sliding = ALWAYS},
    {"spark2_5", .sliding = ALWAYS},
    {"muse-glimmer", .sliding = ALWAYS, .pattern = 4},
    {"dream", .no_cache = true},
    {"llada", .no_cache = true},
    {"llada-moe", .no_cache = true},
    {"rnd1", .no_cache = true},
    {"mamba", .state = ALL_STATE},
    {"mamba2", .state = ALL_STATE},
    {"rwkv6", .state = ALL_STATE},
    {"rwkv6qwen2", .state = ALL_STATE},
    {"rwkv7", .state = ALL_STATE},
    {"arwkv7", .state = ALL_STATE},
    {"jamba", .state = BY_HEADS},
    {"granitehybrid", .state = BY_HEADS},
    {"plamo2", .state = BY_HEADS},
    {"lfm2", .sliding = WHEN_SET, .pattern = ALL_SLIDE, .state = BY_HEADS, .rolls_back = true},
    {"lfm2moe", .state = BY_HEADS, .rolls_back = true},
    {"kimi-linear", .state = BY_HEADS},
    {"nemotron_h", .state = BY_HEADS_AND_FF, .rolls_back = true},
    {"nemotron_h_moe", .state = BY_HEADS_AND_FF, .rolls_back = true},
    {"falcon-h1", .state = BOTH},
    {"qwen3next", .state = BY_INTERVAL},
    {"qwen35", .state = BY_INTERVAL, .rolls_back = true},
    {"qwen35moe", .state = BY_INTERVAL, .rolls_back = true},
};

static const struct arch_rule *rule_find(const char *arch) {
    for (size_t i = 0; i < sizeof RULES / sizeof *RULES; i++)
        if (strcmp(RULES[i].arch, arch) == 0)
            return &RULES[i];
    return NULL;
}

// Metadata under the architecture's prefix: "qwen3moe" + ".block_count".
struct keys {
    const struct gguf *gguf;
    const char *arch;
    char text[160];
};

static const char *key(struct keys *keys, const char *name) {
    snprintf(keys->text, sizeof keys->text, "%s.%s", keys->arch, name);
    return keys->text;
}

static uint32_t number(struct keys *keys, const char *name, uint32_t fallback) {
    uint64_t value = fallback;
    gguf_uint(keys->gguf, key(keys, name), &value);
    return value > MODEL_WIDTH_MAX ? MODEL_WIDTH_MAX + 1 : (uint32_t)value;
}

// A number for all layers, or an array with one for each.
static uint32_t number_at(struct keys *keys, const char *name, uint32_t layer, uint32_t fallback) {
    uint64_t value = fallback;
    if (!gguf_array_uint(keys->gguf, key(keys, name), layer, &value))
        gguf_uint(keys->gguf, key(keys, name), &value);
    return value > MODEL_WIDTH_MAX ? MODEL_WIDTH_MAX + 1 : (uint32_t)value;
}

// The largest of a per-layer number.
static uint32_t number_max(struct keys *keys, const char *name, uint32_t layers) {
    uint32_t best = 0;
    for (uint32_t i = 0; i < layers; i++) {
        uint32_t value = number_at(keys, name, i, 0);
        best = value > best ? value : best;
    }
    return best;
}

static bool is_sliding(struct keys *keys, const struct arch_rule *rule, const struct model *model,
                       uint32_t layer) {
    if (!rule || rule->sliding == NEVER || !model->window)
        return false;
    if (rule->pattern == ALL_SLIDE)
        return model->layer[layer].heads_kv != 0;
    uint64_t value;
    if (gguf_array_uint(keys->gguf, key(keys, "attention.sliding_window_pattern"), layer, &value))
        return value != 0;
    uint32_t n = number(keys, "attention.sliding_window_pattern", rule->pattern);
    if (layer >= model->layers - model->layers_mtp)
        return false;
    if (n == 0)
        return true;
    return rule->full_first ? layer % n != 0 : layer % n < n - 1;
}

static bool is_recurrent(struct keys *keys, const struct arch_rule *rule, const struct model *model,
                         uint32_t layer) {
    const struct model_layer *l = &model->layer[layer];
    if (!rule || rule->state == NO_STATE || layer >= model->layers - model->layers_mtp)
        return false;
    switch (rule->state) {
    case ALL_STATE:
    case BOTH: return true;
    case BY_HEADS: return l->heads_kv == 0;
    case BY_HEADS_AND_FF: return l->heads_kv == 0 && l->ff == 0;
    default: break;
    }
    uint64_t value;
    if (gguf_array_uint(keys->gguf, key(keys, "attention.recurrent_layers"), layer, &value))
        return value != 0;
    uint32_t interval = number(keys, "full_attention_interval", 4);
    return interval == 0 || (layer + 1) % interval != 0;
}

static uint32_t kv_first(struct keys *keys, const struct arch_rule *rule,
                         const struct model *model) {
    uint32_t shared = number(keys, "attention.shared_kv_layers", 0);
    if (rule && rule->kv_first)
        return rule->kv_first;
    return shared < model->layers ? model->layers - shared : model->layers;
}

static void read_layer(struct keys *keys, const struct arch_rule *rule, struct model *model,
                       uint32_t i) {
    struct model_layer *layer = &model->layer[i];
    uint32_t heads_first = number_at(keys, "attention.head_count", 0, 0);
    layer->heads = number_at(keys, "attention.head_count", i, 0);
    layer->heads_kv = number_at(keys, "attention.head_count_kv", i, layer->heads);
    layer->ff = number_at(keys, "feed_forward_length", i, 0);
    layer->mtp = i >= model->layers - model->layers_mtp;
    layer->sliding = is_sliding(keys, rule, model, i);
    layer->recurrent = is_recurrent(keys, rule, model, i);

    uint32_t width = heads_first ? model->embd / heads_first : 0;
    layer->head_k = number(keys, "attention.key_length", width);
    layer->head_v = number(keys, "attention.value_length", width);
    if (layer->sliding) {
        layer->head_k = number(keys, "attention.key_length_swa", layer->head_k);
        layer->head_v = number(keys, "attention.value_length_swa", layer->head_v);
    }
    bool only_state = layer->recurrent && rule->state != BOTH;
    bool no_attention = rule && rule->state == BY_HEADS_AND_FF && layer->ff != 0;
    layer->attends = !(rule && rule->no_cache) && !only_state && !no_attention &&
                     layer->heads_kv > 0 && i < kv_first(keys, rule, model);
    if (layer->ff > model->ff_max)
        model->ff_max = layer->ff;
}

// Sizes of one recurrent layer's two states (llama_hparams::n_embd_r, n_embd_s).
static void read_state(struct keys *keys, struct model *model) {
    uint32_t conv = number(keys, "ssm.conv_kernel", 0);
    uint32_t inner = number(keys, "ssm.inner_size", 0);
    uint32_t state = number(keys, "ssm.state_size", 0);
    uint32_t groups = number(keys, "ssm.group_count", 0);
    uint32_t heads = number_at(keys, "attention.head_count", 0, 0);
    uint32_t wkv = number(keys, "wkv.head_size", 0);
    uint32_t shortconv = number(keys, "shortconv.l_cache", 0);
    uint32_t kda = number(keys, "kda.head_dim", 0);
    uint64_t r, s;
    if (wkv) {
        r = (uint64_t)number(keys, "token_shift_count", 2) * model->embd;
        s = (uint64_t)model->embd * wkv;
    } else if (shortconv) {
        r = (uint64_t)model->embd * (shortconv - 1);
        s = 0;
    } else if (kda) {
        r = 3ull * (conv ? conv - 1 : 3) * heads * kda;
        s = (uint64_t)kda * kda * heads;
    } else {
        model->inner = inner;
        model->ssm_heads = number(keys, "ssm.time_step_rank", 0);
        model->conv_channels = inner + 2 * groups * state;
        r = (uint64_t)(conv ? conv - 1 : 0) * model->conv_channels;
        s = (uint64_t)state * inner;
    }
    model->state_r = r > UINT32_MAX ? UINT32_MAX : (uint32_t)r;
    model->state_s = s > UINT32_MAX ? UINT32_MAX : (uint32_t)s;
}

static bool is_one_of(const char *name, const char *const *list) {
    for (; *list; list++)
        if (strncmp(name, *list, strlen(*list)) == 0)
            return true;
    return false;
}

// "blk.17.ffn_up_exps.weight" -> 17 and "ffn_up_exps.weight"; NULL when it belongs to no layer.
static const char *layer_suffix(const char *name, uint32_t *layer) {
    if (strncmp(name, "blk.", 4) != 0)
        return NULL;
    uint32_t n = 0;
    const char *p = name + 4;
    for (; *p >= '0' && *p <= '9' && n < MODEL_LAYERS_MAX; p++)
        n = n * 10 + (uint32_t)(*p - '0');
    if (p == name + 4 || *p != '.')
        return NULL;
    *layer = n;
    return p + 1;
}

// llama.cpp's regular expressions (common.h): ffn_(up|down|gate|gate_up)_(ch|)exps for experts,
// ffn_(up|down|gate)\. for dense ones.
static enum model_part part_of(const char *suffix) {
    static const char *const EXPERTS[] = {
        "ffn_up_exps",      "ffn_down_exps",      "ffn_gate_exps",
        "ffn_up_chexps",    "ffn_down_chexps",    "ffn_gate_chexps",
        "ffn_gate_up_exps", "ffn_gate_up_chexps", NULL};
    static const char *const DENSE[] = {"ffn_up.", "ffn_down.", "ffn_gate.", NULL};
    if (is_one_of(suffix, EXPERTS))
        return MODEL_PART_EXPERTS;
    return is_one_of(suffix, DENSE) ? MODEL_PART_FFN : MODEL_PART_OTHER;
}

static void classify(const struct model *model, struct model_tensor *tensor) {
    static const char *const INPUT[] = {"token_embd.", "position_embd.", "token_types.",
                                        "per_layer_token_embd.", NULL};
    static const char *const OUTPUT[] = {"output",     "cls",        "dense_",  "altup_",
                                         "enc.output", "dec.output", "hc_head", NULL};
    const char *name = tensor->gguf->name;
    const char *suffix = layer_suffix(name, &tensor->layer);
    if (suffix) {
        tensor->place = tensor->layer < model->layers ? MODEL_PLACE_LAYER : MODEL_PLACE_UNUSED;
        tensor->part = part_of(suffix);
    } else if (is_one_of(name, INPUT)) {
        tensor->place = MODEL_PLACE_INPUT;
    } else if (is_one_of(name, OUTPUT)) {
        tensor->place = MODEL_PLACE_OUTPUT;
    } else { // rope_freqs, per-layer projections: with the first layer
        tensor->place = MODEL_PLACE_LAYER;
        tensor->layer = 0;
    }
}

static void read_tensors(struct model *model) {
    model->tensor_count = gguf_tensors(model->gguf);
    model->tensors = mem_alloc((model->tensor_count + 1) * sizeof *model->tensors);
    bool token_embd = false, output = false;
    for (size_t i = 0; i < model->tensor_count; i++) {
        struct model_tensor *tensor = &model->tensors[i];
        tensor->gguf = gguf_tensor_at(model->gguf, i);
        classify(model, tensor);
        if (tensor->part == MODEL_PART_EXPERTS && tensor->place == MODEL_PLACE_LAYER)
            model->layer[tensor->layer].routed = true;
        token_embd |= strcmp(tensor->gguf->name, "token_embd.weight") == 0;
        output |= strcmp(tensor->gguf->name, "output.weight") == 0;
    }
    model->tied = token_embd && !output;
}

static bool read_shape(struct model *model, struct err *err) {
    struct keys keys = {model->gguf, model->arch, ""};
    const struct arch_rule *rule = rule_find(model->arch);
    model->known = rule != NULL;
    model->layers = number(&keys, "block_count", 0);
    model->layers_mtp = number(&keys, "nextn_predict_layers", 0);
    if (model->layers == 0 || model->layers > MODEL_LAYERS_MAX)
        return model_check(model, err);
    if (model->layers_mtp >= model->layers)
        return err_set(err, ERR_INVALID, "%s: %s.nextn_predict_layers leaves no layer", model->path,
                       model->arch);
    model->embd = number(&keys, "embedding_length", 0);
    model->ctx_train = number(&keys, "context_length", 0);
    model->experts = number(&keys, "expert_count", 0);
    model->experts_used = number_max(&keys, "expert_used_count", model->layers);
    model->expert_ff = number_max(&keys, "expert_feed_forward_length", model->layers);
    model->shared_ff = number(&keys, "expert_shared_feed_forward_length", 0);
    model->mla_head_k = number(&keys, "attention.key_length_mla", 0);
    model->mla_head_v = number(&keys, "attention.value_length_mla", 0);
    model->mla = model->mla_head_k && model->mla_head_v;
    model->rank_kv = number(&keys, "attention.kv_lora_rank", 0);
    model->rank_q = number(&keys, "attention.q_lora_rank", 0);
    model->tied_own = rule && rule->tied_own;
    model->index_width = number(&keys, "attention.indexer.key_length", 0);
    model->index_cached = rule && rule->indexer;
    model->rolls_back = rule && rule->rolls_back;
    if (rule && rule->sliding != NEVER) {
        model->window = number(&keys, "attention.sliding_window", 0);
        bool off =
            rule->sliding == WHEN_SET && model->window == 0 && strcmp(model->arch, "exaone4") != 0;
        if (!off && rule->window &&
            (model->window == 0 || rule->sliding == WHEN_SET || strcmp(model->arch, "llama4") == 0))
            model->window = rule->window;
        if (strcmp(model->arch, "exaone4") == 0 && model->layers != 64)
            model->window = 0; // only the 32B slides
    }
    model->layer = mem_alloc(model->layers * sizeof *model->layer);
    for (uint32_t i = 0; i < model->layers; i++)
        read_layer(&keys, rule, model, i);
    read_state(&keys, model);

    enum gguf_value_type type;
    uint64_t tokens = number(&keys, "vocab_size", 0);
    gguf_array(model->gguf, "tokenizer.ggml.tokens", &type, &tokens);
    model->vocab = tokens > MODEL_WIDTH_MAX ? MODEL_WIDTH_MAX + 1 : (uint32_t)tokens;
    read_tensors(model);
    if (model->expert_ff == 0 && model->experts) { // old files leave it to the tensor
        for (size_t i = 0; i < model->tensor_count; i++)
            if (strstr(model->tensors[i].gguf->name, "ffn_down_exps"))
                model->expert_ff = (uint32_t)model->tensors[i].gguf->ne[0];
    }
    return model_check(model, err);
}

static char *text_copy(const struct gguf *gguf, const char *name) {
    struct span span = gguf_text(gguf, name);
    return mem_strndup(span.length ? span.data : "", span.length);
}

enum model_kind model_kind_of(const struct gguf *gguf) {
    struct span type = gguf_text(gguf, "general.type");
    struct span arch = gguf_text(gguf, "general.architecture");
    static const char *const ENCODERS[] = {
        "bert",        "nomic-bert", "nomic-bert-moe", "jina-bert-v2",    "jina-bert-v3",
        "modern-bert", "neo-bert",   "eurobert",       "gemma-embedding", "t5encoder"};
    if (span_is(arch, "clip") || span_is(type, "mmproj"))
        return MODEL_KIND_PROJECTOR;
    if (span_is(type, "adapter") || span_is(arch, "controlvector"))
        return MODEL_KIND_ADAPTER;
    for (size_t i = 0; i < sizeof ENCODERS / sizeof *ENCODERS; i++)
        if (span_is(arch, ENCODERS[i]))
            return MODEL_KIND_EMBEDDING;
    return MODEL_KIND_TEXT;
}

struct model *model_open(const char *path, struct err *err) {
    struct gguf *gguf = gguf_open(path, err);
    if (!gguf)
        return NULL;
    struct model *model = mem_alloc(sizeof *model);
    model->gguf = gguf;
    model->path = mem_strdup(gguf_path(gguf));
    model->arch = text_copy(gguf, "general.architecture");
    model->name = text_copy(gguf, "general.name");
    bool ok;
    if (model_kind_of(gguf) == MODEL_KIND_PROJECTOR || model_kind_of(gguf) == MODEL_KIND_ADAPTER)
        ok = err_set(err, ERR_INVALID,
                     "%s: this is a %s, which goes with a model and is none itself", path,
                     model_kind_of(gguf) == MODEL_KIND_PROJECTOR ? "projector (--mmproj)"
                                                                 : "adapter (--lora)");
    else if (!*model->arch || strlen(model->arch) > 64)
        ok = err_set(err, ERR_NOTFOUND, "%s: no general.architecture in its metadata", path);
    else
        ok = read_shape(model, err);
    if (!ok) {
        model_close(model);
        return NULL;
    }
    return model;
}

void model_close(struct model *model) {
    if (!model)
        return;
    gguf_close(model->gguf);
    mem_free(model->path);
    mem_free(model->arch);
    mem_free(model->name);
    mem_free(model->layer);
    mem_free(model->tensors);
    mem_free(model);
}

uint64_t model_weights_bytes(const struct model *model) {
    uint64_t sum = 0;
    for (size_t i = 0; i < model->tensor_count; i++)
        sum += model->tensors[i].gguf->bytes;
    return sum;
}

enum gguf_type_family model_family(const struct model *model, const char **type_name) {
    enum gguf_type_family family = GGUF_TYPE_MAINLINE;
    for (size_t i = 0; i < model->tensor_count; i++) {
        const struct gguf_type_info *info = model->tensors[i].gguf->info;
        if (info && info->family != GGUF_TYPE_MAINLINE) {
            if (type_name)
                *type_name = info->name;
            return info->family;
        }
        if (!info)
            family = GGUF_TYPE_UNKNOWN; // unless another tensor tells whose it is
    }
    if (family == GGUF_TYPE_UNKNOWN && type_name)
        *type_name = NULL;
    return family;
}

// general.file_type (llama.h, enum llama_ftype).
static const char *const FILE_TYPES[] = {
    [0] = "F32",      [1] = "F16",      [2] = "Q4_0",    [3] = "Q4_1",    [7] = "Q8_0",
    [8] = "Q5_0",     [9] = "Q5_1",     [10] = "Q2_K",   [11] = "Q3_K_S", [12] = "Q3_K_M",
    [13] = "Q3_K_L",  [14] = "Q4_K_S",  [15] = "Q4_K_M", [16] = "Q5_K_S", [17] = "Q5_K_M",
    [18] = "Q6_K",    [19] = "IQ2_XXS", [20] = "IQ2_XS", [21] = "Q2_K_S", [22] = "IQ3_XS",
    [23] = "IQ3_XXS", [24] = "IQ1_S",   [25] = "IQ4_NL", [26] = "IQ3_S",  [27] = "IQ3_M",
    [28] = "IQ2_S",   [29] = "IQ2_M",   [30] = "IQ4_XS", [31] = "IQ1_M",  [32] = "BF16",
    [36] = "TQ1_0",   [37] = "TQ2_0",   [38] = "MXFP4",  [39] = "NVFP4",
};

// The type that holds most bytes of the large tensors.
static const char *commonest_type(const struct model *model) {
    enum { TYPES = 512 };
    uint64_t bytes[TYPES] = {0}, most = 0;
    const char *name = "unknown";
    for (size_t i = 0; i < model->tensor_count; i++) {
        const struct gguf_tensor *tensor = model->tensors[i].gguf;
        uint64_t *sum = &bytes[tensor->type % TYPES];
        *sum += tensor->bytes;
        if (*sum > most) {
            most = *sum;
            name = tensor->info ? tensor->info->name : "unknown";
        }
    }
    return name;
}

const char *model_quantisation(const struct model *model) {
    uint64_t type;
    if (model_family(model, NULL) == GGUF_TYPE_MAINLINE &&
        gguf_uint(model->gguf, "general.file_type", &type) &&
        type < sizeof FILE_TYPES / sizeof *FILE_TYPES && FILE_TYPES[type])
        return FILE_TYPES[type];
    return commonest_type(model);
}
