// Some nodes of an ONNX file written anew. An edit begins, looks at the graph, writes nodes in the
// place of others, and ends: what then nobody wants any more (nodes, weights) is left out, and a
// graph that lacks something is not written at all.
#pragma once

#include "vision/onnx_graph.h"

enum { ONNX_RANK_MAX = 4 };

struct onnx_weights {
    int64_t dims[ONNX_RANK_MAX];
    size_t rank, count; // of dims; of values
    float *values;      // the caller frees
};

struct onnx_rewrite {
    struct onnx_graph graph;
    struct span model, bytes; // the file; its graph
    struct buf *places;       // a node's new nodes
    bool *replaced;           // by what its place holds
    struct buf weights;       // new ones
    struct buf outputs;       // further ones
    const char *edit;         // whose names these are
    unsigned names;           // so many were made
    bool changed, full;       // full: more was written than an edit may
};

struct onnx_name {
    char text[64];
};

// False for a file that is not understood. End in any case.
bool onnx_rewrite_begin(struct onnx_rewrite *rewrite, const char *edit, const uint8_t *bytes,
                        size_t length);
// Appends the new file; false when nothing was changed or the graph would lack something.
bool onnx_rewrite_end(struct onnx_rewrite *rewrite, struct buf *out);

// The name that stands behind Identity nodes.
struct span onnx_rewrite_origin(const struct onnx_rewrite *rewrite, struct span name, int before);
// Who reads what the node makes, past Identity nodes; ONNX_NONE when that is not one node alone.
int onnx_rewrite_reader(const struct onnx_rewrite *rewrite, int node);
// The value goes out of the graph, by itself or past Identity nodes.
bool onnx_rewrite_is_output(const struct onnx_rewrite *rewrite, int node);
// Constant floats of a rank of at least 1; false for everything else, and then there are no values.
bool onnx_rewrite_weights(const struct onnx_rewrite *rewrite, struct span name,
                          struct onnx_weights *out);
// What an Add gives to each channel: C values of a constant 1 x C x 1 x 1 or C x 1 x 1.
bool onnx_rewrite_bias(const struct onnx_rewrite *rewrite, struct span name, int64_t channels,
                       struct onnx_weights *out);
// The Add behind a node that gives a constant to each of its channels; ONNX_NONE when something
// else comes next, and then there are no values.
int onnx_rewrite_bias_node(const struct onnx_rewrite *rewrite, int node, int64_t channels,
                           struct onnx_weights *bias);

// A convolution's constant weights of rank 4.
bool onnx_rewrite_conv(const struct onnx_rewrite *rewrite, int node, struct onnx_weights *out);
// The channels of a value that stands before a node, as far as convolutions tell; 0: not known.
int64_t onnx_rewrite_channels(const struct onnx_rewrite *rewrite, struct span name, int before);

// Where the node's new nodes are to be put; the node itself is gone from then on.
struct buf *onnx_rewrite_place(struct onnx_rewrite *rewrite, int node);
struct onnx_name onnx_rewrite_new_name(struct onnx_rewrite *rewrite);
struct onnx_name onnx_rewrite_new_weights(struct onnx_rewrite *rewrite, const int64_t *dims,
                                          size_t rank, const float *values);
struct onnx_name onnx_rewrite_new_indices(struct onnx_rewrite *rewrite, const int64_t *values,
                                          int64_t count);
struct onnx_name onnx_rewrite_new_bytes(struct onnx_rewrite *rewrite, const int64_t *dims,
                                        size_t rank, const int8_t *values);
// One more output of the graph behind its own: floats in one row of any length.
void onnx_rewrite_new_output(struct onnx_rewrite *rewrite, const char *name);
