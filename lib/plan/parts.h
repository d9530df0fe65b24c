// Inside lib/plan: where each layer lies, and the terms of the sum.
#pragma once

#include "plan/plan.h"

enum { PLACE_HOST = -1 };

struct placement {
    int layer[MODEL_LAYERS_MAX]; // device index, or PLACE_HOST
    int output;
    bool load_mtp;
    bool overrides; // some tensors are kept away from their layer
};

// The sizes that the engine derives from what it is told (llama-context.cpp).
struct cells {
    uint32_t streams;   // separate caches
    uint32_t sequences; // slots
    uint32_t full;      // cells of a full layer, a stream
    uint32_t sliding;   // cells of a sliding layer, a stream
    uint32_t ubatch;    // tokens of one pass, as told
    uint32_t tokens;    // ... and as reserved: a multiple of the slots
    uint32_t outputs;   // rows of logits in one pass
    uint32_t snapshots; // states kept for each sequence
};

void place_layers(const struct model *model, const struct plan_settings *settings,
                  const struct plan_machine *machine, struct placement *out);
// Pipeline parallelism: how often every copy between devices is kept (llama_context, 4 or 1).
int place_copies(const struct model *model, const struct plan_settings *settings,
                 const struct plan_machine *machine, const struct placement *place);
void cells_of(const struct model *model, const struct plan_settings *settings, struct cells *out);

void add_weights(const struct model *model, const struct plan_settings *settings,
                 const struct plan_machine *machine, const struct placement *place,
                 struct plan *out);
void add_cache(const struct model *model, const struct plan_settings *settings,
               const struct placement *place, const struct cells *cells, struct plan *out);
// CUDA unpacks one layer's cache at a time to f16 (ggml_cuda_flash_attn_ext_get_alloc_size).
uint64_t unpacked_bytes(const struct model *model, const struct plan_settings *settings,
                        const struct model_layer *layer, uint64_t cells);
void add_compute(const struct model *model, const struct plan_settings *settings,
                 const struct plan_machine *machine, const struct placement *place,
                 const struct cells *cells, struct plan *out);

// Weights and work; on the first device, its input in host memory.
void add_projector(const struct gguf *projector, const struct plan_machine *machine,
                   struct plan *out);

static inline struct plan_part *part_at(struct plan *plan, int device) {
    return device == PLACE_HOST ? &plan->host : &plan->device[device];
}

static inline uint64_t pad_to(uint64_t value, uint64_t step) {
    return (value + step - 1) / step * step;
}
