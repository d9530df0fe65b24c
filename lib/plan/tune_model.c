#include "plan/tune_model.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    SEEN_MAX = TUNE_TRIALS_MAX,
    COSTS = 5,   // of a layer on the CPU
    CLIFFS = 13, // the first: none
    LIVE_MAX = 24,
    GLANCE = 3,
    AHEAD = 8,
    REFINED = 3,
    LOSSES = 3,
    NODES = 5,
};

struct effect { // of a draft, in ln
    double mean, accept, cost;
};

// A Gaussian process under one hypothesis.
struct guess {
    double cost;          // of a layer on the CPU, relative to all layers on the GPU
    double room;          // MiB: with less left, the device spills into host memory; 0: never
    double rate;          // what each MiB too little costs, of a token
    bool wild;            // some cache type or kernel is far slower here than is usual
    int variant;          // 0: nothing odd; 1..n: that trial was disturbed; n+1: the machine drifts
    double loss;          // of the disturbed trial, in ln, decode and prefill alike
    double prior, weight; // ln
    double chol[TUNE_OUTPUTS][SEEN_MAX][SEEN_MAX];
    double alpha[TUNE_OUTPUTS][SEEN_MAX];
    double v_best[TUNE_OUTPUTS][SEEN_MAX]; // of the held cell
    double mean_best[TUNE_OUTPUTS], var_best[TUNE_OUTPUTS];
    double share[TUNE_VALUES_MAX]; // of the CPU in decoding, by layers on it
};

struct tune_model {
    const struct tune_space *space;
    const struct tune_cell *cells;
    size_t count;
    double weight[TUNE_OUTPUTS], draft_bar;
    // By axis and pair of its values: covariance of their effects, and likeness.
    double *table[TUNE_OUTPUTS][TUNE_AXES], *like[TUNE_AXES];
    double *bias[TUNE_OUTPUTS][TUNE_AXES]; // expected effect of a value
    struct effect *draft;                  // by draft and length
    int axes[TUNE_AXES];                   // those that are tuned
    size_t axes_count;
    double *slack; // by cell, MiB
    bool may_spill;
    double cost; // of a layer, as physics guesses it
    struct tune_seen seen[SEEN_MAX];
    size_t seen_count;
    struct guess live[LIVE_MAX];
    size_t live_count;
    size_t best;
};

static const double COST_FACTOR[COSTS] = {0.2, 0.45, 1, 2.2, 5};
static const double COST_PRIOR[COSTS] = {0.1, 0.2, 0.4, 0.2, 0.1};
static const struct {
    double room, rate, prior;
} CLIFF[CLIFFS] = {{0, 0, 0.76},        {100, 0.0005, 0.015}, {100, 0.002, 0.02},
                   {100, 0.008, 0.02},  {300, 0.0005, 0.02},  {300, 0.002, 0.03},
                   {300, 0.008, 0.02},  {500, 0.0005, 0.02},  {500, 0.002, 0.03},
                   {500, 0.008, 0.015}, {800, 0.0005, 0.02},  {800, 0.002, 0.02},
                   {800, 0.008, 0.01}};
// A first trial comes after a download, a build, a cold start.
static const double FIRST_DISTURBED = 0.3, DISTURBED = 0.04, DRIFTS = 0.04,
                    WILD = 0.2; // prior odds
static const double LOSS[LOSSES] = {0.1, 0.22, 0.45}, LOSS_SPREAD = 0.05, DRIFT = 0.05;
static const double TOGETHER[TUNE_OUTPUTS] = {0.02, 0.03}; // effects that only a pair of axes has

// ---- what is expected beforehand ----

static size_t values(const struct tune_model *model, int axis) {
    size_t count = model->space->axis[axis].count;
    return count ? count : 1;
}

static double value(const struct tune_model *model, int axis, size_t i) {
    const struct tune_list *list = &model->space->axis[axis];
    return list->count ? list->values[i] : 0;
}

// Layers on the CPU; also where their number is not tuned.
static double on_cpu_at(const struct tune_model *model, size_t i) {
    const struct tune_list *list = &model->space->axis[TUNE_OFFLOAD];
    return list->count ? list->values[i] : model->space->hints.layers_on_cpu;
}

// Does the GPU wait for weights that lie in host memory, once a batch?
static bool streams(const struct tune_model *model) {
    return !model->space->hints.cpu_only &&
           (model->space->axis[TUNE_OFFLOAD].count > 1 || on_cpu_at(model, 0) > 0);
}

