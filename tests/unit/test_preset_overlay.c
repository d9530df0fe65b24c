#include "base/mem.h"
#include "config.h"
#include "preset_overlay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char INI[] = "[server]\nscan = off\n"
                          "[a]\nmodel = a.gguf\naliases = one, two\nengine = /bin/true\n"
                          "ctx = 8K\nkv = q8_0\nngl = 20\nno-mmap = on\nparallel = 2\n"
                          "n-cpu-moe = auto\nspec-draft-n-max = 4\n";

// The settings as one line, in order.
static char *describe(const struct preset *preset) {
    struct buf text;
    buf_init(&text, 4096);
    for (size_t i = 0; i < preset->settings_count; i++)
        buf_printf(&text, "%s%s=%s", i ? " " : "", preset->settings[i].flag,
                   preset->settings[i].value);
    return buf_take(&text, NULL);
}

static void test_overlays(void **state) {
    static const struct {
        struct overlay overlays[3];
        size_t count;
        const char *wanted;
        int64_t ctx;
        const char *kv;
        int parallel;
    } rows[] = {
        {{{0}},
         0,
         "ctx-size=8192 cache-type-k=q8_0 cache-type-v=q8_0 n-gpu-layers=20 no-mmap=on parallel=2 "
         "n-cpu-moe=auto spec-draft-n-max=4",
         8192,
         "q8_0",
         2},
        {{{"ctx", "16K"}, {"kv", "q4_0"}, {"gpu-layers", "99"}},
         3,
         "no-mmap=on parallel=2 n-cpu-moe=auto spec-draft-n-max=4 ctx-size=16384 cache-type-k=q4_0 "
         "cache-type-v=q4_0 n-gpu-layers=99",
         16384,
         "q4_0",
         2},
        {{{"mmap", ""}, {"np", "1"}, {"n-cpu-moe", "12"}},
         3,
         "ctx-size=8192 cache-type-k=q8_0 cache-type-v=q8_0 n-gpu-layers=20 spec-draft-n-max=4 "
         "mmap= parallel=1 n-cpu-moe=12",
         8192,
         "q8_0",
         1},
        {{{"draft-max", "8"}, {"kv", NULL}, {"ctx-size", NULL}},
         3,
         "n-gpu-layers=20 no-mmap=on parallel=2 n-cpu-moe=auto draft-max=8",
         0,
         NULL,
         2},
        {{{"threads", "6"}, {"no-warmup", ""}, {"ctx-size", "max"}},
         3,
         "cache-type-k=q8_0 cache-type-v=q8_0 n-gpu-layers=20 no-mmap=on parallel=2 n-cpu-moe=auto "
         "spec-draft-n-max=4 threads=6 no-warmup= ctx-size=max",
         0,
         "q8_0",
         2},
    };
    struct err err = {0};
    struct config *config = config_parse(INI, sizeof INI - 1, "/tmp/p.ini", &err);
    assert_non_null(config);
    const struct preset *preset = config_find(config, "a");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct preset out;
        assert_true(preset_overlay(preset, NULL, rows[i].overlays, rows[i].count, &out, &err));
        char *text = describe(&out);
        assert_string_equal(text, rows[i].wanted);
        mem_free(text);
        assert_int_equal(out.ctx_tokens, rows[i].ctx);
        assert_int_equal(out.parallel, rows[i].parallel);
        if (rows[i].kv)
            assert_string_equal(out.kv_type, rows[i].kv);
        else
            assert_null(out.kv_type);
        assert_string_equal(out.engine_path, "/bin/true");
        assert_string_equal(out.aliases[1], "two");
        preset_fini(&out);
    }
    config_destroy(config);
}

static void test_engine_and_nonsense(void **state) {
    struct err err = {0};
    struct preset out;
    struct config *config = config_parse(INI, sizeof INI - 1, "/tmp/p.ini", &err);
    const struct preset *preset = config_find(config, "a");
    assert_true(preset_overlay(preset, "/opt/llama-server", NULL, 0, &out, &err));
    assert_string_equal(out.engine_path, "/opt/llama-server");
    assert_string_not_equal(out.engine, "default"); // else another build might take its place
    preset_fini(&out);
    struct overlay bad = {"ctx", "lots"};
    assert_false(preset_overlay(preset, NULL, &bad, 1, &out, &err));
    assert_non_null(strstr(err.text, "lots"));
    config_destroy(config);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_overlays),
                                       cmocka_unit_test(test_engine_and_nonsense)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
