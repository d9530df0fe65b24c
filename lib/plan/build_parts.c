// Attention, feed-forward and experts, operation by operation (llama-graph.cpp).
#include "plan/build.h"

#include <stdio.h>
#include <string.h>

int build_permuted(struct build *b, int x) { // 0, 2, 1, 3
    struct graph_shape s = graph_shape(b->graph, x);
    struct graph_shape p = {{s.ne[0], s.ne[2], s.ne[1], s.ne[3]},
                            {s.nb[0], s.nb[2], s.nb[1], s.nb[3]}};
    return graph_view(b->graph, x, &p);
}

static bool contiguous(const struct graph_shape *s, int size) {
    int64_t step = size;
    for (int i = 0; i < 4; i++) {
        if (s->ne[i] != 1 && s->nb[i] != step)
            return false;
        step *= s->ne[i];
    }
    return true;
}

static int rotate(struct build *b, int x, int rotation) {
    if (rotation == GRAPH_NONE || x == GRAPH_NONE)
        return x;
    struct graph_shape s = graph_shape(b->graph, x);
    int64_t n = graph_shape(b->graph, rotation).ne[0];
    int64_t rows = s.ne[0] * s.ne[1] * s.ne[2] * s.ne[3] / n;
    int y = contiguous(&s, 4) ? build_reshape(b, x, n, rows, 1)
                              : graph_op(b->graph, GRAPH_FRESH, 4, n, rows, 1, 1, x, GRAPH_NONE,
                                         GRAPH_NONE, GRAPH_NONE);
    y = graph_op(b->graph, GRAPH_FRESH, 4, n, rows, 1, 1, rotation, y, GRAPH_NONE, GRAPH_NONE);
    return build_reshape(b, y, s.ne[0], s.ne[1], s.ne[2]);
}

static void store(struct build *b, int x, int index, int cache) {
    struct graph_shape s = graph_shape(b->graph, x);
    int flat = build_reshape(b, x, s.ne[0] * s.ne[1], s.ne[2], 1);
    graph_expand(b->graph,
                 graph_op(b->graph, GRAPH_STORE, 2, 1, 1, 1, 1, flat, index, cache, GRAPH_NONE));
}

// On any of these the attention of a layer that lies on the host may be worked out too.
static bool reserves_unpacked(const struct build *b) {
    int at = b->backend < b->cpu ? b->backend : 0;
    if (b->cpu == 0 || !plan_has(b->settings, PLAN_BUILD_UNPACKED))
        return false;
    enum plan_kind kind = b->machine->device[at].kind;
    return kind == PLAN_CUDA || kind == PLAN_ROCM;
}

// Flash attention has no kernels for f32: such a cache is copied to f16, layer by layer.
static int halved(struct build *b, int cache, const struct gguf_type_info *type, int64_t head,
                  int64_t cells) {
    if (type->id != GGUF_TYPE_F32)
        return cache;
    return graph_op(b->graph, GRAPH_FRESH, 2, head, cells, b->model->layer[b->layer].heads_kv,
                    b->cells->streams, cache, GRAPH_NONE, GRAPH_NONE, GRAPH_NONE);
}

static int flash(struct build *b, int q, int cache_k, int cache_v, int mask, int64_t cells,
                 int64_t head_v) {
    const struct model_layer *l = &b->model->layer[b->layer];
    int64_t streams = b->cells->streams;
    cache_k = halved(b, cache_k, b->settings->k, l->head_k, cells);
    cache_v = halved(b, cache_v, b->model->mla ? b->settings->k : b->settings->v, head_v, cells);
    int y = graph_op(b->graph, GRAPH_ATTEND, 4, head_v, l->heads, b->tokens / streams, streams, q,
                     cache_k, cache_v, mask);
    if (reserves_unpacked(b))
        graph_grow(b->graph, y,
                   unpacked_bytes(b->model, b->settings, l, (uint64_t)(cells * streams)));
    return y;
}

