// Layers that keep a state of fixed size instead of a cache: gated delta nets, Mamba, short
// convolutions (src/models/delta-net-base.cpp, mamba-base.cpp, lfm2.cpp).
#include "plan/build.h"

struct batch {            // of whole sequences, as recurrent layers see it
    int64_t seqs, tokens; // tokens of one sequence
    int cache_r, cache_s;
};

static struct batch batch_of(struct build *b) {
    int at = b->settings->kv_offload ? b->backend : b->cpu;
    int64_t seqs = b->cells->sequences;
    return (struct batch){seqs, b->tokens / seqs, graph_cache(b->graph, at, 1),
                          graph_cache(b->graph, at, 1)};
}

static void store(struct build *b, int from, int cache) {
    graph_expand(b->graph, graph_op(b->graph, GRAPH_STORE, 4, 1, 1, 1, 1, from, cache, GRAPH_NONE,
                                    GRAPH_NONE));
}

static int gather(struct build *b, int cache, int64_t width, int64_t count) {
    return graph_op(b->graph, GRAPH_FRESH, 4, width, count, 1, 1, cache, b->state_copy, GRAPH_NONE,
                    GRAPH_NONE);
}

static void clear_one(struct build *b, int cache) {
    graph_expand(b->graph, graph_op(b->graph, GRAPH_STORE, 4, 1, 1, 1, 1, cache, GRAPH_NONE,
                                    GRAPH_NONE, GRAPH_NONE));
}

// States that other slots own are moved along; in a full batch there are none.
static void move_others(struct build *b, int all, int64_t width, int cache) {
    struct graph_shape none = {{width, 0, 1, 1}, {4, width * 4, 0, 0}};
    store(b, graph_view(b->graph, all, &none), cache);
}

static int read_state(struct build *b, int cache, int64_t width) {
    int64_t n = b->cells->sequences;
    clear_one(b, cache);
    int all = gather(b, cache, width, n);
    int mine = build_reshape(b, all, width, n, 1);
    graph_expand(b->graph, mine);
    move_others(b, all, width, cache);
    return mine;
}

// What the convolution reads: the last columns of before, and the batch. `mixed` is [channels, t].
static int convolution_input(struct build *b, const struct batch *batch, int mixed, int64_t keep,
                             int64_t channels, int old) {
    int64_t t = batch->tokens;
    struct graph_shape turned = {{t, channels, batch->seqs, 1},
                                 {channels * 4, 4, channels * 4 * t, channels * 4 * t}};
    int input = graph_op(b->graph, GRAPH_FRESH, 4, t + keep, channels, batch->seqs, 1, old,
                         graph_view(b->graph, mixed, &turned), GRAPH_NONE, GRAPH_NONE);
    struct graph_shape tail = {{keep, channels, batch->seqs, 1},
                               {4, (t + keep) * 4, (t + keep) * channels * 4, 0}};
    for (uint32_t i = 0; i < b->cells->snapshots; i++)
        store(b, graph_view(b->graph, input, &tail), batch->cache_r);
    return input;
}

static int convolve(struct build *b, const struct batch *batch, int input, struct weight kernel,
                    int64_t channels) {
    return graph_op(b->graph, GRAPH_FRESH, 4, channels, batch->tokens, batch->seqs, 1, input,
                    kernel.id, GRAPH_NONE, GRAPH_NONE);
}

// A part of each row of `x`.
static int part_of(struct build *b, const struct batch *batch, int x, int64_t width, int64_t count,
                   int64_t row) {
    struct graph_shape s = {{width, count, batch->tokens, batch->seqs},
                            {4, width * 4, row * 4, row * 4 * batch->tokens}};
    return graph_view(b->graph, x, &s);
}

static int fresh_like(struct build *b, int x) {
    struct graph_shape s = graph_shape(b->graph, x);
    return graph_op(b->graph, GRAPH_FRESH, 4, s.ne[0], s.ne[1], s.ne[2], s.ne[3], x, GRAPH_NONE,
                    GRAPH_NONE, GRAPH_NONE);
}

// ---- gated delta nets ----

struct delta {
    int mixed, z, beta, alpha;
};

