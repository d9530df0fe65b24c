#include "plan/tune_prior.h"

#include "base/mem.h"

#include <math.h>

struct effect { // of a draft, in ln
    double mean, accept, cost;
};

struct tune_prior {
    const struct tune_space *space;
    const struct tune_cell *cells;
    size_t count;
    // By axis and pair of its values: covariance of their effects, and likeness.
    double *table[TUNE_OUTPUTS][TUNE_AXES], *like[TUNE_AXES];
    double *bias[TUNE_OUTPUTS][TUNE_AXES]; // expected effect of a value
    struct effect *draft;                  // by draft and length
    int axes[TUNE_AXES];                   // those that are tuned
    size_t axes_count;
    struct tune_expected *expected; // by cell
};

static const double FULL_LOSS = 0.06;
static const double TOGETHER[TUNE_OUTPUTS] = {0.02, 0.03}; // effects that only a pair of axes has

static size_t values(const struct tune_prior *prior, int axis) {
    size_t count = prior->space->axis[axis].count;
    return count ? count : 1;
}

static double value(const struct tune_prior *prior, int axis, size_t i) {
    const struct tune_list *list = &prior->space->axis[axis];
    return list->count ? list->values[i] : 0;
}

// Layers on the CPU; also where their number is not tuned.
static double on_cpu_at(const struct tune_prior *prior, size_t i) {
    const struct tune_list *list = &prior->space->axis[TUNE_OFFLOAD];
    return list->count ? list->values[i] : prior->space->hints.layers_on_cpu;
}

bool tune_prior_tunes(const struct tune_prior *prior, enum tune_axis axis) {
    return prior->space->axis[axis].count > 1;
}

bool tune_prior_streams(const struct tune_prior *prior) {
    return !prior->space->hints.cpu_only &&
           (prior->space->axis[TUNE_OFFLOAD].count > 1 || on_cpu_at(prior, 0) > 0);
}

static double bell(double distance, double length) {
    double d = distance / length;
    return exp(-0.5 * d * d);
}

static double octaves(double value, double reference) {
    return log2(fmax(value, 1) / fmax(reference, 1));
}

static double physical(const struct tune_prior *prior) {
    const struct tune_hints *hints = &prior->space->hints;
    return hints->cores_physical > 0 ? hints->cores_physical : value(prior, TUNE_THREADS, 0);
}

// How far into the second thread of each core: 0 none, 1 all.
static double doubled(const struct tune_prior *prior, double threads) {
    double cores = physical(prior), logical = prior->space->hints.cores_logical;
    if (logical <= cores)
        return threads > cores ? 1 : 0;
    double share = (threads - cores) / (logical - cores);
    return share < 0 ? 0 : share > 1 ? 1 : share;
}

static double threads_cov(const struct tune_prior *prior, int output, double a, double b) {
    const struct tune_hints *hints = &prior->space->hints;
    double cores = physical(prior), scale = 1;
    if (output == TUNE_PREFILL && !hints->cpu_only)
        scale = 0.15;
    double all = hints->cores_logical;
    double full = all > 0 && a >= all && b >= all ? 0.1 * 0.1 : 0;
    double smooth = 0.2 * 0.2 * bell(octaves(a, cores) - octaves(b, cores), 0.8);
    return scale * scale * (smooth + 0.15 * 0.15 * doubled(prior, a) * doubled(prior, b) + full);
}

// A batch costs something before its first token: small ones lose much, large ones little.
static double ubatch_gain(const struct tune_prior *prior, double tokens) {
    double half = prior->space->hints.cpu_only ? 40 : tune_prior_streams(prior) ? 1500 : 400;
    double from = value(prior, TUNE_UBATCH, 0);
    return log(1 + half / from) - log(1 + half / tokens);
}

