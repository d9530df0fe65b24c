#include "plan/tune_model.h"

#include "base/mem.h"
#include "plan/tune_model_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    COSTS = 5,   // of a layer on the CPU
    CLIFFS = 13, // the first: none
    ODDITIES = 5,
    GLANCE = 3,
    REFINED = 3,
    LOSSES = 3,
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
static const double FIRST_DISTURBED = 0.3, DISTURBED = 0.04, DRIFTS = 0.04; // prior odds
static const struct {
    bool cache, kernels, steep;
    double prior;
} ODD[ODDITIES] = {{false, false, false, 0.58},
                   {true, false, false, 0.13},
                   {false, true, false, 0.06},
                   {false, false, true, 0.18},
                   {true, false, true, 0.05}};
// Decode lost for each doubling of ubatch: usually next to nothing, on some machines a few per
// cent.
static const double STEEP = 0.025, STEEP_SPREAD = 0.012, FLAT = 0.001, FLAT_SPREAD = 0.004;
static const double LOSS[LOSSES] = {0.1, 0.22, 0.45}, LOSS_SPREAD = 0.05, DRIFT = 0.05;

struct tune_model *tune_model_create(const struct tune_space *space, const struct tune_cell *cells,
                                     size_t count, const struct tune_options *options) {
    struct tune_model *model = mem_alloc(sizeof *model);
    *model = (struct tune_model){.prior = tune_prior_create(space, cells, count),
                                 .cpu_only = space->hints.cpu_only};
    model->weight[TUNE_DECODE] = options->decode_weight;
    model->weight[TUNE_PREFILL] = options->prefill_weight;
    model->draft_bar = log(options->draft_minimum) * options->decode_weight;
    for (size_t i = 0; i < count && !model->cpu_only && !model->may_spill; i++)
        model->may_spill = tune_prior_expected(model->prior, i)->spare_mib < CLIFF[CLIFFS - 1].room;
    return model;
}

void tune_model_destroy(struct tune_model *model) {
    if (!model)
        return;
    tune_prior_destroy(model->prior);
    mem_free(model);
}

// ---- under one hypothesis ----

// Of the CPU in decoding.
static double share(const struct tune_model *model, const struct tune_guess *guess,
                    const struct tune_expected *expected) {
    double cost = guess->cost * expected->on_cpu;
    return model->cpu_only ? 1 : fmax(cost / (1 + cost), 0.02);
}

// How much slower for what does not fit on the device, in ln. Prefill waits for it once a batch.
static double spilled(const struct tune_guess *guess, int output,
                      const struct tune_expected *expected) {
    double lack = guess->room - expected->spare_mib;
    return lack > 0 ? log(1 + (output == TUNE_DECODE ? 1 : 0.1) * guess->rate * lack) : 0;
}

static double prior_mean(const struct tune_model *model, const struct tune_guess *guess, int output,
                         const struct tune_expected *expected, double by_share, double spill) {
    double mean = output == TUNE_DECODE ? 3 : 6; // ln of a usual speed
    if (!model->cpu_only)
        mean -= log(1 + (output == TUNE_DECODE ? guess->cost : 0.03) * expected->on_cpu);
    if (output == TUNE_DECODE)
        mean -= (guess->steep ? STEEP : FLAT) * expected->octaves;
    return mean + expected->effects[output] +
           expected->threads[output] * (output == TUNE_DECODE ? by_share : 1) - spill;
}

static double prior_cov(const struct tune_guess *guess, const struct tune_relation *relation,
                        double by_shares, double spills) {
    double slope = guess->steep ? STEEP_SPREAD : FLAT_SPREAD;
    return relation->rest + relation->slope * slope * slope +
           relation->cache * (guess->odd_cache ? 25 : 1) +
           relation->kernels * (guess->odd_kernels ? 25 : 1) +
           relation->threads * (guess->odd_kernels ? 9 : 1) * by_shares + 0.35 * 0.35 * spills +
           4; // the machine's speed itself: unknown
}

static double noise_var(const struct tune_model *model, const struct tune_guess *guess, int output,
                        size_t i) {
    double noise = isnan(model->seen[i].value[output]) ? 100 : model->seen[i].noise;
    double more = guess->variant == (int)i + 1 ? LOSS_SPREAD + guess->loss / 8 : 0;
    return noise * noise + more * more;
}

static bool drifts(const struct tune_model *model, const struct tune_guess *guess) {
    return guess->variant == (int)model->seen_count + 1;
}

// Solves L x = b in place.
static void forward(const double chol[TUNE_TRIALS_MAX][TUNE_TRIALS_MAX], size_t n, double *b) {
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++)
            b[i] -= chol[i][k] * b[k];
        b[i] /= chol[i][i];
    }
}

