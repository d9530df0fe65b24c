#include "plan/parts.h"

#include <stdio.h>
#include <string.h>

#define MIB (1024.0 * 1024.0)

static const struct {
    const char *name;
    uint32_t overhead_mib; // a context with its libraries, typically; learned later for each card
    uint32_t margin_mib;   // left free: allocations that grow with use
    uint32_t reserved_mib; // of a nominal size: firmware, driver and a screen
} KINDS[] = {
    [PLAN_CPU] = {"cpu", 0, 0, 0},         [PLAN_CUDA] = {"cuda", 500, 256, 600},
    [PLAN_ROCM] = {"rocm", 450, 256, 600}, [PLAN_VULKAN] = {"vulkan", 300, 256, 600},
    [PLAN_METAL] = {"metal", 100, 256, 0}, [PLAN_RPC] = {"rpc", 0, 0, 0},
};

const char *plan_type_name(const struct gguf_type_info *type, char name[16]) {
    size_t n = 0;
    for (; type->name[n] && n < 15; n++)
        name[n] = (char)(type->name[n] >= 'A' && type->name[n] <= 'Z' ? type->name[n] + 32
                                                                      : type->name[n]);
    name[n] = '\0';
    return name;
}

const char *plan_kind_name(enum plan_kind kind) { return KINDS[kind].name; }

bool plan_kind_parse(const char *text, enum plan_kind *out) {
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
        if (strcmp(text, KINDS[i].name) == 0) {
            *out = (enum plan_kind)i;
            return true;
        }
    return false;
}

bool plan_has(const struct plan_settings *settings, int build) {
    return settings->engine_build == 0 || settings->engine_build >= build;
}

void plan_settings_init(struct plan_settings *settings) {
    *settings = (struct plan_settings){
        .parallel = 4, // llama-server's own default: four slots that share one cache
        .unified = true,
        .batch = 2048,
        .ubatch = 512,
        .ngl = UINT32_MAX,
        .k = gguf_type_info(GGUF_TYPE_F16),
        .v = gguf_type_info(GGUF_TYPE_F16),
        .flash_attention = true,
        .kv_offload = true,
        .draft_tokens = 3,
        .draft_ngl = UINT32_MAX,
        .draft_k = gguf_type_info(GGUF_TYPE_F16),
        .draft_v = gguf_type_info(GGUF_TYPE_F16),
    };
}

uint64_t plan_total(const struct plan_part *part) {
    return part->weights + part->kv + part->state + part->compute + part->overhead;
}

static void add_part(struct plan_part *to, const struct plan_part *from) {
    to->weights += from->weights;
    to->kv += from->kv;
    to->state += from->state;
    to->compute += from->compute;
    to->overhead += from->overhead;
}

// One model with its own cache and buffers.
static void add_model(const struct model *model, const struct plan_settings *settings,
                      const struct plan_machine *machine, struct plan *out) {
    struct placement place;
    struct cells cells;
    place_layers(model, settings, machine, &place);
    cells_of(model, settings, &cells);
    add_weights(model, settings, machine, &place, out);
    add_cache(model, settings, &place, &cells, out);
    add_compute(model, settings, machine, &place, &cells, out);
    out->host.overhead += (uint64_t)cells.sequences * model->vocab * 4; // the output buffer
    out->ctx_slot = cells.full;
    out->ctx_total = cells.full * cells.streams;
    for (uint32_t i = 0; i < model->layers; i++)
        out->layers_offloaded += place.layer[i] != PLACE_HOST;
}

// The draft holds the same context; it makes one guess after another, for each slot.
static void add_draft(const struct model *draft, const struct plan_settings *settings,
                      const struct plan_machine *machine, struct plan *out) {
    struct plan_settings own = *settings;
    own.k = settings->draft_k;
    own.v = settings->draft_v;
    own.ngl = settings->draft_ngl;
    own.ncmoe = own.ncffn = 0;
    own.draft = PLAN_DRAFT_NONE;
    struct plan part = {.devices = machine->devices};
    add_model(draft, &own, machine, &part);
    for (size_t i = 0; i < machine->devices; i++)
        add_part(&out->device[i], &part.device[i]);
    add_part(&out->host, &part.host);
    out->estimated |= part.estimated;
}

