// A bench as JSON, and the file that keeps the last ones.
#define _GNU_SOURCE
#include "bench.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "format/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_FILE = 4 << 20, KEPT_MAX = 200 };

// --- To JSON

static json_t *real_or_null(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *series_json(const struct series *series) {
    json_t *values = json_array();
    for (size_t i = 0; i < series->count; i++)
        json_array_append_new(values, real_or_null(series->values[i]));
    return json_build("{s:o, s:o, s:o, s:o, s:o}", "median", real_or_null(series_median(series)),
                      "min", real_or_null(series_min(series)), "max",
                      real_or_null(series_max(series)), "mad", real_or_null(series_mad(series)),
                      "values", values);
}

static json_t *point_json(const struct trial_point_result *result) {
    return json_build("{s:I, s:I, s:o, s:o, s:I, s:I, s:I}", "prompt_tokens",
                      (json_int_t)result->point.prompt_tokens, "predict_tokens",
                      (json_int_t)result->point.predict_tokens, "prefill_tok_s",
                      series_json(&result->prefill_tok_s), "decode_tok_s",
                      series_json(&result->decode_tok_s), "cached_tokens",
                      (json_int_t)result->cached_n, "draft_tokens", (json_int_t)result->draft_n,
                      "draft_accepted", (json_int_t)result->draft_accepted);
}

static json_t *load_json(const struct trial_load *load) {
    return json_build("{s:f, s:o, s:o, s:o, s:o, s:o}", "seconds", load->seconds, "gpu_percent",
                      real_or_null(load->utilisation), "gpu_w", real_or_null(load->power_w),
                      "cpu_cores", real_or_null(load->cpu_cores), "others_cores",
                      real_or_null(load->others_cores), "cpu_w", real_or_null(load->package_w));
}

static json_t *bytes_or_null(uint64_t bytes) {
    return bytes && bytes != UINT64_MAX ? json_integer((json_int_t)bytes) : json_null();
}

static json_t *device_json(const struct trial_device *device) {
    return json_build("{s:s, s:s, s:o, s:o, s:o, s:o}", "name", device->name, "engine_name",
                      device->engine_name, "memory_bytes", bytes_or_null(device->memory_bytes),
                      "others_bytes", bytes_or_null(device->others_bytes), "total_bytes",
                      bytes_or_null(device->total_bytes), "temperature_c",
                      real_or_null(device->temperature_c));
}

json_t *bench_side_json(const struct bench_side *side) {
    json_t *points = json_array(), *devices = json_array();
    for (size_t p = 0; p < side->point_count; p++)
        json_array_append_new(points, point_json(&side->points[p]));
    for (size_t d = 0; d < side->device_count; d++)
        json_array_append_new(devices, device_json(&side->devices[d]));
    return json_build(
        "{s:s, s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "preset", side->preset, "model",
        side->model, "engine", side->engine_path, "engine_version", side->engine_version,
        "measured_at", (json_int_t)side->measured_at, "load_ms", series_json(&side->load_ms),
        "points", points, "prefill", load_json(&side->prefill), "decode", load_json(&side->decode),
        "peak_rss_bytes", bytes_or_null(side->peak_rss_bytes), "devices", devices);
}

static json_t *ratio_json(const struct bench *bench) {
    json_t *points = json_array();
    struct series load, prefill, decode;
    const struct bench_side *a = &bench->sides[0], *b = &bench->sides[1];
    bench_ratio(&a->load_ms, &b->load_ms, &load);
    for (size_t p = 0; p < a->point_count; p++) {
        const struct trial_point_result *one = &a->points[p], *other = bench_point(b, &one->point);
        if (!other)
            continue;
        bench_ratio(&one->prefill_tok_s, &other->prefill_tok_s, &prefill);
        bench_ratio(&one->decode_tok_s, &other->decode_tok_s, &decode);
        json_array_append_new(points,
                              json_build("{s:I, s:I, s:o, s:o}", "prompt_tokens",
                                         (json_int_t)one->point.prompt_tokens, "predict_tokens",
                                         (json_int_t)one->point.predict_tokens, "prefill",
                                         series_json(&prefill), "decode", series_json(&decode)));
    }
    return json_build("{s:o, s:o}", "load", series_json(&load), "points", points);
}

json_t *bench_json(const struct bench *bench) {
    json_t *sides = json_array();
    for (size_t s = 0; s < bench->side_count; s++)
        json_array_append_new(sides, bench_side_json(&bench->sides[s]));
    return json_build("{s:{s:s, s:I}, s:b, s:o, s:o}", "machine", "cpu", bench->cpu, "cores",
                      (json_int_t)bench->cores, "complete", (int)bench->complete, "sides", sides,
                      "ratio", bench->side_count == 2 ? ratio_json(bench) : json_null());
}

// --- And back

static double real_of(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void series_read(const json_t *json, struct series *out) {
    const json_t *values = json_object_get(json, "values");
    *out = (struct series){0};
    for (size_t i = 0; i < json_array_size(values); i++)
        if (json_is_number(json_array_get(values, i)))
            series_add(out, json_number_value(json_array_get(values, i)));
}

static unsigned whole_of(const json_t *object, const char *key) {
    int64_t value = json_get_int(object, key, 0);
    return value > 0 && value <= INT32_MAX ? (unsigned)value : 0;
}

static void point_read(const json_t *json, struct trial_point_result *out) {
    *out = (struct trial_point_result){
        .point = {whole_of(json, "prompt_tokens"), whole_of(json, "predict_tokens"), 0},
        .cached_n = whole_of(json, "cached_tokens"),
        .draft_n = whole_of(json, "draft_tokens"),
        .draft_accepted = whole_of(json, "draft_accepted"),
    };
    series_read(json_object_get(json, "prefill_tok_s"), &out->prefill_tok_s);
    series_read(json_object_get(json, "decode_tok_s"), &out->decode_tok_s);
    out->point.repeats = (unsigned)out->prefill_tok_s.count;
    out->prompt_n = out->point.prompt_tokens;
    out->predicted_n = out->point.predict_tokens;
}

static void load_read(const json_t *json, struct trial_load *out) {
    *out = (struct trial_load){.seconds = fmax(0, real_of(json, "seconds")),
                               .cpu_cores = real_of(json, "cpu_cores"),
                               .others_cores = real_of(json, "others_cores"),
                               .package_w = real_of(json, "cpu_w"),
                               .utilisation = real_of(json, "gpu_percent"),
                               .power_w = real_of(json, "gpu_w")};
}

static void device_read(const json_t *json, struct trial_device *out) {
    *out = (struct trial_device){.memory_bytes = (uint64_t)json_get_int(json, "memory_bytes", 0),
                                 .others_bytes = (uint64_t)json_get_int(json, "others_bytes", 0),
                                 .total_bytes = (uint64_t)json_get_int(json, "total_bytes", 0),
                                 .temperature_c = real_of(json, "temperature_c")};
    snprintf(out->name, sizeof out->name, "%s", json_get_text(json, "name", ""));
    snprintf(out->engine_name, sizeof out->engine_name, "%s",
             json_get_text(json, "engine_name", ""));
}

bool bench_side_read(const json_t *json, struct bench_side *out) {
    const json_t *points = json_object_get(json, "points"),
                 *devices = json_object_get(json, "devices");
    if (!json_is_object(json) || !json_is_array(points))
        return false;
    *out = (struct bench_side){.measured_at = json_get_int(json, "measured_at", 0)};
    snprintf(out->preset, sizeof out->preset, "%s", json_get_text(json, "preset", ""));
    snprintf(out->model, sizeof out->model, "%s", json_get_text(json, "model", ""));
    snprintf(out->engine_path, sizeof out->engine_path, "%s", json_get_text(json, "engine", ""));
    snprintf(out->engine_version, sizeof out->engine_version, "%s",
             json_get_text(json, "engine_version", ""));
    series_read(json_object_get(json, "load_ms"), &out->load_ms);
    for (size_t p = 0; p < json_array_size(points) && p < TRIAL_POINTS_MAX; p++)
        point_read(json_array_get(points, p), &out->points[out->point_count++]);
    load_read(json_object_get(json, "prefill"), &out->prefill);
    load_read(json_object_get(json, "decode"), &out->decode);
    out->peak_rss_bytes = (uint64_t)json_get_int(json, "peak_rss_bytes", 0);
    for (size_t d = 0; d < json_array_size(devices) && d < TRIAL_DEVICES_MAX; d++)
        device_read(json_array_get(devices, d), &out->devices[out->device_count++]);
    return true;
}

// --- The file: an array of sides, newest first, one for each preset and build

static json_t *read_file(void) {
    char *path = path_state("bench.json");
    size_t length;
    char *text = path_read_file(path, MAX_FILE, &length, NULL);
    json_t *list = text ? json_parse(text, length, 0, 0, NULL) : NULL;
    mem_free(text);
    mem_free(path);
    if (json_is_array(list))
        return list;
    json_decref(list);
    return json_array();
}

static void write_file(const json_t *list) {
    struct buf text;
    struct err err = {0};
    buf_init(&text, MAX_FILE);
    char *folder = path_state(NULL), *path = path_state("bench.json");
    if (!json_write(&text, list) || !path_make_private(folder, &err) ||
        !path_write_file(path, buf_bytes(&text), text.length, 0600, &err))
        log_warn("bench.save error=\"%s\"", err.text);
    buf_fini(&text);
    mem_free(folder);
    mem_free(path);
}

static bool is_of(const json_t *kept, const char *preset, const char *engine_path,
                  const char *engine_version) {
    return strcmp(json_get_text(kept, "preset", ""), preset) == 0 &&
           strcmp(json_get_text(kept, "engine", ""), engine_path) == 0 &&
           strcmp(json_get_text(kept, "engine_version", ""), engine_version) == 0;
}

void bench_save(const struct bench_side *side) {
    json_t *list = read_file();
    for (size_t i = json_array_size(list); i-- > 0;)
        if (is_of(json_array_get(list, i), side->preset, side->engine_path, side->engine_version) ||
            i >= KEPT_MAX - 1)
            json_array_remove(list, i);
    json_array_insert_new(list, 0, bench_side_json(side));
    write_file(list);
    json_decref(list);
}

bool bench_load(const char *preset, const char *engine_path, const char *engine_version,
                struct bench_side *out) {
    json_t *list = read_file();
    bool found = false;
    for (size_t i = 0; i < json_array_size(list) && !found; i++)
        found = is_of(json_array_get(list, i), preset, engine_path, engine_version) &&
                bench_side_read(json_array_get(list, i), out);
    json_decref(list);
    return found;
}

size_t bench_load_all(const char *preset, struct bench_side *out, size_t max) {
    json_t *list = read_file();
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(list) && count < max; i++)
        if (strcmp(json_get_text(json_array_get(list, i), "preset", ""), preset) == 0 &&
            bench_side_read(json_array_get(list, i), &out[count]))
            count++;
    json_decref(list);
    return count;
}