static void backward(const double chol[TUNE_TRIALS_MAX][TUNE_TRIALS_MAX], size_t n, double *b) {
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; k++)
            b[i] -= chol[k][i] * b[k];
        b[i] /= chol[i][i];
    }
}

// The covariance of the trials.
static void fill_seen_cov(const struct tune_model *model, struct tune_guess *guess, int output,
                          const double *shares) {
    double(*cov)[TUNE_TRIALS_MAX] = guess->chol[output], *spill = guess->spill[output];
    bool decode = output == TUNE_DECODE;
    for (size_t i = 0; i < model->seen_count; i++) {
        for (size_t k = 0; k <= i; k++) {
            cov[i][k] = prior_cov(guess, &model->seen_relations[i].with[output][k],
                                  decode ? shares[i] * shares[k] : 1, spill[i] * spill[k]);
            if (drifts(model, guess)) // a walk: what came before the earlier of the two is in both
                cov[i][k] += DRIFT * DRIFT * (double)k;
        }
        cov[i][i] += noise_var(model, guess, output, i);
    }
}

// In place, the lower half; returns the ln of the determinant's root.
static double factor(double chol[TUNE_TRIALS_MAX][TUNE_TRIALS_MAX], size_t n) {
    double root = 1;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k <= i; k++) {
            double sum = chol[i][k];
            for (size_t m = 0; m < k; m++)
                sum -= chol[i][m] * chol[k][m];
            chol[i][k] = i == k ? sqrt(fmax(sum, 1e-12)) : sum / chol[k][k];
        }
        root *= chol[i][i];
    }
    return log(root);
}

// Learns the trials; returns their log likelihood.
static double condition(const struct tune_model *model, struct tune_guess *guess, int output) {
    size_t n = model->seen_count;
    double *alpha = guess->alpha[output], shares[TUNE_TRIALS_MAX];
    for (size_t i = 0; i < n; i++) {
        const struct tune_expected *expected =
            tune_prior_expected(model->prior, model->seen[i].cell);
        double seen = model->seen[i].value[output];
        shares[i] = share(model, guess, expected);
        guess->spill[output][i] = spilled(guess, output, expected);
        double mean =
            prior_mean(model, guess, output, expected, shares[i], guess->spill[output][i]);
        alpha[i] = isnan(seen) ? 0 : seen - mean + (guess->variant == (int)i + 1 ? guess->loss : 0);
    }
    fill_seen_cov(model, guess, output, shares);
    double log_like = -factor(guess->chol[output], n);
    forward(guess->chol[output], n, alpha);
    for (size_t i = 0; i < n; i++)
        log_like -= 0.5 * alpha[i] * alpha[i];
    backward(guess->chol[output], n, alpha);
    return log_like;
}

void tune_model_relate(const struct tune_model *model, size_t cell,
                       struct tune_relations *relations) {
    for (int o = 0; o < TUNE_OUTPUTS; o++)
        for (size_t i = 0; i < model->seen_count; i++)
            relations->with[o][i] = tune_prior_relation(model->prior, o, cell, model->seen[i].cell);
}

void tune_model_view(const struct tune_model *model, const struct tune_guess *guess, size_t cell,
                     const struct tune_relations *relations, struct tune_view *view) {
    const struct tune_expected *expected = tune_prior_expected(model->prior, cell);
    view->share = share(model, guess, expected);
    for (int o = 0; o < TUNE_OUTPUTS; o++) {
        double *v = view->v[o], by_share = o == TUNE_DECODE ? view->share : 1;
        view->spill[o] = spilled(guess, o, expected);
        view->mean[o] = prior_mean(model, guess, o, expected, view->share, view->spill[o]);
        struct tune_relation self = tune_prior_relation(model->prior, o, cell, cell);
        view->var[o] =
            prior_cov(guess, &self, by_share * by_share, view->spill[o] * view->spill[o]);
        for (size_t i = 0; i < model->seen_count; i++) {
            double other =
                o == TUNE_DECODE
                    ? share(model, guess, tune_prior_expected(model->prior, model->seen[i].cell))
                    : 1;
            v[i] = prior_cov(guess, &relations->with[o][i], by_share * other,
                             view->spill[o] * guess->spill[o][i]);
            view->mean[o] += v[i] * guess->alpha[o][i];
        }
        forward(guess->chol[o], model->seen_count, v);
        for (size_t i = 0; i < model->seen_count; i++)
            view->var[o] -= v[i] * v[i];
        view->var[o] = fmax(view->var[o], 0);
    }
}

double tune_model_cov(const struct tune_model *model, const struct tune_guess *guess, int output,
                      const struct tune_relation *relation, const struct tune_view *a,
                      const struct tune_view *b) {
    double cov = prior_cov(guess, relation, output == TUNE_DECODE ? a->share * b->share : 1,
                           a->spill[output] * b->spill[output]);
    for (size_t i = 0; i < model->seen_count; i++)
        cov -= a->v[output][i] * b->v[output][i];
    return cov;
}

