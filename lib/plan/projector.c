// What a projector's work takes: the graph of its vision encoder over one picture of the size with
// which the engine reserves (llama.cpp build 11434, tools/mtmd/clip.cpp: warmup_image_size).
//
// Sums over a layer's live tensors, as its allocator leaves them: the feed-forward and three rows
// of the residual width beside the raw patches. Checked against the engine's own "worst-case memory
// usage of mmproj" (tests/scenario/test_real_plan.py): 6 MiB too little to 50 too much.
#include "plan/parts.h"

#include <stdio.h>
#include <string.h>

// Bounds of what the file says, so that no product overflows.
enum { SIDE_MAX = 1 << 14, WIDTH_MAX = 1 << 16, PATCH_MAX = 1024, MERGE_MAX = 16 };
enum { UNCHECKED_MIB = 300 };

// How many tokens the engine reserves for; 0: as many as image_size gives.
struct eye {
    const char *type;
    uint32_t tokens, merge; // patches a side that become one token; the file may say otherwise
    bool windows;           // attention within windows, by a mask of patches x patches
};
static const struct eye EYES[] = {
    {"gemma3", 0, 1, false},    {"idefics3", 0, 1, false},
    {"mlp", 0, 1, false},       {"qwen2vl_merger", 46 * 46, 2, false},
    {"pixtral", 256, 1, false}, {"qwen2.5vl_merger", 46 * 46, 2, true},
};

static uint64_t vision(const struct gguf *projector, const char *name, uint64_t most) {
    char key[64];
    uint64_t value = 0;
    snprintf(key, sizeof key, "clip.vision.%s", name);
    gguf_uint(projector, key, &value);
    return value > most ? most : value;
}

static const struct eye *eye_of(const struct gguf *projector) {
    struct span type = gguf_text(projector, "clip.projector_type");
    if (!type.length)
        type = gguf_text(projector, "clip.vision.projector_type");
    for (size_t i = 0; i < sizeof EYES / sizeof *EYES; i++)
        if (span_is(type, EYES[i].type))
            return &EYES[i];
    return NULL;
}

static bool is_gated(const struct gguf *projector) {
    for (size_t i = 0; i < gguf_tensors(projector); i++)
        if (strstr(gguf_tensor_at(projector, i)->name, ".ffn_gate."))
            return true;
    return false;
}

static uint64_t patches(const struct gguf *projector, const struct eye *eye, uint64_t patch) {
    uint64_t merge = vision(projector, "spatial_merge_size", MERGE_MAX);
    uint64_t side = vision(projector, "image_size", (uint64_t)SIDE_MAX * PATCH_MAX) / patch;
    if (eye && eye->tokens) {
        merge = merge ? merge : eye->merge;
        return eye->tokens * merge * merge;
    }
    side = side > SIDE_MAX ? SIDE_MAX : side;
    return side * side;
}

void add_projector(const struct gguf *projector, const struct plan_machine *machine,
                   struct plan *out) {
    struct plan_part *part = machine->devices ? &out->device[0] : &out->host;
    for (size_t i = 0; i < gguf_tensors(projector); i++)
        part->weights += pad_to(gguf_tensor_at(projector, i)->bytes, 32);

    const struct eye *eye = eye_of(projector);
    uint64_t patch = vision(projector, "patch_size", PATCH_MAX);
    uint64_t width = vision(projector, "embedding_length", WIDTH_MAX);
    uint64_t ff = vision(projector, "feed_forward_length", WIDTH_MAX);
    uint64_t text = vision(projector, "projection_dim", WIDTH_MAX);
    uint64_t count = patch ? patches(projector, eye, patch) : 0;
    uint64_t raw = 3 * patch * patch;
    uint64_t layer = (is_gated(projector) ? 2 * ff : ff) + 3 * width;
    layer += eye && eye->tokens ? 0 : raw;
    uint64_t last = eye && strcmp(eye->type, "mlp") == 0 ? 2 * (text + width) : 0;
    uint64_t bytes = count * 4 * (layer > last ? layer : last);
    bytes += eye && strcmp(eye->type, "gemma3") == 0 ? text * width * 4 : 0; // a matrix turned over
    uint64_t least = (uint64_t)UNCHECKED_MIB << 20;
    part->compute += !eye && bytes < least ? least : bytes;
    out->host.compute += count * raw * 4;
    if (eye && eye->windows) { // its mask: read in, brought over, and halved
        part->compute += count * count * (4 + 2);
        out->host.compute += count * count * 4;
    }
}