// Scores as a matrix: what flash attention avoids.
static int scored(struct build *b, int q, int cache_k, int cache_v, int mask, int64_t cells,
                  int64_t head_v) {
    const struct model_layer *l = &b->model->layer[b->layer];
    int64_t streams = b->cells->streams, t = b->tokens / streams;
    int scores = graph_op(b->graph, GRAPH_FRESH, 4, cells, t, l->heads, streams, cache_k, q,
                          GRAPH_NONE, GRAPH_NONE);
    if (b->arch->cap_scores)
        scores = build_scale(b, build_scale(b, build_scale(b, scores)));
    scores = build_add(b, scores, mask);
    int y = graph_op(b->graph, GRAPH_FRESH, 4, head_v, t, l->heads, streams, cache_v, scores,
                     GRAPH_NONE, GRAPH_NONE);
    return graph_op(b->graph, GRAPH_FRESH, 4, head_v * l->heads, b->tokens, 1, 1,
                    build_permuted(b, y), GRAPH_NONE, GRAPH_NONE, GRAPH_NONE);
}

// A layer without a cache reads the last layer's that has one and slides, or not, as it does.
static int cache_of(struct build *b, const struct model_layer *l, bool keys, int64_t cells) {
    uint32_t owner = b->layer;
    while (!l->attends && owner > 0 &&
           !(b->model->layer[owner].attends && b->model->layer[owner].sliding == l->sliding))
        owner--;
    int place = b->place->layer[owner];
    const struct gguf_type_info *type = keys ? b->settings->k : b->settings->v;
    uint64_t width = (uint64_t)(keys ? l->head_k : l->head_v) * l->heads_kv;
    uint64_t bytes = gguf_row_bytes(type, width) * (uint64_t)cells * b->cells->streams;
    bool host = !b->settings->kv_offload || place == PLACE_HOST;
    return graph_cache(b->graph, host ? b->cpu : place, bytes);
}

int build_attention(struct build *b, int q, int k, int v, int64_t head_v) {
    const struct model_layer *l = &b->model->layer[b->layer];
    const struct attention_inputs *in = l->sliding ? &b->sliding : &b->full;
    int64_t cells = l->sliding ? b->cells->sliding : b->cells->full;
    int cache_k = cache_of(b, l, true, cells), cache_v = cache_k;
    if (!b->model->mla)
        cache_v = cache_of(b, l, false, cells);
    if (!b->model->mla || b->model->window) {
        q = rotate(b, q, in->k_rotation);
        k = rotate(b, k, in->k_rotation);
        v = rotate(b, v, in->v_rotation);
    }
    graph_expand(b->graph, q);
    int first = b->model->window ? k : v, second = b->model->window ? v : k;
    if (first != GRAPH_NONE)
        graph_expand(b->graph, first);
    if (second != GRAPH_NONE)
        graph_expand(b->graph, second);
    if (k != GRAPH_NONE)
        store(b, k, in->k_index, cache_k);
    if (v != GRAPH_NONE && !b->model->mla)
        store(b, v, in->v_index, cache_v);

    struct graph_shape s = graph_shape(b->graph, q);
    int64_t streams = b->cells->streams, t = b->tokens / streams;
    struct graph_shape view = {{s.ne[0], s.ne[1], t, streams},
                               {s.nb[0], s.nb[1], s.nb[2], s.nb[2] * t}};
    q = build_permuted(b, graph_view(b->graph, q, &view));
    int y;
    if (b->settings->flash_attention) {
        y = flash(b, q, cache_k, cache_v, in->mask, cells, head_v);
        struct weight up = build_weight(b, "attn_v_b.weight");
        if (b->model->mla && up.id != GRAPH_NONE) {
            y = build_permuted(b, build_multiply(b, up, build_permuted(b, y)));
            y = graph_op(b->graph, GRAPH_FRESH, 4, up.out, l->heads, t, streams, y, GRAPH_NONE,
                         GRAPH_NONE, GRAPH_NONE);
        }
        s = graph_shape(b->graph, y);
        y = build_reshape(b, y, s.ne[0] * s.ne[1], s.ne[2] * s.ne[3], 1);
    } else {
        y = scored(b, q, cache_k, cache_v, in->mask, cells, head_v);
    }
    graph_expand(b->graph, y);
    return b->model->mla ? y : rotate(b, y, in->v_rotation);
}