static double bell(double distance, double length) {
    double d = distance / length;
    return exp(-0.5 * d * d);
}

static double octaves(double value, double reference) {
    return log2(fmax(value, 1) / fmax(reference, 1));
}

static double physical(const struct tune_model *model) {
    const struct tune_hints *hints = &model->space->hints;
    return hints->cores_physical > 0 ? hints->cores_physical : value(model, TUNE_THREADS, 0);
}

// How far into the second thread of each core: 0 none, 1 all.
static double doubled(const struct tune_model *model, double threads) {
    double cores = physical(model), logical = model->space->hints.cores_logical;
    if (logical <= cores)
        return threads > cores ? 1 : 0;
    double share = (threads - cores) / (logical - cores);
    return share < 0 ? 0 : share > 1 ? 1 : share;
}

static double threads_cov(const struct tune_model *model, int output, double a, double b) {
    const struct tune_hints *hints = &model->space->hints;
    double cores = physical(model), scale = 1;
    if (output == TUNE_PREFILL && !hints->cpu_only)
        scale = 0.15;
    double all = hints->cores_logical;
    double full = all > 0 && a >= all && b >= all ? 0.1 * 0.1 : 0;
    double smooth = 0.2 * 0.2 * bell(octaves(a, cores) - octaves(b, cores), 0.8);
    return scale * scale * (smooth + 0.15 * 0.15 * doubled(model, a) * doubled(model, b) + full);
}

// A batch costs something before its first token: small ones lose much, large ones little.
static double ubatch_gain(const struct tune_model *model, double tokens) {
    double half = model->space->hints.cpu_only ? 40 : streams(model) ? 1500 : 400;
    double from = value(model, TUNE_UBATCH, 0);
    return log(1 + half / from) - log(1 + half / tokens);
}

static double ubatch_cov(const struct tune_model *model, int output, double a, double b) {
    double from = value(model, TUNE_UBATCH, 0), x = octaves(a, from), y = octaves(b, from);
    if (output == TUNE_DECODE)
        return 0.012 * 0.012 * x * y + 0.015 * 0.015 * bell(x - y, 1.5);
    double slope = model->space->hints.cpu_only ? 0.04 : 0.08;
    double bend = model->space->hints.cpu_only ? 0.08 : 0.15;
    return 0.7 * 0.7 * ubatch_gain(model, a) * ubatch_gain(model, b) + slope * slope * x * y +
           bend * bend * bell(x - y, 1.6);
}

// Effects of a kind that all values but the present one share, and of each value alone.
static double kind_cov(size_t i, size_t k, bool other_i, bool other_k, double shared, double own) {
    return (other_i && other_k ? shared * shared : 0) + (i == k ? own * own : 0);
}

static double axis_cov(const struct tune_model *model, int output, int axis, size_t i, size_t k) {
    double a = value(model, axis, i), b = value(model, axis, k);
    bool decode = output == TUNE_DECODE;
    switch ((enum tune_axis)axis) {
    case TUNE_OFFLOAD: {
        double far = 0;
        for (size_t v = 0; v < values(model, axis); v++)
            far = fmax(far, value(model, axis, v));
        double sd = decode ? 0.04 : 0.12;
        return sd * sd * bell(a - b, fmax(0.35 * far, 2));
    }
    case TUNE_THREADS: return threads_cov(model, output, a, b);
    case TUNE_UBATCH: return ubatch_cov(model, output, a, b);
    case TUNE_KV: return kind_cov(i, k, i > 0, k > 0, 0.05, decode ? 0.09 : 0.07);
    case TUNE_FLASH: return kind_cov(i, k, false, false, 0, decode ? 0.1 : 0.15);
    case TUNE_REPACK: return kind_cov(i, k, false, false, 0, decode ? 0.12 : 0.3);
    case TUNE_DRAFT: // draft_cov: a draft and its length are one
    case TUNE_DRAFT_N:
    case TUNE_AXES: break;
    }
    return 0;
}

