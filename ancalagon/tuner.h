// Finds the fastest settings of a preset in a handful of measured trials. A state machine: no
// clock, no process, no input or output. The caller measures; the tuner says what, and learns.
//
//   tuner = tuner_create(&space, &options, &err);
//   while (tuner_next(tuner, &trial))
//       tuner_report(tuner, measure(&trial));     // stopping early is fine: the best so far holds
//   tuner_best(tuner, &best);
//
// How it chooses: tuner_model.h. What is recommended was always measured, never only predicted.
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define TUNER_MAX_TRIALS 32u
#define TUNER_MAX_CELLS 65536u
#define TUNER_MAX_VALUES 256u // of one axis

enum tuner_axis {
    TUNER_NCMOE, // MoE layers whose experts are on the CPU
    TUNER_NGL,   // layers on the GPU
    TUNER_THREADS,
    TUNER_UBATCH,
    TUNER_KV,      // the caller's number of a cache type
    TUNER_DRAFT,   // 0: none, else the caller's number of a draft
    TUNER_DRAFT_N, // tokens drafted a step; 0 without a draft
    TUNER_REPACK,
    TUNER_FLASH, // flash attention
    TUNER_AXES,
};

struct tuner_settings {
    int value[TUNER_AXES]; // by enum tuner_axis; 0 where nothing is tuned
};

// Values of one axis. Of threads, ubatch, kv, repack and flash the first is the present one. None:
// the axis is not tuned. A draft list that offers the choice has 0 in it.
struct tuner_list {
    const int *values;
    size_t count;
};

// Guesses that make the first trials better chosen; 0 or NULL: unknown. Never trusted over a trial.
struct tuner_hints {
    double gpu_bytes;       // read for one token with every layer on the GPU
    double layer_bytes;     // read for one token of one layer that is on the CPU (active experts)
    double gpu_bytes_per_s; // memory bandwidth
    double cpu_bytes_per_s;
    int physical_cores;
    double (*draft_gain)(void *arg, const struct tuner_settings *settings); // decode with / without
};

struct tuner_space {
    struct tuner_list axis[TUNER_AXES];
    // Can this be loaded? May fill *margin_mib (device memory left); all or none of them should.
    // Asked once for every combination, in tuner_create. NULL: everything fits.
    bool (*fits)(void *arg, const struct tuner_settings *settings, double *margin_mib);
    void *arg;
    struct tuner_hints hints;
};

struct tuner_options {
    unsigned max_trials;       // 0: 8
    double decode_weight;      // of ln tok/s; both weights 0: 0.8 and 0.2
    double prefill_weight;     // 0: prefill is not measured
    double stop_gain;          // 0: 0.03; no further trial when less than this is to be gained
    double noise;              // 0: 0.02; relative spread of a trial that reports none
    double draft_minimum_gain; // 0: 1.10; a draft that measures less is not used
};

enum tuner_why {
    TUNER_ANCHOR,  // the present settings, as much on the GPU as fits
    TUNER_EXPLORE, // may be faster
    TUNER_CONFIRM, // again, because the choice is close or the machine may have drifted
};

struct tuner_trial {
    unsigned number; // from 1
    struct tuner_settings settings;
    enum tuner_why why;
    double hoped_gain;       // relative to the best so far, if it turns out well; 0: unknown
    unsigned decode_tokens;  // generate so many ...
    unsigned prefill_tokens; // ... after a prompt of so many that no cache knows; 0: no matter
    unsigned repeats;        // and report the median
};

enum tuner_outcome {
    TUNER_MEASURED,
    TUNER_NO_MEMORY, // did not load; nothing that needs as much will be tried
    TUNER_BROKEN,    // crashed or refused; the value that it alone had will not be tried again
};

struct tuner_result {
    enum tuner_outcome outcome;
    double decode_tok_s;
    double prefill_tok_s; // 0: not measured
    double spread;        // relative standard deviation of the figures above; 0: unknown
};

struct tuner_best {
    struct tuner_settings settings;
    double decode_tok_s; // mean of its trials
    double prefill_tok_s;
    double margin_mib;   // NAN: the space does not say
    double gain;         // of the objective over the anchor: 1.25 is 25 % better
    double anchor_drift; // largest change between two trials of the same settings: 0.07 is 7 %
    bool drifted;        // that was beyond 5 %, and older trials were discounted for it
    unsigned trials, failed;
};

struct tuner;

// The lists are copied. NULL when nothing fits or the space is too large.
struct tuner *tuner_create(const struct tuner_space *space, const struct tuner_options *options,
                           struct err *err);
void tuner_destroy(struct tuner *tuner); // NULL is fine

// false: done. Until its result is reported, the same trial is given again.
bool tuner_next(struct tuner *tuner, struct tuner_trial *trial);
void tuner_report(struct tuner *tuner, const struct tuner_result *result);

// At any time; false as long as no trial succeeded.
bool tuner_best(const struct tuner *tuner, struct tuner_best *best);
