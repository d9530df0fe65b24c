#include "vision/onnx_edit.h"

#include "base/mem.h"
#include "vision/onnx_graph.h"

#include <string.h>

enum { CHAIN_MAX = 8 };

// Moves the node, and those that hand its value on, right before `add`; not when another one
// between needs it.
static bool move(struct onnx_graph *graph, int from, int add) {
    struct onnx_node *nodes = graph->nodes;
    int chain[CHAIN_MAX] = {from};
    size_t count = 1;
    for (int i = from + 1; i < add; i++)
        for (size_t k = 0; k < count; k++) {
            if (!onnx_node_reads(&nodes[i], nodes[chain[k]].output))
                continue;
            if (!span_is(nodes[i].op, "Identity") || count == CHAIN_MAX)
                return false;
            chain[count++] = i;
            break;
        }
    for (size_t k = 0; k < count; k++)
        if (nodes[chain[k]].output_count != 1 || nodes[chain[k]].before != ONNX_NONE)
            return false;
    for (size_t k = 0; k < count; k++)
        nodes[chain[k]].before = add;
    return true;
}

// The runtime's order (1.32, graph_viewer.cc) is depth first from the outputs, of a node's inputs
// the one that stands later in the file first. So the branch that is to be computed first is moved
// behind the Resize.
static bool move_branches(struct onnx_graph *graph) {
    bool moved = false;
    for (int add = 0; add < (int)graph->count; add++) {
        const struct onnx_node *node = &graph->nodes[add];
        if (!span_is(node->op, "Add") || node->input_count != 2)
            continue;
        int a = onnx_graph_origin(graph, node->inputs[0], add),
            b = onnx_graph_origin(graph, node->inputs[1], add);
        if (a == ONNX_NONE || b == ONNX_NONE)
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
static void write_graph(const struct onnx_graph *graph, struct span bytes, char *out) {
    struct protobuf_field field;
    size_t *order = mem_alloc((graph->count + 1) * sizeof *order), count = 0, next = 0;
    for (size_t i = 0; i < graph->count; i++) {
        for (size_t k = 0; k < i; k++)
            if (graph->nodes[k].before == (int)i)
                order[count++] = k;
        if (graph->nodes[i].before == ONNX_NONE)
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

bool onnx_edit_order(uint8_t *bytes, size_t length) {
    struct span span = onnx_graph_of((struct span){(const char *)bytes, length});
    struct onnx_graph graph = {0};
    bool moved = span.length > 0 && onnx_graph_read(&graph, span) && move_branches(&graph);
    if (moved) {
        char *copy = mem_alloc(span.length);
        write_graph(&graph, span, copy);
        memcpy(bytes + ((const uint8_t *)span.data - bytes), copy, span.length);
        mem_free(copy);
    }
    onnx_graph_fini(&graph);
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
    protobuf_put_int(&data, DATA_TYPE, ONNX_FLOAT);
    protobuf_put_text(&data, DATA_NAME, name);
    protobuf_put_bytes(&data, DATA_RAW, values, 3 * sizeof *values);
    protobuf_put_message(graph, GRAPH_INITIALIZER, &data);
}

// The bytes become floats under the name of the old input.
static void put_conversion(struct buf *graph, struct span floats) {
    struct buf cast;
    buf_init(&cast, 256);
    onnx_put_int(&cast, "to", ONNX_FLOAT);
    struct span bytes = span_of(PIXELS), raw = span_of(PIXELS ".floats");
    struct span scaled = span_of(PIXELS ".scaled");
    onnx_put_node(graph, "Cast", &bytes, 1, raw, &cast);
    onnx_put_node(graph, "Mul", (struct span[]){raw, span_of(PIXELS ".scale")}, 2, scaled, NULL);
    onnx_put_node(graph, "Add", (struct span[]){scaled, span_of(PIXELS ".shift")}, 2, floats, NULL);
}

static bool is_floats(struct span tensor) {
    const char *element = tensor.data;
    return tensor.length >= 2 && element[0] == TENSOR_ELEMENT << 3 && element[1] == ONNX_FLOAT;
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
    put_conversion(out, name);
    put_constant(out, PIXELS ".scale", pixels->scale);
    put_constant(out, PIXELS ".shift", pixels->shift);
    onnx_put_input(out, PIXELS, ONNX_UINT8, shape);
    while (protobuf_take(&graph, &field))
        if (field.number != GRAPH_INPUT)
            buf_add(out, field.whole.data, field.whole.length);
    return true;
}

bool onnx_edit_pixels(struct buf *out, const uint8_t *bytes, size_t length,
                      const struct network_pixels *pixels) {
    struct span model = {(const char *)bytes, length}, span = onnx_graph_of(model);
    struct buf graph;
    buf_init(&graph, length + 4096);
    if (!span.length || !put_graph(&graph, span, pixels)) {
        buf_fini(&graph);
        return false;
    }
    onnx_put_model(out, model, &graph);
    return true;
}
