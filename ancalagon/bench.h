// What `ancalagon bench` measured: a preset with one engine build, or two of them side by side,
// each put together from one or several trials (trial.h); as a table, as Markdown, as JSON, and
// kept in the state folder.
#pragma once

#include "base/buf.h"
#include "trial.h"

#include <jansson.h>

enum { BENCH_SIDES = 2 };

struct bench_side {
    char preset[PRESET_NAME_MAX + 1];
    char model[256]; // file name
    char engine_path[512];
    char engine_version[96];
    int64_t measured_at; // seconds since 1970
    struct series load_ms;
    struct trial_point_result points[TRIAL_POINTS_MAX];
    size_t point_count;
    struct trial_load prefill, decode; // of all points
    uint64_t peak_rss_bytes;
    struct trial_device devices[TRIAL_DEVICES_MAX];
    size_t device_count;
};

struct bench {
    struct bench_side sides[BENCH_SIDES];
    size_t side_count;
    char cpu[96];
    unsigned cores;
    bool complete; // nothing failed, nobody interrupted
};

void bench_machine(struct bench *bench); // fills cpu and cores
void bench_side_add(struct bench_side *side, const struct trial_result *result);
double bench_others_cores(const struct bench_side *side); // meanwhile; NAN: not known
bool bench_side_empty(const struct bench_side *side);     // not one run was measured
const struct trial_point_result *bench_point(const struct bench_side *side,
                                             const struct trial_point *point); // or NULL

// Value i of b over value i of a: they were measured one after the other, so a machine that drifts
// counts for both.
void bench_ratio(const struct series *a, const struct series *b, struct series *out);

// bench_report.c
void bench_print(const struct bench *bench, struct buf *out);
void bench_print_markdown(const struct bench *bench, struct buf *out);

// bench_json.c
json_t *bench_json(const struct bench *bench);
json_t *bench_side_json(const struct bench_side *side);
bool bench_side_read(const json_t *json, struct bench_side *out);

// The last bench of each preset and build, in the state folder's bench.json. Saving warns when it
// cannot; loading finds nothing when there is none.
void bench_save(const struct bench_side *side);
bool bench_load(const char *preset, const char *engine_path, const char *engine_version,
                struct bench_side *out);
// All kept ones of a preset, newest first; at most `max`.
size_t bench_load_all(const char *preset, struct bench_side *out, size_t max);
