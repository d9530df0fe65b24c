#include "vision/onnx_edit.h"

#include "base/mem.h"
#include "vision/onnx_graph.h"

#include <stdio.h>
#include <string.h>

enum { MEANS_MAX = 64, REACH_MAX = 4096 };
enum { STAGE_LEAST = 16 }; // pixels that the reach grows by in a stage: else it saves too little

// What is changed: the means over height and width, and the nodes that end a stage; the last is the
// pool that makes tokens of columns.
struct line_net {
    struct onnx_graph graph;
    int means[MEANS_MAX];
    size_t stages[MEANS_MAX]; // of the means
    size_t mean_count;
    int cuts[ONNX_LINE_STAGES]; // a stage's last node
    struct onnx_line line;
    struct onnx_reach reach; // of a column so far
    int stride;              // of the columns so far, in pixels
};

struct onnx_line_name onnx_line_name(const char *input, size_t stage) {
    struct onnx_line_name name;
    snprintf(name.text, sizeof name.text, "%s.%zu", input, stage);
    return name;
}

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

// Behind the node nothing is read that stands before it, but constants.
static bool is_cut_by(const struct onnx_graph *graph, int cut) {
    for (int i = cut + 1; i < (int)graph->count; i++) {
        struct span rest = graph->nodes[i].field.bytes;
        struct protobuf_field field;
        while (protobuf_take(&rest, &field)) {
            if (field.number != NODE_INPUT)
                continue;
            int maker = onnx_graph_origin(graph, field.bytes, i);
            if (maker != ONNX_NONE && maker < cut && !span_is(graph->nodes[maker].op, "Constant"))
                return false;
        }
    }
    return true;
}

static void end_stage(struct line_net *net, int node) {
    net->cuts[net->line.count] = node;
    net->line.stages[net->line.count++].reach = net->reach;
}

// A stage may end at the value that a mean is of: the runtime has it in rows there.
static bool take_mean(struct line_net *net, int mean) {
    const struct onnx_node *node = &net->graph.nodes[mean];
    int maker = onnx_graph_origin(&net->graph, node->inputs[0], mean);
    struct onnx_line *line = &net->line;
    int before = line->count ? line->stages[line->count - 1].reach.left : 0;
    int last = line->count ? net->cuts[line->count - 1] : ONNX_NONE;
    if (net->stride != ONNX_LINE_COLUMN || net->mean_count == MEANS_MAX || !is_mean_of_all(node))
        return false;
    if (net->reach.left - before >= STAGE_LEAST && line->count < ONNX_LINE_STAGES - 1 &&
        maker > last && net->graph.nodes[maker].output_count == 1 && is_cut_by(&net->graph, maker))
        end_stage(net, maker);
    net->means[net->mean_count] = mean;
    net->stages[net->mean_count++] = line->count;
    line->stages[line->count].mean = true;
    return true;
}

// The network as far as the tokens.
static bool walk_trunk(struct line_net *net) {
    const struct onnx_graph *graph = &net->graph;
    for (int i = 0; i < (int)graph->count; i++) {
        const struct onnx_node *node = &graph->nodes[i];
        if (span_is(node->op, "AveragePool")) {
            end_stage(net, i);
            return net->stride == ONNX_LINE_COLUMN && node->output_count == 1 && makes_tokens(node);
        }
        if (span_is(node->op, "Conv") || span_is(node->op, "MaxPool")) {
            if (!slide(net, node))
                return false;
        } else if (span_is(node->op, "ReduceMean")) {
            if (!take_mean(net, i))
                return false;
        } else if (!is_pointwise(node)) {
            return false;
        }
    }
    return false;
}

static void put_renamed(struct buf *graph, const struct onnx_node *old, struct span name) {
    struct span rest = old->field.bytes;
    struct protobuf_field field;
    struct buf node;
    buf_init(&node, rest.length + name.length + 64);
    while (protobuf_take(&rest, &field))
        if (field.number == NODE_OUTPUT)
            protobuf_put_bytes(&node, NODE_OUTPUT, name.data, name.length);
        else
            buf_add(&node, field.whole.data, field.whole.length);
    protobuf_put_message(graph, GRAPH_NODE, &node);
}

