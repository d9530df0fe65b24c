#include "base/series.h"

#include <math.h>
#include <string.h>

bool series_add(struct series *series, double value) {
    if (series->count == SERIES_MAX || isnan(value))
        return false;
    series->values[series->count++] = value;
    return true;
}

static double middle(double *values, size_t count) {
    if (count == 0)
        return NAN;
    for (size_t i = 1; i < count; i++) { // insertion sort: at most 32
        double value = values[i];
        size_t j = i;
        for (; j > 0 && values[j - 1] > value; j--)
            values[j] = values[j - 1];
        values[j] = value;
    }
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

double series_median(const struct series *series) {
    double sorted[SERIES_MAX];
    memcpy(sorted, series->values, sizeof sorted);
    return middle(sorted, series->count);
}

double series_min(const struct series *series) {
    double least = NAN;
    for (size_t i = 0; i < series->count; i++)
        least = fmin(least, series->values[i]); // the other one of a NAN
    return least;
}

double series_max(const struct series *series) {
    double most = NAN;
    for (size_t i = 0; i < series->count; i++)
        most = fmax(most, series->values[i]);
    return most;
}

double series_mad(const struct series *series) {
    double median = series_median(series), distance[SERIES_MAX];
    for (size_t i = 0; i < series->count; i++)
        distance[i] = fabs(series->values[i] - median);
    return middle(distance, series->count);
}

double series_spread(const struct series *series) {
    double median = series_median(series);
    return series->count < 3 || median == 0 ? NAN : 1.4826 * series_mad(series) / fabs(median);
}
