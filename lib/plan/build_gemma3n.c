// Gemma 3n (src/models/gemma3n.cpp): several copies of the stream; in each layer all are predicted,
// one is worked on, and all are corrected by the outcome. Also the per-layer inputs that Gemma 3n
// and the small Gemma 4 models share.
#include "plan/build.h"

enum { SPARSE_LAYERS = 10 }; // the first ones cut their gates off

static int fresh(struct build *b, int64_t ne0, int64_t ne1, int64_t ne2, int x, int y) {
    return graph_op(b->graph, GRAPH_FRESH, 4, ne0, ne1, ne2, 1, x, y, GRAPH_NONE, GRAPH_NONE);
}

static int slices(struct build *b, int x, int64_t count) { // [width, tokens, count]
    struct graph_shape s = graph_shape(b->graph, x);
    s.ne[2] = count;
    return graph_view(b->graph, x, &s);
}

// One table row a token for all layers, plus a projection of the token's embedding:
// [width, tokens, layers].
int build_per_layer_inputs(struct build *b, int stream) {
    int place = b->place->layer[0];
    struct weight table = build_global(b, "per_layer_token_embd.weight", b->cpu);
    struct weight project =
        build_global(b, "per_layer_model_proj.weight", place == PLACE_HOST ? b->cpu : place);
    struct weight norm =
        build_global(b, "per_layer_proj_norm.weight", place == PLACE_HOST ? b->cpu : place);
    if (table.id == GRAPH_NONE || project.id == GRAPH_NONE || norm.in == 0)
        return GRAPH_NONE;
    int64_t t = b->tokens, width = norm.in, layers = project.out / width;
    int tokens = graph_input(b->graph, 4, t, 1, 1);
    int rows = graph_op(b->graph, GRAPH_LOOKUP, 4, width * layers, t, 1, 1, table.id, tokens,
                        GRAPH_NONE, GRAPH_NONE);
    rows = build_scale(b, build_reshape(b, rows, width, layers, t));
    graph_expand(b->graph, rows);
    int x = build_scale(b, build_multiply(b, project, stream));
    x = build_add(b, build_scale(b, build_reshape(b, x, width, layers, t)), norm.id);
    x = build_scale(b, build_add(b, x, rows));
    return fresh(b, width, t, layers, build_permuted(b, x), GRAPH_NONE);
}

// A layer's share of them, gated by the stream.
int build_per_layer(struct build *b, int x) {
    struct weight gate = build_weight(b, "inp_gate.weight");
    x = build_scale(b, build_multiply(b, gate, x));
    x = build_add(b, x, slices(b, b->per_layer, 1));
    x = build_multiply(b, build_weight(b, "proj.weight"), x);
    return build_norm(b, x, "post_norm.weight");
}

static int magnitude(struct build *b, int x) {
    struct graph_shape s = graph_shape(b->graph, x);
    return build_scale(b, fresh(b, 1, s.ne[1], s.ne[2], build_scale(b, x), GRAPH_NONE));
}

// The copies as projections of one, with its magnitude.
static int copies_of(struct build *b, const char *projection, int x, int like) {
    int device = b->place->output == PLACE_HOST ? b->cpu : b->place->output;
    int y = build_multiply(b, build_global(b, projection, device), x);
    int target = magnitude(b, like);
    return build_add(b, build_add(b, y, target), magnitude(b, y));
}

static int64_t copies(struct build *b) {
    struct weight w = build_weight(b, "altup_correct_coef.weight");
    return w.id == GRAPH_NONE ? 1 : w.in;
}

int build_copies(struct build *b, int stream) {
    struct graph_shape s = graph_shape(b->graph, stream);
    b->layer = 0;
    int64_t n = copies(b);
    int all = fresh(b, s.ne[0], s.ne[1], n - 1, stream, GRAPH_NONE);
    int added = copies_of(b, "altup_proj.weight", all, stream);
    return fresh(b, s.ne[0], s.ne[1], n, stream, added);
}

