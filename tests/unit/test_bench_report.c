// What a machine with GPUs would show: the watch on fake drivers, and the tables to the letter.
#define _GNU_SOURCE
#include "../fakes/fake_nvml.h"
#include "base/mem.h"
#include "bench.h"
#include "event/loop.h"
#include "trial_watch.h"

#include <dlfcn.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct fake_nvml *fake;

static struct series series_of(double a, double b, double c) {
    struct series series = {0};
    series_add(&series, a);
    series_add(&series, b);
    series_add(&series, c);
    return series;
}

static void fill(struct bench_side *side, const char *name, double speed, double percent,
                 double watts) {
    *side = (struct bench_side){.point_count = 1, .device_count = 1, .peak_rss_bytes = 3ull << 30};
    snprintf(side->preset, sizeof side->preset, "%s", name);
    snprintf(side->model, sizeof side->model, "%s.gguf", name);
    snprintf(side->engine_version, sizeof side->engine_version, "11434");
    series_add(&side->load_ms, 5310);
    side->points[0] = (struct trial_point_result){
        .point = {512, 128, 3},
        .prompt_n = 512,
        .prefill_tok_s = series_of(1000, 1100, 1050),
        .decode_tok_s = series_of(speed, speed + 1, speed - 1),
    };
    side->decode = (struct trial_load){12, 1.04, 0.2, NAN, percent, watts};
    side->prefill = (struct trial_load){3, 1.5, 0.1, NAN, 98, 280};
    side->devices[0] = (struct trial_device){.name = "NVIDIA GeForce RTX 4070 Ti SUPER",
                                             .engine_name = "CUDA0",
                                             .memory_bytes = 14540ull << 20,
                                             .others_bytes = 63ull << 20,
                                             .total_bytes = 16376ull << 20,
                                             .temperature_c = 71};
}

static struct bench *make_bench(size_t sides) {
    struct bench *bench = mem_alloc(sizeof *bench);
    fill(&bench->sides[0], "coder", 64.5, 30, 67);
    fill(&bench->sides[1], "qwen36", 129, 96, 292);
    bench->side_count = sides;
    bench->cores = 12;
    snprintf(bench->cpu, sizeof bench->cpu, "AMD Ryzen 5 7600X");
    return bench;
}

static void expect(void (*print)(const struct bench *bench, struct buf *out),
                   const struct bench *bench, const char *wanted) {
    struct buf out;
    buf_init(&out, 1 << 20);
    print(bench, &out);
    assert_string_equal(buf_text(&out), wanted);
    buf_fini(&out);
}

static void test_one(void **state) {
    struct bench *bench = make_bench(1);
    expect(bench_print, bench,
           "coder: coder.gguf, 11434\n"
           "on AMD Ryzen 5 7600X, 12 cores; NVIDIA GeForce RTX 4070 Ti SUPER\n\n"
           "load                  5.31 s\n"
           "prefill of 512        1050 tok/s (1000..1100)\n"
           "decode after 512      64.5 tok/s (63.5..65.5)\n"
           "GPU utilisation       30.0 % decode, 98.0 % prefill\n"
           "GPU power             67.0 W decode, 280 W prefill\n"
           "CPU cores in use      1.04 decode, 1.50 prefill\n"
           "GPU memory CUDA0      14.2 GiB of 16.0 GiB\n"
           "host memory (RSS)     3.0 GiB\n");
    expect(
        bench_print_markdown, bench,
        "| preset | model | engine | GPU in decode | power | VRAM | load | prefill of 512, tok/s "
        "| decode after 512, tok/s |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
        "| coder | coder.gguf | 11434 | 30.0 % | 67.0 W | 14.2 GiB | 5.31 s | 1050 (1000..1100) "
        "| 64.5 (63.5..65.5) |\n");
    mem_free(bench);
}

static void test_two(void **state) {
    struct bench *bench = make_bench(2);
    bench->sides[1].decode.power_w = bench->sides[1].prefill.power_w = NAN;
    bench->sides[1].points[0].draft_n = 200;
    bench->sides[1].points[0].cached_n = 9;
    bench->sides[1].devices[0].others_bytes = 412ull << 20;
    bench->sides[0].decode.others_cores = 2;
    bench->sides[1].points[0].draft_accepted = 150;
    expect(bench_print, bench,
           "A  coder: coder.gguf, 11434\n"
           "B  qwen36: qwen36.gguf, 11434\n"
           "on AMD Ryzen 5 7600X, 12 cores; NVIDIA GeForce RTX 4070 Ti SUPER\n\n"
           "                      A                               B                               "
           "B / A\n"
           "load                  5.31 s                          5.31 s                          "
           "1.00 x\n"
           "prefill of 512        1050 tok/s (1000..1100)         1050 tok/s (1000..1100)         "
           "1.00 x (1.00..1.00)\n"
           "decode after 512      64.5 tok/s (63.5..65.5)         129 tok/s (128..130)            "
           "2.00 x (1.98..2.02)\n"
           "draft accepted        -                               75 % of 200\n"
           "GPU utilisation       30.0 % decode, 98.0 % prefill   96.0 % decode, 98.0 % prefill\n"
           "GPU power             67.0 W decode, 280 W prefill    - decode, - prefill\n"
           "CPU cores in use      1.04 decode, 1.50 prefill       1.04 decode, 1.50 prefill\n"
           "GPU memory CUDA0      14.2 GiB of 16.0 GiB            14.2 GiB of 16.0 GiB (others 412 "
           "MiB)\n"
           "host memory (RSS)     3.0 GiB                         3.0 GiB\n\n"
           "beware: 9 tokens of a prompt came from a cache; prefill figures of qwen36 may be too "
           "good\n\n"
           "beware: others used 1.6 of 12 cores meanwhile; figures of coder may be too low\n");
    mem_free(bench);
}

