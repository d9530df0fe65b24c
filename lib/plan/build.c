#include "plan/build.h"

#include <stdio.h>
#include <string.h>

static struct weight weight_at(struct build *b, const struct gguf_tensor *tensor, int backend) {
    if (!tensor)
        return (struct weight){.id = GRAPH_NONE};
    return (struct weight){graph_weight(b->graph, backend, tensor->bytes), (int64_t)tensor->ne[0],
                           (int64_t)tensor->ne[1], (int64_t)tensor->ne[2]};
}

// "blk.17." and the suffix; names are looked up so often that a format string would show.
static const struct gguf_tensor *find(const struct build *b, const char *suffix) {
    char name[160], digits[12];
    size_t length = 4, n = 0, rest = strlen(suffix);
    memcpy(name, "blk.", 4);
    uint32_t layer = b->layer;
    do
        digits[n++] = (char)('0' + layer % 10);
    while ((layer /= 10) > 0);
    while (n > 0)
        name[length++] = digits[--n];
    name[length++] = '.';
    if (rest >= sizeof name - length)
        return NULL;
    memcpy(name + length, suffix, rest + 1);
    return gguf_tensor_find(b->model->gguf, name);
}

bool build_has(const struct build *b, const char *suffix) { return find(b, suffix) != NULL; }

struct weight build_weight(struct build *b, const char *suffix) {
    bool feeds = strncmp(suffix, "ffn_", 4) == 0;
    bool experts = feeds && strstr(suffix, "exps") != NULL;
    bool dense =
        feeds && (strncmp(suffix, "ffn_up.", 7) == 0 || strncmp(suffix, "ffn_gate.", 9) == 0 ||
                  strncmp(suffix, "ffn_down.", 9) == 0);
    bool host =
        (experts && b->layer < b->settings->ncmoe) || (dense && b->layer < b->settings->ncffn);
    return weight_at(b, find(b, suffix), host ? b->cpu : b->backend);
}

struct weight build_global(struct build *b, const char *name, int backend) {
    return weight_at(b, gguf_tensor_find(b->model->gguf, name), backend);
}

int build_multiply(struct build *b, struct weight w, int x) {
    if (w.id == GRAPH_NONE) {
        b->unknown = true;
        return x;
    }
    struct graph_shape s = graph_shape(b->graph, x);
    return graph_op(b->graph, GRAPH_FRESH, 4, w.out, s.ne[1], s.ne[2], s.ne[3], w.id, x, GRAPH_NONE,
                    GRAPH_NONE);
}

static int like(struct build *b, enum graph_op op, int x, int y) {
    struct graph_shape s = graph_shape(b->graph, x);
    return graph_op(b->graph, op, graph_size(b->graph, x), s.ne[0], s.ne[1], s.ne[2], s.ne[3], x, y,
                    GRAPH_NONE, GRAPH_NONE);
}

int build_scale(struct build *b, int x) { return like(b, GRAPH_REUSE, x, GRAPH_NONE); }

int build_add(struct build *b, int x, int y) { return like(b, GRAPH_REUSE, x, y); }

int build_multiply_bias(struct build *b, const char *name, int x) {
    char full[96];
    snprintf(full, sizeof full, "%s.weight", name);
    int y = build_multiply(b, build_weight(b, full), x);
    snprintf(full, sizeof full, "%s.bias", name);
    struct weight bias = build_weight(b, full);
    return bias.id == GRAPH_NONE ? y : build_add(b, y, bias.id);
}

// "attn_norm.weight" -> "attn_norm.bias"
static struct weight bias_of(struct build *b, const char *name) {
    char full[96];
    size_t length = strlen(name), tail = strlen("weight");
    if (length < tail || length >= sizeof full)
        return (struct weight){.id = GRAPH_NONE};
    memcpy(full, name, length - tail);
    memcpy(full + length - tail, "bias", sizeof "bias");
    return build_weight(b, full);
}

// RMS norms may work in place; layer norms, which have a bias, do not.
int build_norm(struct build *b, int x, const char *name) {
    struct weight w = build_weight(b, name), bias = bias_of(b, name);
    bool layer_norm = bias.id != GRAPH_NONE || b->arch->layer_norm;
    int y = like(b, layer_norm ? GRAPH_FRESH : GRAPH_REUSE, x, GRAPH_NONE);
    if (w.id != GRAPH_NONE)
        y = build_add(b, y, w.id);
    return bias.id == GRAPH_NONE ? y : build_add(b, y, bias.id);
}

int build_reshape(struct build *b, int x, int64_t ne0, int64_t ne1, int64_t ne2) {
    struct graph_shape s = {{ne0, ne1, ne2, 1}, {0}};
    int64_t step = graph_size(b->graph, x);
    for (int i = 0; i < 4; i++) {
        s.nb[i] = step;
        step *= s.ne[i];
    }
    return graph_view(b->graph, x, &s);
}

int build_rows(struct build *b, int x) {
    struct graph_shape s = graph_shape(b->graph, x);
    return graph_op(b->graph, GRAPH_FRESH, 4, s.ne[0], b->cells->outputs, 1, 1, x, b->rows,
                    GRAPH_NONE, GRAPH_NONE);
}