// A stage's last node, and behind it its columns at their places in the next one; of the last
// stage it is tokens at their places in the line.
static void put_cut(struct buf *graph, const struct onnx_node *cut, struct span narrow,
                    const char *places) {
    put_renamed(graph, cut, narrow);
    onnx_put_node(graph, "MatMul", (struct span[]){narrow, span_of(places)}, 2, cut->output, NULL);
}

// The mean over the height, and over the width the sum of what the columns weigh.
static void put_mean(struct buf *graph, const struct onnx_node *mean, struct span rows,
                     const char *columns) {
    struct buf attributes;
    buf_init(&attributes, 256);
    onnx_put_ints(&attributes, "axes", (const int64_t[]){2}, 1);
    onnx_put_int(&attributes, "keepdims", 1);
    onnx_put_node(graph, "ReduceMean", &mean->inputs[0], 1, rows, &attributes);
    onnx_put_node(graph, "MatMul", (struct span[]){rows, span_of(columns)}, 2, mean->output, NULL);
}

static void put_line_node(struct buf *out, const struct line_net *net, int index) {
    const struct onnx_node *node = &net->graph.nodes[index];
    struct buf name;
    buf_init(&name, node->output.length + 64);
    buf_add(&name, node->output.data, node->output.length);
    buf_adds(&name, ".ancalagon.line");
    struct span inner = {buf_bytes(&name), name.length};
    bool put = false;
    for (size_t i = 0; i < net->line.count && !put; i++)
        if ((put = net->cuts[i] == index))
            put_cut(out, node, inner, onnx_line_name(ONNX_LINE_PLACES, i + 1).text);
    for (size_t i = 0; i < net->mean_count && !put; i++)
        if ((put = net->means[i] == index))
            put_mean(out, node, inner, onnx_line_name(ONNX_LINE_COLUMNS, net->stages[i]).text);
    if (!put)
        buf_add(out, node->field.whole.data, node->field.whole.length);
    buf_fini(&name);
}

static void put_line_input(struct buf *graph, const char *name, int64_t columns) {
    struct buf shape;
    buf_init(&shape, 256);
    onnx_put_dim(&shape, -1);
    onnx_put_dim(&shape, columns);
    onnx_put_input(graph, name, ONNX_FLOAT, (struct span){buf_bytes(&shape), shape.length});
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
    for (size_t i = 0; i <= net->line.count; i++) {
        if (i > 0)
            put_line_input(out, onnx_line_name(ONNX_LINE_PLACES, i).text, -1);
        if (i < net->line.count && net->line.stages[i].mean)
            put_line_input(out, onnx_line_name(ONNX_LINE_COLUMNS, i).text, 1);
    }
}

static size_t count_inputs(struct span graph) {
    struct protobuf_field field;
    size_t count = 0;
    while (protobuf_take(&graph, &field))
        count += field.number == GRAPH_INPUT;
    return count;
}

bool onnx_edit_line(struct buf *out, const uint8_t *bytes, size_t length, struct onnx_line *line) {
    struct span model = {(const char *)bytes, length}, span = onnx_graph_of(model);
    struct line_net net = {.stride = 1};
    bool good = span.length > 0 && count_inputs(span) == 1 && onnx_graph_read(&net.graph, span) &&
                walk_trunk(&net) && net.mean_count > 0 &&
                is_cut_by(&net.graph, net.cuts[net.line.count - 1]);
    if (good) {
        struct buf graph;
        buf_init(&graph, length + (1 << 20));
        put_line_graph(&graph, &net, span);
        onnx_put_model(out, model, &graph);
        *line = net.line;
    }
    onnx_graph_fini(&net.graph);
    return good;
}