static double axis_like(const struct tune_model *model, int axis, size_t i, size_t k) {
    double a = value(model, axis, i), b = value(model, axis, k);
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
static void fill_drafts(struct tune_model *model) {
    size_t lengths = values(model, TUNE_DRAFT_N), drafts = values(model, TUNE_DRAFT);
    const double accept = 0.6, cost = 0.15;
    model->draft = mem_alloc(drafts * lengths * sizeof *model->draft);
    for (size_t d = 0; d < drafts; d++)
        for (size_t l = 0; l < lengths; l++) {
            double n = value(model, TUNE_DRAFT_N, l), told = model->space->hints.draft_gain[d];
            struct effect *effect = &model->draft[d * lengths + l];
            if (value(model, TUNE_DRAFT, d) <= 0)
                continue;
            n = n > 0 ? n : 3;
            double gain = draft_gain(accept, cost, n);
            effect->mean = told > 0 ? log(told) + gain - draft_gain(accept, cost, 3) : gain;
            effect->accept = draft_gain(accept + 0.15, cost, n) - gain;
            effect->cost = draft_gain(accept, cost * 1.7, n) - gain;
        }
}

static const struct effect *draft_effect(const struct tune_model *model,
                                         const struct tune_cell *cell) {
    return &model->draft[cell->at[TUNE_DRAFT] * values(model, TUNE_DRAFT_N) +
                         cell->at[TUNE_DRAFT_N]];
}

static double draft_cov(const struct tune_model *model, const struct tune_cell *a,
                        const struct tune_cell *b) {
    const struct effect *x = draft_effect(model, a), *y = draft_effect(model, b);
    bool same = a->at[TUNE_DRAFT] == b->at[TUNE_DRAFT];
    return x->accept * y->accept * (same ? 1 : 0.3) + x->cost * y->cost * (same ? 1 : 0.5);
}

static double threads_bias(const struct tune_model *model, size_t i) {
    double threads = value(model, TUNE_THREADS, i), cores = physical(model);
    // Memory is saturated by about two thirds of the cores.
    double used = fmin(threads, cores);
    return -log(1 / used + 1.5 / cores) + log(2.5 / cores) - 0.05 * doubled(model, threads);
}

static double axis_bias(const struct tune_model *model, int output, int axis, size_t i) {
    const struct tune_hints *hints = &model->space->hints;
    if (axis == TUNE_THREADS)
        return (output == TUNE_PREFILL && !hints->cpu_only ? 0.1 : 1) * threads_bias(model, i);
    if (axis == TUNE_UBATCH && output == TUNE_PREFILL)
        return ubatch_gain(model, value(model, axis, i));
    if (axis == TUNE_UBATCH)
        return -0.004 * octaves(value(model, axis, i), value(model, axis, 0));
    if (axis == TUNE_FLASH && value(model, axis, i) == 2)
        return output == TUNE_DECODE ? -0.03 : -0.08;
    if (axis == TUNE_KV && output == TUNE_DECODE && hints->gpu_bytes > 0)
        return -log((hints->gpu_bytes + hints->kv_bytes[i]) /
                    (hints->gpu_bytes + hints->kv_bytes[0]));
    return 0;
}

static void fill_axis(struct tune_model *model, int axis) {
    size_t n = values(model, axis);
    model->like[axis] = mem_alloc(n * n * sizeof(double));
    for (int o = 0; o < TUNE_OUTPUTS; o++) {
        model->table[o][axis] = mem_alloc(n * n * sizeof(double));
        model->bias[o][axis] = mem_alloc(n * sizeof(double));
    }
    bool tuned = model->space->axis[axis].count > 1;
    for (size_t i = 0; i < n; i++) {
        for (int o = 0; o < TUNE_OUTPUTS && tuned; o++)
            model->bias[o][axis][i] = axis_bias(model, o, axis, i);
        for (size_t k = 0; k < n; k++) {
            model->like[axis][i * n + k] = tuned ? axis_like(model, axis, i, k) : 1;
            for (int o = 0; o < TUNE_OUTPUTS && tuned; o++)
                model->table[o][axis][i * n + k] = axis_cov(model, o, axis, i, k);
        }
    }
}

// What is left on the device. When nobody knows: a layer is a few hundred MiB.
static void fill_slack(struct tune_model *model) {
    double least = INFINITY;
    for (size_t i = 0; i < model->count; i++)
        least = fmin(least, value(model, TUNE_OFFLOAD, model->cells[i].at[TUNE_OFFLOAD]));
    model->slack = mem_alloc(model->count * sizeof *model->slack);
    for (size_t i = 0; i < model->count; i++) {
        const struct tune_cell *cell = &model->cells[i];
        double layers = value(model, TUNE_OFFLOAD, cell->at[TUNE_OFFLOAD]) - least;
        model->slack[i] = isnan(cell->spare_mib) ? layers * 300 : cell->spare_mib;
        if (model->slack[i] < CLIFF[CLIFFS - 1].room && !model->space->hints.cpu_only)
            model->may_spill = true;
    }
}

static double guess_cost(const struct tune_space *space) {
    const struct tune_hints *hints = &space->hints;
    if (hints->cpu_only || hints->gpu_bytes <= 0 || hints->layer_bytes <= 0)
        return 0.06;
    // Typical: 500 GB/s and 50 GB/s, 1.5 ms a token and 40 us a layer that nothing saves.
    double gpu = hints->gpu_bytes / 500e9 + 1.5e-3;
    return (hints->layer_bytes / 50e9 - hints->layer_bytes / 500e9 + 40e-6) / gpu;
}

struct tune_model *tune_model_create(const struct tune_space *space, const struct tune_cell *cells,
                                     size_t count, const struct tune_options *options) {
    struct tune_model *model = mem_alloc(sizeof *model);
    *model = (struct tune_model){.space = space, .cells = cells, .count = count};
    model->weight[TUNE_DECODE] = options->decode_weight;
    model->weight[TUNE_PREFILL] = options->prefill_weight;
    model->draft_bar = log(options->draft_minimum) * options->decode_weight;
    model->cost = guess_cost(space);
    for (int axis = 0; axis < TUNE_AXES; axis++) {
        fill_axis(model, axis);
        if (space->axis[axis].count > 1)
            model->axes[model->axes_count++] = axis;
    }
    fill_drafts(model);
    fill_slack(model);
    return model;
}

void tune_model_destroy(struct tune_model *model) {
    if (!model)
        return;
    for (int axis = 0; axis < TUNE_AXES; axis++) {
        mem_free(model->like[axis]);
        for (int o = 0; o < TUNE_OUTPUTS; o++) {
            mem_free(model->table[o][axis]);
            mem_free(model->bias[o][axis]);
        }
    }
    mem_free(model->draft);
    mem_free(model->slack);
    mem_free(model);
}

// ---- under one hypothesis ----

static void fill_shares(const struct tune_model *model, struct guess *guess) {
    for (size_t i = 0; i < values(model, TUNE_OFFLOAD); i++) {
        double cost = guess->cost * on_cpu_at(model, i);
        guess->share[i] = model->space->hints.cpu_only ? 1 : fmax(cost / (1 + cost), 0.02);
    }
}

// How much slower for what does not fit on the device, in ln. Prefill waits for it once a batch.
static double spilled(const struct tune_model *model, const struct guess *guess, int output,
                      size_t cell) {
    double lack = guess->room - model->slack[cell];
    return lack > 0 ? log(1 + (output == TUNE_DECODE ? 1 : 0.1) * guess->rate * lack) : 0;
}

static double prior_mean(const struct tune_model *model, const struct guess *guess, int output,
                         size_t index) {
    const struct tune_cell *cell = &model->cells[index];
    double on_cpu = on_cpu_at(model, cell->at[TUNE_OFFLOAD]), mean = 0;
    if (!model->space->hints.cpu_only)
        mean = -log(1 + (output == TUNE_DECODE ? guess->cost : 0.03) * on_cpu);
    for (size_t n = 0; n < model->axes_count; n++) {
        int axis = model->axes[n];
        double bias = model->bias[output][axis][cell->at[axis]];
        mean += axis == TUNE_THREADS && output == TUNE_DECODE
                    ? bias * guess->share[cell->at[TUNE_OFFLOAD]]
                    : bias;
    }
    if (output == TUNE_DECODE)
        mean += draft_effect(model, cell)->mean;
    return mean - spilled(model, guess, output, index);
}

static double prior_cov(const struct tune_model *model, const struct guess *guess, int output,
                        size_t i, size_t k) {
    const struct tune_cell *a = &model->cells[i], *b = &model->cells[k];
    double sum = 0, together = TOGETHER[output] * TOGETHER[output];
    for (size_t n = 0; n < model->axes_count; n++) {
        int axis = model->axes[n];
        size_t at = a->at[axis] * values(model, axis) + b->at[axis];
        double cov = model->table[output][axis][at];
        if (axis == TUNE_THREADS && output == TUNE_DECODE)
            cov *= guess->share[a->at[TUNE_OFFLOAD]] * guess->share[b->at[TUNE_OFFLOAD]];
        if (guess->wild && (axis == TUNE_KV || axis == TUNE_FLASH || axis == TUNE_REPACK))
            cov *= 25;
        if (guess->wild && axis == TUNE_THREADS)
            cov *= 9;
        sum += cov;
        together *= model->like[axis][at];
    }
    if (output == TUNE_DECODE && model->space->axis[TUNE_DRAFT].count)
        sum += draft_cov(model, a, b);
    double spill = guess->room > 0 ? 0.35 * 0.35 * spilled(model, guess, output, i) *
                                         spilled(model, guess, output, k)
                                   : 0;
    return sum + together + spill + 4; // the machine's speed itself: unknown
}

static double noise_var(const struct tune_model *model, const struct guess *guess, int output,
                        size_t i) {
    double noise = isnan(model->seen[i].value[output]) ? 100 : model->seen[i].noise;
    double more = guess->variant == (int)i + 1 ? LOSS_SPREAD + guess->loss / 8 : 0;
    return noise * noise + more * more;
}

static bool drifts(const struct tune_model *model, const struct guess *guess) {
    return guess->variant == (int)model->seen_count + 1;
}

static double seen_cov(const struct tune_model *model, const struct guess *guess, int output,
                       size_t i, size_t k) {
    double cov = prior_cov(model, guess, output, model->seen[i].cell, model->seen[k].cell);
    if (drifts(model, guess)) // a walk: what came before the earlier of the two is in both
        cov += DRIFT * DRIFT * (double)(i < k ? i : k);
    return i == k ? cov + noise_var(model, guess, output, i) : cov;
}

// Solves L x = b in place.
static void forward(const double chol[SEEN_MAX][SEEN_MAX], size_t n, double *b) {
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++)
            b[i] -= chol[i][k] * b[k];
        b[i] /= chol[i][i];
    }
}

