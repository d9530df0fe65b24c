#define _GNU_SOURCE
#include "bench.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/system.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void bench_machine(struct bench *bench) {
    char *name = system_cpu_name();
    snprintf(bench->cpu, sizeof bench->cpu, "%s", name ? name : "unknown");
    mem_free(name);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    bench->cores = cores > 0 ? (unsigned)cores : 1;
}

// Means of two stretches of time; what one of them does not know is the other's.
static double weigh(double a, double a_seconds, double b, double b_seconds) {
    if (isnan(a) || a_seconds <= 0)
        return b;
    if (isnan(b) || b_seconds <= 0)
        return a;
    return (a * a_seconds + b * b_seconds) / (a_seconds + b_seconds);
}

static void add_load(struct trial_load *to, const struct trial_load *from) {
    double s = to->seconds, t = from->seconds;
    to->cpu_cores = weigh(to->cpu_cores, s, from->cpu_cores, t);
    to->others_cores = weigh(to->others_cores, s, from->others_cores, t);
    to->package_w = weigh(to->package_w, s, from->package_w, t);
    to->utilisation = weigh(to->utilisation, s, from->utilisation, t);
    to->power_w = weigh(to->power_w, s, from->power_w, t);
    to->seconds = s + t;
}

double bench_others_cores(const struct bench_side *side) {
    return weigh(side->prefill.others_cores, side->prefill.seconds, side->decode.others_cores,
                 side->decode.seconds);
}

static void add_series(struct series *to, const struct series *from) {
    for (size_t i = 0; i < from->count; i++)
        series_add(to, from->values[i]);
}

const struct trial_point_result *bench_point(const struct bench_side *side,
                                             const struct trial_point *point) {
    for (size_t i = 0; i < side->point_count; i++)
        if (side->points[i].point.prompt_tokens == point->prompt_tokens &&
            side->points[i].point.predict_tokens == point->predict_tokens)
            return &side->points[i];
    return NULL;
}

static void add_point(struct bench_side *side, const struct trial_point_result *from) {
    struct trial_point_result *to = (struct trial_point_result *)bench_point(side, &from->point);
    if (!from->prompt_n) // not one run
        return;
    if (!to && side->point_count == TRIAL_POINTS_MAX)
        return;
    if (!to) {
        side->points[side->point_count] = *from;
        side->points[side->point_count++].point.repeats = (unsigned)from->prefill_tok_s.count;
        return;
    }
    add_series(&to->prefill_tok_s, &from->prefill_tok_s);
    add_series(&to->decode_tok_s, &from->decode_tok_s);
    to->point.repeats = (unsigned)to->prefill_tok_s.count;
    to->prompt_n = from->prompt_n;
    to->predicted_n = from->predicted_n;
    to->cached_n = from->cached_n > to->cached_n ? from->cached_n : to->cached_n;
    to->draft_n += from->draft_n;
    to->draft_accepted += from->draft_accepted;
}

static void add_devices(struct bench_side *side, const struct trial_result *result) {
    for (size_t i = 0; i < result->device_count; i++) {
        struct trial_device *to = &side->devices[i];
        const struct trial_device *from = &result->devices[i];
        if (i >= side->device_count) {
            *to = *from;
            continue;
        }
        if (from->memory_bytes > to->memory_bytes)
            to->memory_bytes = from->memory_bytes;
        to->temperature_c = fmax(to->temperature_c, from->temperature_c);
    }
    if (result->device_count > side->device_count)
        side->device_count = result->device_count;
}

void bench_side_add(struct bench_side *side, const struct trial_result *result) {
    if (result->engine_path[0]) {
        memcpy(side->engine_path, result->engine_path, sizeof side->engine_path);
        memcpy(side->engine_version, result->engine_version, sizeof side->engine_version);
    }
    if (result->load_ms >= 0)
        series_add(&side->load_ms, (double)result->load_ms);
    for (size_t p = 0; p < result->point_count; p++)
        add_point(side, &result->points[p]);
    add_load(&side->prefill, &result->prefill);
    add_load(&side->decode, &result->decode);
    if (result->peak_rss_bytes > side->peak_rss_bytes)
        side->peak_rss_bytes = result->peak_rss_bytes;
    add_devices(side, result);
}

bool bench_side_empty(const struct bench_side *side) { return side->point_count == 0; }

void bench_ratio(const struct series *a, const struct series *b, struct series *out) {
    *out = (struct series){0};
    for (size_t i = 0; i < a->count && i < b->count; i++)
        if (a->values[i] > 0)
            series_add(out, b->values[i] / a->values[i]);
}
