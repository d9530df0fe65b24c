// The table of a bench, for a terminal and as Markdown.
#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CELL = 96, LABEL_WIDTH = 22, COLUMN_WIDTH = 32 };
static const double OTHERS_CORES_MIN = 0.25;
enum { OTHERS_MIN = 64 << 20 }; // less is a desktop's crumbs

// Three digits that count, as people write them: 0.27, 5.31, 64.5, 505.
static void number(char *out, size_t size, double value) {
    if (isnan(value))
        snprintf(out, size, "-");
    else
        snprintf(out, size, "%.*f", value < 10 ? 2 : value < 100 ? 1 : 0, value);
}

// "64.5 tok/s (63.9..65.0)"; the range when there is more than one value.
static void spread(char *out, size_t size, const struct series *series, double scale,
                   const char *unit) {
    char middle[24], low[24], high[24];
    number(middle, sizeof middle, series_median(series) * scale);
    number(low, sizeof low, series_min(series) * scale);
    number(high, sizeof high, series_max(series) * scale);
    if (series->count > 1)
        snprintf(out, size, "%s%s (%s..%s)", middle, unit, low, high);
    else
        snprintf(out, size, "%s%s", middle, series->count ? unit : "");
}

static void with_unit(char *out, size_t size, double value, const char *unit) {
    number(out, size, value);
    if (!isnan(value))
        snprintf(out + strlen(out), size - strlen(out), "%s", unit);
}

static void bytes(char *out, size_t size, uint64_t value) {
    double mib = (double)value / (1024 * 1024);
    if (value == 0 || value == UINT64_MAX)
        snprintf(out, size, "-");
    else if (mib < 1000)
        snprintf(out, size, "%.0f MiB", mib);
    else
        snprintf(out, size, "%.1f GiB", mib / 1024);
}

// One line: a label, the value of each side, and with two sides their ratio.
static void line(struct buf *out, const struct bench *bench, const char *label,
                 char cells[BENCH_SIDES][CELL], const char *ratio) {
    buf_printf(out, "%-*s", LABEL_WIDTH, label);
    for (size_t s = 0; s < bench->side_count; s++) {
        bool is_last = s + 1 == bench->side_count && !*ratio;
        buf_printf(out, "%-*s", is_last ? 0 : COLUMN_WIDTH, cells[s]);
    }
    buf_printf(out, "%s\n", ratio);
}

static void speed_line(struct buf *out, const struct bench *bench, const struct trial_point *point,
                       bool is_decode) {
    char label[CELL], cells[BENCH_SIDES][CELL], ratio[CELL] = "";
    const struct series *values[BENCH_SIDES] = {0};
    for (size_t s = 0; s < bench->side_count; s++) {
        const struct trial_point_result *result = bench_point(&bench->sides[s], point);
        struct series none = {0};
        if (result)
            values[s] = is_decode ? &result->decode_tok_s : &result->prefill_tok_s;
        spread(cells[s], CELL, values[s] ? values[s] : &none, 1, " tok/s");
    }
    if (values[0] && values[1]) {
        struct series series;
        bench_ratio(values[0], values[1], &series);
        spread(ratio, sizeof ratio, &series, 1, " x");
    }
    snprintf(label, sizeof label, "%s %u", is_decode ? "decode after" : "prefill of",
             point->prompt_tokens);
    line(out, bench, label, cells, ratio);
}

// Points of both sides, each once; what only one has stands there too.
static size_t all_points(const struct bench *bench, struct trial_point *out) {
    size_t count = 0;
    for (size_t s = 0; s < bench->side_count; s++)
        for (size_t p = 0; p < bench->sides[s].point_count; p++) {
            const struct trial_point *point = &bench->sides[s].points[p].point;
            if (s == 0 || !bench_point(&bench->sides[0], point))
                out[count++] = *point;
        }
    return count;
}

static void speed_lines(struct buf *out, const struct bench *bench) {
    struct trial_point points[BENCH_SIDES * TRIAL_POINTS_MAX];
    size_t count = all_points(bench, points);
    for (size_t p = 0; p < count; p++) {
        speed_line(out, bench, &points[p], false);
        if (points[p].predict_tokens > 1)
            speed_line(out, bench, &points[p], true);
    }
}

static void load_line(struct buf *out, const struct bench *bench) {
    char cells[BENCH_SIDES][CELL], ratio[CELL] = "";
    for (size_t s = 0; s < bench->side_count; s++)
        spread(cells[s], CELL, &bench->sides[s].load_ms, 0.001, " s");
    if (bench->side_count == 2) {
        struct series series;
        bench_ratio(&bench->sides[0].load_ms, &bench->sides[1].load_ms, &series);
        spread(ratio, sizeof ratio, &series, 1, " x");
    }
    line(out, bench, "load", cells, ratio);
}

