// Runtime's order (1.32, graph_viewer.cc): depth first from the outputs, of a node's inputs the one
// that stands later in the file first. So the branch that should be computed first is moved behind
// the Resize.
#include "vision/onnx_order.h"

#include "base/mem.h"
#include "base/str.h"

#include <string.h>

// Numbers of fields, onnx.proto: model.graph, graph.node; of a node.
enum { GRAPH = 7, NODE = 1, INPUT = 1, OUTPUT = 2, OP = 4 };
enum { NODES_MAX = 5000, NONE = -1 };

struct reader {
    const uint8_t *at, *end;
};
struct field {
    unsigned number;
    const uint8_t *start, *end; // with its tag
    struct span bytes;          // of a text or a message; empty for a number
};

// Base-128 varint, Protocol Buffers, "Encoding".
static bool take_varint(struct reader *r, uint64_t *out) {
    *out = 0;
    for (unsigned shift = 0; shift < 64 && r->at < r->end; shift += 7) {
        uint8_t byte = *r->at++;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

static bool take_field(struct reader *r, struct field *out) {
    enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };
    uint64_t tag, length = 0, number;
    *out = (struct field){.start = r->at};
    if (!take_varint(r, &tag))
        return false;
    switch (tag & 7) {
    case VARINT: length = 0; break;
    case FIXED64: length = 8; break;
    case FIXED32: length = 4; break;
    case BYTES:
        if (!take_varint(r, &length))
            return false;
        break;
    default: return false;
    }
    if ((tag & 7) == VARINT && !take_varint(r, &number))
        return false;
    if (length > (uint64_t)(r->end - r->at))
        return false;
    if ((tag & 7) == BYTES)
        out->bytes = (struct span){(const char *)r->at, length};
    r->at += length;
    out->number = tag >> 3 < 1000 ? (unsigned)(tag >> 3) : 1000;
    out->end = r->at;
    return true;
}

static bool same(struct span a, struct span b) {
    return a.length == b.length && !memcmp(a.data, b.data, a.length);
}

struct node {
    struct field field;
    struct span op, inputs[2], output;
    size_t input_count, output_count;
    int before; // stands right before this node now, NONE: where it was
};

struct graph {
    struct node *nodes;
    size_t count;
};

static bool read_node(struct node *node) {
    const uint8_t *start = (const uint8_t *)node->field.bytes.data;
    struct reader r = {start, start + node->field.bytes.length};
    struct field field;
    while (r.at < r.end) {
        if (!take_field(&r, &field))
            return false;
        if (field.number == OP)
            node->op = field.bytes;
        else if (field.number == OUTPUT && node->output_count++ == 0)
            node->output = field.bytes;
        else if (field.number == INPUT && node->input_count++ < 2)
            node->inputs[node->input_count - 1] = field.bytes;
    }
    return true;
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
    struct reader r = {(const uint8_t *)bytes.data, (const uint8_t *)bytes.data + bytes.length};
    struct field field;
    graph->nodes = mem_alloc(NODES_MAX * sizeof *graph->nodes);
    while (r.at < r.end) {
        if (!take_field(&r, &field))
            return false;
        if (field.number != NODE)
            continue;
        if (graph->count == NODES_MAX)
            return false;
        struct node *node = &graph->nodes[graph->count++];
        *node = (struct node){.field = field, .before = NONE};
        if (!read_node(node) || has_inner_graph(node))
            return false;
    }
    return true;
}

// Who makes a value, before the node that wants it.
static int maker_of(const struct graph *graph, struct span name, int before) {
    for (int i = before - 1; i >= 0; i--)
        if (same(graph->nodes[i].output, name))
            return i;
    return NONE;
}

// Past nodes that only hand a value on.
static int origin_of(const struct graph *graph, struct span name, int before) {
    int at = maker_of(graph, name, before);
    while (at != NONE && span_is(graph->nodes[at].op, "Identity"))
        at = maker_of(graph, graph->nodes[at].inputs[0], at);
    return at;
}

static bool reads(const struct node *node, struct span name) {
    const uint8_t *start = (const uint8_t *)node->field.bytes.data;
    struct reader r = {start, start + node->field.bytes.length};
    struct field field;
    while (r.at < r.end && take_field(&r, &field))
        if (field.number == INPUT && same(field.bytes, name))
            return true;
    return false;
}

enum { CHAIN_MAX = 8 };

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

static size_t put(uint8_t *out, const struct field *field) {
    size_t length = (size_t)(field->end - field->start);
    memcpy(out, field->start, length);
    return length;
}

// The graph's fields as they were, but the places of nodes taken in the new order.
static void write_graph(const struct graph *graph, struct span bytes, uint8_t *out) {
    struct reader r = {(const uint8_t *)bytes.data, (const uint8_t *)bytes.data + bytes.length};
    struct field field;
    int *order = mem_alloc((graph->count + 1) * sizeof *order);
    size_t count = 0, next = 0;
    for (int i = 0; i < (int)graph->count; i++) {
        for (int k = 0; k < i; k++)
            if (graph->nodes[k].before == i)
                order[count++] = k;
        if (graph->nodes[i].before == NONE)
            order[count++] = i;
    }
    while (r.at < r.end && take_field(&r, &field))
        out += put(out, field.number == NODE ? &graph->nodes[order[next++]].field : &field);
    mem_free(order);
}

bool onnx_order(uint8_t *bytes, size_t length) {
    struct reader r = {bytes, bytes + length};
    struct field field, graph_field = {0};
    while (r.at < r.end) {
        if (!take_field(&r, &field))
            return false;
        if (field.number == GRAPH) {
            if (graph_field.start)
                return false;
            graph_field = field;
        }
    }
    struct graph graph = {0};
    bool moved = graph_field.bytes.length > 0 && read_graph(&graph, graph_field.bytes) &&
                 move_branches(&graph);
    if (moved) {
        uint8_t *copy = mem_alloc(graph_field.bytes.length);
        write_graph(&graph, graph_field.bytes, copy);
        memcpy((void *)graph_field.bytes.data, copy, graph_field.bytes.length);
        mem_free(copy);
    }
    mem_free(graph.nodes);
    return moved;
}
