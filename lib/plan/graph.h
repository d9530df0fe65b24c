// A rehearsal of ggml's scheduler and graph allocator: a graph of sizes goes in, the bytes of each
// backend's compute buffer come out, as ggml_backend_sched_reserve_size would find them. Nothing is
// computed. How large a buffer becomes depends on the order in which results are born and die and
// on the holes they leave, so that no formula is exact; replaying the order is.
//
// Follows ggml/src/ggml-backend.cpp (ggml_backend_sched_split_graph) and ggml-alloc.c
// (ggml_gallocr_alloc_graph_impl) of llama.cpp build 11434.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GRAPH_BACKENDS_MAX = 18,
    GRAPH_SOURCES_MAX = 6,
    GRAPH_NONE = -1, // no tensor
};

enum graph_op {
    GRAPH_LEAF,
    GRAPH_FRESH,  // its result needs memory of its own
    GRAPH_REUSE,  // may take over a source that nobody else needs (element-wise operations)
    GRAPH_ROPE,   // the same, but does not follow its weights to their device
    GRAPH_ATTEND, // fresh, and does not follow its weights
    GRAPH_LOOKUP, // fresh; reads a few rows of its weights, which are never fetched for it
    GRAPH_VIEW,   // another look at the first source
    GRAPH_STORE,  // writes into the last source; the result is a view of that
};

struct graph_shape {
    int64_t ne[4]; // elements
    int64_t nb[4]; // bytes from one to the next
};

struct graph;

// `backends` in order of priority, the CPU last; results are aligned to `alignment[i]` bytes.
// `offloads[i]`: the device fetches weights from host memory to work on large batches itself.
// `copies`: how many of each tensor that crosses between backends are held (4 in a pipeline).
struct graph *graph_create(int backends, const uint32_t *alignment, const bool *offloads,
                           int copies);
void graph_destroy(struct graph *graph);

// Tensors are numbers from 0. `size`: bytes an element.
int graph_weight(struct graph *graph, int backend, uint64_t bytes);
int graph_cache(struct graph *graph, int backend, uint64_t bytes); // there already, no weight
int graph_input(struct graph *graph, int size, int64_t ne0, int64_t ne1, int64_t ne2);
int graph_op(struct graph *graph, enum graph_op op, int size, int64_t ne0, int64_t ne1, int64_t ne2,
             int64_t ne3, int a, int b, int c, int d);
void graph_also(struct graph *graph, int tensor, int source); // one more source
int graph_view(struct graph *graph, int source, const struct graph_shape *shape);
void graph_grow(struct graph *graph, int tensor, uint64_t bytes); // scratch memory behind a result
struct graph_shape graph_shape(const struct graph *graph, int tensor);
int graph_size(const struct graph *graph, int tensor); // bytes an element

void graph_expand(struct graph *graph, int tensor); // ggml_build_forward_expand
void graph_keep(struct graph *graph, int tensor);   // an output: never freed

void graph_measure(struct graph *graph, uint64_t *bytes); // [backends]
