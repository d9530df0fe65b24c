#include "vision/onnx_graph.h"

#include "base/mem.h"

#include <string.h>

enum { ATTRIBUTE_NAME = 1, ATTRIBUTE_INT = 3, ATTRIBUTE_TEXT = 4, ATTRIBUTE_INTS = 8 };
enum { ATTRIBUTE_TYPE = 20 };
enum { IS_INT = 2, IS_INTS = 7 };

enum { NODES_MAX = 5000, HOPS_MAX = 8 };
enum { NODE_INPUTS_KEPT = sizeof((struct onnx_node){0}.inputs) / sizeof(struct span) };

struct span onnx_graph_of(struct span model) {
    struct span graph = {0};
    struct protobuf_field field;
    size_t count = 0;
    while (protobuf_take(&model, &field))
        if (field.number == MODEL_GRAPH && count++ == 0)
            graph = field.bytes;
    return model.length || count != 1 ? (struct span){0} : graph;
}

static bool read_node(struct onnx_node *node) {
    struct span rest = node->field.bytes;
    struct protobuf_field field;
    while (protobuf_take(&rest, &field))
        if (field.number == NODE_OP)
            node->op = field.bytes;
        else if (field.number == NODE_OUTPUT && node->output_count++ == 0)
            node->output = field.bytes;
        else if (field.number == NODE_INPUT && node->input_count++ < NODE_INPUTS_KEPT)
            node->inputs[node->input_count - 1] = field.bytes;
    return rest.length == 0;
}