static double utilisation(const struct trial_load *load) { return load->utilisation; }
static double gpu_power(const struct trial_load *load) { return load->power_w; }
static double cores(const struct trial_load *load) { return load->cpu_cores; }
static double cpu_power(const struct trial_load *load) { return load->package_w; }

// "96 % decode, 98 % prefill"; no line when no side knows.
static void phases_line(struct buf *out, const struct bench *bench, const char *label,
                        double (*get)(const struct trial_load *load), const char *unit) {
    char cells[BENCH_SIDES][CELL];
    bool any = false;
    for (size_t s = 0; s < bench->side_count; s++) {
        const struct bench_side *side = &bench->sides[s];
        char decode[24], prefill[24];
        with_unit(decode, sizeof decode, get(&side->decode), unit);
        with_unit(prefill, sizeof prefill, get(&side->prefill), unit);
        snprintf(cells[s], CELL, "%s decode, %s prefill", decode, prefill);
        any |= !isnan(get(&side->decode)) || !isnan(get(&side->prefill));
    }
    if (any)
        line(out, bench, label, cells, "");
}

static void memory_lines(struct buf *out, const struct bench *bench) {
    char cells[BENCH_SIDES][CELL], label[CELL];
    size_t devices = 0;
    for (size_t s = 0; s < bench->side_count; s++)
        if (bench->sides[s].device_count > devices)
            devices = bench->sides[s].device_count;
    for (size_t d = 0; d < devices; d++) {
        for (size_t s = 0; s < bench->side_count; s++) {
            const struct trial_device *device = &bench->sides[s].devices[d];
            char used[24], total[24];
            bytes(used, sizeof used, device->memory_bytes);
            bytes(total, sizeof total, device->total_bytes);
            snprintf(cells[s], CELL, "%s of %s", used, total);
            if (device->others_bytes >= OTHERS_MIN) {
                bytes(used, sizeof used, device->others_bytes);
                snprintf(cells[s] + strlen(cells[s]), CELL - strlen(cells[s]), " (others %s)",
                         used);
            }
        }
        const char *name = bench->sides[0].devices[d].engine_name;
        snprintf(label, sizeof label, "GPU memory%s%.10s", *name ? " " : "", name);
        line(out, bench, label, cells, "");
    }
    for (size_t s = 0; s < bench->side_count; s++)
        bytes(cells[s], CELL, bench->sides[s].peak_rss_bytes);
    line(out, bench, "host memory (RSS)", cells, "");
}

static void draft_line(struct buf *out, const struct bench *bench) {
    char cells[BENCH_SIDES][CELL];
    bool any = false;
    for (size_t s = 0; s < bench->side_count; s++) {
        unsigned drafted = 0, accepted = 0;
        for (size_t p = 0; p < bench->sides[s].point_count; p++) {
            drafted += bench->sides[s].points[p].draft_n;
            accepted += bench->sides[s].points[p].draft_accepted;
        }
        any |= drafted > 0;
        if (drafted)
            snprintf(cells[s], CELL, "%.0f %% of %u", 100.0 * accepted / drafted, drafted);
        else
            snprintf(cells[s], CELL, "-");
    }
    if (any)
        line(out, bench, "draft accepted", cells, "");
}

static void cached_note(struct buf *out, const struct bench *bench) {
    for (size_t s = 0; s < bench->side_count; s++)
        for (size_t p = 0; p < bench->sides[s].point_count; p++)
            if (bench->sides[s].points[p].cached_n)
                buf_printf(out,
                           "\nbeware: %u tokens of a prompt came from a cache; prefill figures of "
                           "%s may be too good\n",
                           bench->sides[s].points[p].cached_n, bench->sides[s].preset);
}

static void side_name(const struct bench_side *side, struct buf *out) {
    buf_printf(out, "%s: %s, %s", side->preset, side->model,
               side->engine_version[0] ? side->engine_version : side->engine_path);
}

static void heading(struct buf *out, const struct bench *bench) {
    bool two = bench->side_count == 2;
    for (size_t s = 0; s < bench->side_count; s++) {
        const struct bench_side *side = &bench->sides[s];
        buf_adds(out, two ? (s ? "B  " : "A  ") : "");
        side_name(side, out);
        if (two && strcmp(bench->sides[0].engine_path, bench->sides[1].engine_path) != 0)
            buf_printf(out, " (%s)", side->engine_path);
        buf_adds(out, "\n");
    }
    const struct bench_side *first = &bench->sides[0];
    buf_printf(out, "on %s, %u core%s", bench->cpu, bench->cores, bench->cores == 1 ? "" : "s");
    for (size_t d = 0; d < first->device_count; d++)
        buf_printf(out, "; %s", first->devices[d].name);
    buf_adds(out, first->device_count ? "\n\n" : "; no GPU that can be read\n\n");
    if (two)
        buf_printf(out, "%-*s%-*s%-*s%s\n", LABEL_WIDTH, "", COLUMN_WIDTH, "A", COLUMN_WIDTH, "B",
                   "B / A");
}

