// Which layer lies where, and the bytes of its tensors (llama_model_base::load_tensors).
#include "plan/parts.h"

#include <string.h>

// Cumulative shares of the devices, as the engine cuts the layers: by free memory unless told.
static void shares(const struct plan_settings *settings, const struct plan_machine *machine,
                   double *cumulative) {
    double sum = 0;
    for (size_t i = 0; i < machine->devices; i++)
        sum += settings->split[i];
    bool told = sum > 0;
    sum = 0;
    for (size_t i = 0; i < machine->devices; i++) {
        uint64_t capacity = machine->device[i].capacity_bytes;
        double share =
            told ? settings->split[i] : (capacity == PLAN_UNKNOWN ? 1e10 : (double)capacity);
        cumulative[i] = sum += share;
    }
    for (size_t i = 0; i < machine->devices; i++)
        cumulative[i] = sum > 0 ? cumulative[i] / sum : 1;
}

void place_layers(const struct model *model, const struct plan_settings *settings,
                  const struct plan_machine *machine, struct placement *out) {
    double cumulative[PLAN_DEVICES_MAX];
    shares(settings, machine, cumulative);
    out->load_mtp = settings->draft == PLAN_DRAFT_MTP && model->layers_mtp > 0;
    out->overrides = settings->ncmoe > 0 || settings->ncffn > 0;

    // The last ngl of layers + output are offloaded, so the output goes first.
    uint32_t all = model->layers + 1;
    uint32_t offloaded = machine->devices == 0 ? 0 : settings->ngl > all ? all : settings->ngl;
    uint32_t first = all - offloaded;
    if (first > 0 && !plan_has(settings, PLAN_BUILD_OUTPUT_FIRST))
        first--;
    for (uint32_t i = 0; i <= model->layers; i++) {
        int at = PLACE_HOST;
        if (i >= first && i - first < offloaded) {
            float x = (float)(i - first) / (float)offloaded;
            at = 0;
            while ((size_t)at + 1 < machine->devices && (float)cumulative[at] <= x)
                at++;
        }
        if (i < model->layers)
            out->layer[i] = at;
        else
            out->output = at;
    }
}

int place_copies(const struct model *model, const struct plan_settings *settings,
                 const struct plan_machine *machine, const struct placement *place) {
    bool pipeline = machine->devices > 1 && settings->ngl > model->layers && settings->kv_offload &&
                    !place->overrides;
    return pipeline ? 4 : 1;
}

// CUDA pads rows of quantised matrices to whole blocks of 512 (MATRIX_ROW_PADDING).
static uint64_t padded(const struct gguf_tensor *tensor, enum plan_kind kind) {
    const struct gguf_type_info *type = tensor->info;
    uint64_t bytes = tensor->bytes;
    bool matrix_cores = kind == PLAN_CUDA || kind == PLAN_ROCM;
    if (matrix_cores && type && type->block > 1 && tensor->ne[0] % 512 != 0)
        bytes += gguf_row_bytes(type, pad_to(512 - tensor->ne[0] % 512, type->block));
    return pad_to(bytes, matrix_cores ? 128 : kind == PLAN_METAL ? 16384 : 32);
}

static void put(struct plan *out, const struct plan_machine *machine, int at,
                const struct gguf_tensor *tensor) {
    enum plan_kind kind = at == PLACE_HOST ? PLAN_CPU : machine->device[at].kind;
    part_at(out, at)->weights += padded(tensor, kind);
}

static int place_of(const struct model_tensor *tensor, const struct plan_settings *settings,
                    const struct placement *place) {
    if (tensor->place == MODEL_PLACE_INPUT)
        return PLACE_HOST;
    if (tensor->place == MODEL_PLACE_OUTPUT)
        return place->output;
    if (tensor->part == MODEL_PART_EXPERTS && tensor->layer < settings->ncmoe)
        return PLACE_HOST;
    if (tensor->part == MODEL_PART_FFN && tensor->layer < settings->ncffn)
        return PLACE_HOST;
    return place->layer[tensor->layer];
}

// The CPU rearranges matrices of some types for its vector units (ggml-cpu/repack.cpp), into a
// buffer of their own; then a table that is looked up and multiplied is there twice. With a GPU's
// host buffer they stay as they are.
static bool rearranged(const struct gguf_tensor *tensor, const struct plan_machine *machine) {
    for (size_t i = 0; i < machine->devices; i++)
        if (machine->device[i].kind != PLAN_RPC)
            return false;
    const struct gguf_type_info *type = gguf_type_info(tensor->type);
    static const char *const TYPES[] = {"Q4_0", "Q4_K", "IQ4_NL", "MXFP4"};
    for (size_t i = 0; type && i < sizeof TYPES / sizeof *TYPES; i++)
        if (strcmp(type->name, TYPES[i]) == 0)
            return tensor->ne[1] % 8 == 0;
    return false;
}

void add_weights(const struct model *model, const struct plan_settings *settings,
                 const struct plan_machine *machine, const struct placement *place,
                 struct plan *out) {
    for (size_t i = 0; i < model->tensor_count; i++) {
        const struct model_tensor *tensor = &model->tensors[i];
        bool unused = tensor->place == MODEL_PLACE_UNUSED ||
                      (tensor->place == MODEL_PLACE_LAYER && model->layer[tensor->layer].mtp &&
                       !place->load_mtp);
        if (unused)
            continue;
        put(out, machine, place_of(tensor, settings, place), tensor->gguf);
        // A tied embedding is looked up on the host and multiplied where the output is.
        bool twice =
            model->tied && strcmp(tensor->gguf->name, "token_embd.weight") == 0 &&
            (place->output != PLACE_HOST || model->tied_own || rearranged(tensor->gguf, machine));
        if (twice)
            put(out, machine, place->output, tensor->gguf);
    }
}
