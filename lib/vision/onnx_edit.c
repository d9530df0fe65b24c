#include "vision/onnx_edit.h"

#include "base/mem.h"
#include "vision/protobuf.h"

#include <string.h>

// Fields of onnx.proto.
enum { MODEL_GRAPH = 7 };
enum { GRAPH_NODE = 1, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11 };
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_OP = 4, NODE_ATTRIBUTE = 5 };
enum { VALUE_NAME = 1, VALUE_TYPE = 2, TYPE_TENSOR = 1, TENSOR_ELEMENT = 1, TENSOR_SHAPE = 2 };
enum { DATA_DIMS = 1, DATA_TYPE = 2, DATA_NAME = 8, DATA_RAW = 9 };
enum { ATTRIBUTE_NAME = 1, ATTRIBUTE_INT = 3, ATTRIBUTE_TYPE = 20 };
enum { FLOAT = 1, UINT8 = 2, ATTRIBUTE_IS_INT = 2 };

enum { NODES_MAX = 5000, NONE = -1 };

// Names of values; an input that is left out has an empty one.
static bool same(struct span a, struct span b) {
    return a.length > 0 && a.length == b.length && !memcmp(a.data, b.data, a.length);
}

struct node {
    struct protobuf_field field;
    struct span op, inputs[2], output;
    size_t input_count, output_count;
    int before; // stands right before this node now, NONE: where it was
};

struct graph {
    struct node *nodes;
    size_t count;
};

static bool read_node(struct node *node) {
    struct span rest = node->field.bytes;
    struct protobuf_field field;
    while (protobuf_take(&rest, &field))
        if (field.number == NODE_OP)
            node->op = field.bytes;
        else if (field.number == NODE_OUTPUT && node->output_count++ == 0)
            node->output = field.bytes;
        else if (field.number == NODE_INPUT && node->input_count++ < 2)
            node->inputs[node->input_count - 1] = field.bytes;
    return rest.length == 0;
}

