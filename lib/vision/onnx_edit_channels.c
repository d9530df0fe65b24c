// The runtime keeps pictures in blocks of channels, where its convolutions are fastest, as long as
// every number of channels is a multiple of the block; else it puts the picture into rows and back
// around each step. So convolutions with other numbers of channels get further ones, which are 0
// and weigh nothing; and a convolution over several pictures side by side (Concat, a copy of all of
// them) becomes a sum of convolutions.
#include "base/mem.h"
#include "vision/onnx_edit.h"
#include "vision/onnx_rewrite.h"

#include <string.h>

enum { PARTS_MAX = 8, ROUNDS_MAX = 16 };

int onnx_block(void) {
#if defined __x86_64__
    return __builtin_cpu_supports("avx512f") ? 16 : 8;
#else
    return 1;
#endif
}

struct conv {
    int node, bias_node; // ONNX_NONE: adds none
    struct onnx_weights weights, bias;
    bool padded;
};

struct channels {
    struct onnx_rewrite rewrite;
    int64_t block;
    struct conv *convs;
    size_t count;
    int *roots; // of a node: the convolution whose channels its value has; ONNX_NONE: not known
};

static bool is_op(const struct channels *net, int node, const char *op) {
    return span_is(net->rewrite.graph.nodes[node].op, op);
}

static const struct onnx_node *node_of(const struct channels *net, int node) {
    return &net->rewrite.graph.nodes[node];
}

static int origin_of(const struct channels *net, struct span name, int before) {
    struct span origin = onnx_rewrite_origin(&net->rewrite, name, before);
    return onnx_graph_maker(&net->rewrite.graph, origin, before);
}

// --- Looking

// A convolution of all channels with constant weights, and the constant that is added to each
// channel.
static void find_conv(struct channels *net, int node) {
    int64_t group = 1;
    struct conv conv = {node, ONNX_NONE};
    const struct onnx_node *step = node_of(net, node);
    onnx_node_ints(step, "group", &group, 1);
    if (!is_op(net, node, "Conv") || step->input_count != 2 || step->output_count != 1 ||
        group != 1 || !onnx_rewrite_weights(&net->rewrite, step->inputs[1], &conv.weights))
        return;
    if (conv.weights.rank != 4) {
        mem_free(conv.weights.values);
        return;
    }
    int64_t channels = conv.weights.dims[0];
    conv.bias_node = onnx_rewrite_bias_node(&net->rewrite, node, channels, &conv.bias);
    conv.padded = channels % net->block != 0 && 2 * channels >= net->block;
    net->convs[net->count] = conv;
    net->roots[node] = (int)net->count++;
    if (conv.bias_node != ONNX_NONE)
        net->roots[conv.bias_node] = net->roots[node];
}

// 0 stays 0, and channels stay apart.
static bool keeps_channels(const struct channels *net, int node) {
    return (is_op(net, node, "Relu") || is_op(net, node, "MaxPool") ||
            is_op(net, node, "Identity")) &&
           node_of(net, node)->output_count == 1 && node_of(net, node)->input_count == 1;
}

static int root_of(const struct channels *net, struct span name, int before) {
    int maker = onnx_graph_maker(&net->rewrite.graph, name, before);
    return maker == ONNX_NONE ? ONNX_NONE : net->roots[maker];
}

static void find_all(struct channels *net) {
    int count = (int)net->rewrite.graph.count;
    for (int i = 0; i < count; i++)
        net->roots[i] = ONNX_NONE;
    for (int i = 0; i < count; i++) {
        find_conv(net, i);
        if (keeps_channels(net, i))
            net->roots[i] = root_of(net, node_of(net, i)->inputs[0], i);
    }
}

static bool is_conv(const struct channels *net, int node) {
    return net->roots[node] != ONNX_NONE && net->convs[net->roots[node]].node == node;
}

static bool is_whole(const struct channels *net, int root) {
    return net->convs[root].weights.dims[0] % net->block == 0 || net->convs[root].padded;
}