// The cache rotates quantised keys and values, where all layers' heads are alike and whole 64s
// (llama_kv_cache).
static int rotation(struct build *b, bool keys, bool sliding) {
    const struct model *m = b->model;
    const struct gguf_type_info *type = keys ? b->settings->k : b->settings->v;
    uint32_t all = 0;
    bool alike = true;
    for (uint32_t i = b->first; i < b->layers; i++) {
        const struct model_layer *l = &m->layer[i];
        uint32_t width = keys ? l->head_k : l->head_v;
        if (!l->attends || (m->window && l->sliding != sliding))
            continue;
        alike &= all == 0 || all == width;
        all = width;
    }
    if (type->block == 1 || !alike || all == 0 || all % 64 != 0 || (m->mla && !keys))
        return GRAPH_NONE;
    int64_t n = 64;
    while (keys && all % (2 * n) == 0)
        n *= 2;
    return graph_input(b->graph, 4, n, n, 1);
}

struct attention_inputs build_attention_inputs(struct build *b, bool sliding) {
    struct attention_inputs in;
    int64_t cells = sliding ? b->cells->sliding : b->cells->full;
    int64_t streams = b->cells->streams;
    in.k_index = graph_input(b->graph, 8, b->tokens, 1, 1);
    int64_t rows = 1; // without flash attention, values are stored one element a row
    if (!b->settings->flash_attention)
        for (uint32_t i = b->first; i < b->layers; i++) {
            int64_t width = (int64_t)b->model->layer[i].head_v * b->model->layer[i].heads_kv;
            rows = width > rows ? width : rows;
        }
    in.v_index = b->model->mla ? GRAPH_NONE : graph_input(b->graph, 8, b->tokens * rows, 1, 1);
    bool lean = plan_has(b->settings, PLAN_BUILD_HALF_MASK);
    bool half = b->settings->flash_attention;
    in.mask = graph_input(b->graph, half && lean ? 2 : 4, cells, b->tokens / streams, streams);
    if (half && !lean) // older builds filled it in f32 and converted it
        in.mask = graph_op(b->graph, GRAPH_FRESH, 2, cells, b->tokens / streams, streams, 1,
                           in.mask, GRAPH_NONE, GRAPH_NONE, GRAPH_NONE);
    in.k_rotation = rotation(b, true, sliding);
    in.v_rotation = rotation(b, false, sliding);
    return in;
}

static void mixed_inputs(struct build *b, int table) {
    struct graph *g = b->graph;
    int64_t e = b->model->embd, t = b->tokens;
    int tokens = graph_input(g, 4, t, 1, 1), slots = graph_input(g, 8, t, 1, 1);
    int mixed = graph_input(g, 4, e, t, 1);
    int rows = graph_op(g, GRAPH_LOOKUP, 4, e, t, 1, 1, table, tokens, GRAPH_NONE, GRAPH_NONE);
    int copy = graph_op(g, GRAPH_FRESH, 4, e, t, 1, 1, mixed, GRAPH_NONE, GRAPH_NONE, GRAPH_NONE);
    graph_expand(g, graph_op(g, GRAPH_STORE, 4, e, t, 1, 1, rows, slots, copy, GRAPH_NONE));
}

// Token embedding with its two alternatives: rows given as vectors, and a mix of both
// (build_inp_embd): all three are in the graph, whatever the batch holds.
int build_inputs(struct build *b) {
    struct graph *g = b->graph;
    int64_t e = b->model->embd, t = b->tokens;
    struct weight table = build_global(b, "token_embd.weight", b->cpu);
    if (table.id == GRAPH_NONE)
        table.id = graph_weight(g, b->cpu, 1);
    int tokens = graph_input(g, 4, t, 1, 1), vectors = graph_input(g, 4, e, t, 1);
    int embedded =
        graph_op(g, GRAPH_LOOKUP, 4, e, t, 1, 1, table.id, tokens, GRAPH_NONE, GRAPH_NONE);
    graph_expand(g, embedded);
    graph_expand(g, vectors);
    if (plan_has(b->settings, PLAN_BUILD_MIXED))
        mixed_inputs(b, table.id);
    double scale = 0;
    char key[96];
    snprintf(key, sizeof key, "%s.embedding_scale", b->model->arch);
    if (gguf_number(b->model->gguf, key, &scale) && scale != 0)
        embedded = build_scale(b, embedded);
    if (b->arch->scale_rows)
        embedded = build_add(b, embedded, graph_input(g, 4, 1, t, 1));
    else if (b->arch->scale_embedding)
        embedded = build_scale(b, embedded);
    graph_expand(g, embedded);

    b->position = graph_input(g, 4, t * (b->arch->mrope ? 4 : 1), 1, 1);
    struct weight positions = build_global(b, "position_embd.weight", b->cpu);
    if (positions.id != GRAPH_NONE) {
        int at = graph_op(g, GRAPH_LOOKUP, 4, e, t, 1, 1, positions.id, b->position, GRAPH_NONE,
                          GRAPH_NONE);
        embedded = build_add(b, embedded, at);
    }
    b->full = build_attention_inputs(b, false);
    if (b->model->window)
        b->sliding = build_attention_inputs(b, true);
    b->state_copy = graph_input(g, 4, b->cells->sequences, 1, 1);
    b->rows = graph_input(g, 4, b->cells->outputs, 1, 1);
    b->per_layer = build_per_layer_inputs(b, embedded);
    if (b->arch->block == BLOCK_COPIES)
        return build_copies(b, embedded);
    return embedded;
}
