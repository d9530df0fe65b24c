#include "plan/rehearse.h"

#include "plan/build.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

static const struct arch_graph GRAPHS[] = {
    {"llama"},
    {"mistral3"},
    {"qwen2"},
    {"qwen2moe", .shared = SHARED_GATED},
    {"qwen3"},
    {"qwen3moe", .experts_norm = true},
    {"qwen3vl"},
    {"qwen3vlmoe", .experts_norm = true},
    {"phi3", .scale_queries = true, .first_after_ffn = true},
    {"granite"},
    {"granitemoe", .experts_norm = true},
    {"smollm3", .rope = ROPE_THREE_OF_FOUR},
    {"seed_oss"},
    {"internlm2"},
    {"ernie4_5"},
    {"ernie4_5-moe", .experts_norm = true},
    {"olmoe"},
    {"glm4"},
    {"hy_v3", .keep_hidden = HIDDEN_NORMED, .rows = ROWS_AFTER_NORM},
    {"step35", .keep_hidden = HIDDEN_NORMED, .rows = ROWS_AFTER_NORM},
    {"glm4moe", .keep_hidden = HIDDEN_NORMED},
    {"dots1"},
    {"bailingmoe"},
    {"bailingmoe2"},
    {"deepseek2", .keep_hidden = HIDDEN_NORMED},
    {"gemma", .scale_embedding = true, .scale_queries = true},
    {"gemma2", .scale_embedding = true, .scale_queries = true, .cap_scores = true},
    {"gemma3", .scale_rows = true, .scale_queries = true},
    {"gemma4", .scale_rows = true, .rows = ROWS_AFTER_NORM, .keep_hidden = HIDDEN_NORMED,
     .router_beside = true, .norm_values = true},
    {"gpt-oss", .rows = ROWS_BEFORE_NORM, .keep_hidden = HIDDEN_RAW, .softmax_late = true},
    {"qwen35", .keep_hidden = HIDDEN_NORMED, .rows = ROWS_AFTER_NORM, .gated_queries = true,
     .expand_norm = true, .mrope = true},
    {"qwen35moe", .shared = SHARED_GATED, .experts_norm = true, .keep_hidden = HIDDEN_NORMED,
     .rows = ROWS_AFTER_NORM, .gated_queries = true, .expand_norm = true, .mrope = true},
    {"qwen3next", .shared = SHARED_GATED, .experts_norm = true, .keep_hidden = HIDDEN_NORMED,
     .rows = ROWS_AFTER_NORM, .gated_queries = true, .expand_norm = true},
    {"mamba", .block = BLOCK_SINGLE},
    {"mamba2", .block = BLOCK_SINGLE},
    {"nemotron_h", .block = BLOCK_SINGLE, .rope = ROPE_NONE, .rows = ROWS_AFTER_NORM,
     .keep_hidden = HIDDEN_NORMED},
    {"nemotron_h_moe", .block = BLOCK_SINGLE, .rope = ROPE_NONE, .rows = ROWS_AFTER_NORM,
     .keep_hidden = HIDDEN_NORMED},
    {"falcon-h1", .block = BLOCK_STATE_BESIDE},
    {"jamba", .rope = ROPE_NONE, .first_after_attention = true, .first_after_ffn = true},
    {"granitehybrid", .experts_norm = true, .rope = ROPE_NONE},
    {"lfm2", .first_after_attention = true, .first_after_ffn = true},
    {"lfm2moe", .experts_norm = true, .first_after_attention = true, .first_after_ffn = true},
    {"gemma3n", .scale_rows = true, .rows = ROWS_BEFORE_NORM, .norm_values = true,
     .block = BLOCK_COPIES},
    {"olmo", .layer_norm = true},
    {"refact", .rope = ROPE_NONE},
    {"llama4", .weights_first = true},
    {"command-r", .block = BLOCK_PARALLEL, .layer_norm = true},
    {"cohere2", .block = BLOCK_PARALLEL, .layer_norm = true, .rope = ROPE_SLIDING},
    {"muse-glimmer", .rope = ROPE_SLIDING},
    {"cohere2moe", .block = BLOCK_PARALLEL, .layer_norm = true, .rope = ROPE_SLIDING,
     .rows = ROWS_AFTER_NORM, .keep_hidden = HIDDEN_NORMED},
    {"phi2", .block = BLOCK_PARALLEL, .scale_queries = true},
    {"falcon", .block = BLOCK_PARALLEL},
    {"gpt2", .rope = ROPE_NONE},
    {"starcoder", .rope = ROPE_NONE},
    {"mpt", .rope = ROPE_NONE},
    {"bloom", .rope = ROPE_NONE},
    {"jais", .rope = ROPE_NONE},
    // Nothing special: what their tensors tell is all.
    {"afmoe"},
    {"arcee"},
    {"baichuan"},
    {"chatglm"},
    {"codeshell"},
    {"dbrx"},
    {"deci"},
    {"deepseek"},
    {"exaone"},
    {"exaone-moe"},
    {"exaone4"},
    {"gptneox"},
    {"granite_swa"},
    {"grovemoe"},
    {"hunyuan-dense"},
    {"hunyuan-moe"},
    {"hunyuan_vl"},
    {"jais2"},
    {"laguna"},
    {"maincoder"},
    {"maple"},
    {"mellum"},
    {"mimo2"},
    {"minicpm"},
    {"minicpm3"},
    {"minimax-m2"},
    {"mistral4"},
    {"nanbeige"},
    {"nemotron"},
    {"olmo2"},
    {"openelm"},
    {"orion"},
    {"paddleocr"},
    {"pangu-embedded"},
    {"phimoe"},
    {"plamo"},
    {"plamo3"},
    {"pockettts"},
    {"qwen"},
    {"qwen2vl"},
    {"qwen3tts"},
    {"spark2_5"},
    {"stablelm"},
    {"starcoder2"},
    {"xverse"},
};

