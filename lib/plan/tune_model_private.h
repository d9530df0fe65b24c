// Shared by tune_model.c and tune_ahead.c.
#pragma once

#include "plan/tune_model.h"

enum { TUNE_LIVE_MAX = 24 };

// A Gaussian process under one hypothesis.
struct tune_guess {
    double cost;          // of a layer on the CPU, relative to all layers on the GPU
    double room;          // MiB: with less left, the device spills into host memory; 0: never
    double rate;          // what each MiB too little costs, of a token
    bool odd_cache;       // a cache type is far slower here than is usual
    bool odd_kernels;     // so is a kernel, or are some threads
    bool steep;           // large ubatches take from decode
    int variant;          // 0: nothing odd; 1..n: that trial was disturbed; n+1: the machine drifts
    double loss;          // of the disturbed trial, in ln, decode and prefill alike
    double prior, weight; // ln
    double chol[TUNE_OUTPUTS][TUNE_TRIALS_MAX][TUNE_TRIALS_MAX];
    double alpha[TUNE_OUTPUTS][TUNE_TRIALS_MAX];
    double spill[TUNE_OUTPUTS][TUNE_TRIALS_MAX]; // of the trials' cells
};

// A cell under one hypothesis: what is expected of it, and its part of the trials' covariance.
struct tune_view {
    double mean[TUNE_OUTPUTS], var[TUNE_OUTPUTS], spill[TUNE_OUTPUTS], share;
    double v[TUNE_OUTPUTS][TUNE_TRIALS_MAX];
};

// A cell with each of the trials; the same under all hypotheses.
struct tune_relations {
    struct tune_relation with[TUNE_OUTPUTS][TUNE_TRIALS_MAX];
};

struct tune_model {
    struct tune_prior *prior;
    bool cpu_only, may_spill;
    double weight[TUNE_OUTPUTS], draft_bar;
    struct tune_seen seen[TUNE_TRIALS_MAX];
    struct tune_relations seen_relations[TUNE_TRIALS_MAX];
    size_t seen_count;
    struct tune_guess live[TUNE_LIVE_MAX]; // the likeliest first
    size_t live_count;
    size_t best; // held
    struct tune_view best_view[TUNE_LIVE_MAX];
};

void tune_model_relate(const struct tune_model *model, size_t cell,
                       struct tune_relations *relations);
void tune_model_view(const struct tune_model *model, const struct tune_guess *guess, size_t cell,
                     const struct tune_relations *relations, struct tune_view *view);
// Of two cells, with what both have in common with the trials taken off.
double tune_model_cov(const struct tune_model *model, const struct tune_guess *guess, int output,
                      const struct tune_relation *relation, const struct tune_view *a,
                      const struct tune_view *b);
