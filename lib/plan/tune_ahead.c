// What a trial teaches of the others: some cells over the likeliest hypotheses, one Gaussian put in
// place of their mixture, so that what a trial tells of the hypotheses is in it.
#include "base/mem.h"
#include "plan/tune_model_private.h"

#include <math.h>

enum { AHEAD = 8, NODES = 5 };

// Points and weights of Gauss and Hermite.
static const double AT[NODES] = {-2.856970, -1.355626, 0, 1.355626, 2.856970};
static const double WEIGHT[NODES] = {0.011257, 0.222076, 0.533333, 0.222076, 0.011257};

struct outlook {
    const struct tune_model *model;
    const size_t *cells;
    size_t count, guesses;
    double all;                   // weight of these hypotheses
    struct tune_view *view;       // by cell and hypothesis
    double (*mean)[TUNE_OUTPUTS]; // by cell
    double *level;                // by cell: the objective
    size_t top;                   // the cell of the highest level
    double *cov[TUNE_OUTPUTS];    // by pair of cells
};

static double pair_cov(const struct outlook *out, int output, size_t a, size_t b) {
    struct tune_relation relation =
        tune_prior_relation(out->model->prior, output, out->cells[a], out->cells[b]);
    double sum = 0;
    for (size_t g = 0; g < out->guesses; g++) {
        const struct tune_guess *guess = &out->model->live[g];
        const struct tune_view *x = &out->view[a * out->guesses + g];
        const struct tune_view *y = &out->view[b * out->guesses + g];
        double cov = tune_model_cov(out->model, guess, output, &relation, x, y);
        cov += (x->mean[output] - out->mean[a][output]) * (y->mean[output] - out->mean[b][output]);
        sum += guess->weight * cov;
    }
    return sum / out->all;
}

static void look_at(struct outlook *out, size_t i) {
    const struct tune_model *model = out->model;
    struct tune_relations relations;
    tune_model_relate(model, out->cells[i], &relations);
    out->mean[i][TUNE_DECODE] = out->mean[i][TUNE_PREFILL] = 0;
    for (size_t g = 0; g < out->guesses; g++) {
        struct tune_view *view = &out->view[i * out->guesses + g];
        tune_model_view(model, &model->live[g], out->cells[i], &relations, view);
        for (int o = 0; o < TUNE_OUTPUTS; o++)
            out->mean[i][o] += model->live[g].weight * view->mean[o] / out->all;
    }
    out->level[i] = -tune_model_bar(model, out->cells[i]);
    for (int o = 0; o < TUNE_OUTPUTS; o++)
        out->level[i] += model->weight[o] * out->mean[i][o];
    if (out->level[i] > out->level[out->top])
        out->top = i;
}

static void outlook_init(struct outlook *out, const struct tune_model *model, const size_t *cells,
                         size_t count) {
    size_t guesses = model->live_count < AHEAD ? model->live_count : AHEAD;
    *out = (struct outlook){.model = model, .cells = cells, .count = count, .guesses = guesses};
    out->view = mem_alloc(count * guesses * sizeof *out->view);
    out->mean = mem_alloc(count * sizeof *out->mean);
    out->level = mem_alloc(count * sizeof *out->level);
    for (size_t g = 0; g < guesses; g++)
        out->all += model->live[g].weight;
    for (size_t i = 0; i < count; i++)
        look_at(out, i);
    for (int o = 0; o < TUNE_OUTPUTS; o++) {
        out->cov[o] = mem_alloc(count * count * sizeof(double));
        for (size_t a = 0; a < count && model->weight[o] > 0; a++)
            for (size_t b = 0; b <= a; b++)
                out->cov[o][a * count + b] = out->cov[o][b * count + a] = pair_cov(out, o, a, b);
    }
}

static void outlook_fini(struct outlook *out) {
    mem_free(out->view);
    mem_free(out->mean);
    mem_free(out->level);
    for (int o = 0; o < TUNE_OUTPUTS; o++)
        mem_free(out->cov[o]);
}

// How far a trial of `x` that ends one standard deviation higher than expected moves each cell, as
// factors of its covariances.
static void fill_factors(const struct outlook *out, size_t x, double factor[TUNE_OUTPUTS]) {
    double noise = out->model->seen[0].noise * out->model->seen[0].noise;
    for (int o = 0; o < TUNE_OUTPUTS; o++) {
        double w = out->model->weight[o], var = w > 0 ? out->cov[o][x * out->count + x] : 0;
        factor[o] = var > 0 ? w / sqrt(var + noise) : 0;
    }
}

// E[max] over the cells after a trial of `x`.
static double best_after(const struct outlook *out, size_t x) {
    const double *decode = out->cov[TUNE_DECODE] + x * out->count;
    const double *prefill = out->cov[TUNE_PREFILL] + x * out->count;
    double factor[TUNE_OUTPUTS], best[NODES * NODES], sum = 0;
    fill_factors(out, x, factor);
    // A cell that stays below the least that the top one can have is never the best.
    double reach = AT[NODES - 1];
    double least = out->level[out->top] - reach * (factor[TUNE_DECODE] * fabs(decode[out->top]) +
                                                   factor[TUNE_PREFILL] * fabs(prefill[out->top]));
    for (size_t n = 0; n < NODES * NODES; n++)
        best[n] = -INFINITY;
    for (size_t i = 0; i < out->count; i++) {
        double d = factor[TUNE_DECODE] * decode[i], p = factor[TUNE_PREFILL] * prefill[i];
        if (out->level[i] + reach * (fabs(d) + fabs(p)) < least)
            continue;
        for (size_t n = 0; n < NODES; n++)
            for (size_t m = 0; m < NODES; m++) {
                double here = out->level[i] + AT[n] * d + AT[m] * p;
                double *most = &best[n * NODES + m];
                *most = here > *most ? here : *most;
            }
    }
    for (size_t n = 0; n < NODES * NODES; n++)
        sum += WEIGHT[n / NODES] * WEIGHT[n % NODES] * best[n];
    return sum;
}

void tune_model_ahead(const struct tune_model *model, const size_t *cells, size_t count,
                      double *worth) {
    struct outlook out;
    if (count == 0)
        return;
    outlook_init(&out, model, cells, count);
    for (size_t i = 0; i < count; i++)
        worth[i] = best_after(&out, i) - out.level[out.top];
    outlook_fini(&out);
}
