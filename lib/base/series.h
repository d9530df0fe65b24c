// A few measurements of the same thing, and what is said of them: the median, how far they spread.
// In place, bounded: past SERIES_MAX values nothing is added.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { SERIES_MAX = 32 };

struct series {
    double values[SERIES_MAX]; // in the order they were measured
    size_t count;
};

bool series_add(struct series *series, double value); // false: full, or not a number
double series_median(const struct series *series);    // NAN when empty, like those below
double series_min(const struct series *series);
double series_max(const struct series *series);
// Median distance from the median: half of the values are within it. 0 for a single value.
double series_mad(const struct series *series);
// Relative standard deviation, told by the MAD (1.4826 MAD / median), which one straggler does not
// move. NAN for fewer than three values: two say nothing about a spread.
double series_spread(const struct series *series);
