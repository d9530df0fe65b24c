#include "plan/build.h"

#include <stdio.h>
#include <string.h>

static int device_of(const struct build *b, int place) {
    return place == PLACE_HOST ? b->cpu : place;
}

static struct weight weight_at(struct build *b, const struct gguf_tensor *tensor, int backend) {
    if (!tensor)
        return (struct weight){.id = GRAPH_NONE};
    return (struct weight){graph_weight(b->graph, backend, tensor->bytes), (int64_t)tensor->ne[0],
                           (int64_t)tensor->ne[1], (int64_t)tensor->ne[2]};
}

struct weight build_weight(struct build *b, const char *suffix) {
    char name[128];
    snprintf(name, sizeof name, "blk.%u.%s", b->layer, suffix);
    bool experts = strstr(suffix, "exps") != NULL && strncmp(suffix, "ffn_", 4) == 0;
    bool dense = strncmp(suffix, "ffn_up.", 7) == 0 || strncmp(suffix, "ffn_gate.", 9) == 0 ||
                 strncmp(suffix, "ffn_down.", 9) == 0;
    bool host =
        (experts && b->layer < b->settings->ncmoe) || (dense && b->layer < b->settings->ncffn);
    return weight_at(b, gguf_tensor_find(b->model->gguf, name), host ? b->cpu : b->backend);
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

int build_norm(struct build *b, int x, const char *name) {
    int y = like(b, GRAPH_REUSE, x, GRAPH_NONE);
    struct weight w = build_weight(b, name);
    return w.id == GRAPH_NONE ? y : build_add(b, y, w.id);
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
        rows = (int64_t)b->model->layer[0].head_v * b->model->layer[0].heads_kv;
    in.v_index = b->model->mla ? GRAPH_NONE : graph_input(b->graph, 8, b->tokens * rows, 1, 1);
    bool lean = b->settings->engine_build == 0 || b->settings->engine_build >= PLAN_BUILD_LEAN;
    bool half = b->settings->flash_attention;
    in.mask = graph_input(b->graph, half && lean ? 2 : 4, cells, b->tokens / streams, streams);
    if (half && !lean) // older builds filled it in f32 and converted it
        in.mask = graph_op(b->graph, GRAPH_FRESH, 2, cells, b->tokens / streams, streams, 1,
                           in.mask, GRAPH_NONE, GRAPH_NONE, GRAPH_NONE);
    in.k_rotation = rotation(b, true, sliding);
    in.v_rotation = rotation(b, false, sliding);
    return in;
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
    int mixed_tokens = graph_input(g, 4, t, 1, 1), slots = graph_input(g, 8, t, 1, 1);
    int mixed = graph_input(g, 4, e, t, 1);
    int rows =
        graph_op(g, GRAPH_LOOKUP, 4, e, t, 1, 1, table.id, mixed_tokens, GRAPH_NONE, GRAPH_NONE);
    int copy = graph_op(g, GRAPH_FRESH, 4, e, t, 1, 1, mixed, GRAPH_NONE, GRAPH_NONE, GRAPH_NONE);
    int both = graph_op(g, GRAPH_STORE, 4, e, t, 1, 1, rows, slots, copy, GRAPH_NONE);
    graph_expand(g, embedded);
    graph_expand(g, vectors);
    graph_expand(g, both);
    if (b->arch->scale_rows)
        embedded = build_add(b, embedded, graph_input(g, 4, 1, t, 1));
    else if (b->arch->scale_embedding)
        embedded = build_scale(b, embedded);
    graph_expand(g, embedded);

    b->position = graph_input(g, 4, t * (b->arch->mrope ? 4 : 1), 1, 1);
    b->full = build_attention_inputs(b, false);
    if (b->model->window)
        b->sliding = build_attention_inputs(b, true);
    b->state_copy = graph_input(g, 4, b->cells->sequences, 1, 1);
    b->rows = graph_input(g, 4, b->cells->outputs, 1, 1);
    return embedded;
}

// Norms go by different names: the first that is there.
static const char *first_of(struct build *b, const char *const *names) {
    for (; *names; names++) {
        char full[128];
        snprintf(full, sizeof full, "blk.%u.%s", b->layer, *names);
        if (gguf_tensor_find(b->model->gguf, full))
            return *names;
    }
    return NULL;
}

static bool has(struct build *b, const char *name) {
    return first_of(b, (const char *const[]){name, NULL}) != NULL;
}

int build_rope(struct build *b, int x) { return like(b, GRAPH_ROPE, x, b->position); }

static int split_off(struct build *b, int x, int64_t head, int64_t heads, int64_t stride_head) {
    struct graph_shape s = graph_shape(b->graph, x);
    struct graph_shape view = {{head, heads, b->tokens, 1}, {4, stride_head * 4, s.nb[1], 0}};
    view.nb[3] = view.nb[2] * b->tokens;
    return graph_view(b->graph, x, &view);
}

// One projection for all three, or one for each.
static void project(struct build *b, int x, const struct model_layer *l, int *q, int *k, int *v) {
    if (has(b, "attn_qkv.weight")) {
        int all = build_multiply_bias(b, "attn_qkv", x);
        *q = split_off(b, all, l->head_k, l->heads, l->head_k);
        *k = split_off(b, all, l->head_k, l->heads_kv, l->head_k);
        *v = split_off(b, all, l->head_v, l->heads_kv, l->head_v);
        return;
    }
    *q = build_reshape(b, build_multiply_bias(b, "attn_q", x), l->head_k, l->heads, b->tokens);
    *k = *v = GRAPH_NONE;
    if (!l->attends)
        return;
    int keys = build_multiply_bias(b, "attn_k", x);
    int values = has(b, "attn_v.weight") ? build_multiply_bias(b, "attn_v", x) : keys;
    *k = build_reshape(b, keys, l->head_k, l->heads_kv, b->tokens);
    *v = build_reshape(b, values, l->head_v, l->heads_kv, b->tokens);
}

// Queries and their gate come from one matrix (qwen3next and its kin).
int build_gated_attention(struct build *b, int x, const struct model_layer *l) {
    int both = build_multiply_bias(b, "attn_q", x);
    int q = split_off(b, both, l->head_k, l->heads, 2 * l->head_k);
    q = build_rope(b, build_norm(b, q, "attn_q_norm.weight"));
    int k =
        build_reshape(b, build_multiply_bias(b, "attn_k", x), l->head_k, l->heads_kv, b->tokens);
    k = build_rope(b, build_norm(b, k, "attn_k_norm.weight"));
    int v =
        build_reshape(b, build_multiply_bias(b, "attn_v", x), l->head_v, l->heads_kv, b->tokens);
    int gate = split_off(b, both, l->head_k, l->heads, 2 * l->head_k);
    gate = graph_op(b->graph, GRAPH_FRESH, 4, (int64_t)l->head_k * l->heads, b->tokens, 1, 1, gate,
                    GRAPH_NONE, GRAPH_NONE, GRAPH_NONE);
    int y = build_attention(b, q, k, v, l->head_v);
    y = build_add(b, y, build_scale(b, gate));
    return build_multiply_bias(b, "attn_output", y);
}

int build_plain_attention(struct build *b, int x, const struct model_layer *l) {
    int q, k, v;
    project(b, x, l, &q, &k, &v);
    if (has(b, "attn_q_norm.weight"))
        q = build_norm(b, q, "attn_q_norm.weight");
    q = build_rope(b, q);
    if (k != GRAPH_NONE) {
        if (has(b, "attn_k_norm.weight"))
            k = build_norm(b, k, "attn_k_norm.weight");
        k = build_rope(b, k);
    }
    if (b->arch->scale_queries)
        q = build_scale(b, q);
    if (v != GRAPH_NONE && b->arch->norm_values)
        v = build_scale(b, v);
    int y = build_attention(b, q, k, v, l->head_v);
    return build_multiply_bias(b, "attn_output", y);
}

int build_feed_forward(struct build *b, int x, int residual) {
    if (!has(b, "ffn_gate_inp.weight"))
        return build_ffn(b, x, "ffn_up", "ffn_gate", "ffn_down");
    if (!b->arch->router_beside)
        return build_experts(b, x, x);
    int dense = build_ffn(b, x, "ffn_up", "ffn_gate", "ffn_down");
    dense = build_norm(b, dense, "post_ffw_norm_1.weight");
    int routed = build_norm(b, residual, "pre_ffw_norm_2.weight");
    struct weight scale = build_weight(b, "ffn_gate_inp.scale");
    int router = build_scale(b, build_scale(b, residual));
    if (scale.id != GRAPH_NONE)
        router = build_add(b, router, scale.id);
    routed = build_experts(b, routed, router);
    return build_add(b, dense, build_norm(b, routed, "post_ffw_norm_2.weight"));
}

int build_layer(struct build *b, uint32_t layer, int stream) {
    b->layer = layer;
    b->backend = device_of(b, b->place->layer[layer]);
    const struct model_layer *l = &b->model->layer[layer];
    static const char *const MIDDLE[] = {"ffn_norm.weight", "post_attention_norm.weight", NULL};
    bool post_norms = has(b, "post_ffw_norm.weight") || has(b, "post_ffn_norm.weight");

    int x = build_norm(b, stream, "attn_norm.weight");
    if (b->arch->expand_norm)
        graph_expand(b->graph, x);
    if (l->recurrent)
        x = build_linear_attention(b, x);
    else if (b->model->rank_kv && has(b, "attn_kv_a_mqa.weight"))
        x = build_compressed_attention(b, x);
    else if (b->arch->gated_queries)
        x = build_gated_attention(b, x, l);
    else
        x = build_plain_attention(b, x, l);

    bool last = layer == b->layers - 1 && b->arch->rows == ROWS_LAST_LAYER;
    if (last) {
        x = build_rows(b, x);
        stream = build_rows(b, stream);
    }
    if (post_norms)
        x = build_norm(b, x, "post_attention_norm.weight");
    int residual = build_add(b, x, stream);
    const char *middle =
        first_of(b, post_norms ? (const char *const[]){"ffn_norm.weight", NULL} : MIDDLE);
    x = build_norm(b, residual, middle ? middle : "ffn_norm.weight");
    x = build_feed_forward(b, x, residual);
    if (post_norms)
        x = build_norm(b, x, "post_ffw_norm.weight");
    x = build_add(b, x, residual);
    if (has(b, "per_layer_token_embd.weight"))
        b->unknown = true;
    if (has(b, "layer_output_scale.weight"))
        x = build_add(b, x, build_weight(b, "layer_output_scale.weight").id);
    return x;
}

void build_output(struct build *b, int stream) {
    int at = device_of(b, b->place->output);
    if (b->arch->keep_hidden == HIDDEN_RAW)
        graph_keep(b->graph, stream);
    if (b->arch->rows == ROWS_BEFORE_NORM)
        stream = build_rows(b, stream);
    int x = build_scale(b, stream);
    x = build_add(b, x, build_global(b, "output_norm.weight", at).id);
    if (b->arch->keep_hidden == HIDDEN_NORMED)
        graph_keep(b->graph, x);
    if (b->arch->rows == ROWS_AFTER_NORM)
        x = build_rows(b, x);
    graph_keep(b->graph, x);
    build_logits(b, x, NULL);
}

// `own`: the layer's head, when it has one.
void build_logits(struct build *b, int x, const char *own) {
    int at = device_of(b, b->place->output);
    struct weight head = own ? build_weight(b, own) : (struct weight){.id = GRAPH_NONE};
    if (head.id == GRAPH_NONE)
        head = build_global(b, "output.weight", at);
    if (head.id == GRAPH_NONE)
        head = build_global(b, "token_embd.weight", at);
    x = build_multiply(b, head, x);
    double cap;
    char key[96];
    snprintf(key, sizeof key, "%s.final_logit_softcapping", b->model->arch);
    if (gguf_number(b->model->gguf, key, &cap) && cap != 0)
        x = build_scale(b, build_scale(b, build_scale(b, x)));
    graph_keep(b->graph, x);
    graph_expand(b->graph, x);
}