static int view_part(struct build *b, int x, int64_t ne0, int64_t ne1, int64_t row) {
    struct graph_shape s = {{ne0, ne1, b->tokens, 1}, {4, row * 4, 0, 0}};
    s.nb[2] = graph_shape(b->graph, x).nb[graph_shape(b->graph, x).ne[2] > 1 ? 2 : 1];
    s.nb[3] = s.nb[2] * b->tokens;
    return graph_view(b->graph, x, &s);
}

static int joined(struct build *b, int x, int y) { // concatenation of the innermost dimension
    struct graph_shape s = graph_shape(b->graph, x);
    return graph_op(b->graph, GRAPH_FRESH, 4, s.ne[0] + graph_shape(b->graph, y).ne[0], s.ne[1],
                    s.ne[2], 1, x, y, GRAPH_NONE, GRAPH_NONE);
}

// DeepSeek's attention over a compressed cache (models/deepseek2.cpp).
int build_compressed_attention(struct build *b, int normed) {
    const struct model *m = b->model;
    const struct model_layer *l = &m->layer[b->layer];
    struct weight down = build_weight(b, "attn_kv_a_mqa.weight");
    int64_t rank = m->rank_kv, rope_width = down.out - rank;
    int64_t head = m->mla ? m->mla_head_k : l->head_k, nope = head - rope_width;
    int q = normed;
    if (build_weight(b, "attn_q.weight").id != GRAPH_NONE) {
        q = build_multiply(b, build_weight(b, "attn_q.weight"), q);
    } else {
        q = build_multiply(b, build_weight(b, "attn_q_a.weight"), q);
        q = build_norm(b, q, "attn_q_a_norm.weight");
        q = build_multiply(b, build_weight(b, "attn_q_b.weight"), q);
    }
    q = build_reshape(b, q, head, l->heads, b->tokens);
    int compressed = build_multiply(b, down, normed);
    int part = view_part(b, compressed, rank, 1, down.out);
    int k_rope = view_part(b, compressed, rope_width, 1, down.out);
    k_rope = build_rope(b, k_rope);
    part = build_reshape(b, build_norm(b, part, "attn_kv_a_norm.weight"), rank, 1, b->tokens);
    if (m->mla) {
        int q_rope = build_rope(b, view_part(b, q, rope_width, l->heads, head));
        int q_nope = build_permuted(b, view_part(b, q, nope, l->heads, head));
        q_nope = build_permuted(b, build_multiply(b, build_weight(b, "attn_k_b.weight"), q_nope));
        q = joined(b, q_nope, q_rope);
        int y = build_attention(b, q, joined(b, part, k_rope), part, rank);
        return build_multiply_bias(b, "attn_output", y);
    }
    struct weight up = build_weight(b, "attn_kv_b.weight");
    int kv = build_multiply(b, up, build_reshape(b, part, rank, b->tokens, 1));
    int64_t row = nope + l->head_v;
    int k_nope = view_part(b, kv, nope, l->heads, row);
    int v =
        graph_op(b->graph, GRAPH_FRESH, 4, l->head_v, l->heads, b->tokens, 1,
                 view_part(b, kv, l->head_v, l->heads, row), GRAPH_NONE, GRAPH_NONE, GRAPH_NONE);
    int repeated = graph_op(b->graph, GRAPH_FRESH, 4, rope_width, l->heads, b->tokens, 1, k_rope,
                            GRAPH_NONE, GRAPH_NONE, GRAPH_NONE);
    int y = build_attention(b, build_rope(b, q), joined(b, k_nope, repeated), v, l->head_v);
    return build_multiply_bias(b, "attn_output", y);
}

static bool present(struct build *b, const char *name) {
    char full[96];
    snprintf(full, sizeof full, "%s.weight", name);
    return build_has(b, full);
}

