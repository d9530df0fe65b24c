#include "vision/onnx_edit.h"

#include "base/mem.h"
#include "vision/onnx_graph.h"

#include <string.h>

enum { MEANS_MAX = 64, REACH_MAX = 4096 };

// What is changed: the means over height and width, and the pool that makes tokens of columns.
struct line_net {
    struct onnx_graph graph;
    int means[MEANS_MAX], mean_count;
    int pool;
    struct onnx_reach reach; // of a column so far
    int stride;              // of the columns so far, in pixels
};

// Works on every pixel by itself, or on channels.
static bool is_pointwise(const struct onnx_node *node) {
    static const char *const ops[] = {
        "Identity", "Constant", "Add",  "Sub",  "Mul",         "Div",       "Relu",
        "Sigmoid",  "Erf",      "Clip", "Tanh", "HardSigmoid", "HardSwish", "BatchNormalization"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (span_is(node->op, ops[i]))
            return true;
    int64_t axis;
    return span_is(node->op, "Concat") && onnx_node_ints(node, "axis", &axis, 1) == 1 && axis == 1;
}

// A window that slides along the width: the row stays as long as it was, or is halved as
// (width - 1) / 2 + 1.
static bool slide(struct line_net *net, const struct onnx_node *node) {
    int64_t kernel[2], strides[2] = {1, 1}, pads[4] = {0}, dilations[2] = {1, 1};
    if (onnx_node_ints(node, "kernel_shape", kernel, 2) != 2 || kernel[1] < 1 || kernel[1] > 64)
        return false;
    onnx_node_ints(node, "strides", strides, 2);
    onnx_node_ints(node, "dilations", dilations, 2);
    onnx_node_ints(node, "pads", pads, 4);
    struct span rule = onnx_node_text(node, "auto_pad");
    if (span_is(rule, "SAME_UPPER")) { // what is odd is added behind
        pads[1] = (kernel[1] - 1) / 2;
        pads[3] = kernel[1] / 2;
    } else if (rule.length && !span_is(rule, "NOTSET")) {
        return false;
    }
    bool same = strides[1] == 1 && pads[1] + pads[3] == kernel[1] - 1;
    bool halves = strides[1] == 2 && kernel[1] == 3 && pads[1] == 1 && pads[3] == 1;
    if (dilations[1] != 1 || pads[1] < 0 || pads[3] < 0 || !(halves || same))
        return false;
    net->reach.left += (int)pads[1] * net->stride;
    net->reach.right += (int)pads[3] * net->stride;
    net->stride *= halves ? 2 : 1;
    return net->reach.left <= REACH_MAX && net->reach.right <= REACH_MAX;
}

static bool is_mean_of_all(const struct onnx_node *node) {
    int64_t axes[2], keep = 1;
    onnx_node_ints(node, "keepdims", &keep, 1);
    return node->input_count == 1 && keep == 1 && onnx_node_ints(node, "axes", axes, 2) == 2 &&
           axes[0] == 2 && axes[1] == 3;
}

static bool makes_tokens(const struct onnx_node *node) {
    int64_t kernel[2], strides[2], pads[4] = {0};
    return onnx_node_ints(node, "kernel_shape", kernel, 2) == 2 && kernel[1] == 2 &&
           onnx_node_ints(node, "strides", strides, 2) == 2 && strides[1] == 2 &&
           (onnx_node_ints(node, "pads", pads, 4) == 0 || (pads[1] == 0 && pads[3] == 0));
}

// The network as far as the tokens.
static bool walk_trunk(struct line_net *net) {
    const struct onnx_graph *graph = &net->graph;
    for (int i = 0; i < (int)graph->count; i++) {
        const struct onnx_node *node = &graph->nodes[i];
        if (span_is(node->op, "AveragePool")) {
            net->pool = i;
            return net->stride == ONNX_LINE_COLUMN && node->output_count == 1 && makes_tokens(node);
        }
        if (span_is(node->op, "Conv") || span_is(node->op, "MaxPool")) {
            if (!slide(net, node))
                return false;
        } else if (span_is(node->op, "ReduceMean")) {
            if (net->stride != ONNX_LINE_COLUMN || net->mean_count == MEANS_MAX ||
                !is_mean_of_all(node))
                return false;
            net->means[net->mean_count++] = i;
        } else if (!is_pointwise(node)) {
            return false;
        }
    }
    return false;
}

// Behind the pool nothing is read that stands before it, but constants.
static bool is_cut_by_pool(const struct line_net *net) {
    const struct onnx_graph *graph = &net->graph;
    for (int i = net->pool + 1; i < (int)graph->count; i++) {
        struct span rest = graph->nodes[i].field.bytes;
        struct protobuf_field field;
        while (protobuf_take(&rest, &field)) {
            if (field.number != NODE_INPUT)
                continue;
            int maker = onnx_graph_origin(graph, field.bytes, i);
            if (maker != ONNX_NONE && maker < net->pool &&
                !span_is(graph->nodes[maker].op, "Constant"))
                return false;
        }
    }
    return true;
}

// The pool, and behind it the tokens at their places.
static void put_pool(struct buf *graph, const struct onnx_node *pool, struct span narrow) {
    struct span rest = pool->field.bytes, tokens[] = {narrow, span_of(ONNX_LINE_TOKENS)};
    struct protobuf_field field;
    struct buf node, attributes;
    buf_init(&node, rest.length + narrow.length + 64);
    while (protobuf_take(&rest, &field))
        if (field.number == NODE_OUTPUT)
            protobuf_put_bytes(&node, NODE_OUTPUT, narrow.data, narrow.length);
        else
            buf_add(&node, field.whole.data, field.whole.length);
    protobuf_put_message(graph, GRAPH_NODE, &node);
    buf_init(&attributes, 256);
    onnx_put_int(&attributes, "axis", 3);
    onnx_put_node(graph, "Gather", tokens, 2, pool->output, &attributes);
}

// The mean over the height, and over the width the sum of what the columns weigh.
static void put_mean(struct buf *graph, const struct onnx_node *mean, struct span rows) {
    struct buf attributes;
    buf_init(&attributes, 256);
    onnx_put_ints(&attributes, "axes", (const int64_t[]){2}, 1);
    onnx_put_int(&attributes, "keepdims", 1);
    onnx_put_node(graph, "ReduceMean", &mean->inputs[0], 1, rows, &attributes);
    onnx_put_node(graph, "MatMul", (struct span[]){rows, span_of(ONNX_LINE_COLUMNS)}, 2,
                  mean->output, NULL);
}

static void put_line_node(struct buf *out, const struct line_net *net, int index) {
    const struct onnx_node *node = &net->graph.nodes[index];
    bool mean = false;
    for (int i = 0; i < net->mean_count; i++)
        mean |= net->means[i] == index;
    struct buf name;
    buf_init(&name, node->output.length + 64);
    buf_add(&name, node->output.data, node->output.length);
    buf_adds(&name, ".ancalagon.line");
    struct span inner = {buf_bytes(&name), name.length};
    if (mean) {
        put_mean(out, node, inner);
    } else if (index == net->pool) {
        put_pool(out, node, inner);
    } else {
        buf_add(out, node->field.whole.data, node->field.whole.length);
    }
    buf_fini(&name);
}

static void put_line_input(struct buf *graph, const char *name, int type, bool column) {
    struct buf shape;
    buf_init(&shape, 256);
    onnx_put_dim(&shape, -1);
    if (column)
        onnx_put_dim(&shape, 1);
    onnx_put_input(graph, name, type, (struct span){buf_bytes(&shape), shape.length});
    buf_fini(&shape);
}

// The picture stays the first of the inputs.
static void put_line_graph(struct buf *out, const struct line_net *net, struct span graph) {
    struct protobuf_field field;
    int next = 0;
    while (protobuf_take(&graph, &field))
        if (field.number == GRAPH_NODE)
            put_line_node(out, net, next++);
        else
            buf_add(out, field.whole.data, field.whole.length);
    put_line_input(out, ONNX_LINE_COLUMNS, ONNX_FLOAT, true);
    put_line_input(out, ONNX_LINE_TOKENS, ONNX_INT64, false);
}

static size_t count_inputs(struct span graph) {
    struct protobuf_field field;
    size_t count = 0;
    while (protobuf_take(&graph, &field))
        count += field.number == GRAPH_INPUT;
    return count;
}

bool onnx_edit_line(struct buf *out, const uint8_t *bytes, size_t length,
                    struct onnx_reach *reach) {
    struct span model = {(const char *)bytes, length}, span = onnx_graph_of(model);
    struct line_net net = {.stride = 1};
    bool good = span.length > 0 && count_inputs(span) == 1 && onnx_graph_read(&net.graph, span) &&
                walk_trunk(&net) && net.mean_count > 0 && is_cut_by_pool(&net);
    if (good) {
        struct buf graph;
        buf_init(&graph, length + (1 << 20));
        put_line_graph(&graph, &net, span);
        onnx_put_model(out, model, &graph);
        *reach = net.reach;
    }
    onnx_graph_fini(&net.graph);
    return good;
}