static void backward(const double chol[SEEN_MAX][SEEN_MAX], size_t n, double *b) {
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; k++)
            b[i] -= chol[k][i] * b[k];
        b[i] /= chol[i][i];
    }
}

// Factors the covariance of the trials; returns their log likelihood.
static double condition(const struct tune_model *model, struct guess *guess, int output) {
    size_t n = model->seen_count;
    double(*chol)[SEEN_MAX] = guess->chol[output], *alpha = guess->alpha[output], log_like = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k <= i; k++) {
            double sum = seen_cov(model, guess, output, i, k);
            for (size_t m = 0; m < k; m++)
                sum -= chol[i][m] * chol[k][m];
            chol[i][k] = i == k ? sqrt(fmax(sum, 1e-12)) : sum / chol[k][k];
        }
    for (size_t i = 0; i < n; i++) {
        double seen = model->seen[i].value[output];
        alpha[i] = isnan(seen) ? 0
                               : seen - prior_mean(model, guess, output, model->seen[i].cell) -
                                     (output == TUNE_DECODE ? 3 : 6) + // ln of a usual speed
                                     (guess->variant == (int)i + 1 ? guess->loss : 0);
    }
    forward(chol, n, alpha);
    for (size_t i = 0; i < n; i++)
        log_like -= 0.5 * alpha[i] * alpha[i] + log(chol[i][i]);
    backward(chol, n, alpha);
    return log_like;
}

