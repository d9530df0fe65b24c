// The shape of a model, read from its GGUF header: what each layer keeps in the cache, where its
// tensors belong, how wide its activations are. All that the memory plan needs, and no more.
//
// Rules follow llama.cpp build 11434: src/llama-hparams.cpp (layer kinds), src/models/*.cpp (the
// sliding-window patterns), src/llama-model.cpp create_memory (which layers keep a cache).
#pragma once

#include "base/err.h"
#include "format/gguf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MODEL_LAYERS_MAX = 1024,
    MODEL_WIDTH_MAX = 1 << 24, // of any one dimension; protects the sums from overflow
};

struct model_layer {
    uint32_t heads;
    uint32_t heads_kv;       // 0: no attention in this layer
    uint32_t head_k, head_v; // width of one head's key and value, elements
    uint32_t ff;             // dense feed-forward width
    bool attends;            // keeps keys (and values) of its own
    bool sliding;            // only of the last `window` tokens
    bool recurrent;          // keeps a state of fixed size for each sequence
    bool routed;             // has experts
    bool mtp;                // a multi-token-prediction head, loaded only for that kind of draft
};

enum model_place {
    MODEL_PLACE_INPUT,  // embedding tables: always in host memory
    MODEL_PLACE_LAYER,  // with its layer
    MODEL_PLACE_OUTPUT, // with the output layer
    MODEL_PLACE_UNUSED, // in the file, but not loaded
};

enum model_part {
    MODEL_PART_OTHER,
    MODEL_PART_EXPERTS, // what --n-cpu-moe moves
    MODEL_PART_FFN,     // what --n-cpu-ffn moves
};

struct model_tensor {
    const struct gguf_tensor *gguf;
    enum model_place place;
    enum model_part part;
    uint32_t layer; // of a MODEL_PLACE_LAYER
};

struct model {
    struct gguf *gguf; // owned
    char *path;        // of a split model its first part
    char *arch;        // "qwen3moe"
    char *name;        // general.name, "" when absent
    bool known;        // the architecture is in our table; else sizes are upper estimates

    uint32_t layers;     // all blocks, MTP heads included
    uint32_t layers_mtp; // the last ones
    uint32_t embd, vocab;
    uint32_t ctx_train; // tokens
    uint32_t ff_max;
    uint32_t experts, experts_used, expert_ff, shared_ff; // 0 for dense models
    uint32_t window;                                      // of sliding layers, tokens
    bool mla;                  // keys only: values are read out of them (DeepSeek)
    bool tied;                 // the token embedding is the output matrix too
    bool tied_own;             // ... and is loaded twice even into the same memory
    uint32_t state_r, state_s; // of a recurrent layer, f32 elements for each sequence
    uint32_t conv_channels;    // width of what a recurrent layer convolves
    uint32_t inner, ssm_heads; // ... and of what it works on, and in how many heads
    uint32_t index_width;      // of the keys that choose which tokens are attended to
    bool index_cached;         // ... which have a cache of their own
    bool rolls_back;           // keeps states for each guessed token, to go back to
    uint32_t mla_head_k, mla_head_v, rank_kv, rank_q; // MLA: heads before compression, elements

    struct model_layer *layer; // [layers]
    struct model_tensor *tensors;
    size_t tensor_count;
};

// Errors name the file and what is wrong. ERR_NOTFOUND: a sound file whose metadata does not say
// what we need to know; an engine may still make something of it.
struct model *model_open(const char *path, struct err *err);
void model_close(struct model *model); // NULL is fine

// A GGUF that is no language model of its own.
enum model_kind {
    MODEL_KIND_TEXT,
    MODEL_KIND_PROJECTOR, // mmproj: the eyes or ears of another model
    MODEL_KIND_ADAPTER,   // LoRA or control vector
    MODEL_KIND_EMBEDDING, // encoders
};
enum model_kind model_kind_of(const struct gguf *gguf);

uint64_t model_weights_bytes(const struct model *model); // of all tensors in the file
// "Q4_K_M", "MXFP4": the file's own word, else the commonest type by bytes.
const char *model_quantisation(const struct model *model);

// Who can read it: mainline llama.cpp, or the fork that its tensor types need.
enum gguf_type_family model_family(const struct model *model, const char **type_name);