static const struct arch_graph *graph_find(const char *arch) {
    for (size_t i = 0; i < sizeof GRAPHS / sizeof *GRAPHS; i++)
        if (strcmp(GRAPHS[i].arch, arch) == 0)
            return &GRAPHS[i];
    return NULL;
}

// Long runs of like layers, or of like groups of layers, repeat the same births and deaths: a few
// of them leave the same holes as all. So only the first and last of a run are built.
enum { RUN_HEAD = 8, RUN_TAIL = 7, PERIOD_MAX = 12 };

static bool like(const struct build *b, uint32_t i, uint32_t j) {
    const struct plan_settings *s = b->settings;
    const struct model_layer *x = &b->model->layer[i], *y = &b->model->layer[j];
    return b->place->layer[i] == b->place->layer[j] && (i < s->ncmoe) == (j < s->ncmoe) &&
           (i < s->ncffn) == (j < s->ncffn) && x->attends == y->attends &&
           x->sliding == y->sliding && x->recurrent == y->recurrent && x->routed == y->routed &&
           x->ff == y->ff && x->heads == y->heads && x->heads_kv == y->heads_kv;
}

// How many layers from `first` on can be left out, when groups of `period` repeat; `end`: of the
// run.
static uint32_t spare(const struct build *b, uint32_t first, uint32_t period, uint32_t *end) {
    uint32_t last = first + period;
    while (last < b->layers && like(b, last - period, last))
        last++;
    *end = last < b->layers ? last : b->layers;
    uint32_t head = RUN_HEAD > 2 * period ? RUN_HEAD : 2 * period;
    uint32_t tail = RUN_TAIL > period ? RUN_TAIL : period;
    uint32_t length = *end - first;
    return length > head + tail ? (length - head - tail) / period * period : 0;
}

