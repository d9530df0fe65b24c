// Compute buffers: what the graph's intermediate results take (ggml_gallocr_reserve_n).
#include "plan/rehearse.h"

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

static void estimate(const struct model *model, const struct plan_settings *settings,
                     const struct plan_machine *machine, const struct placement *place,
                     const struct cells *cells, struct plan *out) {
    uint64_t ub = cells->ubatch, mask = ub * cells->full * 2;
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
    uint64_t work = ub * 4 * widest(model);
    uint64_t logits = ((uint64_t)cells->outputs * model->vocab + ub * model->embd) * 4;
    for (size_t i = 0; i < machine->devices; i++)
        if (on[i])
            out->device[i].compute += mask + (work > logits ? work : logits);
    bool host_works = on_host || settings->ncmoe > 0;
    out->host.compute += mask + (host_works ? work : ub * 4 * 2 * model->embd);
}

static void add_graph(const struct model *model, bool head, const struct plan_settings *settings,
                      const struct plan_machine *machine, const struct placement *place,
                      const struct cells *cells, struct plan *out) {
    uint64_t bytes[PLAN_DEVICES_MAX + 1];
    if (!rehearse(model, head, settings, machine, place, cells, bytes)) {
        estimate(model, settings, machine, place, cells, out);
        return;
    }
    for (size_t i = 0; i < machine->devices; i++)
        out->device[i].compute += bytes[i];
    out->host.compute += bytes[machine->devices];
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