static int bias(struct build *b, const char *name) { return build_weight(b, name).id; }

// Projections of their own (qwen35), or beta and alpha from one (qwen3next).
static struct delta project(struct build *b, const struct batch *batch, int x, int64_t heads) {
    struct delta d;
    int64_t t = batch->tokens, n = batch->seqs;
    d.mixed = build_multiply(b, build_weight(b, "attn_qkv.weight"), x);
    d.mixed = build_reshape(b, d.mixed, graph_shape(b->graph, d.mixed).ne[0], t, n);
    d.z = build_multiply(b, build_weight(b, "attn_gate.weight"), x);
    struct weight both = build_weight(b, "ssm_ba.weight");
    if (both.id != GRAPH_NONE) {
        int ba = build_multiply(b, both, x);
        d.beta = build_scale(b, fresh_like(b, part_of(b, batch, ba, heads, 1, both.out)));
        d.alpha = fresh_like(b, part_of(b, batch, ba, heads, 1, both.out));
        d.alpha = build_reshape(b, d.alpha, heads, t, n);
        d.alpha = build_scale(b, build_add(b, d.alpha, bias(b, "ssm_dt.bias")));
    } else {
        d.beta = build_multiply(b, build_weight(b, "ssm_beta.weight"), x);
        d.beta = build_scale(b, build_reshape(b, d.beta, heads, t, n));
        d.alpha = build_multiply(b, build_weight(b, "ssm_alpha.weight"), x);
        d.alpha = build_reshape(b, d.alpha, heads, t, n);
        d.alpha = build_scale(b, build_add(b, d.alpha, bias(b, "ssm_dt.bias")));
    }
    d.alpha = build_reshape(b, build_add(b, d.alpha, bias(b, "ssm_a")), heads, t, n);
    return d;
}

// Fewer key heads than value heads: qwen3next repeats them, its successors broadcast.
static int repeated(struct build *b, const struct batch *batch, int x, int64_t width,
                    int64_t heads) {
    return graph_op(b->graph, GRAPH_FRESH, 4, width * heads, batch->tokens, batch->seqs, 1, x,
                    GRAPH_NONE, GRAPH_NONE, GRAPH_NONE);
}

static int delta_net(struct build *b, int x) {
    const struct model *m = b->model;
    struct weight conv = build_weight(b, "ssm_conv1d.weight"),
                  norm = build_weight(b, "ssm_norm.weight");
    bool shared = build_has(b, "ssm_ba.weight");
    if (conv.id == GRAPH_NONE || norm.id == GRAPH_NONE || norm.in == 0) {
        b->unknown = true;
        return x;
    }
    struct batch batch = batch_of(b);
    int64_t seqs = batch.seqs, t = batch.tokens, channels = m->conv_channels;
    int64_t width = norm.in, keep = conv.in - 1, inner = m->inner, heads = inner / width;
    int64_t key_width = (channels - inner) / 2;
    struct delta d = project(b, &batch, x, heads);

    int old = read_state(b, batch.cache_r, keep * channels);
    old = build_reshape(b, old, keep, channels, seqs);
    int input = convolution_input(b, &batch, d.mixed, keep, channels, old);
    int state = read_state(b, batch.cache_s, m->state_s);
    state = build_reshape(b, state, width, width * heads, seqs);
    int out = build_scale(b, convolve(b, &batch, input, conv, channels));
    int q = build_scale(b, build_scale(b, part_of(b, &batch, out, key_width, 1, channels)));
    int k = build_scale(b, build_scale(b, part_of(b, &batch, out, key_width, 1, channels)));
    int v = part_of(b, &batch, out, inner, 1, channels);
    if (shared && key_width != inner) {
        q = repeated(b, &batch, q, width, heads);
        k = repeated(b, &batch, k, width, heads);
    }
    int net = graph_op(b->graph, GRAPH_FRESH, 4, inner,
                       t * seqs + width * seqs * b->cells->snapshots, 1, 1, q, k, v, state);
    graph_also(b->graph, net, d.alpha);
    graph_also(b->graph, net, d.beta);
    struct graph_shape head = {{width, heads, t, seqs}, {4, width * 4, inner * 4, inner * 4 * t}};
    int y = graph_view(b->graph, net, &head);
    store(b, graph_view(b->graph, net, &head), batch.cache_s);
    y = build_norm(b, y, "ssm_norm.weight");
    int gate = build_scale(b, build_reshape(b, d.z, width, heads * t, seqs));
    y = build_reshape(b, build_add(b, y, gate), inner, t * seqs, 1);
    y = build_multiply(b, build_weight(b, "ssm_out.weight"), y);
    return build_reshape(b, y, m->embd, b->tokens, 1);
}