static void test_json_and_back(void **state) {
    struct bench *bench = make_bench(2);
    struct bench_side *read = mem_alloc(sizeof *read);
    json_t *json = bench_side_json(&bench->sides[0]);
    assert_true(bench_side_read(json, read));
    json_t *again = bench_side_json(read);
    assert_true(json_equal(json, again));
    json_decref(json);
    json_decref(again);
    json = bench_json(bench);
    json_t *point = json_array_get(json_object_get(json_object_get(json, "ratio"), "points"), 0);
    json_t *decode = json_object_get(json_object_get(point, "decode"), "median");
    assert_true(json_real_value(decode) == 2);
    assert_true(json_is_null(json_object_get(
        json_object_get(json_array_get(json_object_get(json, "sides"), 0), "decode"), "cpu_w")));
    json_decref(json);
    static const char *const wrong[] = {"[]", "7", "{}", "{\"points\":7}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        json = json_loads(wrong[i], JSON_DECODE_ANY, NULL);
        assert_false(bench_side_read(json, read));
        json_decref(json);
    }
    mem_free(read);
    mem_free(bench);
}

// --- The watch

// Until the drivers have been asked anew, and the answers are there.
static void wait_for_samples(void) {
    int wanted = fake->sweeps + 3;
    for (int i = 0; i < 60000 && fake->sweeps < wanted; i++)
        usleep(1000);
}

static void enter(struct trial_watch *watch, enum trial_watch_phase phase, int64_t *now_us,
                  int64_t step_us) {
    wait_for_samples();
    trial_watch_phase(watch, phase, *now_us);
    for (unsigned i = 0; i < 3; i++) {
        wait_for_samples();
        trial_watch_tick(watch, *now_us += step_us);
    }
}

static void test_watch(void **state) {
    struct dialect_device engine_devices[] = {
        {(char *)"CUDA0", (char *)"NVIDIA GeForce RTX 4070 Ti SUPER", 16060, 15000},
        {(char *)"CUDA1", (char *)"NVIDIA GeForce RTX 3060", 11900, 11000}};
    struct dialect dialect = {.devices = engine_devices, .device_count = 2};
    struct trial_result *result = mem_alloc(sizeof *result);
    struct trial_watch *watch =
        trial_watch_create(&(struct gpu_roots){.nvml = FAKE_NVML, .sysfs = "/nowhere"});
    trial_watch_begin(watch); // 1000 and 2000 MiB are others'
    trial_watch_engine(watch, getpgrp());
    int64_t now_us = loop_now_us();
    fake->used_mib[1] = 14000;
    fake->utilization[1] = 100;
    fake->milliwatts[1] = 280000;
    enter(watch, WATCH_PREFILL, &now_us, 300000);
    fake->used_mib[1] = 14500;
    fake->utilization[1] = 96;
    fake->milliwatts[1] = 292000;
    enter(watch, WATCH_DECODE, &now_us, 300000);
    fake->utilization[1] = 50; // what the driver says once the phase has settled is what counts
    fake->milliwatts[1] = 200000;
    wait_for_samples();
    trial_watch_tick(watch, now_us += 300000);
    fake->used_mib[1] = 12000;
    fake->utilization[1] = 0;
    enter(watch, WATCH_ELSE, &now_us, 300000);
    trial_watch_report(watch, &dialect, result);
    trial_watch_destroy(watch);
    assert_int_equal(result->device_count, 2);
    assert_string_equal(result->devices[1].name, "NVIDIA GeForce RTX 4070 Ti SUPER");
    assert_string_equal(result->devices[1].engine_name, "CUDA0");
    assert_string_equal(result->devices[0].engine_name, "CUDA1");
    assert_true(result->devices[1].memory_bytes == 12500ull << 20);
    assert_true(result->devices[0].memory_bytes == 0);
    assert_true(result->devices[1].others_bytes == 2000ull << 20);
    assert_true(result->devices[1].temperature_c == 71);
    // The other card idles at 36 % and 101 W.
    assert_true(result->decode.utilisation == (50 + 36) / 2.0);
    assert_true(result->decode.power_w == 200 + 101);
    assert_true(result->prefill.utilisation == (100 + 36) / 2.0);
    assert_true(result->prefill.power_w == 280 + 101);
    assert_true(fabs(result->decode.seconds - 1.2) < 0.01);
    assert_true(isnan(result->decode.package_w));
    assert_true(result->decode.cpu_cores >= 0);
    assert_true(result->decode.others_cores >= 0);
    assert_true(result->peak_rss_bytes > 0);
    mem_free(result);
}

int main(void) {
    void *library = dlopen(FAKE_NVML, RTLD_NOW | RTLD_LOCAL);
    fake = library ? dlsym(library, "fake_nvml") : NULL;
    if (!fake) {
        fprintf(stderr, "no fake NVML: %s\n", dlerror());
        return 1;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one), cmocka_unit_test(test_two),
                                       cmocka_unit_test(test_json_and_back),
                                       cmocka_unit_test(test_watch)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    dlclose(library);
    return failed;
}
