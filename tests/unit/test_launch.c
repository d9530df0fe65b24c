#include "engine/launch.h"

#include "support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum build { NEW, OLD, IK, BUILDS };
static struct dialect *builds[BUILDS];

static int set_up(void **state) {
    static const char *const files[] = {"help-mainline-11434.txt", "help-old.txt", "help-ik.txt"};
    static const char *const devices[] = {
        "Available devices:\n  CUDA0: A card (16063 MiB, 15652 MiB free)\n",
        "Available devices:\n  (none)\n", NULL};
    for (int i = 0; i < BUILDS; i++) {
        char *help = test_data(files[i]);
        builds[i] = dialect_create("/e/llama-server", help, NULL, devices[i]);
        mem_free(help);
    }
    return 0;
}

static int tear_down(void **state) {
    for (int i = 0; i < BUILDS; i++)
        dialect_destroy(builds[i]);
    return 0;
}

static void test_command_line(void **state) {
    static const struct {
        enum build build;
        struct setting settings[4];
        int parallel;
        const char *socket;
        const char *key_file;
        const char *line;      // NULL: refused
        const char *complaint; // part of the first problem
    } cases[] = {
        {NEW,
         {{"ctx-size", "8192"}},
         1,
         "e1.sock",
         NULL,
         "/e/llama-server --model '/m/a b.gguf' --host e1.sock --ctx-size 8192 --parallel 1 "
         "--no-webui --no-warmup --offline --metrics",
         NULL},
        // Placed and sized by us: the engine must not fit again. A switched warm-up stays.
        {NEW,
         {{"c", "8192"}, {"ngl", "all"}, {"warmup", "on"}},
         0,
         "e1.sock",
         NULL,
         "/e/llama-server --model '/m/a b.gguf' --host e1.sock --ctx-size 8192 --gpu-layers all "
         "--warmup --fit off --no-webui --offline --metrics",
         NULL},
        {NEW,
         {{"ctx-size", "8192"}, {"n-cpu-moe", "10"}},
         0,
         "e1.sock",
         NULL,
         "/e/llama-server --model '/m/a b.gguf' --host e1.sock --ctx-size 8192 --n-cpu-moe 10 "
         "--fit off --no-webui --no-warmup --offline --metrics",
         NULL},
        {NEW,
         {{"ctx-size", "8192"}, {"gpu-layers", "auto"}},
         0,
         "e1.sock",
         NULL,
         "/e/llama-server --model '/m/a b.gguf' --host e1.sock --ctx-size 8192 --gpu-layers auto "
         "--no-webui --no-warmup --offline --metrics",
         NULL},
        {NEW,
         {{"fit", "on"}, {"ctx-size", "8192"}, {"gpu-layers", "10"}},
         0,
         "e1.sock",
         NULL,
         "/e/llama-server --model '/m/a b.gguf' --host e1.sock --fit on --ctx-size 8192 "
         "--gpu-layers 10 --no-webui --no-warmup --offline --metrics",
         "keep one of them"},
        // What the user says is not said twice, however it is written.
        {NEW,
         {{"no-warmup", "off"}, {"webui", "on"}, {"offline", "off"}},
         0,
         "e1.sock",
         NULL,
         "/e/llama-server --model '/m/a b.gguf' --host e1.sock --warmup --ui --metrics",
         NULL},
        {NEW,
         {{"model", "/other"}, {"parallel", "4"}},
         2,
         "e1.sock",
         NULL,
         "/e/llama-server --model '/m/a b.gguf' --host e1.sock --parallel 2 --no-webui "
         "--no-warmup --offline --metrics",
         NULL},
        // Old: what is off by default and needed; no GPU, but no fit to switch off either.
        {OLD,
         {{"ctx-size", "8192"}},
         0,
         "e2.sock",
         NULL,
         "/e/llama-server --model '/m/a b.gguf' --host e2.sock --ctx-size 8192 --no-webui "
         "--no-warmup --jinja --slots --metrics",
         NULL},
        // ik: a port and a key, from a file when there is one.
        {IK,
         {{"ctx-size", "8192"}, {"gpu-layers", "all"}},
         0,
         NULL,
         "e3.key",
         "/e/llama-server --model '/m/a b.gguf' --host 127.0.0.1 --port 4711 --api-key-file e3.key "
         "--ctx-size 8192 --gpu-layers 999 --webui none --no-warmup --jinja --metrics",
         NULL},
        {IK,
         {{"ctx-size", "8192"}},
         0,
         NULL,
         NULL,
         "/e/llama-server --model '/m/a b.gguf' --host 127.0.0.1 --port 4711 --api-key '***' "
         "--ctx-size 8192 --webui none --no-warmup --jinja --metrics",
         NULL},
        {IK, {{"ctx-size", "8192"}}, 0, "e1.sock", NULL, NULL, "cannot listen on a unix socket"},
        {OLD, {{"n-cpu-moe", "8"}}, 0, "e1.sock", NULL, NULL, "has no --n-cpu-moe"},
        // Ours to decide
        {NEW, {{"host", "0.0.0.0"}}, 0, "e1.sock", NULL, NULL, "listen in [server]"},
        {NEW, {{"--port", "80"}}, 0, "e1.sock", NULL, NULL, "cannot be set"},
        {NEW, {{"props", "on"}}, 0, "e1.sock", NULL, NULL, "cannot be set"},
        {NEW, {{"api_key", "x"}}, 0, "e1.sock", NULL, NULL, "cannot be set"},
        {NEW, {{"tools", "all"}}, 0, "e1.sock", NULL, NULL, "must not run tools"},
        {NEW, {{"hf", "a/b"}}, 0, "e1.sock", NULL, NULL, "fetches nothing"},
        {NEW, {{"mu", "http://x"}}, 0, "e1.sock", NULL, NULL, "fetches nothing"},
        {NEW, {{"models-dir", "/m"}}, 0, "e1.sock", NULL, NULL, "one engine serves one model"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t count = 0;
        while (count < 4 && cases[i].settings[count].name)
            count++;
        struct launch_spec spec = {
            .dialect = builds[cases[i].build],
            .model = "/m/a b.gguf",
            .settings = cases[i].settings,
            .setting_count = count,
            .parallel = cases[i].parallel,
            .socket = cases[i].socket,
            .port = 4711,
            .api_key = "secret",
            .api_key_file = cases[i].key_file,
        };
        struct launch launch;
        bool ok = launch_build(&spec, &launch);
        char *line = launch_describe(&launch);
        if (ok != (cases[i].line != NULL))
            fail_msg("case %zu: %s", i, ok ? line : launch.problems.items[0].text);
        if (ok && strcmp(line, cases[i].line) != 0)
            fail_msg("case %zu:\n %s\nnot\n %s", i, line, cases[i].line);
        if (!cases[i].complaint && launch.problems.count != 0)
            fail_msg("case %zu: %s", i, launch.problems.items[0].text);
        if (cases[i].complaint && !strstr(launch.problems.items[0].text, cases[i].complaint))
            fail_msg("case %zu: \"%s\" lacks \"%s\"", i, launch.problems.items[0].text,
                     cases[i].complaint);
        mem_free(line);
        launch_fini(&launch);
    }
}

static void test_key_is_passed_but_not_shown(void **state) {
    struct launch_spec spec = {
        .dialect = builds[IK], .model = "/m", .port = 1, .api_key = "s3cret"};
    struct launch launch;
    assert_true(launch_build(&spec, &launch));
    assert_true(args_has(&launch.argv, "s3cret"));
    char *line = launch_describe(&launch);
    assert_null(strstr(line, "s3cret"));
    mem_free(line);
    launch_fini(&launch);

    spec.api_key = NULL; // an open port is refused
    assert_false(launch_build(&spec, &launch));
    launch_fini(&launch);
}

static void test_environment(void **state) {
    char *const before[] = {"PATH=/bin", "HOME=/h", "LANG=C", "LC_ALL=C", "TMPDIR=/t",
                            "GGML_CUDA=1", "CUDA_VISIBLE_DEVICES=0", "NVIDIA_X=1", "HIP_X=1",
                            "ROCR_X=1", "HSA_X=1", "VK_ICD=1", "LD_LIBRARY_PATH=/", "OMP_X=1",
                            "XDG_CACHE_HOME=/c",
                            // and what stays here
                            "LLAMA_ARG_HOST=0.0.0.0", "LLAMA_API_KEY=k", "HF_TOKEN=t", "PATHX=1",
                            "PAT=1", "LC_=x", "LD_PRELOAD=/x.so", "AWS_SECRET=1", "MYGGML_X=1",
                            "HOME2=1", "SSH_AUTH_SOCK=/s", "odd", NULL};
    struct launch_spec spec = {
        .dialect = builds[NEW], .model = "/m", .socket = "a.sock", .environment = before};
    struct launch launch;
    assert_true(launch_build(&spec, &launch));
    assert_int_equal(launch.envp.count, 16);
    for (size_t i = 0; i < 15; i++)
        assert_string_equal(launch.envp.items[i], before[i]);
    assert_string_equal(launch.envp.items[15], "GLIBC_TUNABLES=glibc.malloc.hugetlb=1");
    assert_null(launch.envp.items[16]);
    launch_fini(&launch);

    spec.environment = (char *const[]){"GLIBC_TUNABLES=glibc.malloc.check=3", "PATH=/bin", NULL};
    assert_true(launch_build(&spec, &launch));
    assert_int_equal(launch.envp.count, 2); // the user's own word about glibc stands alone
    assert_string_equal(launch.envp.items[0], spec.environment[0]);
    launch_fini(&launch);
}

static void test_quoting(void **state) {
    static const char *const cases[][2] = {
        {"plain-1.5_x/y:z,a=b", "plain-1.5_x/y:z,a=b"},
        {"", "''"},
        {"a b", "'a b'"},
        {"it's", "'it'\\''s'"},
        {"$(rm)", "'$(rm)'"},
        {"~", "'~'"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out;
        buf_init(&out, 100);
        args_quote(&out, cases[i][0]);
        assert_string_equal(buf_text(&out), cases[i][1]);
        buf_fini(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_line),
        cmocka_unit_test(test_key_is_passed_but_not_shown),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_quoting),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