// Its graphs inside may read values of the one outside.
static bool has_inner_graph(const struct node *node) {
    static const char *const ops[] = {"If", "Loop", "Scan", "SequenceMap"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (span_is(node->op, ops[i]))
            return true;
    return false;
}

static bool read_graph(struct graph *graph, struct span bytes) {
    struct protobuf_field field;
    graph->nodes = mem_alloc(NODES_MAX * sizeof *graph->nodes);
    while (protobuf_take(&bytes, &field)) {
        if (field.number != GRAPH_NODE)
            continue;
        if (graph->count == NODES_MAX)
            return false;
        struct node *node = &graph->nodes[graph->count++];
        *node = (struct node){.field = field, .before = NONE};
        if (!read_node(node) || has_inner_graph(node))
            return false;
    }
    return bytes.length == 0;
}

// Who makes a value, before the node that wants it.
static int maker_of(const struct graph *graph, struct span name, int before) {
    for (int i = before - 1; i >= 0; i--)
        if (same(graph->nodes[i].output, name))
            return i;
    return NONE;
}

enum { CHAIN_MAX = 8 };

// Past nodes that only hand a value on.
static int origin_of(const struct graph *graph, struct span name, int before) {
    int at = maker_of(graph, name, before);
    for (int hops = 0; at != NONE && span_is(graph->nodes[at].op, "Identity"); hops++)
        at = hops < CHAIN_MAX ? maker_of(graph, graph->nodes[at].inputs[0], at) : NONE;
    return at;
}

static bool reads(const struct node *node, struct span name) {
    struct span rest = node->field.bytes;
    struct protobuf_field field;
    while (protobuf_take(&rest, &field))
        if (field.number == NODE_INPUT && same(field.bytes, name))
            return true;
    return false;
}

// Moves the node, and those that hand its value on, right before `add`; not when another one
// between needs it.
static bool move(struct graph *graph, int from, int add) {
    struct node *nodes = graph->nodes;
    int chain[CHAIN_MAX] = {from};
    size_t count = 1;
    for (int i = from + 1; i < add; i++)
        for (size_t k = 0; k < count; k++) {
            if (!reads(&nodes[i], nodes[chain[k]].output))
                continue;
            if (!span_is(nodes[i].op, "Identity") || count == CHAIN_MAX)
                return false;
            chain[count++] = i;
            break;
        }
    for (size_t k = 0; k < count; k++)
        if (nodes[chain[k]].output_count != 1 || nodes[chain[k]].before != NONE)
            return false;
    for (size_t k = 0; k < count; k++)
        nodes[chain[k]].before = add;
    return true;
}

// The runtime's order (1.32, graph_viewer.cc) is depth first from the outputs, of a node's inputs
// the one that stands later in the file first. So the branch that is to be computed first is moved
// behind the Resize.
static bool move_branches(struct graph *graph) {
    bool moved = false;
    for (int add = 0; add < (int)graph->count; add++) {
        const struct node *node = &graph->nodes[add];
        if (!span_is(node->op, "Add") || node->input_count != 2)
            continue;
        int a = origin_of(graph, node->inputs[0], add), b = origin_of(graph, node->inputs[1], add);
        if (a == NONE || b == NONE)
            continue;
        bool first = span_is(graph->nodes[a].op, "Resize");
        bool second = span_is(graph->nodes[b].op, "Resize");
        int other = first ? b : a;
        if (first != second && other < (first ? a : b))
            moved |= move(graph, other, add);
    }
    return moved;
}

// The graph's fields as they were, but the places of nodes taken in the new order.
static void write_graph(const struct graph *graph, struct span bytes, char *out) {
    struct protobuf_field field;
    size_t *order = mem_alloc((graph->count + 1) * sizeof *order), count = 0, next = 0;
    for (size_t i = 0; i < graph->count; i++) {
        for (size_t k = 0; k < i; k++)
            if (graph->nodes[k].before == (int)i)
                order[count++] = k;
        if (graph->nodes[i].before == NONE)
            order[count++] = i;
    }
    while (protobuf_take(&bytes, &field)) {
        struct span whole =
            field.number == GRAPH_NODE ? graph->nodes[order[next++]].field.whole : field.whole;
        memcpy(out, whole.data, whole.length);
        out += whole.length;
    }
    mem_free(order);
}

// The one graph of a model whose bytes are fields throughout.
static struct span graph_of(struct span model) {
    struct span graph = {0};
    struct protobuf_field field;
    size_t count = 0;
    while (protobuf_take(&model, &field))
        if (field.number == MODEL_GRAPH && count++ == 0)
            graph = field.bytes;
    return model.length || count != 1 ? (struct span){0} : graph;
}

bool onnx_edit_order(uint8_t *bytes, size_t length) {
    struct span span = graph_of((struct span){(const char *)bytes, length});
    struct graph graph = {0};
    bool moved = span.length > 0 && read_graph(&graph, span) && move_branches(&graph);
    if (moved) {
        char *copy = mem_alloc(span.length);
        write_graph(&graph, span, copy);
        memcpy(bytes + ((const uint8_t *)span.data - bytes), copy, span.length);
        mem_free(copy);
    }
    mem_free(graph.nodes);
    return moved;
}

#define PIXELS "ancalagon.pixels"

// Three numbers, one a channel: 3 x 1 x 1.
static void put_constant(struct buf *graph, const char *name, const float *values) {
    struct buf data;
    buf_init(&data, 256);
    protobuf_put_int(&data, DATA_DIMS, 3);
    protobuf_put_int(&data, DATA_DIMS, 1);
    protobuf_put_int(&data, DATA_DIMS, 1);
    protobuf_put_int(&data, DATA_TYPE, FLOAT);
    protobuf_put_text(&data, DATA_NAME, name);
    protobuf_put_bytes(&data, DATA_RAW, values, 3 * sizeof *values);
    protobuf_put_message(graph, GRAPH_INITIALIZER, &data);
}

// second NULL: a Cast to floats.
static void put_node(struct buf *graph, const char *op, const char *first, const char *second,
                     struct span output) {
    struct buf node, cast;
    buf_init(&node, output.length + 256);
    protobuf_put_text(&node, NODE_INPUT, first);
    if (second)
        protobuf_put_text(&node, NODE_INPUT, second);
    protobuf_put_bytes(&node, NODE_OUTPUT, output.data, output.length);
    protobuf_put_text(&node, NODE_OP, op);
    if (!second) {
        buf_init(&cast, 64);
        protobuf_put_text(&cast, ATTRIBUTE_NAME, "to");
        protobuf_put_int(&cast, ATTRIBUTE_INT, FLOAT);
        protobuf_put_int(&cast, ATTRIBUTE_TYPE, ATTRIBUTE_IS_INT);
        protobuf_put_message(&node, NODE_ATTRIBUTE, &cast);
    }
    protobuf_put_message(graph, GRAPH_NODE, &node);
}

// The input of the same shape, but of bytes and of another name.
static void put_input(struct buf *graph, struct span shape) {
    struct buf tensor, type, value;
    buf_init(&tensor, shape.length + 64);
    buf_init(&type, shape.length + 128);
    buf_init(&value, shape.length + 256);
    protobuf_put_int(&tensor, TENSOR_ELEMENT, UINT8);
    protobuf_put_bytes(&tensor, TENSOR_SHAPE, shape.data, shape.length);
    protobuf_put_message(&type, TYPE_TENSOR, &tensor);
    protobuf_put_text(&value, VALUE_NAME, PIXELS);
    protobuf_put_message(&value, VALUE_TYPE, &type);
    protobuf_put_message(graph, GRAPH_INPUT, &value);
}

static bool is_floats(struct span tensor) {
    const char *element = tensor.data;
    return tensor.length >= 2 && element[0] == TENSOR_ELEMENT << 3 && element[1] == FLOAT;
}

// Everything but the old input, behind the new nodes: those that make a value stand before those
// that want it.
static bool put_graph(struct buf *out, struct span graph, const struct network_pixels *pixels) {
    struct span rest = graph, input = {0};
    struct protobuf_field field;
    size_t inputs = 0;
    while (protobuf_take(&rest, &field))
        if (field.number == GRAPH_INPUT && inputs++ == 0)
            input = field.bytes;
    struct span name = protobuf_find(input, VALUE_NAME);
    struct span tensor = protobuf_find(protobuf_find(input, VALUE_TYPE), TYPE_TENSOR);
    struct span shape = protobuf_find(tensor, TENSOR_SHAPE);
    if (rest.length || inputs != 1 || !name.length || !shape.length || !is_floats(tensor))
        return false;
    put_node(out, "Cast", PIXELS, NULL, span_of(PIXELS ".floats"));
    put_node(out, "Mul", PIXELS ".floats", PIXELS ".scale", span_of(PIXELS ".scaled"));
    put_node(out, "Add", PIXELS ".scaled", PIXELS ".shift", name);
    put_constant(out, PIXELS ".scale", pixels->scale);
    put_constant(out, PIXELS ".shift", pixels->shift);
    put_input(out, shape);
    while (protobuf_take(&graph, &field))
        if (field.number != GRAPH_INPUT)
            buf_add(out, field.whole.data, field.whole.length);
    return true;
}

bool onnx_edit_pixels(struct buf *out, const uint8_t *bytes, size_t length,
                      const struct network_pixels *pixels) {
    struct span model = {(const char *)bytes, length}, span = graph_of(model);
    struct protobuf_field field;
    struct buf graph;
    buf_init(&graph, length + 4096);
    if (!span.length || !put_graph(&graph, span, pixels)) {
        buf_fini(&graph);
        return false;
    }
    while (protobuf_take(&model, &field))
        if (field.number != MODEL_GRAPH)
            buf_add(out, field.whole.data, field.whole.length);
    protobuf_put_message(out, MODEL_GRAPH, &graph);
    return true;
}