// ---- Mamba ----

// The scan reads states in place; its result holds outputs and new states.
static int scan(struct build *b, const struct batch *batch, int64_t inner, int x, int dt, int b_,
                int c) {
    int64_t n = batch->seqs, t = batch->tokens, width = b->model->state_s;
    clear_one(b, batch->cache_s);
    int all = gather(b, batch->cache_s, width, n - 1);
    int y = graph_op(b->graph, GRAPH_FRESH, 4, inner * t * n + width * n * b->cells->snapshots, 1,
                     1, 1, batch->cache_s, x, dt, build_weight(b, "ssm_a").id);
    graph_also(b->graph, y, b_);
    graph_also(b->graph, y, c);
    graph_expand(b->graph, y);
    move_others(b, all, width, batch->cache_s);
    store(b, part_of(b, batch, y, inner, 1, inner), batch->cache_s);
    return y;
}

static int gated_output(struct build *b, const struct batch *batch, int y, int x, int z,
                        int64_t inner) {
    int skip = build_add(b, x, bias(b, "ssm_d"));
    y = build_add(b, part_of(b, batch, y, inner, 1, inner), skip);
    struct graph_shape s = graph_shape(b->graph, y);
    return graph_op(b->graph, GRAPH_FRESH, 4, s.ne[0], s.ne[1], s.ne[2], s.ne[3], fresh_like(b, z),
                    y, GRAPH_NONE, GRAPH_NONE);
}

static int normed_part(struct build *b, int x, const char *norm) {
    return !build_has(b, norm) ? x : build_norm(b, x, norm);
}

static int mamba(struct build *b, int cur) {
    struct weight in = build_weight(b, "ssm_in.weight"),
                  conv = build_weight(b, "ssm_conv1d.weight");
    struct weight dt_w = build_weight(b, "ssm_dt.weight"), x_w = build_weight(b, "ssm_x.weight");
    if (conv.id == GRAPH_NONE || dt_w.id == GRAPH_NONE) {
        b->unknown = true;
        return cur;
    }
    struct batch batch = batch_of(b);
    int64_t inner = conv.out, keep = conv.in - 1, t = batch.tokens, n = batch.seqs;
    int64_t states = (x_w.out - dt_w.in) / 2;
    int old = read_state(b, batch.cache_r, keep * inner);
    old = build_reshape(b, old, keep, inner, n);
    cur = build_reshape(b, cur, graph_shape(b->graph, cur).ne[0], t, n);
    int xz = build_multiply(b, in, cur);
    int x = part_of(b, &batch, xz, inner, 1, 2 * inner);
    int z = part_of(b, &batch, xz, inner, 1, 2 * inner);
    int input = convolution_input(b, &batch, x, keep, inner, old);
    x = convolve(b, &batch, input, conv, inner);
    x = build_scale(b, build_add(b, x, bias(b, "ssm_conv1d.bias")));
    int db = build_multiply(b, x_w, x);
    int dt = part_of(b, &batch, db, dt_w.in, 1, x_w.out);
    int b_ = part_of(b, &batch, db, states, 1, x_w.out);
    int c = part_of(b, &batch, db, states, 1, x_w.out);
    bool normed = build_has(b, "ssm_dt_norm.weight");
    dt = normed ? build_norm(b, dt, "ssm_dt_norm.weight") : fresh_like(b, dt);
    b_ = normed_part(b, b_, "ssm_b_norm.weight");
    c = normed_part(b, c, "ssm_c_norm.weight");
    dt = build_reshape(b, dt, dt_w.in, t, n);
    dt = build_add(b, build_multiply(b, dt_w, dt), bias(b, "ssm_dt.bias"));
    int y = scan(b, &batch, inner, build_reshape(b, x, inner, t, n), dt, b_, c);
    y = gated_output(b, &batch, y, x, z, inner);
    y = build_multiply(b, build_weight(b, "ssm_out.weight"), build_reshape(b, y, inner, t, n));
    return build_reshape(b, y, b->model->embd, b->tokens, 1);
}

