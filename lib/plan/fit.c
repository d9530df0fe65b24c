#include "plan/fit.h"

#include <stdio.h>
#include <string.h>

bool fit_plan(const struct fit *fit, struct plan *out) {
    plan_make(fit->model, fit->draft, fit->projector, &fit->settings, fit->machine, out);
    return out->fits;
}

// Contexts are tried in steps that the engine would round to anyway, and that read well.
static uint32_t ctx_step(const struct fit *fit) {
    uint32_t slots = fit->settings.unified ? 1 : fit->settings.parallel;
    return 1024 * (slots ? slots : 1);
}

static uint32_t ctx_limit(const struct fit *fit) {
    uint64_t slots = fit->settings.unified ? 1 : fit->settings.parallel;
    uint64_t limit = (fit->model->ctx_train ? fit->model->ctx_train : 32768) * (slots ? slots : 1);
    return limit > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)limit;
}

bool fit_ctx_max(struct fit *fit, struct plan *out) {
    uint32_t before = fit->settings.ctx, step = ctx_step(fit), limit = ctx_limit(fit);
    fit->settings.ctx = limit;
    if (fit_plan(fit, out))
        return true;
    uint32_t low = 0, high = limit / step + 1; // in steps: low fits, high does not
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        fit->settings.ctx = middle * step;
        if (fit_plan(fit, out))
            low = middle;
        else
            high = middle;
    }
    fit->settings.ctx = low ? low * step : before;
    return fit_plan(fit, out) && low > 0;
}

// The smallest n in [0, max] for which `set` gives a plan that fits; larger n never needs more.
static bool smallest(struct fit *fit, uint32_t max, void (*set)(struct fit *, uint32_t),
                     struct plan *out) {
    struct plan_settings before = fit->settings;
    set(fit, max);
    if (!fit_plan(fit, out)) {
        fit->settings = before;
        fit_plan(fit, out);
        return false;
    }
    uint32_t low = 0, high = max; // high fits
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        set(fit, middle);
        if (fit_plan(fit, out))
            high = middle;
        else
            low = middle + 1;
    }
    set(fit, high);
    return fit_plan(fit, out);
}

static void set_ncmoe(struct fit *fit, uint32_t n) {
    fit->settings.ngl = UINT32_MAX;
    fit->settings.ncmoe = n;
}

static void set_layers_off(struct fit *fit, uint32_t n) {
    fit->settings.ncmoe = 0;
    fit->settings.ngl = fit->model->layers + 1 - n;
}

bool fit_offload(struct fit *fit, struct plan *out) {
    if (fit->machine->devices == 0)
        return fit_plan(fit, out);
    if (fit->model->experts && smallest(fit, fit->model->layers, set_ncmoe, out))
        return true;
    return smallest(fit, fit->model->layers + 1, set_layers_off, out);
}

bool fit_resolve(struct fit *fit, struct plan *out) {
    if (fit_plan(fit, out) && !fit->ctx_free)
        return true;
    if (fit->ctx_free && !fit->offload_free)
        return fit_ctx_max(fit, out);
    if (!fit->ctx_free)
        return fit->offload_free && fit_offload(fit, out);
    // Both are free: all on the devices if that leaves a useful context, else make room for one.
    struct fit trial = *fit;
    set_ncmoe(&trial, 0);
    uint32_t useful = ctx_limit(fit) < 32768 ? ctx_limit(fit) : 32768;
    if (!fit_ctx_max(&trial, out) || trial.settings.ctx < useful) {
        trial = *fit;
        trial.settings.ctx = useful;
        if (!fit_offload(&trial, out))
            return false;
        fit_ctx_max(&trial, out);
    }
    fit->settings = trial.settings;
    return true;
}

void fit_nearest(const struct fit *fit, char *text, size_t size) {
    struct plan plan;
    struct fit trial = *fit;
    size_t length = 0;
    text[0] = '\0';
    uint32_t asked = fit->settings.ctx ? fit->settings.ctx : fit->model->ctx_train;
    if (fit_ctx_max(&trial, &plan) && trial.settings.ctx >= 1024 && trial.settings.ctx < asked)
        length += (size_t)snprintf(text + length, size - length, "ctx = %u", trial.settings.ctx);
    static const char *const SMALLER[] = {"q8_0", "q4_0"};
    for (size_t i = 0; i < 2 && length < size; i++) {
        trial = *fit;
        trial.settings.k = trial.settings.v = gguf_type_named(SMALLER[i]);
        bool smaller = trial.settings.k->block_bytes * fit->settings.k->block <
                       fit->settings.k->block_bytes * trial.settings.k->block;
        if (smaller && fit_plan(&trial, &plan)) {
            length += (size_t)snprintf(text + length, size - length, "%skv = %s",
                                       length ? ", or " : "", SMALLER[i]);
            break;
        }
    }
    trial = *fit;
    if (length < size && fit->machine->devices && fit_offload(&trial, &plan)) {
        if (trial.settings.ncmoe > fit->settings.ncmoe)
            snprintf(text + length, size - length, "%sn-cpu-moe = %u", length ? ", or " : "",
                     trial.settings.ncmoe);
        else if (trial.settings.ngl < fit->model->layers + 1)
            snprintf(text + length, size - length, "%sgpu-layers = %u (much slower)",
                     length ? ", or " : "", trial.settings.ngl);
    }
}