static double mean_of(const struct tune_model *model, const struct guess *guess, int output,
                      size_t cell, double *k) {
    double mean = prior_mean(model, guess, output, cell) + (output == TUNE_DECODE ? 3 : 6);
    for (size_t i = 0; i < model->seen_count; i++) {
        k[i] = prior_cov(model, guess, output, cell, model->seen[i].cell);
        mean += k[i] * guess->alpha[output][i];
    }
    return mean;
}

// ---- over all hypotheses ----

static void keep(struct tune_model *model, const struct guess *guess) {
    size_t at = model->live_count;
    if (at == LIVE_MAX) {
        at = 0;
        for (size_t i = 1; i < LIVE_MAX; i++)
            if (model->live[i].weight < model->live[at].weight)
                at = i;
        if (model->live[at].weight >= guess->weight)
            return;
    } else {
        model->live_count++;
    }
    model->live[at] = *guess;
}

static int by_weight(const void *a, const void *b) {
    double x = ((const struct guess *)a)->weight, y = ((const struct guess *)b)->weight;
    return (x < y) - (x > y);
}

static void normalise(struct tune_model *model) {
    double top = -INFINITY, sum = 0;
    for (size_t i = 0; i < model->live_count; i++)
        top = fmax(top, model->live[i].weight);
    size_t kept = 0;
    for (size_t i = 0; i < model->live_count; i++) {
        double weight = exp(model->live[i].weight - top);
        if (weight < 0.01)
            continue;
        model->live[kept] = model->live[i];
        model->live[kept++].weight = weight;
        sum += weight;
    }
    model->live_count = kept;
    for (size_t i = 0; i < kept; i++)
        model->live[i].weight /= sum;
    qsort(model->live, kept, sizeof *model->live, by_weight);
}