static int mamba2(struct build *b, int cur) {
    const struct model *m = b->model;
    struct weight in = build_weight(b, "ssm_in.weight"),
                  conv = build_weight(b, "ssm_conv1d.weight");
    if (in.id == GRAPH_NONE || conv.id == GRAPH_NONE || m->ssm_heads == 0) {
        b->unknown = true;
        return cur;
    }
    struct batch batch = batch_of(b);
    int64_t channels = conv.out, keep = conv.in - 1, inner = m->inner, heads = m->ssm_heads;
    int64_t t = batch.tokens, n = batch.seqs, states = (channels - inner) / 2;
    int old = read_state(b, batch.cache_r, keep * channels);
    old = build_reshape(b, old, keep, channels, n);
    int all = build_reshape(b, build_multiply(b, in, cur), in.out, t, n);
    int z = part_of(b, &batch, all, inner, 1, in.out);
    int dt = part_of(b, &batch, all, heads, 1, in.out);
    int mixed = part_of(b, &batch, all, channels, 1, in.out);
    int input = convolution_input(b, &batch, mixed, keep, channels, old);
    mixed = convolve(b, &batch, input, conv, channels);
    mixed = build_scale(b, build_add(b, mixed, bias(b, "ssm_conv1d.bias")));
    int x = part_of(b, &batch, mixed, inner, 1, channels);
    int b_ = part_of(b, &batch, mixed, states, 1, channels);
    int c = part_of(b, &batch, mixed, states, 1, channels);
    dt = build_add(b, fresh_like(b, dt), bias(b, "ssm_dt.bias"));
    int y = scan(b, &batch, inner, x, dt, b_, c);
    y = build_reshape(b, gated_output(b, &batch, y, x, z, inner), inner, t, n);
    if (build_has(b, "ssm_norm.weight"))
        y = build_reshape(b, build_norm(b, y, "ssm_norm.weight"), inner, t * n, 1);
    y = build_reshape(b, y, inner, t * n, 1);
    return build_multiply(b, build_weight(b, "ssm_out.weight"), y);
}

// ---- short convolutions (LFM2) ----

static int short_convolution(struct build *b, int cur) {
    struct weight in = build_weight(b, "shortconv.in_proj.weight"),
                  conv = build_weight(b, "shortconv.conv.weight");
    if (in.id == GRAPH_NONE || conv.id == GRAPH_NONE) {
        b->unknown = true;
        return cur;
    }
    struct batch batch = batch_of(b);
    int64_t width = in.out / 3, keep = conv.in - 1, t = batch.tokens, n = batch.seqs;
    cur = build_reshape(b, cur, graph_shape(b->graph, cur).ne[0], t, n);
    int all = build_multiply(b, in, cur);
    int left = part_of(b, &batch, all, width, 1, in.out);
    int gate = part_of(b, &batch, all, width, 1, in.out);
    int right = part_of(b, &batch, all, width, 1, in.out);
    int product = build_add(b, left, right);
    int old = build_reshape(b, read_state(b, batch.cache_r, keep * width), keep, width, n);
    int input = convolution_input(b, &batch, product, keep, width, old);
    int y = build_add(b, gate, convolve(b, &batch, input, conv, width));
    y = build_reshape(b, y, width, t, n);
    y = build_multiply(b, build_weight(b, "shortconv.out_proj.weight"), y);
    return build_reshape(b, y, b->model->embd, b->tokens, 1);
}

int build_recurrent(struct build *b, int x) {
    if (build_has(b, "shortconv.in_proj.weight"))
        return short_convolution(b, x);
    if (build_has(b, "ssm_beta.weight") || build_has(b, "ssm_ba.weight"))
        return delta_net(b, x);
    if (build_has(b, "ssm_x.weight"))
        return mamba(b, x);
    return mamba2(b, x);
}
