#include "trial_noise.h"

#include <math.h>

static const double USUAL = 0.02, USUAL_RUNS = 2;
// A median of normal values is so much less certain than their mean; and their standard deviation
// is so much more than their mean distance from the middle, which one straggler moves less.
static const double OF_MEDIAN = 1.2533, OF_DISTANCE = 1.2533;

void trial_noise_init(struct trial_noise *noise) {
    *noise = (struct trial_noise){USUAL * USUAL * USUAL_RUNS, USUAL_RUNS};
}

void trial_noise_learn(struct trial_noise *noise, const struct series *values) {
    double middle = series_median(values), distance = 0, n = (double)values->count;
    if (values->count < 2 || !(series_min(values) > 0))
        return;
    for (size_t i = 0; i < values->count; i++)
        distance += fabs(log(values->values[i] / middle)) / n;
    double deviation = OF_DISTANCE * distance * sqrt(n / (n - 1));
    noise->squares += (n - 1) * deviation * deviation;
    noise->freedom += n - 1;
}

double trial_noise_error(const struct trial_noise *noise, const struct series *values) {
    double n = (double)values->count;
    return n > 0 ? OF_MEDIAN * sqrt(noise->squares / noise->freedom / n) : 0;
}