// Its graphs inside may read values of the one outside.
static bool has_inner_graph(const struct onnx_node *node) {
    static const char *const ops[] = {"If", "Loop", "Scan", "SequenceMap"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (span_is(node->op, ops[i]))
            return true;
    return false;
}

bool onnx_graph_read(struct onnx_graph *graph, struct span bytes) {
    struct protobuf_field field;
    *graph = (struct onnx_graph){.nodes = mem_alloc(NODES_MAX * sizeof *graph->nodes)};
    while (protobuf_take(&bytes, &field)) {
        if (field.number != GRAPH_NODE)
            continue;
        if (graph->count == NODES_MAX)
            return false;
        struct onnx_node *node = &graph->nodes[graph->count++];
        *node = (struct onnx_node){.field = field, .before = ONNX_NONE};
        if (!read_node(node) || has_inner_graph(node))
            return false;
    }
    return bytes.length == 0;
}

void onnx_graph_fini(struct onnx_graph *graph) {
    mem_free(graph->nodes);
    *graph = (struct onnx_graph){0};
}

bool onnx_same_name(struct span a, struct span b) {
    return a.length > 0 && a.length == b.length && !memcmp(a.data, b.data, a.length);
}

bool onnx_node_reads(const struct onnx_node *node, struct span name) {
    struct span rest = node->field.bytes;
    struct protobuf_field field;
    while (protobuf_take(&rest, &field))
        if (field.number == NODE_INPUT && onnx_same_name(field.bytes, name))
            return true;
    return false;
}

int onnx_graph_maker(const struct onnx_graph *graph, struct span name, int before) {
    for (int i = before - 1; i >= 0; i--)
        if (onnx_same_name(graph->nodes[i].output, name))
            return i;
    return ONNX_NONE;
}

int onnx_graph_origin(const struct onnx_graph *graph, struct span name, int before) {
    int at = onnx_graph_maker(graph, name, before);
    for (int hops = 0; at != ONNX_NONE && span_is(graph->nodes[at].op, "Identity"); hops++)
        at = hops < HOPS_MAX ? onnx_graph_maker(graph, graph->nodes[at].inputs[0], at) : ONNX_NONE;
    return at;
}

// The attribute's message; empty when there is none.
static struct span find_attribute(const struct onnx_node *node, const char *name) {
    struct span rest = node->field.bytes;
    struct protobuf_field field;
    while (protobuf_take(&rest, &field))
        if (field.number == NODE_ATTRIBUTE &&
            span_is(protobuf_find(field.bytes, ATTRIBUTE_NAME), name))
            return field.bytes;
    return (struct span){0};
}

struct span onnx_node_text(const struct onnx_node *node, const char *name) {
    return protobuf_find(find_attribute(node, name), ATTRIBUTE_TEXT);
}

size_t onnx_node_ints(const struct onnx_node *node, const char *name, int64_t *out, size_t most) {
    struct span rest = find_attribute(node, name);
    struct protobuf_field field;
    size_t count = 0;
    while (protobuf_take(&rest, &field))
        if (field.number == ATTRIBUTE_INT || field.number == ATTRIBUTE_INTS) {
            if (count < most)
                out[count] = (int64_t)field.value;
            count++;
        }
    return count;
}

static void put_attribute(struct buf *attributes, const char *name, unsigned field, int type,
                          const int64_t *values, size_t count) {
    struct buf one;
    buf_init(&one, 256);
    protobuf_put_text(&one, ATTRIBUTE_NAME, name);
    for (size_t i = 0; i < count; i++)
        protobuf_put_int(&one, field, (uint64_t)values[i]);
    protobuf_put_int(&one, ATTRIBUTE_TYPE, (uint64_t)type);
    protobuf_put_message(attributes, NODE_ATTRIBUTE, &one);
}

void onnx_put_int(struct buf *attributes, const char *name, int64_t value) {
    put_attribute(attributes, name, ATTRIBUTE_INT, IS_INT, &value, 1);
}

void onnx_put_ints(struct buf *attributes, const char *name, const int64_t *values, size_t count) {
    put_attribute(attributes, name, ATTRIBUTE_INTS, IS_INTS, values, count);
}

static void put_names(struct buf *node, unsigned field, const struct span *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        protobuf_put_bytes(node, field, names[i].data, names[i].length);
}

static size_t names_length(const struct span *names, size_t count) {
    size_t length = 0;
    for (size_t i = 0; i < count; i++)
        length += names[i].length + 16; // with its tag
    return length;
}

static void put_node(struct buf *graph, struct span op, const struct span *inputs, size_t count,
                     const struct span *outputs, size_t output_count, struct span attributes) {
    struct buf node;
    buf_init(&node, op.length + names_length(inputs, count) + names_length(outputs, output_count) +
                        attributes.length + 64);
    put_names(&node, NODE_INPUT, inputs, count);
    put_names(&node, NODE_OUTPUT, outputs, output_count);
    protobuf_put_bytes(&node, NODE_OP, op.data, op.length);
    buf_add(&node, attributes.data, attributes.length);
    protobuf_put_message(graph, GRAPH_NODE, &node);
}

void onnx_put_node(struct buf *graph, const char *op, const struct span *inputs, size_t count,
                   struct span output, struct buf *attributes) {
    struct span fields = {0};
    if (attributes)
        fields = (struct span){buf_bytes(attributes), attributes->length};
    put_node(graph, span_of(op), inputs, count, &output, 1, fields);
    if (attributes)
        buf_fini(attributes);
}

void onnx_put_node_of_many(struct buf *graph, const char *op, const struct span *inputs,
                           size_t count, const struct span *outputs, size_t output_count) {
    put_node(graph, span_of(op), inputs, count, outputs, output_count, (struct span){0});
}

void onnx_put_like(struct buf *graph, const struct onnx_node *like, const struct span *inputs,
                   size_t count, struct span output) {
    struct span rest = like->field.bytes;
    struct protobuf_field field;
    struct buf attributes;
    buf_init(&attributes, rest.length);
    while (protobuf_take(&rest, &field))
        if (field.number == NODE_ATTRIBUTE)
            buf_add(&attributes, field.whole.data, field.whole.length);
    put_node(graph, like->op, inputs, count, &output, 1,
             (struct span){buf_bytes(&attributes), attributes.length});
    buf_fini(&attributes);
}

void onnx_put_dim(struct buf *shape, int64_t size) {
    struct buf dim;
    buf_init(&dim, 64);
    if (size >= 0)
        protobuf_put_int(&dim, DIM_VALUE, (uint64_t)size);
    protobuf_put_message(shape, SHAPE_DIM, &dim);
}

static void put_value(struct buf *graph, unsigned field, const char *name, int type,
                      struct span shape) {
    struct buf tensor, kind, value;
    buf_init(&tensor, shape.length + 64);
    buf_init(&kind, shape.length + 128);
    buf_init(&value, shape.length + 256);
    protobuf_put_int(&tensor, TENSOR_ELEMENT, (uint64_t)type);
    protobuf_put_bytes(&tensor, TENSOR_SHAPE, shape.data, shape.length);
    protobuf_put_message(&kind, TYPE_TENSOR, &tensor);
    protobuf_put_text(&value, VALUE_NAME, name);
    protobuf_put_message(&value, VALUE_TYPE, &kind);
    protobuf_put_message(graph, field, &value);
}

void onnx_put_input(struct buf *graph, const char *name, int type, struct span shape) {
    put_value(graph, GRAPH_INPUT, name, type, shape);
}

void onnx_put_output(struct buf *graph, const char *name, int type, struct span shape) {
    put_value(graph, GRAPH_OUTPUT, name, type, shape);
}

void onnx_put_model(struct buf *out, struct span model, struct buf *graph) {
    struct protobuf_field field;
    while (protobuf_take(&model, &field))
        if (field.number != MODEL_GRAPH)
            buf_add(out, field.whole.data, field.whole.length);
    protobuf_put_message(out, MODEL_GRAPH, graph);
}
