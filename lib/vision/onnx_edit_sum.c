// What a gate lets through, x * s, and what convolutions make of it are often added up (the blocks
// of PP-OCR's networks). The runtime multiplies by a gate in rows, so that it puts the other
// summand into rows as well, adds, and puts the sum back into blocks. Behind a convolution that
// changes nothing (1 x 1, each channel by itself, weights of 1) the product stands in blocks, and
// the convolution that makes the other summand adds it on the way.
#include "base/mem.h"
#include "vision/onnx_edit.h"
#include "vision/onnx_rewrite.h"

// Convolutions made the summand, and the bias was added to it, for this sum alone.
static bool is_convolved(const struct onnx_rewrite *rewrite, struct span name, int sum,
                         int64_t channels) {
    const struct onnx_graph *graph = &rewrite->graph;
    int last = onnx_graph_origin(graph, name, sum);
    if (last == ONNX_NONE || onnx_rewrite_reader(rewrite, last) != sum)
        return false;
    const struct onnx_node *node = &graph->nodes[last];
    bool found = span_is(node->op, "Conv");
    for (size_t i = 0; i < 2 && !found && span_is(node->op, "Add"); i++) {
        struct onnx_weights bias = {0};
        int conv = onnx_graph_origin(graph, node->inputs[i], last);
        found = conv != ONNX_NONE && span_is(graph->nodes[conv].op, "Conv") &&
                onnx_rewrite_bias_node(rewrite, conv, channels, &bias) == last;
        mem_free(bias.values);
    }
    return found && onnx_rewrite_channels(rewrite, name, sum) == channels;
}

static bool is_gate(const struct onnx_graph *graph, struct span name, int before) {
    int at = onnx_graph_origin(graph, name, before);
    return at != ONNX_NONE &&
           (span_is(graph->nodes[at].op, "HardSigmoid") || span_is(graph->nodes[at].op, "Sigmoid"));
}

// The product on one side of the sum, and its channels.
static int find_product(const struct onnx_rewrite *rewrite, int sum, size_t side,
                        int64_t *channels) {
    const struct onnx_graph *graph = &rewrite->graph;
    const struct onnx_node *add = &graph->nodes[sum];
    int at = onnx_graph_origin(graph, add->inputs[side], sum);
    if (at == ONNX_NONE || !span_is(graph->nodes[at].op, "Mul"))
        return ONNX_NONE;
    *channels = onnx_rewrite_channels(rewrite, add->inputs[side], sum);
    const struct onnx_node *product = &graph->nodes[at];
    return is_gate(graph, product->inputs[0], at) != is_gate(graph, product->inputs[1], at) &&
                   *channels > 0 && is_convolved(rewrite, add->inputs[1 - side], sum, *channels)
               ? at
               : ONNX_NONE;
}

static void put_unchanged(struct onnx_rewrite *rewrite, int product, int64_t channels) {
    const struct onnx_node *node = &rewrite->graph.nodes[product];
    struct buf *place = onnx_rewrite_place(rewrite, product), attributes;
    struct onnx_name value = onnx_rewrite_new_name(rewrite);
    float *ones = mem_alloc((size_t)channels * sizeof *ones);
    for (int64_t i = 0; i < channels; i++)
        ones[i] = 1;
    struct onnx_name weights =
        onnx_rewrite_new_weights(rewrite, (const int64_t[]){channels, 1, 1, 1}, 4, ones);
    mem_free(ones);
    onnx_put_like(place, node, node->inputs, 2, span_of(value.text));
    buf_init(&attributes, 512);
    onnx_put_ints(&attributes, "kernel_shape", (const int64_t[]){1, 1}, 2);
    onnx_put_int(&attributes, "group", channels);
    onnx_put_node(place, "Conv", (struct span[]){span_of(value.text), span_of(weights.text)}, 2,
                  node->output, &attributes);
}

bool onnx_edit_sums(struct buf *out, const uint8_t *bytes, size_t length, int block) {
    struct onnx_rewrite rewrite;
    bool good = onnx_rewrite_begin(&rewrite, "sums", bytes, length) && block > 1;
    for (int i = 0; good && i < (int)rewrite.graph.count; i++) {
        const struct onnx_node *node = &rewrite.graph.nodes[i];
        int64_t channels = 0;
        if (!span_is(node->op, "Add") || node->input_count != 2)
            continue;
        int next = onnx_rewrite_reader(&rewrite, i), product = ONNX_NONE;
        for (size_t side = 0; side < 2 && product == ONNX_NONE; side++)
            product = find_product(&rewrite, i, side, &channels);
        if (product != ONNX_NONE && !rewrite.replaced[product] && channels % block == 0 &&
            next != ONNX_NONE && span_is(rewrite.graph.nodes[next].op, "Conv"))
            put_unchanged(&rewrite, product, channels);
    }
    return onnx_rewrite_end(&rewrite, out) && good;
}