void bench_print(const struct bench *bench, struct buf *out) {
    heading(out, bench);
    load_line(out, bench);
    speed_lines(out, bench);
    draft_line(out, bench);
    phases_line(out, bench, "GPU utilisation", utilisation, " %");
    phases_line(out, bench, "GPU power", gpu_power, " W");
    phases_line(out, bench, "CPU cores in use", cores, "");
    phases_line(out, bench, "CPU power", cpu_power, " W");
    memory_lines(out, bench);
    cached_note(out, bench);
    for (size_t s = 0; s < bench->side_count; s++) {
        double others = bench_others_cores(&bench->sides[s]);
        if (others >= OTHERS_CORES_MIN)
            buf_printf(out,
                       "\nbeware: others used %.1f of %u cores meanwhile; figures of %s may be too "
                       "low\n",
                       others, bench->cores, bench->sides[s].preset);
    }
}

// --- Markdown: one row a side, so that rows of many benches make one table

static void markdown_row(struct buf *out, const struct bench_side *side,
                         const struct trial_point *points, size_t count) {
    char cell[CELL];
    bool gpu = side->device_count > 0;
    uint64_t vram = 0;
    for (size_t d = 0; d < side->device_count; d++)
        vram += side->devices[d].memory_bytes;
    buf_printf(out, "| %s | %s | %s |", side->preset, side->model, side->engine_version);
    with_unit(cell, CELL, gpu ? side->decode.utilisation : side->decode.cpu_cores,
              gpu ? " %" : " cores");
    buf_printf(out, " %s |", cell);
    with_unit(cell, CELL, gpu ? side->decode.power_w : side->decode.package_w, " W");
    buf_printf(out, " %s |", cell);
    bytes(cell, CELL, gpu ? vram : side->peak_rss_bytes);
    buf_printf(out, " %s |", cell);
    spread(cell, CELL, &side->load_ms, 0.001, " s");
    buf_printf(out, " %s |", cell);
    for (size_t p = 0; p < count; p++) {
        const struct trial_point_result *result = bench_point(side, &points[p]);
        struct series none = {0};
        spread(cell, CELL, result ? &result->prefill_tok_s : &none, 1, "");
        buf_printf(out, " %s |", cell);
        spread(cell, CELL, result ? &result->decode_tok_s : &none, 1, "");
        buf_printf(out, " %s |", cell);
    }
    buf_adds(out, "\n");
}

static void markdown_ratio(struct buf *out, const struct bench *bench,
                           const struct trial_point *points, size_t count) {
    char cell[CELL];
    struct series series;
    bench_ratio(&bench->sides[0].load_ms, &bench->sides[1].load_ms, &series);
    spread(cell, CELL, &series, 1, " x");
    buf_printf(out, "| second / first | | | | | | %s |", cell);
    for (size_t p = 0; p < count; p++) {
        const struct trial_point_result *a = bench_point(&bench->sides[0], &points[p]);
        const struct trial_point_result *b = bench_point(&bench->sides[1], &points[p]);
        for (int decode = 0; decode < 2; decode++) {
            series = (struct series){0};
            if (a && b)
                bench_ratio(decode ? &a->decode_tok_s : &a->prefill_tok_s,
                            decode ? &b->decode_tok_s : &b->prefill_tok_s, &series);
            spread(cell, CELL, &series, 1, " x");
            buf_printf(out, " %s |", cell);
        }
    }
    buf_adds(out, "\n");
}

void bench_print_markdown(const struct bench *bench, struct buf *out) {
    struct trial_point points[BENCH_SIDES * TRIAL_POINTS_MAX];
    size_t count = all_points(bench, points);
    bool gpu = bench->sides[0].device_count > 0;
    buf_printf(out, "| preset | model | engine | %s | power | %s | load |",
               gpu ? "GPU in decode" : "CPU in decode", gpu ? "VRAM" : "RSS");
    for (size_t p = 0; p < count; p++)
        buf_printf(out, " prefill of %u, tok/s | decode after %u, tok/s |", points[p].prompt_tokens,
                   points[p].prompt_tokens);
    buf_adds(out, "\n|---|---|---|---|---|---|---|");
    for (size_t p = 0; p < count; p++)
        buf_adds(out, "---|---|");
    buf_adds(out, "\n");
    for (size_t s = 0; s < bench->side_count; s++)
        markdown_row(out, &bench->sides[s], points, count);
    if (bench->side_count == 2)
        markdown_ratio(out, bench, points, count);
}
