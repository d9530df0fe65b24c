// KV cache and recurrent state (llama_kv_cache, llama_kv_cache_iswa, llama_memory_recurrent).
#include "plan/parts.h"

void cells_of(const struct model *model, const struct plan_settings *settings, struct cells *out) {
    uint32_t slots = settings->parallel ? settings->parallel : 1;
    uint32_t ctx = settings->ctx ? settings->ctx : model->ctx_train;
    uint32_t batch = settings->batch < ctx ? settings->batch : ctx ? ctx : 1;
    ctx = (uint32_t)pad_to(ctx ? ctx : 1, 256);
    out->sequences = slots;
    out->streams = settings->unified ? 1 : slots;
    out->full = settings->unified ? ctx : (uint32_t)pad_to(ctx / slots ? ctx / slots : 1, 256);
    out->ubatch = settings->ubatch < batch ? settings->ubatch : batch;
    out->tokens = (uint32_t)pad_to(out->ubatch, slots);

    uint64_t sliding = (uint64_t)model->window * (settings->unified ? slots : 1) + out->ubatch;
    if (settings->swa_full || sliding > out->full)
        sliding = out->full;
    out->sliding = (uint32_t)pad_to(sliding, 256);

    uint32_t guesses = settings->draft == PLAN_DRAFT_NONE ? 0 : settings->draft_tokens;
    uint64_t outputs = (uint64_t)slots * (1 + guesses);
    out->snapshots = 1; // one more for each guess, to go back to
    if (settings->draft == PLAN_DRAFT_MTP && model->rolls_back)
        out->snapshots += settings->draft_tokens;
    bool few = plan_has(settings, PLAN_BUILD_FEW_OUTPUTS);
    out->outputs = !few || outputs > out->ubatch ? out->ubatch : (uint32_t)outputs;
}

static uint64_t layer_bytes(const struct model *model, const struct plan_settings *settings,
                            const struct model_layer *layer, uint64_t rows,
                            const struct gguf_type_info *k, const struct gguf_type_info *v) {
    uint64_t bytes = rows * gguf_row_bytes(k, (uint64_t)layer->head_k * layer->heads_kv);
    if (model->mla)
        return bytes;
    uint64_t width = (uint64_t)layer->head_v * layer->heads_kv;
    if (!settings->flash_attention) // V lies transposed, padded to the widest layer
        for (uint32_t i = 0; i < model->layers; i++) {
            uint64_t other = (uint64_t)model->layer[i].head_v * model->layer[i].heads_kv;
            width = other > width ? other : width;
        }
    return bytes + rows * gguf_row_bytes(v, width);
}

void add_cache(const struct model *model, const struct plan_settings *settings,
               const struct placement *place, const struct cells *cells, struct plan *out) {
    uint64_t states = (uint64_t)cells->sequences * cells->snapshots;
    for (uint32_t i = 0; i < model->layers; i++) {
        const struct model_layer *layer = &model->layer[i];
        int at = settings->kv_offload ? place->layer[i] : PLACE_HOST;
        if (layer->mtp && !place->load_mtp)
            continue;
        // A multi-token head has a cache of its own, with the draft's types.
        const struct gguf_type_info *k = layer->mtp ? settings->draft_k : settings->k;
        const struct gguf_type_info *v = layer->mtp ? settings->draft_v : settings->v;
        uint64_t rows = (uint64_t)(layer->sliding ? cells->sliding : cells->full) * cells->streams;
        if (layer->attends)
            part_at(out, at)->kv += layer_bytes(model, settings, layer, rows, k, v);
        if (layer->attends && model->index_cached)
            part_at(out, at)->kv += rows * gguf_row_bytes(k, model->index_width);
        if (layer->recurrent)
            part_at(out, at)->state +=
                states * 4 * ((uint64_t)model->state_r + (uint64_t)model->state_s);
    }
}

uint64_t plan_checkpoint_bytes(const struct model *model, const struct plan_settings *settings) {
    struct cells cells;
    cells_of(model, settings, &cells);
    uint64_t rows = model->window < cells.full ? model->window : cells.full, bytes = 0;
    for (uint32_t i = 0; i < model->layers; i++) {
        const struct model_layer *layer = &model->layer[i];
        if (layer->mtp)
            continue;
        if (layer->recurrent)
            bytes += 4 * ((uint64_t)model->state_r + (uint64_t)model->state_s);
        if (layer->attends && layer->sliding && !settings->swa_full)
            bytes += layer_bytes(model, settings, layer, rows, settings->k, settings->v);
    }
    return bytes;
}

uint64_t unpacked_bytes(const struct model *model, const struct plan_settings *settings,
                        const struct model_layer *layer, uint64_t cells) {
    uint64_t bytes = 0;
    if (settings->k->id != GGUF_TYPE_F16)
        bytes += 2ull * layer->head_k * layer->heads_kv * cells;
    if (settings->v->id != GGUF_TYPE_F16 && !model->mla)
        bytes += 2ull * layer->head_v * layer->heads_kv * cells;
    return bytes;
}
