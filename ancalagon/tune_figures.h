// What a trial of `tune` comes to: its figures as they were measured, and those that are compared,
// at the machine's pace of the first trial.
#pragma once

#include "plan/tune.h"
#include "trial.h"

struct tune_pace {
    double first;       // of the first trial that has one; 0: none yet
    double least, most; // of all trials, over the first's
};

struct tune_figures {
    double decode, prefill; // tok/s, as measured; prefill 0: not measured
    double pace;            // over the first trial's; NAN: not taken
    struct tune_measured measured;
};

void tune_figures(struct tune_pace *pace, const struct tune_options *options,
                  const struct trial_point_result *point, struct tune_figures *out);