static double ubatch_cov(const struct tune_prior *prior, int output, double a, double b) {
    double from = value(prior, TUNE_UBATCH, 0), x = octaves(a, from), y = octaves(b, from);
    if (output == TUNE_DECODE)
        return 0.015 * 0.015 * bell(x - y, 1.5);
    double slope = prior->space->hints.cpu_only ? 0.04 : 0.08;
    double bend = prior->space->hints.cpu_only ? 0.08 : 0.15;
    return 0.7 * 0.7 * ubatch_gain(prior, a) * ubatch_gain(prior, b) + slope * slope * x * y +
           bend * bend * bell(x - y, 1.6);
}

// Effects of a kind that all values but the present one share, and of each value alone.
static double kind_cov(size_t i, size_t k, bool other_i, bool other_k, double shared, double own) {
    return (other_i && other_k ? shared * shared : 0) + (i == k ? own * own : 0);
}

static double axis_cov(const struct tune_prior *prior, int output, int axis, size_t i, size_t k) {
    double a = value(prior, axis, i), b = value(prior, axis, k);
    bool decode = output == TUNE_DECODE;
    switch ((enum tune_axis)axis) {
    case TUNE_OFFLOAD: {
        double far = 0;
        for (size_t v = 0; v < values(prior, axis); v++)
            far = fmax(far, value(prior, axis, v));
        double sd = decode ? 0.04 : 0.12;
        return sd * sd * bell(a - b, fmax(0.35 * far, 2));
    }
    case TUNE_THREADS: return threads_cov(prior, output, a, b);
    case TUNE_UBATCH: return ubatch_cov(prior, output, a, b);
    case TUNE_KV: return kind_cov(i, k, i > 0, k > 0, 0.045, decode ? 0.065 : 0.055);
    case TUNE_FLASH: {
        // On a CPU its kernel may be written for other instructions than ours: on one with AVX-512
        // and f16 caches, decode took 1.6 times as long with it.
        double sd = prior->space->hints.cpu_only ? (decode ? 0.25 : 0.2) : (decode ? 0.1 : 0.15);
        return kind_cov(i, k, false, false, 0, sd);
    }
    case TUNE_REPACK: return kind_cov(i, k, false, false, 0, decode ? 0.12 : 0.3);
    case TUNE_DRAFT: // draft_cov: a draft and its length are one
    case TUNE_DRAFT_N:
    case TUNE_AXES: break;
    }
    return 0;
}

static double axis_like(const struct tune_prior *prior, int axis, size_t i, size_t k) {
    double a = value(prior, axis, i), b = value(prior, axis, k);
    if (i == k)
        return 1;
    switch ((enum tune_axis)axis) {
    case TUNE_OFFLOAD: return bell(a - b, 8);
    case TUNE_THREADS:
    case TUNE_UBATCH: return bell(octaves(a, 1) - octaves(b, 1), 1.5);
    default: return 0.4;
    }
}

// Leviathan, Kalman and Matias, Fast Inference from Transformers via Speculative Decoding (2023):
// n guesses, each accepted with probability a, give (1 - a^(n+1)) / (1 - a) tokens a step, which
// costs n drafted tokens and the check of all.
static double draft_gain(double accept, double cost, double n) {
    return log((1 - pow(accept, n + 1)) / (1 - accept) / (1 + n * cost));
}

// Of a draft with a length, and how it moves with what is not known: acceptance and cost.
static void fill_drafts(struct tune_prior *prior) {
    size_t lengths = values(prior, TUNE_DRAFT_N), drafts = values(prior, TUNE_DRAFT);
    const double accept = 0.6, cost = 0.15;
    prior->draft = mem_alloc(drafts * lengths * sizeof *prior->draft);
    for (size_t d = 0; d < drafts; d++)
        for (size_t l = 0; l < lengths; l++) {
            double n = value(prior, TUNE_DRAFT_N, l), told = prior->space->hints.draft_gain[d];
            struct effect *effect = &prior->draft[d * lengths + l];
            if (value(prior, TUNE_DRAFT, d) <= 0)
                continue;
            n = n > 0 ? n : 3;
            double gain = draft_gain(accept, cost, n);
            effect->mean = told > 0 ? log(told) + gain - draft_gain(accept, cost, 3) : gain;
            effect->accept = draft_gain(accept + 0.15, cost, n) - gain;
            effect->cost = draft_gain(accept, cost * 1.7, n) - gain;
        }
}

