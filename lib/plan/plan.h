// How much memory an engine will take for a model and a set of settings, on each device and in host
// memory, before it is started: weights + KV cache + recurrent state + compute buffers + what the
// driver takes. Pure arithmetic over the header (model.h); no process, no GPU, some microseconds.
//
// Weights, cache and state are exact. Compute buffers follow llama.cpp's graph allocator closely
// (compute.c says how); what a driver takes is a typical figure until the engine's own report has
// been learned. Sources: llama.cpp build 11434, src/llama-{model,context,kv-cache}.cpp.
#pragma once

#include "plan/model.h"

enum { PLAN_DEVICES_MAX = 16 };

// Devices differ in padding, in scratch memory that their kernels want, and in the driver's own
// use.
enum plan_kind {
    PLAN_CPU,
    PLAN_CUDA,
    PLAN_ROCM,
    PLAN_VULKAN,
    PLAN_METAL,
    PLAN_RPC, // another machine's, or a stand-in for tests
};

#define PLAN_UNKNOWN UINT64_MAX
#define PLAN_HOST_NAME "host memory" // in reasons

struct plan_device {
    char name[64];        // as the engine names it: "CUDA0"
    char card[96];        // as its driver calls it; "" when only a kind was named
    uint64_t total_bytes; // with what is in use; 0: not known
    enum plan_kind kind;
    uint64_t capacity_bytes; // that the engine may use (free memory); PLAN_UNKNOWN: no limit
    uint64_t overhead_bytes; // learned from this card; PLAN_UNKNOWN: typical for its kind
    bool nominal; // the size on the box: the card and a desktop keep some of it for themselves
};

struct plan_machine {
    struct plan_device device[PLAN_DEVICES_MAX]; // in the engine's order
    size_t devices;                              // 0: everything runs on the CPU
    uint64_t ram_bytes;                          // available; PLAN_UNKNOWN: no limit
};

// Layouts that changed with llama.cpp's builds; an engine's number is compared with them. The
// numbers are read off the dates of the changes and of published logs, and may be some tens of
// builds off.
enum {
    PLAN_BUILD_OUTPUT_FIRST = 7300, // -ngl N is the output layer and N - 1 others, not N others
    PLAN_BUILD_HIDDEN = 9290,       // the last hidden state is kept for draft heads (#22673)
    PLAN_BUILD_HALF_MASK = 9350, // masks are filled as f16, not as f32 and then converted (#23764)
    PLAN_BUILD_FEW_OUTPUTS = 9370, // logits for the slots, not for each token of a batch (#23861)
    PLAN_BUILD_UNPACKED =
        9400,                 // room to unpack a quantised cache is reserved at the start (#23907)
    PLAN_BUILD_MIXED = 11000, // batches may mix tokens and vectors, which takes inputs for both
};

enum plan_draft { PLAN_DRAFT_NONE, PLAN_DRAFT_MODEL, PLAN_DRAFT_MTP, PLAN_DRAFT_NGRAM };

// What the engine will be told. plan_settings_init gives the engine's own defaults.
struct plan_settings {
    uint32_t ctx;      // tokens, all slots together; 0: as trained
    uint32_t parallel; // slots
    bool unified;      // slots share one cache
    uint32_t batch, ubatch;
    uint32_t ngl;   // layers on devices, counted from the last; UINT32_MAX: all
    uint32_t ncmoe; // experts of the first N layers in host memory
    uint32_t ncffn; // dense feed-forward of the first N layers in host memory
    const struct gguf_type_info *k, *v;
    bool flash_attention;
    bool swa_full;                 // sliding layers keep the whole context
    bool kv_offload;               // caches lie with their layers
    float split[PLAN_DEVICES_MAX]; // proportions; all 0: by capacity
    enum plan_draft draft;
    uint32_t draft_tokens; // guessed at once
    uint32_t draft_ngl;    // layers of a draft model on devices; UINT32_MAX: all
    const struct gguf_type_info *draft_k, *draft_v;
    int64_t engine_build; // 0: current
    bool rope_told;       // positions are stretched: more than the trained context is meant
};

struct plan_part {
    uint64_t weights, kv, state, compute, overhead; // bytes
};

struct plan {
    struct plan_part device[PLAN_DEVICES_MAX];
    size_t devices;
    struct plan_part host;     // compute includes the output buffer
    uint32_t ctx_slot;         // tokens that one slot can hold
    uint32_t ctx_total;        // tokens, after the engine's rounding
    uint32_t layers_offloaded; // repeating layers on devices
    int64_t spare_bytes;       // on the fullest device or the host; negative: that much too little
    bool estimated; // compute is an upper estimate: the architecture's graph is not known
    bool fits;
    char reason[320]; // why not; "" when it fits
};

bool plan_has(const struct plan_settings *settings, int build); // the engine is that new
void plan_settings_init(struct plan_settings *settings);
const char *plan_type_name(const struct gguf_type_info *type,
                           char name[16]); // as a setting: "q8_0"
const char *plan_kind_name(enum plan_kind kind);
bool plan_kind_parse(const char *text, enum plan_kind *out); // "cuda", "rocm", ...

uint64_t plan_total(const struct plan_part *part);

// `draft` NULL unless settings->draft is PLAN_DRAFT_MODEL; `projector` NULL or an opened mmproj.
// Its weights and work go to the first device.
void plan_make(const struct model *model, const struct model *draft, const struct gguf *projector,
               const struct plan_settings *settings, const struct plan_machine *machine,
               struct plan *out);

// What llama-server keeps in host memory to go back to one place of a conversation (a context
// checkpoint), where the model's own memory does not allow it; 0: it does. There are up to
// --ctx-checkpoints of them for each slot, and they come with use: no plan counts them.
uint64_t plan_checkpoint_bytes(const struct model *model, const struct plan_settings *settings);

// False when no engine starts with these cache types: a quantised V without flash attention, blocks
// that do not divide the model's heads.
bool plan_cache_works(const struct model *model, const struct plan_settings *settings);

// What no engine can do, or should not: unequal cache types, a quantised V without flash attention,
// more context than the model was trained for (a warning), settings out of range. Returns the
// number of errors; texts go to `say` with is_error.
int plan_check(const struct model *model, const struct plan_settings *settings,
               void (*say)(void *arg, bool is_error, const char *text), void *arg);
