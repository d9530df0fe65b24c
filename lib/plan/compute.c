// Compute buffers: what the graph's intermediate results take (ggml_gallocr_reserve_n).
#include "plan/rehearse.h"

#include <stdio.h>
#include <string.h>

// An upper estimate for architectures whose graph we do not know: the widest moment of a layer.
static uint64_t widest(const struct model *model) {
    uint64_t e = model->embd, best = 0;
    uint64_t moe = model->experts_used * (2 * e + model->expert_ff) + 3 * e;
    if (model->experts)
        best = moe;
    for (uint32_t i = 0; i < model->layers; i++) {
        const struct model_layer *layer = &model->layer[i];
        uint64_t dense = 3ull * layer->ff + 3 * e;
        uint64_t attention = 4ull * layer->heads * layer->head_k + 2 * e;
        best = dense > best ? dense : best;
        best = attention > best ? attention : best;
        if (layer->recurrent && 4ull * model->conv_channels > best)
            best = 4ull * model->conv_channels;
    }
    return best;
}

// Choosing tokens to attend to takes scores over the whole context, several times over.
static uint64_t choosing(const struct model *model, const struct cells *cells) {
    uint64_t times = model->index_width == 0 ? 0 : model->mla ? 9 : 17;
    double cap = 0;
    char key[96];
    snprintf(key, sizeof key, "%s.attn_logit_softcapping", model->arch);
    if (gguf_number(model->gguf, key, &cap) && cap != 0) // may do without flash attention
        times += model->layer[0].heads;
    return times * 4 * cells->tokens * cells->full;
}

static void estimate(const struct model *model, const struct plan_settings *settings,
                     const struct plan_machine *machine, const struct placement *place,
                     const struct cells *cells, uint64_t *bytes) {
    uint64_t ub = cells->tokens, mask = ub * cells->full * 2;
    bool any_sliding = false, on[PLAN_DEVICES_MAX] = {false}, on_host = false;
    for (uint32_t i = 0; i < model->layers; i++) {
        any_sliding |= model->layer[i].sliding;
        if (place->layer[i] == PLACE_HOST)
            on_host = true;
        else
            on[place->layer[i]] = true;
    }
    if (any_sliding)
        mask += ub * cells->sliding * 2;
    // In a pipeline the inputs, masks above all, are there several times.
    uint64_t copies = (uint64_t)place_copies(model, settings, machine, place);
    mask = (mask + ub * 4 * model->embd) * copies - ub * 4 * model->embd;
    // Three embeddings of each token wait from the first to the last layer (build_inputs).
    uint64_t work = ub * 4 * (widest(model) + 3 * (uint64_t)model->embd) + choosing(model, cells);
    uint64_t logits = ((uint64_t)cells->outputs * model->vocab + ub * model->embd) * 4;
    size_t n = machine->devices;
    for (size_t i = 0; i < n; i++)
        bytes[i] = on[i] ? mask + (work > logits ? work : logits) : 0;
    bool host_works = on_host || settings->ncmoe > 0;
    bytes[n] = mask + (host_works ? work : ub * 4 * 4 * model->embd);
}

// The largest layer's cache, unpacked: older engines take it when a long prompt comes, from a pool
// that no log shows.
static uint64_t unpacked_most(const struct model *model, const struct plan_settings *settings,
                              const struct placement *place, const struct cells *cells,
                              int device) {
    uint64_t most = 0;
    for (uint32_t i = 0; i < model->layers; i++) {
        const struct model_layer *l = &model->layer[i];
        if (!l->attends || l->mtp || place->layer[i] != device)
            continue;
        uint64_t rows = (uint64_t)(l->sliding ? cells->sliding : cells->full) * cells->streams;
        uint64_t bytes = unpacked_bytes(model, settings, l, rows);
        most = bytes > most ? bytes : most;
    }
    return most;
}

static void add_unpacked(const struct model *model, const struct plan_settings *settings,
                         const struct plan_machine *machine, const struct placement *place,
                         const struct cells *cells, bool exact, struct plan *out) {
    bool reserved = plan_has(settings, PLAN_BUILD_UNPACKED);
    for (size_t i = 0; i < machine->devices; i++) {
        enum plan_kind kind = machine->device[i].kind;
        bool unpacks = (kind == PLAN_CUDA || kind == PLAN_ROCM) && settings->flash_attention;
        if (!unpacks || (reserved && exact))
            continue;
        uint64_t bytes = unpacked_most(model, settings, place, cells, (int)i);
        *(reserved ? &out->device[i].compute : &out->device[i].overhead) += bytes;
    }
}

static void add_graph(const struct model *model, bool head, const struct plan_settings *settings,
                      const struct plan_machine *machine, const struct placement *place,
                      const struct cells *cells, struct plan *out) {
    uint64_t bytes[PLAN_DEVICES_MAX + 1], upper[PLAN_DEVICES_MAX + 1] = {0};
    bool exact = false;
    if (!rehearse(model, head, settings, machine, place, cells, bytes, &exact)) {
        memset(bytes, 0, sizeof bytes);
        exact = false;
    }
    if (!exact) {
        out->estimated = true;
        estimate(model, settings, machine, place, cells, upper);
    }
    for (size_t i = 0; i <= machine->devices; i++) {
        struct plan_part *part = i < machine->devices ? &out->device[i] : &out->host;
        part->compute += bytes[i] > upper[i] ? bytes[i] : upper[i];
    }
    add_unpacked(model, settings, machine, place, cells, exact, out);
}

// The context of a multi-token head: the same slots and tokens, one layer, the draft's cache types.
static void add_head(const struct model *model, const struct plan_settings *settings,
                     const struct plan_machine *machine, const struct placement *place,
                     struct plan *out) {
    struct plan_settings own = *settings;
    struct cells cells;
    own.draft = PLAN_DRAFT_NONE;
    own.k = settings->draft_k;
    own.v = settings->draft_v;
    cells_of(model, &own, &cells);
    add_graph(model, true, &own, machine, place, &cells, out);
}

void add_compute(const struct model *model, const struct plan_settings *settings,
                 const struct plan_machine *machine, const struct placement *place,
                 const struct cells *cells, struct plan *out) {
    add_graph(model, false, settings, machine, place, cells, out);
    if (place->load_mtp)
        add_head(model, settings, machine, place, out);
}
