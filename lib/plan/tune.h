// Finds the fastest settings that fit in a handful of measured trials. A state machine: no clock,
// no process, no input or output. The caller measures; this says what, and learns.
//
//   tune = tune_create(&space, &options, &err);
//   while (tune_next(tune, &trial))
//       tune_result(tune, &measured);   // stopping early is fine: the best so far holds
//   tune_best(tune, &best);
//
// What may be varied: tune_fit.h makes the space from a model and a machine. How it chooses:
// tune_model.h. What it recommends was always measured, never only predicted.
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    TUNE_TRIALS_MAX = 8,
    TUNE_VALUES_MAX = 128, // of one axis
    TUNE_CELLS_MAX = 65536,
};

enum tune_axis {
    TUNE_OFFLOAD, // layers on the CPU: their experts, or all of them
    TUNE_THREADS,
    TUNE_UBATCH,
    TUNE_KV, // the caller's number of a cache type
    TUNE_FLASH,
    TUNE_REPACK,
    TUNE_DRAFT,   // 0: none, else the caller's number of a draft
    TUNE_DRAFT_N, // tokens guessed at once; 0 without a draft
    TUNE_AXES,
};

struct tune_choice {
    int value[TUNE_AXES]; // 0 where nothing is tuned
};

// The first value is the present one. Empty: the axis is not tuned.
struct tune_list {
    int values[TUNE_VALUES_MAX];
    size_t count;
};

// What physics says before anything ran; zeros: unknown. Never trusted over a trial.
struct tune_hints {
    bool cpu_only;
    int layers_on_cpu; // where TUNE_OFFLOAD is not tuned
    int cores_physical, cores_logical;
    double gpu_bytes;                   // read for one token with all layers on the GPU
    double layer_bytes;                 // read for one token of one layer on the CPU
    double kv_bytes[TUNE_VALUES_MAX];   // of the cache for one token, by the order of TUNE_KV
    double draft_gain[TUNE_VALUES_MAX]; // decode with / without, by the order of TUNE_DRAFT
};

struct tune_space {
    struct tune_list axis[TUNE_AXES];
    // Does it fit? *spare_mib: what is left on the fullest device, NAN when nobody knows. Asked
    // once for every combination, in tune_create. NULL: everything fits.
    bool (*fits)(void *arg, const struct tune_choice *choice, double *spare_mib);
    void *arg;
    struct tune_hints hints;
};

struct tune_options {
    unsigned trials;      // at most; 0: TUNE_TRIALS_MAX
    double decode_weight; // of ln tok/s; both 0: 0.8 and 0.2
    double prefill_weight;
    double noise;         // relative, of a trial that reports no spread; 0: 0.02
    double draft_minimum; // decode with a draft must be so much faster; 0: 1.10
};

struct tune_trial {
    unsigned number; // from 1
    struct tune_choice choice;
    bool again;                                 // these settings were measured before
    char reason[96];                            // "a quarter more layers on the CPU"
    double predicted_decode, predicted_prefill; // tok/s; 0: not before the first trial
};

enum tune_outcome {
    TUNE_MEASURED,
    TUNE_NO_MEMORY, // nothing that needs as much will be tried
    TUNE_BROKEN,    // refused or crashed: not tried again
};

struct tune_measured {
    enum tune_outcome outcome;
    double decode, prefill; // tok/s; prefill 0: not measured
    double spread;          // relative standard error of the figures; 0: unknown
};

struct tune_best {
    struct tune_choice choice;
    double decode, prefill;                     // tok/s: mean of its trials
    double predicted_decode, predicted_prefill; // what the model makes of all trials
    double anchor_decode, anchor_prefill;       // of the first settings that ran
    double gain;                                // of the objective over those: 1.25 is 25 % better
    double doubt;        // how likely it is that those are as fast after all, 0 to 1
    double drift;        // largest change between two trials of the same settings
    double spare_mib;    // NAN: unknown
    bool present_failed; // the present settings did not run; the anchor is what came after them
    unsigned trials, failed, compared; // compared: measured, of other settings than the first
};

struct tune;

// NULL when nothing fits or the space is too large. Lists are copied.
struct tune *tune_create(const struct tune_space *space, const struct tune_options *options,
                         struct err *err);
void tune_destroy(struct tune *tune); // NULL is fine

// False: done. Until its result is told, the same trial is given again.
bool tune_next(struct tune *tune, struct tune_trial *trial);
void tune_result(struct tune *tune, const struct tune_measured *measured);
// Ends it: what was learned so far holds. tune_next says false from now on.
void tune_stop(struct tune *tune);

// At any time; false as long as no trial succeeded.
bool tune_best(const struct tune *tune, struct tune_best *best);

// The value of the objective for these speeds, in ln; for replays and tables.
double tune_objective(const struct tune_options *options, double decode, double prefill);
// How certain both speeds together are, from the relative standard error of each.
double tune_error(const struct tune_options *options, double decode, double prefill);
