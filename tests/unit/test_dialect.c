#include "engine/dialect.h"
#include "engine/spell.h"

#include "support.h"

#include "base/buf.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

// Of each line of builds in use: recorded from build 11434, the others by their documented layout.
enum build { NEW, OLD, IK, BUILDS };
static struct dialect *builds[BUILDS];

static int set_up(void **state) {
    char *texts[] = {test_data("help-mainline-11434.txt"), test_data("help-old.txt"),
                     test_data("help-ik.txt")};
    builds[NEW] = dialect_create("/x/llama-server", texts[NEW],
                                 "version: 0.6.0-dev (build 11434, commit unknown)\nbuilt with x",
                                 "Available devices:\n  (none)\n");
    builds[OLD] =
        dialect_create("/x/llama-server", texts[OLD], "version: 4567 (0123abc)\n",
                       "ggml_cuda_init: found 1 CUDA devices:\n"
                       "Available devices:\n"
                       "  CUDA0: NVIDIA GeForce RTX 4070 Ti SUPER (16063 MiB, 15652 MiB free)\n");
    builds[IK] = dialect_create("/x/llama-server", texts[IK], "version: 3701 (8337e4c)\n", NULL);
    for (int i = 0; i < BUILDS; i++)
        mem_free(texts[i]);
    return 0;
}

static int tear_down(void **state) {
    for (int i = 0; i < BUILDS; i++)
        dialect_destroy(builds[i]);
    dialect_forget();
    return 0;
}