// Gate and up as two matrices, or as one whose halves are gate and up.
int build_ffn(struct build *b, int x, const char *up, const char *gate, const char *down) {
    int y = build_multiply_bias(b, up, x);
    struct graph_shape s = graph_shape(b->graph, y);
    if (present(b, gate)) {
        int g = build_multiply_bias(b, gate, x);
        y = graph_op(b->graph, GRAPH_FRESH, 4, s.ne[0], s.ne[1], 1, 1, g, y, GRAPH_NONE,
                     GRAPH_NONE);
    } else {
        char full[96];
        snprintf(full, sizeof full, "%s.weight", down);
        struct weight w = build_weight(b, full);
        if (w.in * 2 == s.ne[0])
            y = graph_op(b->graph, GRAPH_FRESH, 4, w.in, s.ne[1], 1, 1, y, GRAPH_NONE, GRAPH_NONE,
                         GRAPH_NONE);
        else
            y = build_scale(b, y);
    }
    return build_multiply_bias(b, down, y);
}

// Which experts, and how much each counts.
static void route(struct build *b, int x, int *chosen, int *weights) {
    const struct model *m = b->model;
    int64_t n = m->experts, used = m->experts_used, t = graph_shape(b->graph, x).ne[1];
    int logits = build_multiply_bias(b, "ffn_gate_inp", x);
    int probs = b->arch->softmax_late ? logits : build_scale(b, logits);
    struct weight bias = build_weight(b, "exp_probs_b.bias");
    int selection = bias.id == GRAPH_NONE ? probs : build_add(b, probs, bias.id);
    int sorted = graph_op(b->graph, GRAPH_FRESH, 4, n, t, 1, 1, selection, GRAPH_NONE, GRAPH_NONE,
                          GRAPH_NONE);
    struct graph_shape top = {{used, t, 1, 1}, {4, n * 4, n * 4 * t, n * 4 * t}};
    *chosen = graph_view(b->graph, sorted, &top);
    int w = graph_op(b->graph, GRAPH_FRESH, 4, 1, used, t, 1, build_reshape(b, probs, 1, n, t),
                     *chosen, GRAPH_NONE, GRAPH_NONE);
    bool norm = b->arch->experts_norm;
    char key[96];
    snprintf(key, sizeof key, "%s.expert_weights_norm", m->arch);
    gguf_bool(m->gguf, key, &norm);
    if (b->arch->softmax_late) {
        w = build_scale(b, build_reshape(b, w, used, t, 1));
        w = build_reshape(b, w, 1, used, t);
    } else if (norm) {
        int flat = build_reshape(b, w, used, t, 1);
        int sum = graph_op(b->graph, GRAPH_FRESH, 4, 1, t, 1, 1, flat, GRAPH_NONE, GRAPH_NONE,
                           GRAPH_NONE);
        w = build_reshape(b, build_add(b, flat, build_scale(b, sum)), 1, used, t);
    }
    double scale = 0;
    snprintf(key, sizeof key, "%s.expert_weights_scale", m->arch);
    if (gguf_number(m->gguf, key, &scale) && scale != 0 && scale != 1)
        w = build_scale(b, w);
    graph_expand(b->graph, w);
    *weights = w;
}

static int multiply_chosen(struct build *b, const char *name, int x, int chosen) {
    char full[96];
    snprintf(full, sizeof full, "%s.weight", name);
    struct weight w = build_weight(b, full);
    if (w.id == GRAPH_NONE) {
        b->unknown = true;
        return x;
    }
    struct graph_shape c = graph_shape(b->graph, chosen);
    int y =
        graph_op(b->graph, GRAPH_FRESH, 4, w.out, c.ne[0], c.ne[1], 1, w.id, x, chosen, GRAPH_NONE);
    snprintf(full, sizeof full, "%s.scale", name);
    struct weight scale = build_weight(b, full);
    if (scale.id != GRAPH_NONE) // scaled by a factor of each expert, looked up
        y = build_add(b, y,
                      graph_op(b->graph, GRAPH_FRESH, 4, 1, c.ne[0], c.ne[1], 1, scale.id, chosen,
                               GRAPH_NONE, GRAPH_NONE));
    snprintf(full, sizeof full, "%s.bias", name);
    struct weight bias = build_weight(b, full);
    return bias.id == GRAPH_NONE ? y
                                 : graph_op(b->graph, GRAPH_REUSE, 4, w.out, c.ne[0], c.ne[1], 1, y,
                                            bias.id, chosen, GRAPH_NONE);
}