// The parts of a Concat, if it can be taken apart: by channels, every part of known channels in
// whole blocks, some of them padded. 0: it cannot.
static size_t parts_of(const struct channels *net, int node, struct span *names, int *roots) {
    const struct onnx_node *concat = node_of(net, node);
    struct span rest = concat->field.bytes;
    struct protobuf_field field;
    int64_t axis;
    size_t count = 0;
    bool padded = false;
    if (!is_op(net, node, "Concat") || onnx_node_ints(concat, "axis", &axis, 1) != 1 || axis != 1 ||
        concat->input_count > PARTS_MAX)
        return 0;
    while (protobuf_take(&rest, &field)) {
        if (field.number != NODE_INPUT)
            continue;
        int root = root_of(net, field.bytes, node);
        if (root == ONNX_NONE || !is_whole(net, root))
            return 0;
        names[count] = field.bytes;
        roots[count++] = root;
        padded |= net->convs[root].padded;
    }
    return padded ? count : 0;
}

// Convolutions alone read it.
static bool is_for_convs(const struct channels *net, int node) {
    const struct onnx_graph *graph = &net->rewrite.graph;
    if (onnx_rewrite_is_output(&net->rewrite, node))
        return false;
    for (int i = node + 1; i < (int)graph->count; i++)
        if (!is_op(net, i, "Identity") && !is_conv(net, i)) {
            struct span rest = graph->nodes[i].field.bytes;
            struct protobuf_field field;
            while (protobuf_take(&rest, &field))
                if (field.number == NODE_INPUT && origin_of(net, field.bytes, i) == node)
                    return false;
        }
    return true;
}

static bool may_read_padded(const struct channels *net, int node, int root) {
    struct span names[PARTS_MAX];
    int roots[PARTS_MAX];
    return keeps_channels(net, node) || is_conv(net, node) || net->convs[root].bias_node == node ||
           (parts_of(net, node, names, roots) > 0 && is_for_convs(net, node));
}

// Takes the further channels from convolutions whose values are read by what would see them, until
// none is left. False when that takes too long.
static bool settle(struct channels *net) {
    bool changed = true;
    for (int round = 0; changed; round++) {
        changed = false;
        if (round == ROUNDS_MAX)
            return false;
        for (int i = 0; i < (int)net->rewrite.graph.count; i++) {
            struct span rest = node_of(net, i)->field.bytes;
            struct protobuf_field field;
            while (protobuf_take(&rest, &field)) {
                int root = field.number == NODE_INPUT ? root_of(net, field.bytes, i) : ONNX_NONE;
                if (root == ONNX_NONE || !net->convs[root].padded || may_read_padded(net, i, root))
                    continue;
                net->convs[root].padded = false;
                changed = true;
            }
            int own = net->roots[i];
            if (own != ONNX_NONE && net->convs[own].padded &&
                onnx_rewrite_is_output(&net->rewrite, i)) {
                net->convs[own].padded = false;
                changed = true;
            }
        }
    }
    return true;
}

// --- Writing

static int64_t whole_blocks(const struct channels *net, int64_t channels) {
    return (channels + net->block - 1) / net->block * net->block;
}

static int64_t channels_out(const struct channels *net, const struct conv *conv) {
    int64_t channels = conv->weights.dims[0];
    return conv->padded ? whole_blocks(net, channels) : channels;
}

// The weights for `count` of the channels that come in, of which there are `in` now.
static struct onnx_name put_weights(struct channels *net, const struct conv *conv, int64_t from,
                                    int64_t count, int64_t in) {
    const int64_t *dims = conv->weights.dims;
    int64_t out = channels_out(net, conv), window = dims[2] * dims[3];
    size_t row = (size_t)window * sizeof(float);
    float *values = mem_alloc((size_t)(out * in) * row);
    for (int64_t o = 0; o < dims[0]; o++)
        memcpy(values + o * in * window, conv->weights.values + (o * dims[1] + from) * window,
               (size_t)count * row);
    struct onnx_name name = onnx_rewrite_new_weights(
        &net->rewrite, (const int64_t[]){out, in, dims[2], dims[3]}, 4, values);
    mem_free(values);
    return name;
}

static struct onnx_name put_bias(struct channels *net, const struct conv *conv) {
    int64_t out = channels_out(net, conv);
    float *values = mem_alloc((size_t)out * sizeof *values);
    memcpy(values, conv->bias.values, conv->bias.count * sizeof *values);
    struct onnx_name name = onnx_rewrite_new_weights(&net->rewrite, &out, 1, values);
    mem_free(values);
    return name;
}