static void test_what_a_build_is(void **state) {
    static const struct {
        enum build build;
        enum dialect_family family;
        int64_t number;
        bool unix_socket;
        bool devices_known;
        size_t device_count;
    } cases[] = {
        {NEW, DIALECT_MAINLINE, 11434, true, true, 0},
        {OLD, DIALECT_OLD, 4567, true, true, 1},
        {IK, DIALECT_IK, 3701, false, false, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct dialect *dialect = builds[cases[i].build];
        assert_int_equal(dialect->family, cases[i].family);
        assert_int_equal(dialect->build, cases[i].number);
        assert_int_equal(dialect->unix_socket, cases[i].unix_socket);
        assert_int_equal(dialect->devices_known, cases[i].devices_known);
        assert_int_equal(dialect->device_count, cases[i].device_count);
        assert_false(dialect->guessed);
    }
    const struct dialect_device *device = &builds[OLD]->devices[0];
    assert_string_equal(device->name, "CUDA0");
    assert_string_equal(device->description, "NVIDIA GeForce RTX 4070 Ti SUPER");
    assert_int_equal(device->total_mib, 16063);
    assert_int_equal(device->free_mib, 15652);
}

static void test_flags(void **state) {
    static const struct {
        enum build build;
        const char *name;
        const char *placeholder; // NULL: takes none
        const char *initial;
        const char *values; // joined by spaces
        const char *positive;
        const char *negative;
    } cases[] = {
        {NEW, "--ctx-size", "N", "0", "", "--ctx-size", NULL},
        {NEW, "-fa", "[on|off|auto]", "auto", "on off auto", "--flash-attn", NULL},
        {NEW, "--fit", "[on|off]", "on", "on off", "--fit", NULL},
        {NEW, "--perf", NULL, "false", "", "--perf", "--no-perf"},
        {NEW, "-nkvo", NULL, "enabled", "", "--kv-offload", "--no-kv-offload"},
        {NEW, "--split-mode", "{none,layer,row,tensor}", NULL, "none layer row tensor",
         "--split-mode", NULL},
        {NEW, "--cpu-strict", "<0|1>", "0", "0 1", "--cpu-strict", NULL},
        {NEW, "--poll", "<0...100>", "50", "", "--poll", NULL},
        {NEW, "--device", "<dev1,dev2,..>", NULL, "", "--device", NULL},
        {NEW, "-ctk", "TYPE", "f16", "f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1",
         "--cache-type-k", NULL},
        {NEW, "--fit-target", "MiB0,MiB1,MiB2,...", "1024", "", "--fit-target", NULL},
        {NEW, "--slots", NULL, "enabled", "", "--slots", "--no-slots"},
        {NEW, "--no-mmproj", NULL, "enabled", "", "--mmproj-auto", "--no-mmproj-auto"},
        {OLD, "--flash-attn", NULL, "disabled", "", "--flash-attn", NULL},
        {OLD, "--no-mmap", NULL, NULL, "", NULL, "--no-mmap"},
        {OLD, "-ot", "<tensor name pattern>=<buffer type>,...", NULL, "", "--override-tensor",
         NULL},
        {IK, "--flash-attn", "(auto|on|off|0|1)", "on", "auto on off 0 1", "--flash-attn", NULL},
        {IK, "--ctx-checkpoints", "N", "32", "", "--ctx-checkpoints", NULL},
        {IK, "--lora-scaled", "FNAME S", NULL, "", "--lora-scaled", NULL},
        {IK, "--no-slots", NULL, "enabled", "", NULL, "--no-slots"},
        {IK, "--run-time-repack", NULL, NULL, "", "--run-time-repack", NULL},
        {IK, "--webui", "NAME", NULL, "", "--webui", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct help_flag *flag = dialect_flag(builds[cases[i].build], cases[i].name);
        if (!flag)
            fail_msg("%s not found", cases[i].name);
        struct buf values;
        buf_init(&values, 1000);
        for (size_t j = 0; j < flag->values.count; j++)
            buf_printf(&values, "%s%s", j ? " " : "", flag->values.items[j]);
        const char *pairs[][2] = {
            {flag->placeholder, cases[i].placeholder}, {flag->initial, cases[i].initial},
            {buf_text(&values), cases[i].values},      {help_positive(flag), cases[i].positive},
            {help_negative(flag), cases[i].negative},
        };
        for (size_t j = 0; j < 5; j++) {
            if (!pairs[j][1] != !pairs[j][0] || (pairs[j][0] && strcmp(pairs[j][0], pairs[j][1])))
                fail_msg("%s: part %zu is %s, not %s", cases[i].name, j,
                         pairs[j][0] ? pairs[j][0] : "NULL", pairs[j][1] ? pairs[j][1] : "NULL");
        }
        buf_fini(&values);
    }
    assert_true(builds[NEW]->help.count > 200);
    assert_string_equal(dialect_flag(builds[NEW], "--ctx-size")->environment, "LLAMA_ARG_CTX_SIZE");
    // Printed, but gone; and what only looks like a flag.
    assert_null(dialect_flag(builds[NEW], "--draft-max"));
    assert_true(help_find(&builds[NEW]->help, "--draft-max")->removed);
    assert_null(dialect_flag(builds[NEW], "--mlock"));
    assert_null(dialect_flag(builds[NEW], "-----"));
    assert_null(dialect_flag(builds[IK], "--recurrent-ckpt-mode"));
}

// Settings are "name=value" separated by ';'. Expected: flags joined by spaces, then, when there
// are any, " ! " and the problems, each with E or W and a part of its text.
struct spelling {
    enum build build;
    const char *settings;
    const char *flags;
    const char *problem; // "" none; "E:part" or "W:part"
};

static const struct spelling spellings[] = {
    // Plain, by any of its names
    {NEW, "ctx-size=8192", "--ctx-size 8192", ""},
    {NEW, "c=8192;ngl=10;ctk=q8_0", "--ctx-size 8192 --gpu-layers 10 --cache-type-k q8_0", ""},
    {NEW, "--n_gpu_layers=10", "--gpu-layers 10", ""},
    {OLD, "n-gpu-layers=10", "--gpu-layers 10", ""},
    {NEW, "control-vector-layer-range=3 12", "--control-vector-layer-range 3 12", ""},
    {NEW, "chat-template-kwargs={\"a\": \"b c\"}", "--chat-template-kwargs {\"a\": \"b c\"}", ""},
    // How the model is read
    {NEW, "mlock=on", "--load-mode mmap+mlock", ""},
    {NEW, "mlock=on;mmap=off", "--load-mode mlock", ""},
    {NEW, "mlock=on;no-mmap=on", "--load-mode mlock", ""},
    {NEW, "mmap=off", "--load-mode none", ""},
    {NEW, "no-mmap=", "--load-mode none", ""},
    {NEW, "mmap=true", "--load-mode mmap", ""},
    {NEW, "mlock=off", "", ""},
    {NEW, "direct-io=on", "--load-mode dio", ""},
    {NEW, "load-mode=mmap+mlock", "--load-mode mmap+mlock", ""},
    {NEW, "load-mode=fast", "", "E:load-mode takes"},
    {OLD, "load-mode=mlock", "--no-mmap --mlock", ""},
    {OLD, "load-mode=mmap+mlock", "--mlock", ""},
    {OLD, "load-mode=none", "--no-mmap", ""},
    {OLD, "load-mode=mmap", "", ""},
    {OLD, "load-mode=auto", "", ""},
    {OLD, "no-mmap=on", "--no-mmap", ""},
    {OLD, "mmap=on", "", ""},
    {OLD, "load-mode=dio", "", "E:no --direct-io"},
    {IK, "mlock=on;mmap=off", "--no-mmap --mlock", ""},
    // Flash attention
    {NEW, "flash-attn=on", "--flash-attn on", ""},
    {NEW, "fa=", "--flash-attn on", ""},
    {NEW, "flash-attn=true", "--flash-attn on", ""},
    {NEW, "flash-attn=0", "--flash-attn off", ""},
    {NEW, "no-flash-attn=on", "--flash-attn off", ""},
    {NEW, "flash-attn=fast", "", "E:takes on, off or auto"},
    {OLD, "flash-attn=on", "--flash-attn", ""},
    {OLD, "flash-attn=off", "", ""},
    {OLD, "flash-attn=auto", "", "W:no flash-attn = auto"},
    {IK, "flash-attn=on", "--flash-attn on", ""},
    // Layers on the GPU
    {NEW, "gpu-layers=all", "--gpu-layers all", ""},
    {NEW, "gpu-layers=auto", "--gpu-layers auto", ""},
    {NEW, "gpu-layers=many", "", "E:takes a number"},
    {OLD, "gpu-layers=all", "--gpu-layers 999", ""},
    {IK, "gpu-layers=all", "--gpu-layers 999", ""},
    {IK, "gpu-layers=auto", "", "E:cannot choose"},
    {IK, "gpu-layers-draft=all", "--gpu-layers-draft 999", ""},
    // Speculation
    {NEW, "model-draft=/d.gguf;draft-max=8;draft-min=1;draft-p-min=0.5",
     "--spec-draft-model /d.gguf --spec-draft-n-max 8 --spec-draft-n-min 1 "
     "--spec-draft-p-min 0.5",
     ""},
    {NEW, "spec-draft-n-max=8", "--spec-draft-n-max 8", ""},
    {OLD, "spec-draft-n-max=8;md=/d.gguf", "--model-draft /d.gguf --draft-max 8", ""},
    {IK, "draft-max=8;draft-p-min=0.0", "--spec-type draft:n_max=8,p_min=0.0", ""},
    {IK, "spec-type=draft-mtp;draft-max=1", "--spec-type mtp:n_max=1", ""},
    {IK, "spec-type=mtp:n_max=1,p_min=0.0", "--spec-type mtp:n_max=1,p_min=0.0", ""},
    {NEW, "spec-type=mtp", "--spec-type draft-mtp", ""},
    {NEW, "spec-type=draft", "--spec-type draft-simple", ""},
    {NEW, "spec-type=draft-mtp,ngram-mod", "--spec-type draft-mtp,ngram-mod", ""},
    {NEW, "spec-type=magic", "", "E:knows no spec-type = magic"},
    {NEW, "ctx-size-draft=4096", "", "W:no --ctx-size-draft"},
    {IK, "ctx-size-draft=4096", "--ctx-size-draft 4096", ""},
    // Switches
    {NEW, "jinja=true", "--jinja", ""},
    {NEW, "jinja=off", "--no-jinja", ""},
    {NEW, "no-jinja=on", "--no-jinja", ""},
    {OLD, "jinja=off", "", ""},
    {NEW, "jinja=maybe", "", "E:takes on or off"},
    {NEW, "kv-offload=off", "--no-kv-offload", ""},
    {NEW, "nkvo=on", "--no-kv-offload", ""},
    {OLD, "kv-offload=off", "--no-kv-offload", ""},
    {OLD, "nkvo=on", "--no-kv-offload", ""},
    {NEW, "no-host=on", "--no-host", ""},
    {NEW, "no-perf=off", "--perf", ""},
    {NEW, "no-mmproj=on", "--no-mmproj", ""},
    {NEW, "mmproj=/p.gguf", "--mmproj /p.gguf", ""},
    {OLD, "warmup=off", "--no-warmup", ""},
    {OLD, "warmup=on", "", ""},
    {NEW, "cpu-strict=on", "--cpu-strict 1", ""},
    {NEW, "swa-full=on", "--swa-full", ""},
    {NEW, "log-colors=off", "--log-colors off", ""},
    // The web page
    {NEW, "ui=off", "--no-webui", ""},
    {NEW, "webui=none", "--no-webui", ""},
    {OLD, "ui=off", "--no-webui", ""},
    {IK, "ui=off", "--webui none", ""},
    {IK, "webui=on", "", ""},
    {IK, "webui=llamacpp", "--webui llamacpp", ""},
    // Fit
    {NEW, "fit=off", "--fit off", ""},
    {IK, "fit=on", "--fit", ""},
    {IK, "fit=off", "", ""},
    {OLD, "fit=off", "", ""},
    {OLD, "fit=on", "", "E:no --fit"},
    {IK, "fit-target=512", "--fit-margin 512", ""},
    // Names
    {NEW, "alias=a,b", "--alias a,b", ""},
    {OLD, "alias=a,b", "--alias a", "W:one alias"},
    // What a build lacks
    {OLD, "n-cpu-moe=8", "", "E:no --n-cpu-moe"},
    {OLD, "cache-ram=0", "", ""}, // nothing to switch off
    {OLD, "cache-ram=2048", "", "W:no --cache-ram"},
    {OLD, "threads-http=4", "", "W:no --threads-http"},
    {OLD, "log-jsonl=on", "", "W:no --log-jsonl"},
    {IK, "mmproj=/p.gguf", "", "E:no --mmproj"},
    {NEW, "cache-type-k=turbo3", "", "E:turbo-tan/llama.cpp-tq3"},
    {NEW, "cache-type-k=q6_0", "", "E:ik_llama.cpp"},
    {IK, "cache-type-k=q6_0", "--cache-type-k q6_0", ""},
    {NEW, "ctxsize=1", "", "E:did you mean --ctx-size?"},
    {NEW, "spec-ngram-size-n=4", "", "E:has removed --spec-ngram-size-n"},
    {NEW, "qqqqqqqqqqqqqqqq=1", "", "E:has no --qqqqqqqqqqqqqqqq"},
    {NEW, "ctx-size=", "", "E:needs a value"},
    {NEW, "=1", "", "E:is no setting"},
    // ik's help does not show that these take values
    {IK, "mla-use=3", "--mla-use 3", ""},
    {IK, "mla-use=1", "--mla-use 1", ""},
    {IK, "run-time-repack=on", "--run-time-repack", ""},
    {IK, "no-fmoe=on", "--no-fused-moe", ""},
};

static void check_spelling(const struct spelling *expected) {
    char *copy = mem_strdup(expected->settings);
    struct setting settings[8];
    size_t count = 0;
    for (char *at = copy; at;) {
        char *next = strchr(at, ';');
        if (next)
            *next++ = '\0';
        char *equals = strchr(at, '=');
        assert_non_null(equals);
        *equals = '\0';
        settings[count++] = (struct setting){at, equals + 1};
        at = next;
    }
    struct args flags;
    args_init(&flags);
    struct problems problems = {0};
    bool ok = dialect_spell(builds[expected->build], settings, count, &flags, &problems);
    struct buf joined;
    buf_init(&joined, 4096);
    for (size_t i = 0; i < flags.count; i++)
        buf_printf(&joined, "%s%s", i ? " " : "", flags.items[i]);
    if (strcmp(buf_text(&joined), expected->flags) != 0)
        fail_msg("%s: spelt \"%s\", not \"%s\"", expected->settings, buf_text(&joined),
                 expected->flags);
    if (!*expected->problem) {
        if (problems.count != 0)
            fail_msg("%s: %s", expected->settings, problems.items[0].text);
        assert_true(ok);
    } else {
        if (problems.count != 1)
            fail_msg("%s: %zu problems", expected->settings, problems.count);
        assert_int_equal(problems.items[0].is_error, expected->problem[0] == 'E');
        assert_int_equal(ok, expected->problem[0] != 'E');
        if (!strstr(problems.items[0].text, expected->problem + 2))
            fail_msg("%s: \"%s\" lacks \"%s\"", expected->settings, problems.items[0].text,
                     expected->problem + 2);
    }
    buf_fini(&joined);
    problems_fini(&problems);
    args_fini(&flags);
    mem_free(copy);
}

static void test_spelling(void **state) {
    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++)
        check_spelling(&spellings[i]);
}

// Whatever it is fed, the parser ends and what it holds is consistent.
static void test_odd_help(void **state) {
    static const char *const texts[] = {
        "",
        "-",
        "--",
        "---\n----- x -----\n",
        "-a",
        "-a,",
        "-a, ",
        "-a ,b",
        "-a  \n\n   \n",
        "--x <|>\n",
        "--x {}\n",
        "--x none,\n",
        "--x (default: \n",
        "--x N  (default: '\n",
        "--x T  allowed values: \n",
        "--x T\n   allowed values: a,b, c,\n",
        "\r\n-q\r\n",
        "--y ,--z\n",
        "--x N, --y\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct dialect *dialect = dialect_create("/x", texts[i], NULL, "Available devices:");
        assert_true(dialect->guessed); // no --model: not a server's help
        assert_int_equal(dialect->family, DIALECT_UNKNOWN);
        assert_non_null(dialect_flag(dialect, "--model"));
        dialect_destroy(dialect);
    }
}

static void write_engine(const char *path, const char *script) {
    struct err err = {0};
    if (!path_write_file(path, script, strlen(script), 0700, &err))
        fail_msg("%s", err.text);
}

static void test_probe(void **state) {
    char dir[] = "/tmp/test-dialect-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *path = path_join(dir, "llama-server");
    // Counts its runs, and shows that LLAMA_* does not reach it.
    write_engine(path, "#!/bin/sh\n"
                       "echo x >> \"${0%/*}/runs\"\n"
                       "case $1 in\n"
                       "--help) echo \"--model FNAME  path\"; echo \"--list-devices  list\"\n"
                       "        echo \"--env$LLAMA_ARG_CTX_SIZE-$GGML_MARK N  x\"; exit 1;;\n"
                       "--version) echo 'version: 77 (abc)' >&2;;\n"
                       "--list-devices) printf 'Available devices:\\n  Vulkan0: A (B) (8192 MiB, "
                       "8000 MiB free)\\n';;\n"
                       "esac\n");
    setenv("LLAMA_ARG_CTX_SIZE", "9", 1);
    setenv("GGML_MARK", "kept", 1);
    struct err err = {0};
    const struct dialect *first = dialect_probe(path, &err);
    if (!first)
        fail_msg("%s", err.text);
    assert_non_null(dialect_flag(first, "--env-kept"));
    assert_int_equal(first->build, 77);
    assert_int_equal(first->device_count, 1);
    assert_string_equal(first->devices[0].description, "A (B)");
    assert_int_equal(first->devices[0].total_mib, 8192);
    assert_ptr_equal(dialect_probe(path, &err), first);
    char *runs = path_join(dir, "runs");
    struct stat info;
    assert_int_equal(stat(runs, &info), 0);
    assert_int_equal(info.st_size, 2 * 3); // asked three times, not six

    // Another binary under the same name is another build.
    write_engine(path, "#!/bin/sh\necho \"--model FNAME  path\"; echo \"--other  x\"\n");
    const struct dialect *second = dialect_probe(path, &err);
    assert_ptr_not_equal(second, first);
    assert_non_null(dialect_flag(second, "--other"));

    // A wrapper whose help says nothing, one that cannot run, none at all.
    write_engine(path, "#!/bin/sh\necho hello\n");
    const struct dialect *wrapper = dialect_probe(path, &err);
    assert_true(wrapper->guessed);
    write_engine(path,
                 "#!/bin/sh\necho 'libcuda.so.1: cannot open shared object file' >&2; exit 127\n");
    assert_null(dialect_probe(path, &err));
    assert_non_null(strstr(err.text, "libcuda.so.1"));
    unlink(path);
    assert_null(dialect_probe(path, &err));
    assert_int_equal(err.code, ERR_NOTFOUND);
    assert_null(dialect_probe(dir, &err));
    assert_non_null(strstr(err.text, "not an executable file"));
    unlink(runs);
    rmdir(dir);
    mem_free(runs);
    mem_free(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_build_is), cmocka_unit_test(test_flags),
        cmocka_unit_test(test_spelling),        cmocka_unit_test(test_odd_help),
        cmocka_unit_test(test_probe),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
