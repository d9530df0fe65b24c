#include "tune_figures.h"

#include <math.h>

// Speed follows the pace by a power between 0.7 and 1.3 (telemetry/pace.h): what was measured far
// from the first trial's pace is as uncertain as that.
static const double PACE_DOUBT = 0.3;

static double known(double value) { return isnan(value) ? 0 : value; }

// By what the objective makes of each.
static double error_of(const struct tune_options *options, const struct trial_point_result *point) {
    double d = options->decode_weight, p = options->prefill_weight;
    if (d <= 0 && p <= 0) {
        d = 0.8;
        p = 0.2;
    }
    return hypot(d * point->decode_error, p * point->prefill_error) / hypot(d, p);
}

static void note_pace(struct tune_pace *pace, double now) {
    bool is_first = pace->first <= 0;
    if (is_first)
        pace->first = now;
    double relative = now / pace->first;
    pace->least = is_first ? relative : fmin(pace->least, relative);
    pace->most = is_first ? relative : fmax(pace->most, relative);
}

void tune_figures(struct tune_pace *pace, const struct tune_options *options,
                  const struct trial_point_result *point, struct tune_figures *out) {
    struct series prefill, decode;
    double now = series_median(&point->pace), doubt = 0;
    if (!isnan(now)) {
        note_pace(pace, now);
        doubt = PACE_DOUBT * point->pace_share * fabs(log(now / pace->first));
    }
    trial_at_pace(point, pace->first, &prefill, &decode);
    *out = (struct tune_figures){
        .decode = known(series_median(&point->decode_tok_s)),
        .prefill = known(series_median(&point->prefill_tok_s)),
        .pace = isnan(now) ? NAN : now / pace->first,
        .measured = {.outcome = TUNE_MEASURED,
                     .decode = known(series_median(&decode)),
                     .prefill = known(series_median(&prefill)),
                     .spread = hypot(error_of(options, point), doubt)},
    };
}