// How much of the model works on the CPU, in layers; fewer is faster.
static uint32_t on_cpu(const struct fit *fit, const struct plan_settings *s) {
    if (s->ncmoe)
        return s->ncmoe;
    return s->ngl > fit->model->layers ? 0 : fit->model->layers + 1 - s->ngl;
}

static uint32_t cache_bits(const struct plan_settings *s) {
    return s->k->block_bytes * 8 * 16 / s->k->block;
}

static bool beats(const struct fit *fit, const struct fit_proposal *a,
                  const struct fit_proposal *b) {
    return a->plan.ctx_slot >= b->plan.ctx_slot &&
           on_cpu(fit, &a->settings) <= on_cpu(fit, &b->settings) &&
           cache_bits(&a->settings) >= cache_bits(&b->settings);
}

static size_t add_proposal(const struct fit *fit, struct fit_proposal *out, size_t count,
                           const struct fit_proposal *new) {
    for (size_t i = 0; i < count; i++)
        if (beats(fit, &out[i], new))
            return count;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (!beats(fit, new, &out[i]))
            out[kept++] = out[i];
    if (kept < FIT_PROPOSALS_MAX)
        out[kept++] = *new;
    return kept;
}

static void describe(const struct fit *fit, struct fit_proposal *p) {
    uint32_t cpu = on_cpu(fit, &p->settings);
    char place[80];
    if (fit->machine->devices == 0)
        snprintf(place, sizeof place, "all on the CPU");
    else if (cpu == 0)
        snprintf(place, sizeof place, "all on the GPU: the fastest");
    else if (p->settings.ncmoe)
        snprintf(place, sizeof place, "experts of %u of %u layers on the CPU", cpu,
                 fit->model->layers);
    else
        snprintf(place, sizeof place, "%u of %u layers on the CPU: slow", cpu, fit->model->layers);
    uint32_t bits = cache_bits(&p->settings);
    const char *cache = bits >= 256   ? "full cache precision"
                        : bits >= 128 ? "8-bit cache, no loss to notice"
                                      : "4-bit cache: long recall suffers a little";
    snprintf(p->words, sizeof p->words, "%s; %s", place, cache);
}

// A long context at 8 bits with the least on the CPU serves most people best.
static double worth(const struct fit *fit, const struct fit_proposal *p) {
    double ctx = p->plan.ctx_slot > 131072 ? 131072 : p->plan.ctx_slot;
    double cpu = fit->model->layers ? (double)on_cpu(fit, &p->settings) / fit->model->layers : 0;
    double bits = cache_bits(&p->settings) >= 128 ? 1 : 0.8;
    return (ctx / 32768 > 1 ? 1 + (ctx / 32768 - 1) * 0.15 : ctx / 32768) * bits * (1 - 0.7 * cpu);
}

size_t fit_propose(const struct fit *fit, struct fit_proposal *out) {
    static const char *const TYPES[] = {"f16", "q8_0", "q4_0"};
    static const uint32_t CONTEXTS[] = {0, 131072, 65536, 32768}; // 0: as trained
    size_t count = 0;
    for (size_t t = 0; t < (fit->kv_free ? 3u : 1u); t++) {
        for (size_t c = 0; c < 5; c++) {
            struct fit trial = *fit;
            struct fit_proposal p;
            if (fit->kv_free)
                trial.settings.k = trial.settings.v = gguf_type_named(TYPES[t]);
            bool ok;
            if (c == 4) { // all on the devices, whatever context that leaves
                if (fit->offload_free)
                    set_ncmoe(&trial, 0);
                ok = trial.ctx_free ? fit_ctx_max(&trial, &p.plan) : fit_plan(&trial, &p.plan);
            } else {
                uint32_t wanted = CONTEXTS[c] ? CONTEXTS[c] : ctx_limit(fit);
                if (wanted > ctx_limit(fit))
                    continue;
                if (trial.ctx_free)
                    trial.settings.ctx = wanted;
                ok = fit->offload_free ? fit_offload(&trial, &p.plan) : fit_plan(&trial, &p.plan);
            }
            if (!ok || p.plan.ctx_slot < 1024)
                continue;
            p.settings = trial.settings;
            describe(fit, &p);
            count = add_proposal(fit, out, count, &p);
        }
    }
    for (size_t i = 1; i < count; i++) // the recommended one first
        if (worth(fit, &out[i]) > worth(fit, &out[0])) {
            struct fit_proposal swap = out[0];
            out[0] = out[i];
            out[i] = swap;
        }
    return count;
}
