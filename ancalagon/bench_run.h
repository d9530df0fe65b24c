// One call of `ancalagon bench`: what its user asked for, and the measurement itself. cmd_bench.c
// reads the command line and shows the end.
#pragma once

#include "base/progress.h"
#include "bench.h"
#include "config.h"

enum { BENCH_DEPTHS_MAX = TRIAL_POINTS_MAX - 1 };

struct bench_options {
    const char *config, *preset, *vs;
    unsigned prompt, predict, repeat;
    unsigned depths[BENCH_DEPTHS_MAX];
    size_t depth_count;
    bool depth_told, prompt_told, json, markdown, unload, last;
};

struct bench_run {
    struct bench_options options;
    struct config *config;
    struct bench bench;
    const struct preset *presets[BENCH_SIDES];
    char *engines[BENCH_SIDES]; // NULL: the preset's own
    struct trial_point points[TRIAL_POINTS_MAX];
    size_t point_count;
    bool points_chosen;
    struct progress line;
    size_t side; // being measured
    unsigned round, rounds;
    int64_t started_ms, trial_ms[BENCH_SIDES]; // what a trial of a side took last; 0: none yet
};

// Fills run->bench. EXIT_DONE, EXIT_INTERRUPTED, or EXIT_FAILED with the reason told; what was
// measured until then is there.
int bench_measure(struct bench_run *run);
