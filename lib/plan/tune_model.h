// What a few noisy trials say about the speed of every combination of settings: a Gaussian process
// over ln(tok/s), one for decode and one for prefill, around what physics says beforehand.
//
//   decode   t = t0 + n s: n layers on the CPU cost s each, threads act on that share alone
//   prefill  weights stream once per ubatch: larger ones win until they do not
//   a cache type, flash attention, repacking, a draft: some per cent either way
//
// What a straight-line prior cannot say is a set of hypotheses, weighted by how well each explains
// the trials (marginal likelihood): how dear a layer on the CPU is; that a nearly full device
// spills into host memory; that one trial was disturbed (slower, decode and prefill alike); that
// the machine drifts.
//
// Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), algorithm 2.1; expected
// improvement after Jones, Schonlau and Welch (1998); knowledge gradient, of a pair and of
// correlated beliefs, after Frazier, Powell and Dayanik (2009).
#pragma once

#include "plan/tune_prior.h"

struct tune_seen {
    size_t cell;
    double value[TUNE_OUTPUTS]; // ln tok/s; NAN: not measured
    double noise;               // relative
};

struct tune_model;

// Space and cells must outlive it.
struct tune_model *tune_model_create(const struct tune_space *space, const struct tune_cell *cells,
                                     size_t count, const struct tune_options *options);
void tune_model_destroy(struct tune_model *model);

// Learns from all trials anew; at most TUNE_TRIALS_MAX.
void tune_model_learn(struct tune_model *model, const struct tune_seen *seen, size_t count);

void tune_model_mean(const struct tune_model *model, size_t cell,
                     double mean[TUNE_OUTPUTS]); // ln tok/s
double tune_model_objective(const struct tune_model *model, size_t cell);
// What a draft must earn before it counts, in ln; 0 without one.
double tune_model_bar(const struct tune_model *model, size_t cell);

// How likely it is that the trial was disturbed, 0 to 1.
double tune_model_disturbed(const struct tune_model *model, size_t trial);

// How likely it is that `other` is as fast as `cell` or faster, 0 to 1.
double tune_model_doubt(const struct tune_model *model, size_t cell, size_t other);

// Before a comparison: the present choice.
void tune_model_hold(struct tune_model *model, size_t best);
// What a trial of `cell` is worth: how much better the choice after it is expected to be, in ln.
// `again`: it was tried before. `glance`: only by the likeliest hypotheses, several times quicker.
double tune_model_worth(const struct tune_model *model, size_t cell, bool again, bool glance);

// What a trial of each of these cells is worth when others follow: how much better the best of all
// of them is expected to be known after it, in ln.
void tune_model_ahead(const struct tune_model *model, const size_t *cells, size_t count,
                      double *worth);
