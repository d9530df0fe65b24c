// What is known about the speed of every combination of settings, from a few noisy trials: a
// Gaussian process over ln(tok/s), one for decode and one for prefill.
//
// Its prior is what physics says before anything ran:
//   decode    ln t = ln(t0 + s n), n layers on the CPU; threads act on the CPU's share of it
//   ubatch    moves prefill much, decode little
//   drafts    predicted gain, give or take a lot; smooth in the length
// plus a small part for each axis and for their product (interactions). Beside it stand
// hypotheses of a cliff: settings that leave less than some room on the device spill (the driver
// moves memory to the host) and are several times slower. Each is weighted by how well it explains
// the trials (marginal likelihood), and predictions are averaged.
//
// Rasmussen & Williams, Gaussian Processes for Machine Learning, 2006, algorithm 2.1; the value of
// a trial is the one-step knowledge gradient for a pair (Frazier, Powell, Dayanik 2009).
#pragma once

#include "tuner.h"

struct tuner_cell {
    struct tuner_settings settings;
    unsigned char at[TUNER_AXES]; // which value of each axis
    double slack;                 // room left: MiB if the planner says, else layers above the least
    double margin_mib;            // NAN: unknown
    int deviations;               // axes that differ from the present settings
    bool open;                    // may be tried
};

enum { TUNER_DECODE, TUNER_PREFILL, TUNER_OUTPUTS };

struct tuner_observation {
    size_t cell;
    double value[TUNER_OUTPUTS]; // ln tok/s; NAN: not measured
    double noise;                // relative
};

struct tuner_model;

// Cells and axes must outlive the model. thresholds: slack below which a cell may spill, ascending.
struct tuner_model *tuner_model_create(const struct tuner_space *space,
                                       const struct tuner_cell *cells, size_t cell_count,
                                       const double *thresholds, size_t threshold_count);
void tuner_model_destroy(struct tuner_model *model);

// Learns from all trials anew. drift: expected change of the machine's speed between two trials.
void tuner_model_fit(struct tuner_model *model, const struct tuner_observation *trials,
                     size_t count, double drift);

// The expected ln tok/s of a cell.
double tuner_model_mean(const struct tuner_model *model, size_t cell, int output);

struct tuner_question {
    size_t best;                  // the present choice; must have been tried
    double weight[TUNER_OUTPUTS]; // of the objective
    double noise;                 // of the next trial
    double draft_bar;             // ln of what a draft must gain over a choice without one
};

// What trying `cell` is worth: expected rise of the objective of the cell chosen after it.
// *upside: how much better than the present choice it may well be (one deviation above the mean).
double tuner_model_worth(const struct tuner_model *model, const struct tuner_question *question,
                         size_t cell, double *upside);