static void suppose(struct tune_model *model, struct guess *guess, double prior) {
    guess->prior = guess->weight = log(prior);
    for (int o = 0; o < TUNE_OUTPUTS; o++)
        guess->weight += condition(model, guess, o);
    keep(model, guess);
}

// How dear a layer on the CPU is, whether the device spills, whether some kind of cache or kernel
// is odd here: every combination.
static void suppose_machines(struct tune_model *model) {
    bool offloads = streams(model);
    for (size_t c = 0; c < COSTS; c++)
        for (size_t s = 0; s < CLIFFS; s++)
            for (size_t wild = 0; wild < 2; wild++) {
                struct guess guess = {.cost = model->cost * COST_FACTOR[c],
                                      .room = CLIFF[s].room,
                                      .rate = CLIFF[s].rate,
                                      .wild = wild};
                if ((!offloads && COST_FACTOR[c] != 1) || (!model->may_spill && s > 0))
                    continue;
                fill_shares(model, &guess);
                suppose(model, &guess, COST_PRIOR[c] * CLIFF[s].prior * (wild ? WILD : 1 - WILD));
            }
}

// The likeliest of those that spill, with other thresholds and rates around: a coarse grid would
// leave a layer or two in doubt.
static void refine_spills(struct tune_model *model) {
    static const double ROOM[] = {0.6, 0.75, 0.88, 1.14, 1.33, 1.6};
    static const double RATE[] = {0.5, 0.71, 1, 1.41, 2};
    struct guess coarse[LIVE_MAX];
    size_t count = model->live_count;
    memcpy(coarse, model->live, count * sizeof *coarse);
    qsort(coarse, count, sizeof *coarse, by_weight);
    for (size_t i = 0; i < count && i < REFINED; i++) {
        struct guess guess = coarse[i];
        if (guess.room <= 0 || guess.weight < coarse[0].weight - 4)
            continue;
        for (size_t r = 0; r < sizeof ROOM / sizeof *ROOM; r++)
            for (size_t s = 0; s < sizeof RATE / sizeof *RATE; s++) {
                guess.room = coarse[i].room * ROOM[r];
                guess.rate = coarse[i].rate * RATE[s];
                suppose(model, &guess, exp(coarse[i].prior) / 3);
            }
    }
}

// On top of the machines that explain the trials best: that one trial was disturbed, that all
// drift. One or two trials cannot tell; three can.
static void suppose_mishaps(struct tune_model *model) {
    struct guess machines[LIVE_MAX];
    size_t count = model->live_count, n = model->seen_count;
    memcpy(machines, model->live, count * sizeof *machines);
    model->live_count = 0;
    for (size_t i = 0; i < count; i++) {
        double prior = exp(machines[i].prior);
        keep(model, &machines[i]);
        for (size_t v = 1; v <= n && n >= 2; v++)
            for (size_t l = 0; l < LOSSES; l++) {
                machines[i].variant = (int)v;
                machines[i].loss = LOSS[l];
                suppose(model, &machines[i],
                        prior * (v == 1 ? FIRST_DISTURBED : DISTURBED) / LOSSES);
            }
        if (n < 3)
            continue;
        machines[i].variant = (int)n + 1;
        suppose(model, &machines[i], prior * DRIFTS);
    }
}

void tune_model_learn(struct tune_model *model, const struct tune_seen *seen, size_t count) {
    model->seen_count = count < SEEN_MAX ? count : SEEN_MAX;
    memcpy(model->seen, seen, model->seen_count * sizeof *seen);
    model->live_count = 0;
    suppose_machines(model);
    refine_spills(model);
    suppose_mishaps(model);
    normalise(model);
}

double tune_model_mean(const struct tune_model *model, size_t cell, int output) {
    double sum = 0, k[SEEN_MAX];
    for (size_t i = 0; i < model->live_count; i++)
        sum += model->live[i].weight * mean_of(model, &model->live[i], output, cell, k);
    return sum;
}