static void choose_layers(const struct build *b, bool *skipped) {
    for (uint32_t at = 0, next; at < b->layers; at = next) {
        uint32_t most = 0, period = 1;
        next = at + 1;
        for (uint32_t p = 1; p <= PERIOD_MAX; p++) {
            uint32_t end, count = spare(b, at, p, &end);
            if (count <= most)
                continue;
            most = count;
            period = p;
            next = end;
        }
        uint32_t head = RUN_HEAD > 2 * period ? RUN_HEAD : 2 * period;
        for (uint32_t i = 0; i < most; i++)
            skipped[at + head + i] = true;
    }
}

static uint32_t alignment_of(enum plan_kind kind) {
    switch (kind) {
    case PLAN_CUDA:
    case PLAN_ROCM: return 128;
    case PLAN_VULKAN: return 64;
    case PLAN_METAL:
    case PLAN_RPC:
    case PLAN_CPU: return 32;
    }
    return 32;
}

static struct graph *start(const struct model *model, const struct plan_settings *settings,
                           const struct plan_machine *machine, const struct placement *place) {
    uint32_t alignment[GRAPH_BACKENDS_MAX];
    bool offloads[GRAPH_BACKENDS_MAX];
    size_t n = machine->devices;
    for (size_t i = 0; i < n; i++) {
        enum plan_kind kind = machine->device[i].kind;
        alignment[i] = alignment_of(kind);
        offloads[i] = kind != PLAN_RPC;
    }
    alignment[n] = 32;
    offloads[n] = false;
    return graph_create((int)n + 1, alignment, offloads,
                        place_copies(model, settings, machine, place));
}

// Numbers that no machine will see, out of a damaged file or a slip in the settings: the graph's
// sums would overflow.
static bool beyond_reason(const struct model *m, const struct cells *cells) {
    const double most = 1e14; // elements of one result
    double tokens = cells->tokens, width = m->embd > m->vocab ? m->embd : m->vocab;
    double chosen = (double)m->experts_used * (m->expert_ff + (double)m->embd) + m->experts;
    double other = (double)m->inner + m->conv_channels + m->ff_max + m->shared_ff + m->state_r +
                   m->state_s + (double)m->mla_head_k + m->mla_head_v + m->rank_kv + m->rank_q;
    for (uint32_t i = 0; i < m->layers; i++) {
        const struct model_layer *l = &m->layer[i];
        double heads = (double)l->heads + l->heads_kv;
        double head = (double)l->head_k + l->head_v + m->mla_head_k + m->mla_head_v + m->rank_kv;
        if (heads * head * tokens > most ||
            heads * tokens * ((double)cells->full + cells->sliding) * cells->streams > most)
            return true;
    }
    return (width + chosen + other) * tokens > most ||
           ((double)cells->full + cells->sliding) * cells->streams * tokens > most;
}

bool rehearse(const struct model *model, bool head, const struct plan_settings *settings,
              const struct plan_machine *machine, const struct placement *place,
              const struct cells *cells, uint64_t *bytes, bool *exact) {
    static const struct arch_graph plain;
    const struct arch_graph *arch = graph_find(model->arch);
    *exact = arch != NULL;
    if (!arch)
        arch = &plain;
    if ((model->mla && model->rank_kv == 0) || beyond_reason(model, cells))
        return false;
    struct build b = {.graph = start(model, settings, machine, place),
                      .model = model,
                      .settings = settings,
                      .machine = machine,
                      .place = place,
                      .cells = cells,
                      .arch = arch,
                      .layers = model->layers - model->layers_mtp,
                      .tokens = cells->tokens,
                      .cpu = (int)machine->devices};
    if (head) {
        b.first = b.layers;
        b.layers = b.first + 1;
        build_guess(&b);
    } else {
        bool skipped[MODEL_LAYERS_MAX] = {false};
        int stream = build_inputs(&b);
        if (b.per_layer == GRAPH_NONE) // else each layer has an input of its own
            choose_layers(&b, skipped);
        for (uint32_t i = 0; i < b.layers; i++)
            if (!skipped[i])
                stream = build_layer(&b, i, stream);
        build_output(&b, stream);
    }
    graph_measure(b.graph, bytes);
    graph_destroy(b.graph);
    return !b.unknown;
}
