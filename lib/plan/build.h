// Inside lib/plan: the pieces that graphs of language models are made of (src/llama-graph.cpp).
#pragma once

#include "plan/graph.h"
#include "plan/parts.h"

struct arch_graph {
    const char *arch;
    enum { SHARED_PLAIN, SHARED_GATED } shared; // how the shared expert joins the routed ones
    bool experts_norm;    // weights of the chosen experts add up to one, whatever the file says
    bool softmax_late;    // over the chosen experts only
    bool scale_rows;      // embeddings are scaled where they are tokens
    bool scale_queries;   // ... and queries before attention
    bool scale_embedding; // all rows
    bool norm_values;
    bool gated_queries; // queries and their gate from one matrix
    bool expand_norm;   // the first norm is put into the graph at once
    bool mrope;         // four positions a token
    bool cap_scores;    // soft cap inside attention
    bool router_beside; // the router reads the layer's input, and a dense MLP runs beside
    bool weights_first; // experts' weights are applied before their matrices
    bool layer_norm;    // ... without a bias that would tell
    bool first_after_attention, first_after_ffn; // sums look at the stream first for memory
    enum { BLOCK_TWO, BLOCK_SINGLE, BLOCK_PARALLEL, BLOCK_STATE_BESIDE, BLOCK_COPIES } block;
    enum {
        ROPE_ALL,
        ROPE_NONE,
        ROPE_SLIDING,
        ROPE_THREE_OF_FOUR
    } rope; // the layers whose positions are rotated
    enum { ROWS_LAST_LAYER, ROWS_BEFORE_NORM, ROWS_AFTER_NORM } rows; // where outputs are chosen
    enum { HIDDEN_NONE, HIDDEN_RAW, HIDDEN_NORMED } keep_hidden;      // kept for draft heads
};

struct build {
    struct graph *graph;
    const struct model *model;
    const struct plan_settings *settings;
    const struct plan_machine *machine;
    const struct placement *place;
    const struct cells *cells;
    const struct arch_graph *arch;
    uint32_t first, layers; // that keep a cache in this context: [first, layers)
    int64_t tokens;
    int cpu;
    bool unknown; // a tensor is missing that the graph needs

    uint32_t layer; // being built
    int backend;    // of that layer
    int position, rows;
    struct attention_inputs {
        int k_index, v_index, mask, k_rotation, v_rotation;
    } full, sliding;
    int state_copy, per_layer;
};

// A weight, GRAPH_NONE when the file has none of that name; `out` its rows (ne1).
struct weight {
    int id;
    int64_t in, out, stack;
};
struct weight build_weight(struct build *b, const char *suffix); // of the current layer
bool build_has(const struct build *b, const char *suffix);
struct weight build_global(struct build *b, const char *name, int backend);

int build_multiply(struct build *b, struct weight w, int x);
int build_multiply_bias(struct build *b, const char *name, int x); // "attn_q": .weight and .bias
int build_norm(struct build *b, int x, const char *name);          // RMS norm, then the weight
int build_scale(struct build *b, int x);                           // any element-wise operation
int build_add(struct build *b, int x, int y);
int build_rope(struct build *b, int x);
int build_reshape(struct build *b, int x, int64_t ne0, int64_t ne1, int64_t ne2);
int build_rows(struct build *b, int x); // the rows that become outputs

int build_inputs(struct build *b);                       // returns the embedded tokens
int build_per_layer_inputs(struct build *b, int stream); // GRAPH_NONE when the model has none
int build_per_layer(struct build *b, int x);
int build_copies(struct build *b, int stream); // Gemma 3n's streams, and back
int build_copies_layer(struct build *b, int stream, const struct model_layer *l);
int build_merge_copies(struct build *b, int stream);
int build_layer(struct build *b, uint32_t layer, int stream);
void build_output(struct build *b, int stream);
void build_guess(struct build *b); // the graph of a multi-token head, from inputs to logits
void build_logits(struct build *b, int x, const char *own);

int build_gated_attention(struct build *b, int x, const struct model_layer *l);
int build_plain_attention(struct build *b, int x, const struct model_layer *l);
int build_feed_forward(struct build *b, int x, int residual);
struct attention_inputs build_attention_inputs(struct build *b, bool sliding);

int build_permuted(struct build *b, int x); // dimensions 1 and 2 swapped
int build_attention(struct build *b, int q, int k, int v, int64_t head_v);
int build_compressed_attention(struct build *b, int normed); // MLA
int build_recurrent(struct build *b, int x); // whatever kind the layer's tensors tell
int build_experts(struct build *b, int x, int router_input);
int build_ffn(struct build *b, int x, const char *up, const char *gate, const char *down);