int build_merge_copies(struct build *b, int stream) {
    struct graph_shape s = graph_shape(b->graph, stream);
    int one = slices(b, stream, 1);
    int others = copies_of(b, "altup_unembd_proj.weight", slices(b, stream, s.ne[2] - 1), one);
    int x = slices(b, stream, 1);
    for (int64_t i = 1; i < s.ne[2]; i++)
        x = build_add(b, x, slices(b, others, 1));
    return build_scale(b, x);
}

static int router(struct build *b, int x) {
    x = build_scale(b, build_norm(b, x, "altup_router_norm.weight"));
    return build_scale(b, build_multiply(b, build_weight(b, "altup_router.weight"), x));
}

static int predict(struct build *b, int stream) {
    struct graph_shape s = graph_shape(b->graph, stream);
    int64_t e = s.ne[0], t = s.ne[1], n = s.ne[2];
    int routed = router(b, slices(b, stream, 1));
    int factors = build_multiply(b, build_weight(b, "altup_predict_coef.weight"), routed);
    int turned = fresh(b, n, e, t, stream, GRAPH_NONE);
    int y = fresh(b, e, n, t, turned, build_reshape(b, factors, n, n, t));
    return build_add(b, fresh(b, e, t, n, y, GRAPH_NONE), stream);
}

static int correct(struct build *b, int predictions, int worked) {
    struct graph_shape s = graph_shape(b->graph, predictions);
    int64_t t = s.ne[1], n = s.ne[2];
    int news = build_add(b, worked, slices(b, predictions, 1));
    news = fresh(b, s.ne[0], t, n, news, GRAPH_NONE);
    int factors =
        build_multiply(b, build_weight(b, "altup_correct_coef.weight"), router(b, worked));
    factors = fresh(b, 1, t, n, build_scale(b, factors), GRAPH_NONE);
    return build_add(b, build_add(b, news, factors), predictions);
}

static int sparse_gate(struct build *b, int gate) {
    int64_t t = graph_shape(b->graph, gate).ne[1];
    int mean = fresh(b, 1, t, 1, gate, GRAPH_NONE);
    int spread = build_scale(b, build_add(b, gate, mean));
    spread = build_scale(b, build_scale(b, fresh(b, 1, t, 1, spread, GRAPH_NONE)));
    int cutoff = build_add(b, mean, build_scale(b, spread));
    return build_scale(b, build_add(b, gate, cutoff));
}

static int feed_forward(struct build *b, int x) {
    int up = build_multiply(b, build_weight(b, "ffn_up.weight"), x);
    int gate = build_multiply(b, build_weight(b, "ffn_gate.weight"), x);
    if (b->layer < SPARSE_LAYERS)
        gate = sparse_gate(b, gate);
    x = build_add(b, up, build_scale(b, gate));
    return build_multiply(b, build_weight(b, "ffn_down.weight"), x);
}

int build_copies_layer(struct build *b, int stream, const struct model_layer *l) {
    struct graph_shape s = graph_shape(b->graph, stream);
    if (s.ne[2] < 2 || b->per_layer == GRAPH_NONE) {
        b->unknown = true;
        return stream;
    }
    int predictions = predict(b, stream);
    int active = slices(b, predictions, 1);
    int x = build_norm(b, active, "attn_norm.weight");
    int laurel = build_multiply(b, build_weight(b, "laurel_l.weight"), x);
    laurel = build_multiply(b, build_weight(b, "laurel_r.weight"), laurel);
    laurel = build_add(b, build_norm(b, laurel, "laurel_post_norm.weight"), x);
    x = build_plain_attention(b, x, l);
    x = build_add(b, build_norm(b, x, "post_attention_norm.weight"), active);
    int residual = build_scale(b, build_add(b, x, laurel));
    x = feed_forward(b, build_norm(b, residual, "ffn_norm.weight"));
    x = build_add(b, build_norm(b, x, "post_ffw_norm.weight"), residual);
    int corrected = correct(b, predictions, x);
    struct weight scale = build_weight(b, "altup_correct_scale.weight");
    int first = build_per_layer(b, build_add(b, slices(b, corrected, 1), scale.id));
    int rest = build_add(b, slices(b, corrected, s.ne[2] - 1), first);
    return fresh(b, s.ne[0], s.ne[1], s.ne[2], slices(b, corrected, 1), rest);
}