// The chosen experts' gate and up, and their product.
static int gated(struct build *b, int x, int chosen) {
    const struct graph_shape c = graph_shape(b->graph, chosen);
    if (present(b, "ffn_gate_up_exps")) {
        int both = multiply_chosen(b, "ffn_gate_up_exps", x, chosen);
        struct graph_shape s = graph_shape(b->graph, both);
        int64_t half = s.ne[0] / 2;
        s.ne[0] = half;
        int gate = graph_view(b->graph, both, &s), up = graph_view(b->graph, both, &s);
        return graph_op(b->graph, GRAPH_FRESH, 4, half, c.ne[0], c.ne[1], 1, gate, up, GRAPH_NONE,
                        GRAPH_NONE);
    }
    int up = multiply_chosen(b, "ffn_up_exps", x, chosen);
    if (!present(b, "ffn_gate_exps"))
        return build_scale(b, up);
    int gate = multiply_chosen(b, "ffn_gate_exps", x, chosen);
    return graph_op(b->graph, GRAPH_FRESH, 4, graph_shape(b->graph, up).ne[0], c.ne[0], c.ne[1], 1,
                    gate, up, GRAPH_NONE, GRAPH_NONE);
}

static int shared_expert(struct build *b, int x, int routed) {
    if (!present(b, "ffn_up_shexp"))
        return routed;
    int y = build_ffn(b, x, "ffn_up_shexp", "ffn_gate_shexp", "ffn_down_shexp");
    if (b->arch->shared == SHARED_GATED && present(b, "ffn_gate_inp_shexp")) {
        int gate = build_scale(b, build_multiply_bias(b, "ffn_gate_inp_shexp", x));
        y = build_add(b, y, gate);
    }
    return build_add(b, routed, y);
}

enum { USED_MAX = 256 };

int build_experts(struct build *b, int x, int router_input) {
    int chosen, weights;
    route(b, router_input, &chosen, &weights);
    uint32_t used = b->model->experts_used;
    if (used == 0 || used > USED_MAX) { // no such model; its plan is an estimate
        b->unknown = true;
        used = used ? USED_MAX : 1;
    }
    // Nemotron's experts work on a narrower vector.
    struct weight narrow = build_weight(b, "ffn_latent_down.weight");
    int input = narrow.id == GRAPH_NONE ? x : build_multiply(b, narrow, x);
    struct graph_shape s = graph_shape(b->graph, input);
    input = build_reshape(b, input, s.ne[0], 1, s.ne[1]);
    if (b->arch->weights_first) {
        input = graph_op(b->graph, GRAPH_FRESH, 4, s.ne[0], used, s.ne[1], 1, input, GRAPH_NONE,
                         GRAPH_NONE, GRAPH_NONE);
        input = build_add(b, input, weights);
    }
    int y = multiply_chosen(b, "ffn_down_exps", gated(b, input, chosen), chosen);
    if (!b->arch->weights_first)
        y = build_add(b, y, weights);
    graph_expand(b->graph, y);

    struct graph_shape one = {{s.ne[0], s.ne[1], 1, 1}, {4, s.ne[0] * 4 * used, 0, 0}};
    one.nb[2] = one.nb[3] = one.nb[1] * s.ne[1];
    int view[USED_MAX], sum = GRAPH_NONE;
    for (uint32_t i = 0; i < used; i++)
        graph_expand(b->graph, view[i] = graph_view(b->graph, y, &one));
    for (uint32_t i = 1; i < used; i++) {
        sum = build_add(b, i == 1 ? view[0] : sum, view[i]);
        graph_expand(b->graph, sum);
    }
    if (used <= 1)
        sum = graph_op(b->graph, GRAPH_FRESH, 4, s.ne[0], s.ne[1], 1, 1, view[0], GRAPH_NONE,
                       GRAPH_NONE, GRAPH_NONE);
    if (narrow.id != GRAPH_NONE)
        sum = build_multiply(b, build_weight(b, "ffn_latent_up.weight"), sum);
    return shared_expert(b, x, sum);
}
