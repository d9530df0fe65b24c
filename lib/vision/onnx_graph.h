// The nodes of an ONNX file's graph as onnx_edit.h's changes see them, and what is put into a graph
// anew. Numbers are those of onnx.proto (onnx/onnx, IR version 8); names are those of values.
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "vision/protobuf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MODEL_GRAPH = 7 };
enum { GRAPH_NODE = 1, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12 };
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_OP = 4, NODE_ATTRIBUTE = 5 };
enum { VALUE_NAME = 1, VALUE_TYPE = 2, TYPE_TENSOR = 1, TENSOR_ELEMENT = 1, TENSOR_SHAPE = 2 };
enum { SHAPE_DIM = 1, DIM_VALUE = 1 };
enum { DATA_DIMS = 1, DATA_TYPE = 2, DATA_NAME = 8, DATA_RAW = 9 };
enum { ONNX_FLOAT = 1, ONNX_UINT8 = 2, ONNX_INT8 = 3, ONNX_INT64 = 7 };
enum { ONNX_NONE = -1 };

struct onnx_node {
    struct protobuf_field field;
    struct span op, inputs[3], output; // the first ones
    size_t input_count, output_count;
    int before; // stands right before this node now, ONNX_NONE: where it was
};
struct onnx_graph {
    struct onnx_node *nodes; // in the file's order: what makes a value before what wants it
    size_t count;
};

// The one graph of a model whose bytes are fields throughout; else empty.
struct span onnx_graph_of(struct span model);
// False for what is not understood: more than 5000 nodes, graphs inside of nodes. Fini in any case.
bool onnx_graph_read(struct onnx_graph *graph, struct span bytes);
void onnx_graph_fini(struct onnx_graph *graph);

// An input that is left out has an empty name, which is nobody's.
bool onnx_same_name(struct span a, struct span b);
bool onnx_node_reads(const struct onnx_node *node, struct span name);
// Who makes a value, before the node that wants it; the second looks past nodes (Identity) that
// only hand it on. ONNX_NONE: a constant, or the graph's input.
int onnx_graph_maker(const struct onnx_graph *graph, struct span name, int before);
int onnx_graph_origin(const struct onnx_graph *graph, struct span name, int before);

// An attribute of whole numbers, one or a list: how many there are, of which at most `most` are
// given; 0 when the node has none of this name.
size_t onnx_node_ints(const struct onnx_node *node, const char *name, int64_t *out, size_t most);
// An attribute that is a text; empty when there is none.
struct span onnx_node_text(const struct onnx_node *node, const char *name);

// Attributes in a buf of their own, which onnx_put_node takes and frees. NULL: none.
void onnx_put_int(struct buf *attributes, const char *name, int64_t value);
void onnx_put_ints(struct buf *attributes, const char *name, const int64_t *values, size_t count);
void onnx_put_node(struct buf *graph, const char *op, const struct span *inputs, size_t count,
                   struct span output, struct buf *attributes);
// A node without attributes that makes several values.
void onnx_put_node_of_many(struct buf *graph, const char *op, const struct span *inputs,
                           size_t count, const struct span *outputs, size_t output_count);
// A node of the same kind and attributes as another.
void onnx_put_like(struct buf *graph, const struct onnx_node *like, const struct span *inputs,
                   size_t count, struct span output);
void onnx_put_dim(struct buf *shape, int64_t size); // -1: open
void onnx_put_input(struct buf *graph, const char *name, int type, struct span shape);
void onnx_put_output(struct buf *graph, const char *name, int type, struct span shape);
// The model with another graph, which is freed.
void onnx_put_model(struct buf *out, struct span model, struct buf *graph);