double tune_model_bar(const struct tune_model *model, size_t cell) {
    bool drafts = value(model, TUNE_DRAFT, model->cells[cell].at[TUNE_DRAFT]) > 0;
    return drafts ? model->draft_bar : 0;
}

double tune_model_objective(const struct tune_model *model, size_t cell) {
    double sum = -tune_model_bar(model, cell);
    for (int o = 0; o < TUNE_OUTPUTS; o++)
        if (model->weight[o] > 0)
            sum += model->weight[o] * tune_model_mean(model, cell, o);
    return sum;
}

static double posterior_var(const struct tune_model *model, const struct guess *guess, int output,
                            size_t cell, double *v) {
    double var = prior_cov(model, guess, output, cell, cell);
    forward(guess->chol[output], model->seen_count, v);
    for (size_t i = 0; i < model->seen_count; i++)
        var -= v[i] * v[i];
    return fmax(var, 0);
}

void tune_model_hold(struct tune_model *model, size_t best) {
    model->best = best;
    for (size_t i = 0; i < model->live_count; i++) {
        struct guess *guess = &model->live[i];
        for (int o = 0; o < TUNE_OUTPUTS; o++) {
            guess->mean_best[o] = mean_of(model, guess, o, best, guess->v_best[o]);
            guess->var_best[o] = posterior_var(model, guess, o, best, guess->v_best[o]);
        }
    }
}

// E[max(X, 0)] of a normal X.
static double positive_part(double mean, double sd) {
    if (sd < 1e-9)
        return fmax(mean, 0);
    double z = mean / sd;
    return sd * exp(-0.5 * z * z) / sqrt(2 * M_PI) + mean * 0.5 * erfc(-z / M_SQRT2);
}

// Difference to the held cell under one hypothesis, of the objective; and how much of its
// uncertainty a trial removes.
static void compare(const struct tune_model *model, const struct guess *guess, size_t cell,
                    double *mean, double *sd) {
    double var = 0, noise = 0;
    *mean = tune_model_bar(model, model->best) - tune_model_bar(model, cell);
    for (int o = 0; o < TUNE_OUTPUTS; o++) {
        double w = model->weight[o], v[SEEN_MAX];
        if (w <= 0)
            continue;
        *mean += w * (mean_of(model, guess, o, cell, v) - guess->mean_best[o]);
        double own = posterior_var(model, guess, o, cell, v);
        double both = prior_cov(model, guess, o, cell, model->best);
        for (size_t i = 0; i < model->seen_count; i++)
            both -= v[i] * guess->v_best[o][i];
        var += w * w * fmax(own + guess->var_best[o] - 2 * both, 0);
        noise += w * w * model->seen[0].noise * model->seen[0].noise;
    }
    *sd = var > 0 ? var / sqrt(var + noise) : 0;
}

// The held cell itself: how it compares with the one that would take its place.
static size_t rival_of(const struct tune_model *model) {
    size_t rival = model->best;
    double top = -INFINITY;
    for (size_t i = 0; i < model->seen_count; i++) {
        size_t cell = model->seen[i].cell;
        double objective = cell == model->best ? -INFINITY : tune_model_objective(model, cell);
        if (objective > top) {
            top = objective;
            rival = cell;
        }
    }
    return rival;
}

double tune_model_worth(const struct tune_model *model, size_t cell, bool again, bool glance) {
    double sum = 0, weight = 0;
    size_t other = again && cell == model->best ? rival_of(model) : cell;
    size_t count = glance && model->live_count > GLANCE ? GLANCE : model->live_count;
    for (size_t i = 0; i < count; i++) {
        const struct guess *guess = &model->live[i];
        double mean, sd;
        compare(model, guess, other, &mean, &sd);
        sum += guess->weight * positive_part(mean, sd);
        weight += guess->weight;
    }
    return sum / weight;
}

// ---- what a trial teaches of the others ----

// A cell under one hypothesis: what is expected of it, and its part of the trials' covariance.
struct view {
    double mean[TUNE_OUTPUTS], v[TUNE_OUTPUTS][SEEN_MAX];
};

// Some cells over the likeliest hypotheses, one Gaussian put in place of their mixture: what a
// trial tells of the hypotheses is in it.
struct outlook {
    const struct tune_model *model;
    const size_t *cells;
    size_t count, guesses;
    double all;                   // weight of these hypotheses
    struct view *view;            // by cell and hypothesis
    double (*mean)[TUNE_OUTPUTS]; // by cell
    double (*step)[TUNE_OUTPUTS]; // by cell: how far a trial moves it
    double *level;                // by cell: the objective
};

