// What is expected of the speed of every combination of settings before anything ran, and how much
// two of them have in common: the part of tune_model.h that no trial changes. Effects are in ln of
// tok/s and add up; those of different axes are independent.
//
//   decode   threads act on the CPU's share alone
//   prefill  weights stream once per ubatch: larger ones win until they do not
//   a cache type, flash attention, repacking, a draft: some per cent either way
#pragma once

#include "plan/tune.h"

enum { TUNE_DECODE, TUNE_PREFILL, TUNE_OUTPUTS };

struct tune_cell {
    unsigned char at[TUNE_AXES]; // which value of each axis
    bool open;                   // may be tried
    double spare_mib;            // NAN: unknown
};

// Of one cell. Threads apart: how much they count depends on the CPU's share.
struct tune_expected {
    double effects[TUNE_OUTPUTS], threads[TUNE_OUTPUTS];
    double octaves;    // of ubatch over the present one
    double on_cpu;     // layers
    double spare_mib;  // where nobody knows: a layer is a few hundred
    bool with_a_draft; // must earn its place
};

// Covariance of two cells, by what a hypothesis may scale: threads; cache types and kernels; the
// rest.
struct tune_relation {
    double threads, cache, kernels, slope, rest;
};

struct tune_prior;

// Space and cells must outlive it.
struct tune_prior *tune_prior_create(const struct tune_space *space, const struct tune_cell *cells,
                                     size_t count);
void tune_prior_destroy(struct tune_prior *prior);

const struct tune_expected *tune_prior_expected(const struct tune_prior *prior, size_t cell);
struct tune_relation tune_prior_relation(const struct tune_prior *prior, int output, size_t i,
                                         size_t k);
bool tune_prior_tunes(const struct tune_prior *prior, enum tune_axis axis);
// Does the GPU wait for weights that lie in host memory, once a batch?
bool tune_prior_streams(const struct tune_prior *prior);
// Of a layer on the CPU, relative to a token with all on the GPU.
double tune_prior_layer_cost(const struct tune_prior *prior);