static const struct effect *draft_effect(const struct tune_prior *prior,
                                         const struct tune_cell *cell) {
    return &prior->draft[cell->at[TUNE_DRAFT] * values(prior, TUNE_DRAFT_N) +
                         cell->at[TUNE_DRAFT_N]];
}

static double draft_cov(const struct tune_prior *prior, const struct tune_cell *a,
                        const struct tune_cell *b) {
    const struct effect *x = draft_effect(prior, a), *y = draft_effect(prior, b);
    bool same = a->at[TUNE_DRAFT] == b->at[TUNE_DRAFT];
    return x->accept * y->accept * (same ? 1 : 0.3) + x->cost * y->cost * (same ? 1 : 0.5);
}

static double threads_bias(const struct tune_prior *prior, size_t i) {
    double threads = value(prior, TUNE_THREADS, i), cores = physical(prior);
    // Memory is saturated by about two thirds of the cores.
    double used = fmin(threads, cores);
    // With none left for anything else, all wait for the one that is interrupted.
    double all = prior->space->hints.cores_logical,
           full = all > 1 && threads >= all ? FULL_LOSS : 0;
    return -log(1 / used + 1.5 / cores) + log(2.5 / cores) - 0.05 * doubled(prior, threads) - full;
}

static double axis_bias(const struct tune_prior *prior, int output, int axis, size_t i) {
    const struct tune_hints *hints = &prior->space->hints;
    if (axis == TUNE_THREADS)
        return (output == TUNE_PREFILL && !hints->cpu_only ? 0.1 : 1) * threads_bias(prior, i);
    if (axis == TUNE_UBATCH && output == TUNE_PREFILL)
        return ubatch_gain(prior, value(prior, axis, i));
    if (axis == TUNE_FLASH && value(prior, axis, i) == 2)
        return output == TUNE_DECODE ? -0.03 : -0.08;
    if (axis == TUNE_KV && output == TUNE_DECODE && hints->gpu_bytes > 0)
        return -log((hints->gpu_bytes + hints->kv_bytes[i]) /
                    (hints->gpu_bytes + hints->kv_bytes[0]));
    return 0;
}

static void fill_axis(struct tune_prior *prior, int axis) {
    size_t n = values(prior, axis);
    prior->like[axis] = mem_alloc(n * n * sizeof(double));
    for (int o = 0; o < TUNE_OUTPUTS; o++) {
        prior->table[o][axis] = mem_alloc(n * n * sizeof(double));
        prior->bias[o][axis] = mem_alloc(n * sizeof(double));
    }
    bool tuned = prior->space->axis[axis].count > 1;
    for (size_t i = 0; i < n; i++) {
        for (int o = 0; o < TUNE_OUTPUTS && tuned; o++)
            prior->bias[o][axis][i] = axis_bias(prior, o, axis, i);
        for (size_t k = 0; k < n; k++) {
            prior->like[axis][i * n + k] = tuned ? axis_like(prior, axis, i, k) : 1;
            for (int o = 0; o < TUNE_OUTPUTS && tuned; o++)
                prior->table[o][axis][i * n + k] = axis_cov(prior, o, axis, i, k);
        }
    }
}