static void outlook_init(struct outlook *out, const struct tune_model *model, const size_t *cells,
                         size_t count) {
    size_t guesses = model->live_count < AHEAD ? model->live_count : AHEAD;
    *out = (struct outlook){.model = model, .cells = cells, .count = count, .guesses = guesses};
    out->view = mem_alloc(count * guesses * sizeof *out->view);
    out->mean = mem_alloc(count * sizeof *out->mean);
    out->step = mem_alloc(count * sizeof *out->step);
    out->level = mem_alloc(count * sizeof *out->level);
    for (size_t g = 0; g < guesses; g++)
        out->all += model->live[g].weight;
    for (size_t i = 0; i < count; i++) {
        out->level[i] = -tune_model_bar(model, cells[i]);
        for (int o = 0; o < TUNE_OUTPUTS; o++) {
            out->mean[i][o] = 0;
            for (size_t g = 0; g < guesses; g++) {
                struct view *view = &out->view[i * guesses + g];
                view->mean[o] = mean_of(model, &model->live[g], o, cells[i], view->v[o]);
                forward(model->live[g].chol[o], model->seen_count, view->v[o]);
                out->mean[i][o] += model->live[g].weight * view->mean[o] / out->all;
            }
            out->level[i] += model->weight[o] > 0 ? model->weight[o] * out->mean[i][o] : 0;
        }
    }
}

static void outlook_fini(struct outlook *out) {
    mem_free(out->view);
    mem_free(out->mean);
    mem_free(out->step);
    mem_free(out->level);
}

static double outlook_cov(const struct outlook *out, int output, size_t a, size_t b) {
    double sum = 0;
    for (size_t g = 0; g < out->guesses; g++) {
        const struct guess *guess = &out->model->live[g];
        const struct view *x = &out->view[a * out->guesses + g];
        const struct view *y = &out->view[b * out->guesses + g];
        double cov = prior_cov(out->model, guess, output, out->cells[a], out->cells[b]);
        for (size_t i = 0; i < out->model->seen_count; i++)
            cov -= x->v[output][i] * y->v[output][i];
        cov += (x->mean[output] - out->mean[a][output]) * (y->mean[output] - out->mean[b][output]);
        sum += guess->weight * cov / out->all;
    }
    return sum;
}

// How far a trial of `x` that ends one standard deviation higher than expected moves each cell.
static void fill_steps(struct outlook *out, size_t x) {
    double noise = out->model->seen[0].noise * out->model->seen[0].noise;
    for (int o = 0; o < TUNE_OUTPUTS; o++) {
        double w = out->model->weight[o], var = w > 0 ? outlook_cov(out, o, x, x) : 0;
        double by = var > 0 ? w / sqrt(var + noise) : 0;
        for (size_t i = 0; i < out->count; i++)
            out->step[i][o] = by > 0 ? by * outlook_cov(out, o, x, i) : 0;
    }
}

// E[max] over the cells after a trial, by the points and weights of Gauss and Hermite.
static double best_after(const struct outlook *out) {
    static const double AT[NODES] = {-2.856970, -1.355626, 0, 1.355626, 2.856970};
    static const double WEIGHT[NODES] = {0.011257, 0.222076, 0.533333, 0.222076, 0.011257};
    double sum = 0;
    for (size_t n = 0; n < NODES; n++)
        for (size_t m = 0; m < NODES; m++) {
            double best = -INFINITY;
            for (size_t i = 0; i < out->count; i++)
                best = fmax(best, out->level[i] + AT[n] * out->step[i][TUNE_DECODE] +
                                      AT[m] * out->step[i][TUNE_PREFILL]);
            sum += WEIGHT[n] * WEIGHT[m] * best;
        }
    return sum;
}

void tune_model_ahead(const struct tune_model *model, const size_t *cells, size_t count,
                      double *worth) {
    struct outlook out;
    double top = -INFINITY;
    if (count == 0)
        return;
    outlook_init(&out, model, cells, count);
    for (size_t i = 0; i < count; i++)
        top = fmax(top, out.level[i]);
    for (size_t i = 0; i < count; i++) {
        fill_steps(&out, i);
        worth[i] = best_after(&out) - top;
    }
    outlook_fini(&out);
}
