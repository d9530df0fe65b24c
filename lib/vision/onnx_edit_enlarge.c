// A transposed convolution whose windows touch but do not overlap (PP-OCR's detector ends in two of
// them) makes a square of pixels out of each pixel by itself. The same numbers come from a 1 x 1
// convolution with more channels, whose pixels are laid out at the very end (DepthToSpace): what
// stands behind works on the small picture, and the runtime has fast kernels for it.
#include "base/mem.h"
#include "vision/onnx_edit.h"
#include "vision/onnx_rewrite.h"

enum { FACTOR_MAX = 8, DENSE_MOST = 1 << 16 }; // a matrix with many zeros must stay small

// The chain so far: its value is to be laid out `factor` times as wide and high.
struct enlarged {
    struct onnx_rewrite *rewrite;
    int node; // the last one
    int64_t factor, channels;
    struct onnx_name value;
    struct buf nodes;
};

// The side of the square; 0 for any other transposed convolution.
static int64_t square_of(const struct onnx_node *node) {
    int64_t kernel[2], strides[2], pads[4] = {0}, dilations[2] = {1, 1}, more[4] = {0}, group = 1;
    struct span rule = onnx_node_text(node, "auto_pad");
    if (!span_is(node->op, "ConvTranspose") || node->input_count != 2 || node->output_count != 1 ||
        onnx_node_ints(node, "kernel_shape", kernel, 2) != 2 ||
        onnx_node_ints(node, "strides", strides, 2) != 2 ||
        onnx_node_ints(node, "output_shape", more, 2) != 0 ||
        (rule.length && !span_is(rule, "NOTSET")))
        return 0;
    onnx_node_ints(node, "pads", pads, 4);
    onnx_node_ints(node, "dilations", dilations, 2);
    onnx_node_ints(node, "output_padding", more, 4);
    onnx_node_ints(node, "group", &group, 1);
    bool plain = dilations[0] == 1 && dilations[1] == 1 && group == 1;
    for (size_t i = 0; i < 4; i++)
        plain &= pads[i] == 0 && more[i] == 0;
    return plain && kernel[0] == kernel[1] && kernel[0] == strides[0] && kernel[0] == strides[1] &&
                   kernel[0] >= 2 && kernel[0] <= FACTOR_MAX
               ? kernel[0]
               : 0;
}

// Channels stand in squares, rows first, as DepthToSpace takes them: those of pixel (y, x) of the
// old square give those of the pixels that it becomes.
static float *square_matrix(const struct onnx_weights *w, int64_t side, int64_t factor) {
    int64_t from = w->dims[0], to = w->dims[1], wide = factor * side;
    float *out = mem_alloc((size_t)(wide * wide * to * factor * factor * from) * sizeof *out);
    for (int64_t place = 0; place < wide * wide; place++) {
        int64_t y = place / wide, x = place % wide;
        int64_t old = y / side * factor + x / side, in = y % side * side + x % side;
        for (int64_t o = 0; o < to; o++)
            for (int64_t i = 0; i < from; i++)
                out[((place * to + o) * factor * factor + old) * from + i] =
                    w->values[(i * to + o) * side * side + in];
    }
    return out;
}

static float *repeat(const float *values, int64_t count, int64_t times) {
    float *out = mem_alloc((size_t)(count * times) * sizeof *out);
    for (int64_t i = 0; i < count * times; i++)
        out[i] = values[i % count];
    return out;
}

// The node becomes part of the chain: nobody else reads what it makes.
static void take_node(struct enlarged *chain, int node) {
    onnx_rewrite_place(chain->rewrite, node);
    chain->node = node;
}