static void fill_expected(struct tune_prior *prior) {
    double least = INFINITY;
    for (size_t i = 0; i < prior->count; i++)
        least = fmin(least, value(prior, TUNE_OFFLOAD, prior->cells[i].at[TUNE_OFFLOAD]));
    prior->expected = mem_alloc(prior->count * sizeof *prior->expected);
    for (size_t i = 0; i < prior->count; i++) {
        const struct tune_cell *cell = &prior->cells[i];
        struct tune_expected *expected = &prior->expected[i];
        double layers = value(prior, TUNE_OFFLOAD, cell->at[TUNE_OFFLOAD]) - least;
        *expected = (struct tune_expected){
            .octaves = octaves(value(prior, TUNE_UBATCH, cell->at[TUNE_UBATCH]),
                               value(prior, TUNE_UBATCH, 0)),
            .on_cpu = on_cpu_at(prior, cell->at[TUNE_OFFLOAD]),
            .spare_mib = isnan(cell->spare_mib) ? layers * 300 : cell->spare_mib,
            .with_a_draft = value(prior, TUNE_DRAFT, cell->at[TUNE_DRAFT]) > 0};
        for (int o = 0; o < TUNE_OUTPUTS; o++)
            for (int axis = 0; axis < TUNE_AXES; axis++) {
                double bias = prior->bias[o][axis][cell->at[axis]];
                *(axis == TUNE_THREADS ? &expected->threads[o] : &expected->effects[o]) += bias;
            }
        expected->effects[TUNE_DECODE] += draft_effect(prior, cell)->mean;
    }
}

struct tune_prior *tune_prior_create(const struct tune_space *space, const struct tune_cell *cells,
                                     size_t count) {
    struct tune_prior *prior = mem_alloc(sizeof *prior);
    *prior = (struct tune_prior){.space = space, .cells = cells, .count = count};
    for (int axis = 0; axis < TUNE_AXES; axis++) {
        fill_axis(prior, axis);
        if (space->axis[axis].count > 1)
            prior->axes[prior->axes_count++] = axis;
    }
    fill_drafts(prior);
    fill_expected(prior);
    return prior;
}

void tune_prior_destroy(struct tune_prior *prior) {
    if (!prior)
        return;
    for (int axis = 0; axis < TUNE_AXES; axis++) {
        mem_free(prior->like[axis]);
        for (int o = 0; o < TUNE_OUTPUTS; o++) {
            mem_free(prior->table[o][axis]);
            mem_free(prior->bias[o][axis]);
        }
    }
    mem_free(prior->draft);
    mem_free(prior->expected);
    mem_free(prior);
}

const struct tune_expected *tune_prior_expected(const struct tune_prior *prior, size_t cell) {
    return &prior->expected[cell];
}

struct tune_relation tune_prior_relation(const struct tune_prior *prior, int output, size_t i,
                                         size_t k) {
    const struct tune_cell *a = &prior->cells[i], *b = &prior->cells[k];
    struct tune_relation relation = {0};
    double together = TOGETHER[output] * TOGETHER[output];
    for (size_t n = 0; n < prior->axes_count; n++) {
        int axis = prior->axes[n];
        size_t at = a->at[axis] * values(prior, axis) + b->at[axis];
        double cov = prior->table[output][axis][at];
        if (axis == TUNE_THREADS)
            relation.threads += cov;
        else if (axis == TUNE_KV)
            relation.cache += cov;
        else if (axis == TUNE_FLASH || axis == TUNE_REPACK)
            relation.kernels += cov;
        else
            relation.rest += cov;
        together *= prior->like[axis][at];
    }
    relation.rest += together;
    relation.slope =
        output == TUNE_DECODE ? prior->expected[i].octaves * prior->expected[k].octaves : 0;
    if (output == TUNE_DECODE && prior->space->axis[TUNE_DRAFT].count)
        relation.rest += draft_cov(prior, a, b);
    return relation;
}

double tune_prior_layer_cost(const struct tune_prior *prior) {
    const struct tune_hints *hints = &prior->space->hints;
    if (hints->cpu_only || hints->gpu_bytes <= 0 || hints->layer_bytes <= 0)
        return 0.06;
    // Typical: 500 GB/s and 50 GB/s, 1.5 ms a token and 40 us a layer that nothing saves.
    double gpu = hints->gpu_bytes / 500e9 + 1.5e-3;
    return (hints->layer_bytes / 50e9 - hints->layer_bytes / 500e9 + 40e-6) / gpu;
}