// ---- over all hypotheses ----

static void keep(struct tune_model *model, const struct tune_guess *guess) {
    size_t at = model->live_count;
    if (at == TUNE_LIVE_MAX) {
        at = 0;
        for (size_t i = 1; i < TUNE_LIVE_MAX; i++)
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
    double x = ((const struct tune_guess *)a)->weight, y = ((const struct tune_guess *)b)->weight;
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

static void suppose(struct tune_model *model, struct tune_guess *guess, double prior) {
    guess->prior = guess->weight = log(prior);
    for (int o = 0; o < TUNE_OUTPUTS; o++)
        guess->weight += condition(model, guess, o);
    keep(model, guess);
}

// None of the trials would have spilled: they say of this cliff what they say of none.
static bool cliff_unseen(const struct tune_model *model, double room) {
    for (size_t i = 0; i < model->seen_count; i++)
        if (tune_prior_expected(model->prior, model->seen[i].cell)->spare_mib < room)
            return false;
    return true;
}

// Where the device begins to spill, if it does, on top of a guess that it does not.
static void suppose_cliffs(struct tune_model *model, const struct tune_guess *none, double prior) {
    for (size_t s = 1; s < CLIFFS && model->may_spill; s++) {
        struct tune_guess guess = *none;
        double of_all = prior * CLIFF[s].prior;
        guess.room = CLIFF[s].room;
        guess.rate = CLIFF[s].rate;
        if (!cliff_unseen(model, guess.room)) {
            suppose(model, &guess, of_all);
            continue;
        }
        guess.prior = log(of_all);
        guess.weight += guess.prior - none->prior;
        keep(model, &guess);
    }
}

static bool odd_here(const struct tune_model *model, size_t o) {
    return (!ODD[o].cache || tune_prior_tunes(model->prior, TUNE_KV)) &&
           (!ODD[o].steep || tune_prior_tunes(model->prior, TUNE_UBATCH)) &&
           (!ODD[o].kernels || tune_prior_tunes(model->prior, TUNE_FLASH) ||
            tune_prior_tunes(model->prior, TUNE_REPACK) ||
            tune_prior_tunes(model->prior, TUNE_THREADS));
}

// How dear a layer on the CPU is, whether the device spills, whether some kind of cache or kernel
// is odd here: every combination.
static void suppose_machines(struct tune_model *model) {
    bool offloads = tune_prior_streams(model->prior);
    double cost = tune_prior_layer_cost(model->prior);
    for (size_t c = 0; c < COSTS; c++)
        for (size_t o = 0; o < ODDITIES; o++) {
            struct tune_guess guess = {.cost = cost * COST_FACTOR[c],
                                       .odd_cache = ODD[o].cache,
                                       .odd_kernels = ODD[o].kernels,
                                       .steep = ODD[o].steep};
            double prior = COST_PRIOR[c] * ODD[o].prior;
            if ((!offloads && COST_FACTOR[c] != 1) || !odd_here(model, o))
                continue;
            suppose(model, &guess, prior * CLIFF[0].prior);
            suppose_cliffs(model, &guess, prior);
        }
}

// The likeliest of those that spill, with other thresholds and rates around: a coarse grid would
// leave a layer or two in doubt.
static void refine_spills(struct tune_model *model) {
    static const double ROOM[] = {0.6, 0.75, 0.88, 1.14, 1.33, 1.6};
    static const double RATE[] = {0.5, 0.71, 1, 1.41, 2};
    struct tune_guess coarse[TUNE_LIVE_MAX];
    size_t count = model->live_count;
    memcpy(coarse, model->live, count * sizeof *coarse);
    qsort(coarse, count, sizeof *coarse, by_weight);
    for (size_t i = 0; i < count && i < REFINED; i++) {
        struct tune_guess guess = coarse[i];
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
    struct tune_guess machines[TUNE_LIVE_MAX];
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
    model->seen_count = count < TUNE_TRIALS_MAX ? count : TUNE_TRIALS_MAX;
    memcpy(model->seen, seen, model->seen_count * sizeof *seen);
    for (size_t i = 0; i < model->seen_count; i++)
        tune_model_relate(model, seen[i].cell, &model->seen_relations[i]);
    model->live_count = 0;
    suppose_machines(model);
    refine_spills(model);
    suppose_mishaps(model);
    normalise(model);
}

void tune_model_mean(const struct tune_model *model, size_t cell, double mean[TUNE_OUTPUTS]) {
    struct tune_relations relations;
    struct tune_view view;
    tune_model_relate(model, cell, &relations);
    mean[TUNE_DECODE] = mean[TUNE_PREFILL] = 0;
    for (size_t i = 0; i < model->live_count; i++) {
        tune_model_view(model, &model->live[i], cell, &relations, &view);
        for (int o = 0; o < TUNE_OUTPUTS; o++)
            mean[o] += model->live[i].weight * view.mean[o];
    }
}

double tune_model_bar(const struct tune_model *model, size_t cell) {
    return tune_prior_expected(model->prior, cell)->with_a_draft ? model->draft_bar : 0;
}

double tune_model_objective(const struct tune_model *model, size_t cell) {
    double mean[TUNE_OUTPUTS], sum = -tune_model_bar(model, cell);
    tune_model_mean(model, cell, mean);
    for (int o = 0; o < TUNE_OUTPUTS; o++)
        sum += model->weight[o] * mean[o];
    return sum;
}

double tune_model_disturbed(const struct tune_model *model, size_t trial) {
    double sum = 0;
    for (size_t i = 0; i < model->live_count; i++)
        sum += model->live[i].variant == (int)trial + 1 ? model->live[i].weight : 0;
    return sum;
}

void tune_model_hold(struct tune_model *model, size_t best) {
    struct tune_relations relations;
    model->best = best;
    tune_model_relate(model, best, &relations);
    for (size_t i = 0; i < model->live_count; i++)
        tune_model_view(model, &model->live[i], best, &relations, &model->best_view[i]);
}

// E[max(X, 0)] of a normal X.
static double positive_part(double mean, double sd) {
    if (sd < 1e-9)
        return fmax(mean, 0);
    double z = mean / sd;
    return sd * exp(-0.5 * z * z) / sqrt(2 * M_PI) + mean * 0.5 * erfc(-z / M_SQRT2);
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

// A cell and another one, to be compared under each hypothesis.
struct pair {
    size_t cell, other;
    struct tune_relations relations; // of the cell
    struct tune_relation both[TUNE_OUTPUTS];
};

static void pair_init(const struct tune_model *model, size_t cell, size_t other,
                      struct pair *pair) {
    *pair = (struct pair){.cell = cell, .other = other};
    tune_model_relate(model, cell, &pair->relations);
    for (int o = 0; o < TUNE_OUTPUTS; o++)
        pair->both[o] = tune_prior_relation(model->prior, o, cell, other);
}

// How much faster the cell is than the other one, of the objective.
static void compare(const struct tune_model *model, const struct tune_guess *guess,
                    const struct pair *pair, const struct tune_view *other, double *mean,
                    double *var) {
    struct tune_view view;
    tune_model_view(model, guess, pair->cell, &pair->relations, &view);
    *mean = tune_model_bar(model, pair->other) - tune_model_bar(model, pair->cell);
    *var = 0;
    for (int o = 0; o < TUNE_OUTPUTS; o++) {
        double w = model->weight[o];
        double both = tune_model_cov(model, guess, o, &pair->both[o], &view, other);
        *mean += w * (view.mean[o] - other->mean[o]);
        *var += w * w * fmax(view.var[o] + other->var[o] - 2 * both, 0);
    }
}

double tune_model_worth(const struct tune_model *model, size_t cell, bool again, bool glance) {
    double sum = 0, weight = 0, noise = 0;
    size_t other = again && cell == model->best ? rival_of(model) : cell;
    size_t count = glance && model->live_count > GLANCE ? GLANCE : model->live_count;
    struct pair pair;
    pair_init(model, other, model->best, &pair);
    for (int o = 0; o < TUNE_OUTPUTS; o++)
        noise += pow(model->weight[o] * model->seen[0].noise, 2);
    for (size_t i = 0; i < count; i++) {
        double mean, var;
        compare(model, &model->live[i], &pair, &model->best_view[i], &mean, &var);
        double removed = var > 0 ? var / sqrt(var + noise) : 0; // of the uncertainty, by a trial
        sum += model->live[i].weight * positive_part(mean, removed);
        weight += model->live[i].weight;
    }
    return sum / weight;
}

double tune_model_doubt(const struct tune_model *model, size_t cell, size_t other) {
    struct pair pair;
    struct tune_relations relations;
    double sum = 0;
    pair_init(model, cell, other, &pair);
    tune_model_relate(model, other, &relations);
    for (size_t i = 0; i < model->live_count; i++) {
        struct tune_view view;
        double mean, var;
        tune_model_view(model, &model->live[i], other, &relations, &view);
        compare(model, &model->live[i], &pair, &view, &mean, &var);
        double z = var > 0 ? mean / sqrt(var) : copysign(INFINITY, mean);
        sum += model->live[i].weight * 0.5 * erfc(z / M_SQRT2);
    }
    return sum;
}