static void put_square(struct enlarged *chain, struct span input, const struct onnx_weights *w,
                       int64_t side, const float *bias) {
    struct onnx_rewrite *rewrite = chain->rewrite;
    int64_t old = chain->factor * chain->factor, wide = chain->factor * side;
    int64_t rows = wide * wide * w->dims[1];
    float *matrix = square_matrix(w, side, chain->factor);
    struct onnx_name names[2] = {onnx_rewrite_new_weights(
        rewrite, (const int64_t[]){rows, old * w->dims[0], 1, 1}, 4, matrix)};
    mem_free(matrix);
    if (bias) {
        float *biases = repeat(bias, w->dims[1], wide * wide);
        names[1] = onnx_rewrite_new_weights(rewrite, &rows, 1, biases);
        mem_free(biases);
    }
    struct buf attributes;
    buf_init(&attributes, 256);
    onnx_put_ints(&attributes, "kernel_shape", (const int64_t[]){1, 1}, 2);
    struct span inputs[] = {input, span_of(names[0].text), span_of(names[1].text)};
    struct onnx_name value = onnx_rewrite_new_name(rewrite);
    onnx_put_node(&chain->nodes, "Conv", inputs, bias ? 3 : 2, span_of(value.text), &attributes);
    chain->value = value; // not earlier: it may be the input
    chain->factor = wide;
    chain->channels = w->dims[1];
}

// A further transposed convolution, with its bias.
static bool enlarge(struct enlarged *chain, int node, struct span input) {
    int64_t side = square_of(&chain->rewrite->graph.nodes[node]);
    struct onnx_weights w, bias = {0};
    if (side == 0 || side * chain->factor > FACTOR_MAX ||
        !onnx_rewrite_weights(chain->rewrite, chain->rewrite->graph.nodes[node].inputs[1], &w))
        return false;
    int64_t wide = side * chain->factor;
    bool good = w.rank == 4 && w.dims[2] == side && w.dims[3] == side &&
                (chain->factor == 1 || chain->channels == w.dims[0]) &&
                w.dims[0] * w.dims[1] <= DENSE_MOST / (wide * wide * chain->factor * chain->factor);
    if (good) {
        int add = onnx_rewrite_bias_node(chain->rewrite, node, w.dims[1], &bias);
        put_square(chain, input, &w, side, bias.values);
        take_node(chain, node);
        if (add != ONNX_NONE)
            take_node(chain, add);
        mem_free(bias.values);
    }
    mem_free(w.values);
    return good;
}

// A step that works on every number by itself.
static bool activate(struct enlarged *chain, int node) {
    static const char *const ops[] = {"Relu", "Sigmoid"};
    const struct onnx_node *step = &chain->rewrite->graph.nodes[node];
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (!span_is(step->op, ops[i]))
            continue;
        struct onnx_name out = onnx_rewrite_new_name(chain->rewrite);
        struct span value = span_of(chain->value.text);
        onnx_put_node(&chain->nodes, ops[i], &value, 1, span_of(out.text), NULL);
        chain->value = out;
        take_node(chain, node);
        return true;
    }
    return false;
}

static void put_chain(struct enlarged *chain) {
    struct onnx_rewrite *rewrite = chain->rewrite;
    struct buf attributes, *place = onnx_rewrite_place(rewrite, chain->node);
    buf_init(&attributes, 256);
    onnx_put_int(&attributes, "blocksize", chain->factor);
    buf_add(place, buf_bytes(&chain->nodes), chain->nodes.length);
    struct span value = span_of(chain->value.text);
    onnx_put_node(place, "DepthToSpace", &value, 1, rewrite->graph.nodes[chain->node].output,
                  &attributes);
}

static void enlarge_from(struct onnx_rewrite *rewrite, int first) {
    struct enlarged chain = {.rewrite = rewrite, .factor = 1};
    buf_init(&chain.nodes, 1 << 20);
    if (enlarge(&chain, first, rewrite->graph.nodes[first].inputs[0])) {
        int next = onnx_rewrite_reader(rewrite, chain.node);
        while (next != ONNX_NONE &&
               (activate(&chain, next) || enlarge(&chain, next, span_of(chain.value.text))))
            next = onnx_rewrite_reader(rewrite, chain.node);
        put_chain(&chain);
    }
    buf_fini(&chain.nodes);
}

bool onnx_edit_enlarge(struct buf *out, const uint8_t *bytes, size_t length) {
    struct onnx_rewrite rewrite;
    bool good = onnx_rewrite_begin(&rewrite, "enlarge", bytes, length);
    for (int i = 0; good && i < (int)rewrite.graph.count; i++)
        if (!rewrite.replaced[i])
            enlarge_from(&rewrite, i);
    return onnx_rewrite_end(&rewrite, out) && good;
}