// One convolution for each part, the first with the bias, and their sum.
static void write_parts(struct channels *net, const struct conv *conv, const struct span *names,
                        const int *roots, size_t count) {
    bool biased = conv->bias_node != ONNX_NONE;
    int last = biased ? conv->bias_node : conv->node;
    struct onnx_name sum = {0}, bias = {0};
    int64_t from = 0;
    if (biased) {
        onnx_rewrite_place(&net->rewrite, conv->node);
        bias = put_bias(net, conv);
    }
    struct buf *place = onnx_rewrite_place(&net->rewrite, last);
    struct span output = node_of(net, last)->output;
    for (size_t i = 0; i < count; i++) {
        const struct conv *root = roots[i] == ONNX_NONE ? NULL : &net->convs[roots[i]];
        int64_t own = root && count > 1 ? root->weights.dims[0] : conv->weights.dims[1];
        struct onnx_name weights =
            put_weights(net, conv, from, own, root ? channels_out(net, root) : own);
        struct onnx_name part = onnx_rewrite_new_name(&net->rewrite);
        onnx_put_like(place, node_of(net, conv->node),
                      (struct span[]){names[i], span_of(weights.text), span_of(bias.text)},
                      biased && i == 0 ? 3 : 2, count == 1 ? output : span_of(part.text));
        struct onnx_name total = i > 0 ? onnx_rewrite_new_name(&net->rewrite) : part;
        if (i > 0)
            onnx_put_node(place, "Add", (struct span[]){span_of(sum.text), span_of(part.text)}, 2,
                          i + 1 == count ? output : span_of(total.text), NULL);
        sum = total;
        from += own;
    }
}

// What comes into the convolution: the parts of a Concat, or one value, of known channels or not.
static size_t inputs_of(const struct channels *net, const struct conv *conv, struct span *names,
                        int *roots) {
    struct span input = node_of(net, conv->node)->inputs[0];
    int maker = origin_of(net, input, conv->node);
    size_t count = maker == ONNX_NONE ? 0 : parts_of(net, maker, names, roots);
    if (count > 0 && is_for_convs(net, maker))
        return count;
    names[0] = input;
    roots[0] = root_of(net, input, conv->node);
    return 1;
}

static void write_conv(struct channels *net, const struct conv *conv) {
    struct span names[PARTS_MAX];
    int roots[PARTS_MAX];
    size_t count = inputs_of(net, conv, names, roots);
    bool padded = conv->padded;
    for (size_t i = 0; i < count; i++)
        padded |= roots[i] != ONNX_NONE && net->convs[roots[i]].padded;
    if (padded)
        write_parts(net, conv, names, roots, count);
}

// A convolution takes as many channels as come in: a file that says otherwise is left alone.
static bool fits(const struct channels *net, const struct conv *conv) {
    struct span names[PARTS_MAX];
    int roots[PARTS_MAX];
    size_t count = inputs_of(net, conv, names, roots);
    int64_t channels = 0;
    for (size_t i = 0; i < count; i++)
        channels +=
            roots[i] == ONNX_NONE ? conv->weights.dims[1] : net->convs[roots[i]].weights.dims[0];
    return channels == conv->weights.dims[1];
}

static bool settle_and_write(struct channels *net) {
    find_all(net);
    if (!settle(net))
        return false;
    for (size_t i = 0; i < net->count; i++)
        if (!fits(net, &net->convs[i]))
            return false;
    for (size_t i = 0; i < net->count; i++)
        write_conv(net, &net->convs[i]);
    return true;
}

bool onnx_edit_channels(struct buf *out, const uint8_t *bytes, size_t length, int block) {
    struct channels net = {.block = block};
    bool good = onnx_rewrite_begin(&net.rewrite, "channels", bytes, length) && block > 1;
    if (good) {
        size_t count = net.rewrite.graph.count + 1;
        net.convs = mem_alloc(count * sizeof *net.convs);
        net.roots = mem_alloc(count * sizeof *net.roots);
        good = settle_and_write(&net);
        for (size_t i = 0; i < net.count; i++) {
            mem_free(net.convs[i].weights.values);
            mem_free(net.convs[i].bias.values);
        }
        mem_free(net.convs);
        mem_free(net.roots);
    }
    return onnx_rewrite_end(&net.rewrite, out) && good;
}
