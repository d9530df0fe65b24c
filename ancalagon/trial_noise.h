// How certain the figures of a few runs are. What runs of one trial differ by is a property of the
// machine more than of the settings, and three runs say little of it; so trials of a session learn
// from each other.
#pragma once

#include "base/series.h"

struct trial_noise {
    double squares, freedom; // of ln values: their sum, and how many say so
};

void trial_noise_init(struct trial_noise *noise); // 2 %, by the word of two runs
void trial_noise_learn(struct trial_noise *noise, const struct series *values);
// The standard error of the median of such values, relative to it; 0 without values.
double trial_noise_error(const struct trial_noise *noise, const struct series *values);
