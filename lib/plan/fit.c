#include "plan/fit.h"

#include <stdio.h>
#include <string.h>

bool fit_plan(const struct fit *fit, struct plan *out) {
    plan_make(fit->model, fit->draft, fit->projector, &fit->settings, fit->machine, out);
    if (out->fits && !plan_cache_works(fit->model, &fit->settings)) {
        out->fits = false;
        snprintf(out->reason, sizeof out->reason, "the model cannot have such a cache");
    }
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

// Between a value that fits and one that does not, memory is nearly a straight line: look where it
// crosses zero first, halve when that does not help.
struct search {
    int64_t good, bad;             // values
    int64_t good_spare, bad_spare; // bytes; of bad negative
    int tries;
};

static int64_t search_next(struct search *s) {
    int64_t width = s->bad - s->good, middle = s->good + width / 2;
    double share = (double)s->good_spare / ((double)s->good_spare - (double)s->bad_spare);
    if (s->tries++ < 6)
        middle = s->good + (int64_t)((double)width * share);
    if (middle == s->good)
        middle += width > 0 ? 1 : -1;
    if (middle == s->bad)
        middle += width > 0 ? -1 : 1;
    return middle;
}

static void search_learn(struct search *s, int64_t value, const struct plan *plan) {
    if (plan->fits) {
        s->good = value;
        s->good_spare = plan->spare_bytes;
    } else {
        s->bad = value;
        s->bad_spare = plan->spare_bytes;
    }
}

// `good` fits and `bad` does not; leaves the last value that fits set, and its plan in `out`.
static void search_edge(struct fit *fit, struct search *s,
                        void (*set)(struct fit *fit, int64_t value), struct plan *out) {
    while (s->bad - s->good > 1 || s->good - s->bad > 1) {
        int64_t value = search_next(s);
        set(fit, value);
        fit_plan(fit, out);
        search_learn(s, value, out);
    }
    set(fit, s->good);
    fit_plan(fit, out);
}

static void set_ctx(struct fit *fit, int64_t steps) {
    fit->settings.ctx = (uint32_t)steps * ctx_step(fit);
}

bool fit_ctx_max(struct fit *fit, struct plan *out) {
    uint32_t before = fit->settings.ctx, limit = ctx_limit(fit);
    struct search search = {0};
    fit->settings.ctx = limit;
    if (fit_plan(fit, out))
        return true;
    search_learn(&search, limit / ctx_step(fit) + 1, out);
    set_ctx(fit, 1);
    if (!fit_plan(fit, out)) {
        fit->settings.ctx = before;
        fit_plan(fit, out);
        return false;
    }
    search_learn(&search, 1, out);
    search_edge(fit, &search, set_ctx, out);
    return true;
}

// The smallest n in [0, max] for which `set` gives a plan that fits the devices, which larger n
// relieve. False when there is none.
static bool smallest_on_devices(struct fit *fit, uint32_t max, void (*set)(struct fit *, int64_t),
                                struct plan *out) {
    struct search search = {0};
    set(fit, 0);
    if (fit_plan(fit, out))
        return true;
    search_learn(&search, 0, out);
    set(fit, max);
    if (!fit_plan(fit, out))
        return false;
    search_learn(&search, max, out);
    search_edge(fit, &search, set, out);
    return true;
}

// The smallest n for which the plan fits. What larger n take off the devices lands in host memory:
// when that has no room for the smallest that suits the devices, it has none for any.
static bool smallest(struct fit *fit, uint32_t max, void (*set)(struct fit *, int64_t),
                     struct plan *out) {
    struct plan_settings before = fit->settings;
    const struct plan_machine *machine = fit->machine;
    struct plan_machine devices = *machine;
    devices.ram_bytes = PLAN_UNKNOWN;
    fit->machine = &devices;
    bool found = smallest_on_devices(fit, max, set, out);
    fit->machine = machine;
    if (found && fit_plan(fit, out))
        return true;
    fit->settings = before;
    fit_plan(fit, out);
    return false;
}

static void set_ncmoe(struct fit *fit, int64_t n) {
    if (!fit->layers_fixed)
        fit->settings.ngl = UINT32_MAX;
    fit->settings.ncmoe = (uint32_t)n;
}

static void set_layers_off(struct fit *fit, int64_t n) {
    fit->settings.ncmoe = 0;
    fit->settings.ngl = fit->model->layers + 1 - (uint32_t)n;
}

bool fit_offload(struct fit *fit, struct plan *out) {
    if (fit->machine->devices == 0)
        return fit_plan(fit, out);
    if (fit->model->experts && smallest(fit, fit->model->layers, set_ncmoe, out))
        return true;
    return !fit->layers_fixed && smallest(fit, fit->model->layers + 1, set_layers_off, out);
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

static size_t add_proposal(const struct fit *fit, struct fit_proposal *list, size_t count,
                           const struct fit_proposal *new) {
    for (size_t i = 0; i < count; i++)
        if (beats(fit, &list[i], new))
            return count;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (!beats(fit, new, &list[i]))
            list[kept++] = list[i];
    list[kept++] = *new;
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

// What most people want most: a context of 32K or more, at no loss, as fast as can be. A layer's
// experts on the CPU cost little next to a whole layer there.
static double worth(const struct fit *fit, const struct fit_proposal *p) {
    double ctx = (double)p->plan.ctx_slot / 32768;
    double room = ctx < 1 ? ctx : ctx < 4 ? 1 + 0.1 * (ctx - 1) : 1.3;
    double cpu = (double)on_cpu(fit, &p->settings) / fit->model->layers;
    double speed = 1 / (1 + (p->settings.ncmoe ? 3 : 10) * cpu);
    return room * speed * (cache_bits(&p->settings) >= 128 ? 1 : 0.85);
}

bool fit_choose(struct fit *fit, struct plan *out) {
    static const char *const TYPES[] = {"f16", "q8_0", "q4_0"};
    if (!fit->kv_free)
        return fit_resolve(fit, out);
    struct fit best = *fit;
    double best_worth = 0;
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
        struct fit trial = *fit;
        trial.settings.k = trial.settings.v = gguf_type_named(TYPES[i]);
        if (!fit_resolve(&trial, out))
            continue;
        struct fit_proposal proposal = {.settings = trial.settings, .plan = *out};
        if (worth(fit, &proposal) > best_worth) {
            best_worth = worth(fit, &proposal);
            best = trial;
        }
    }
    if (best_worth > 0)
        fit->settings = best.settings;
    return fit_plan(fit, out) && best_worth > 0;
}

// `wanted` 0: all on the devices, and the context that leaves.
static bool try_one(const struct fit *fit, const char *type, uint32_t wanted,
                    struct fit_proposal *out) {
    struct fit trial = *fit;
    if (type)
        trial.settings.k = trial.settings.v = gguf_type_named(type);
    bool ok;
    if (wanted == 0) {
        if (fit->offload_free)
            set_ncmoe(&trial, 0);
        ok = trial.ctx_free ? fit_ctx_max(&trial, &out->plan) : fit_plan(&trial, &out->plan);
    } else {
        trial.settings.ctx = wanted;
        ok = fit->offload_free ? fit_offload(&trial, &out->plan) : fit_plan(&trial, &out->plan);
    }
    out->settings = trial.settings;
    return ok && out->plan.ctx_slot >= 1024;
}

size_t fit_propose(const struct fit *fit, struct fit_proposal *out) {
    static const char *const TYPES[] = {"f16", "q8_0", "q4_0"};
    enum { TRIALS = 15 };
    struct fit_proposal list[TRIALS + 1];
    size_t count = 0;
    uint32_t limit = ctx_limit(fit);
    uint32_t most = fit->ctx_free || fit->settings.ctx == 0 ? limit : fit->settings.ctx;
    const uint32_t contexts[] = {0, most, 131072, 65536, 32768};
    for (size_t t = 0; t < (fit->kv_free ? 3u : 1u); t++)
        for (size_t c = 0; c < 5; c++) {
            struct fit_proposal p = {0};
            bool repeats = c > 1 && contexts[c] >= limit;
            if (repeats || (c > 0 && (!fit->ctx_free || fit->machine->devices == 0) && c != 1) ||
                !try_one(fit, fit->kv_free ? TYPES[t] : NULL, contexts[c], &p))
                continue;
            describe(fit, &p);
            count = add_proposal(fit, list, count, &p);
        }
    for (size_t i = 0; i < count; i++) // the worthiest first
        for (size_t j = i + 1; j < count; j++)
            if (worth(fit, &list[j]) > worth(fit, &list[i])) {
                struct fit_proposal swap = list[i];
                list[i] = list[j];
                list[j] = swap;
            }
    if (count > FIT_PROPOSALS_MAX)
        count = FIT_PROPOSALS_MAX;
    memcpy(out, list, count * sizeof *list);
    return count;
}