static void check_room(const struct plan_device *device, const struct plan_part *part,
                       struct plan *out) {
    uint32_t free_mib =
        KINDS[device->kind].margin_mib + (device->nominal ? KINDS[device->kind].reserved_mib : 0);
    if (device->capacity_bytes == PLAN_UNKNOWN)
        return;
    uint64_t need = plan_total(part) + ((uint64_t)free_mib << 20);
    int64_t spare = (int64_t)device->capacity_bytes - (int64_t)need;
    if (spare < out->spare_bytes)
        out->spare_bytes = spare;
    if (spare >= 0 || !out->fits)
        return;
    out->fits = false;
    char left[64] = "";
    if (free_mib)
        snprintf(left, sizeof left, "; %u MiB must stay free", free_mib);
    snprintf(
        out->reason, sizeof out->reason,
        "%s has %.0f MiB, %.0f too little: weights %.0f + KV cache %.0f + state %.0f + compute "
        "%.0f + driver %.0f = %.0f MiB%s",
        device->name, (double)device->capacity_bytes / MIB, (double)-spare / MIB,
        (double)part->weights / MIB, (double)part->kv / MIB, (double)part->state / MIB,
        (double)part->compute / MIB, (double)part->overhead / MIB, (double)plan_total(part) / MIB,
        left);
}

static void judge(const struct plan_machine *machine, struct plan *out) {
    out->fits = true;
    out->spare_bytes = INT64_MAX;
    for (size_t i = 0; i < machine->devices; i++)
        check_room(&machine->device[i], &out->device[i], out);
    struct plan_device host = {
        .name = PLAN_HOST_NAME, .kind = PLAN_CPU, .capacity_bytes = machine->ram_bytes};
    check_room(&host, &out->host, out);
}

void plan_make(const struct model *model, const struct model *draft, const struct gguf *projector,
               const struct plan_settings *settings, const struct plan_machine *machine,
               struct plan *out) {
    *out = (struct plan){.devices = machine->devices};
    for (size_t i = 0; i < machine->devices; i++) {
        const struct plan_device *device = &machine->device[i];
        out->device[i].overhead = device->overhead_bytes != PLAN_UNKNOWN
                                      ? device->overhead_bytes
                                      : (uint64_t)KINDS[device->kind].overhead_mib << 20;
    }
    if (draft)
        add_draft(draft, settings, machine, out);
    if (projector)
        add_projector(projector, machine, out);
    add_model(model, settings, machine, out);
    judge(machine, out);
}

// The layer whose heads the blocks of a quantised cache type do not divide (llama-context.cpp,
// llama_init_from_model); NULL when there is none.
static const struct model_layer *misfit(const struct model *model,
                                        const struct plan_settings *settings) {
    for (uint32_t i = 0; settings->flash_attention && i < model->layers; i++) {
        const struct model_layer *l = &model->layer[i];
        if (!l->mtp && (l->head_k % settings->k->block || l->head_v % settings->v->block))
            return l;
    }
    return NULL;
}

bool plan_cache_works(const struct model *model, const struct plan_settings *settings) {
    return (settings->flash_attention || settings->v->block == 1) && !misfit(model, settings);
}

int plan_check(const struct model *model, const struct plan_settings *settings,
               void (*say)(void *arg, bool is_error, const char *text), void *arg) {
    char text[320], k[16], v[16];
    int errors = 0;
    plan_type_name(settings->k, k);
    plan_type_name(settings->v, v);
    if (settings->k != settings->v && !model->mla) {
        snprintf(text, sizeof text,
                 "the cache types differ (K %s, V %s): GPUs have no kernel for that and fall to a "
                 "few tokens a second; set both to the same type with kv = %s",
                 k, v, k);
        say(arg, true, text);
        errors++;
    }
    if (!settings->flash_attention && settings->v->block > 1) {
        snprintf(text, sizeof text,
                 "a quantised V cache (%s) needs flash attention: leave flash-attn on, or use "
                 "kv = f16",
                 v);
        say(arg, true, text);
        errors++;
    }
    const struct model_layer *odd = misfit(model, settings);
    if (odd) {
        bool key = odd->head_k % settings->k->block != 0;
        snprintf(text, sizeof text,
                 "a %s cache holds blocks of %u values, and this model's heads have %u: the engine "
                 "does not start with that; use kv = f16",
                 key ? k : v, key ? settings->k->block : settings->v->block,
                 key ? odd->head_k : odd->head_v);
        say(arg, true, text);
        errors++;
    }
    struct cells cells;
    cells_of(model, settings, &cells);
    if (!settings->rope_told && model->ctx_train && cells.full > pad_to(model->ctx_train, 256)) {
        snprintf(text, sizeof text,
                 "the model was trained for %u tokens; a slot of %u would go beyond that, where "
                 "answers degrade",
                 model->ctx_train, cells.full);
        say(arg, false, text);
    }
    return errors;
}
