// Layers, from the names of their tensors and a few facts about the architecture, and what follows
// the last one (src/models/*.cpp).
#include "plan/build.h"

#include <stdio.h>
#include <string.h>

static int device_of(const struct build *b, int place) {
    return place == PLACE_HOST ? b->cpu : place;
}

// Norms go by different names: the first that is there.
static const char *first_of(struct build *b, const char *const *names) {
    for (; *names; names++)
        if (build_has(b, *names))
            return *names;
    return NULL;
}

static bool has(struct build *b, const char *name) { return build_has(b, name); }

int build_rope(struct build *b, int x) {
    const struct model_layer *l = &b->model->layer[b->layer];
    if (b->arch->rope == ROPE_NONE || (b->arch->rope == ROPE_SLIDING && !l->sliding) ||
        (b->arch->rope == ROPE_THREE_OF_FOUR && b->layer % 4 == 3))
        return x;
    struct graph_shape s = graph_shape(b->graph, x);
    return graph_op(b->graph, GRAPH_ROPE, 4, s.ne[0], s.ne[1], s.ne[2], s.ne[3], x, b->position,
                    GRAPH_NONE, GRAPH_NONE);
}

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

static int attend(struct build *b, int x, const struct model_layer *l) {
    if (l->recurrent && !(b->arch->block == BLOCK_STATE_BESIDE))
        return build_recurrent(b, x);
    if (b->model->rank_kv && has(b, "attn_kv_a_mqa.weight"))
        return build_compressed_attention(b, x);
    if (b->arch->gated_queries)
        return build_gated_attention(b, x, l);
    return build_plain_attention(b, x, l);
}

// Architectures with draft heads need all rows to the end, since there are such heads.
static bool rows_late(const struct build *b) {
    return b->arch->rows == ROWS_AFTER_NORM && plan_has(b->settings, PLAN_BUILD_HIDDEN);
}

static bool chooses_rows(const struct build *b) {
    bool last =
        b->arch->rows == ROWS_LAST_LAYER || (b->arch->rows == ROWS_AFTER_NORM && !rows_late(b));
    return b->layer == b->layers - 1 && last;
}

// One operation a layer: Mamba, Nemotron-H.
static int single_block(struct build *b, int stream, const struct model_layer *l) {
    int x = build_norm(b, stream, "attn_norm.weight");
    if (l->recurrent || l->attends)
        x = attend(b, x, l);
    else
        x = build_feed_forward(b, x, stream);
    if (chooses_rows(b)) {
        x = build_rows(b, x);
        stream = build_rows(b, stream);
    }
    return build_add(b, x, stream);
}

// Attention and feed-forward side by side, from the same norm.
static int parallel_block(struct build *b, int stream, const struct model_layer *l) {
    int normed = build_norm(b, stream, "attn_norm.weight");
    int x = normed;
    if (has(b, "attn_norm_2.weight"))
        x = build_norm(b, stream, "attn_norm_2.weight");
    int attended = attend(b, x, l);
    if (chooses_rows(b)) {
        attended = build_rows(b, attended);
        stream = build_rows(b, stream);
        normed = build_rows(b, normed);
    }
    x = build_feed_forward(b, normed, stream);
    return build_add(b, build_add(b, x, stream), attended);
}

// Attention and a recurrent state side by side (Falcon-H1).
static int state_beside(struct build *b, int stream, const struct model_layer *l) {
    int attended = attend(b, build_norm(b, stream, "attn_norm.weight"), l);
    int x = build_recurrent(b, build_norm(b, stream, "attn_norm.weight"));
    int residual = build_add(b, build_add(b, attended, x), stream);
    if (chooses_rows(b))
        residual = build_rows(b, residual);
    x = build_norm(b, residual, has(b, "ffn_norm.weight") ? "ffn_norm.weight" : "ffn_norm");
    return build_add(b, build_feed_forward(b, x, residual), residual);
}

static int after_norm(struct build *b, int x, const char *const *names) {
    const char *name = first_of(b, names);
    return name ? build_norm(b, x, name) : x;
}

// Attention, then feed-forward, each with its norm before, and after where the file has one.
static int two_blocks(struct build *b, int stream, const struct model_layer *l) {
    static const char *const AFTER_ATTENTION[] = {"post_attention_norm.weight",
                                                  "attn_output_norm.weight", NULL};
    static const char *const AFTER_FFN[] = {"post_ffw_norm.weight", "post_ffn_norm.weight",
                                            "layer_output_norm.weight", NULL};
    static const char *const MIDDLE[] = {"ffn_norm.weight", "post_attention_norm.weight", NULL};
    bool post_norms = first_of(b, AFTER_FFN) || has(b, "attn_output_norm.weight");

    int x = has(b, "attn_norm.weight") || b->arch->layer_norm
                ? build_norm(b, stream, "attn_norm.weight")
                : stream;
    if (b->arch->expand_norm)
        graph_expand(b->graph, x);
    x = attend(b, x, l);
    if (chooses_rows(b)) {
        x = build_rows(b, x);
        stream = build_rows(b, stream);
    }
    if (post_norms)
        x = after_norm(b, x, AFTER_ATTENTION);
    int residual =
        b->arch->first_after_attention ? build_add(b, stream, x) : build_add(b, x, stream);
    x = residual;
    if (b->arch->layer_norm && !first_of(b, MIDDLE))
        x = build_norm(b, x, "ffn_norm.weight");
    else if (!post_norms || has(b, "ffn_norm.weight"))
        x = after_norm(b, x, MIDDLE);
    x = build_feed_forward(b, x, residual);
    if (post_norms)
        x = after_norm(b, x, AFTER_FFN);
    return b->arch->first_after_ffn ? build_add(b, residual, x) : build_add(b, x, residual);
}

int build_layer(struct build *b, uint32_t layer, int stream) {
    b->layer = layer;
    b->backend = device_of(b, b->place->layer[layer]);
    const struct model_layer *l = &b->model->layer[layer];
    int x;
    switch (b->arch->block) {
    case BLOCK_SINGLE: x = single_block(b, stream, l); break;
    case BLOCK_PARALLEL: x = parallel_block(b, stream, l); break;
    case BLOCK_COPIES: x = build_copies_layer(b, stream, l); break;
    case BLOCK_STATE_BESIDE: x = state_beside(b, stream, l); break;
    default: x = two_blocks(b, stream, l);
    }
    if (b->per_layer != GRAPH_NONE && b->arch->block != BLOCK_COPIES)
        x = build_add(b, x, build_per_layer(b, x));
    if (has(b, "layer_output_scale.weight"))
        x = build_add(b, x, build_weight(b, "layer_output_scale.weight").id);
    return x;
}

void build_output(struct build *b, int stream) {
    int at = device_of(b, b->place->output);
    if (b->arch->block == BLOCK_COPIES)
        stream = build_merge_copies(b, stream);
    bool kept = plan_has(b->settings, PLAN_BUILD_HIDDEN);
    if (kept && b->arch->keep_hidden == HIDDEN_RAW)
        graph_keep(b->graph, stream);
    if (b->arch->rows == ROWS_BEFORE_NORM)
        stream = build_rows(b, stream);
    int x = build_scale(b, stream);
    struct weight norm = build_global(b, "output_norm.weight", at);
    if (norm.id == GRAPH_NONE) // LFM2's name for it
        norm = build_global(b, "token_embd_norm.weight", at);
    x = norm.id == GRAPH_NONE ? x : build_add(b, x, norm.id);
    if (kept && b->arch->keep_hidden == HIDDEN_NORMED)
        graph_keep(b->graph, x);
    if (rows_late(b))
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
