#define _GNU_SOURCE
#include "config.h"

#include "base/mem.h"
#include "base/path.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char *root; // a home of our own, so that the machine's models and engines do not matter

static void make(const char *name, mode_t mode) {
    struct err err;
    char *path = path_join(root, name), *dir = mem_strdup(path);
    *strrchr(dir, '/') = '\0';
    assert_true(path_make_private(dir, &err));
    assert_true(path_write_file(path, "GGUF", 4, mode, &err));
    mem_free(path);
    mem_free(dir);
}

static int set_up(void **state) {
    char base[] = "/tmp/ancalagon-test-XXXXXX";
    assert_non_null(mkdtemp(base));
    root = mem_strdup(base);
    make("bin/llama-server", 0700);
    make("bin/ik-server", 0700);
    make("home/models/a.gguf", 0600);
    make("cache/ancalagon/models/a.gguf", 0600);
    make("cache/ancalagon/models/b.gguf", 0600);
    make("cache/ancalagon/engine/tq3/bin/llama-server", 0700);
    make("conf/engines/own", 0700);
    const char *const names[][2] = {{"HOME", "home"},
                                    {"XDG_CACHE_HOME", "cache"},
                                    {"XDG_STATE_HOME", "state"},
                                    {"XDG_CONFIG_HOME", "xdg"},
                                    {"PATH", "bin"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = path_join(root, names[i][1]);
        setenv(names[i][0], path, 1);
        mem_free(path);
    }
    unsetenv("ANCALAGON_MODELS");
    unsetenv("ANCALAGON_ENGINE");
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where) {
    return remove(path);
}

static int tear_down(void **state) {
    int failed = nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    mem_free(root);
    return failed;
}

static struct config *parse(const char *text) {
    struct err err = {0};
    char *path = path_join(root, "conf/presets.ini");
    struct config *config = config_parse(text, strlen(text), path, &err);
    assert_string_equal(err.text, "");
    assert_non_null(config);
    mem_free(path);
    return config;
}

static void assert_under_root(const char *path, const char *name) {
    char *expected = path_join(root, name);
    assert_string_equal(path, expected);
    mem_free(expected);
}

static void test_defaults(void **state) {
    struct config *config = parse("");
    assert_string_equal(config->listen_host, "127.0.0.1");
    assert_int_equal(config->listen_port, 1234);
    assert_int_equal(config->max_hold_ms, 60000);
    assert_int_equal(config->stall_timeout_ms, 30000);
    assert_int_equal(config->drain_timeout_ms, 0);
    assert_int_equal(config->stop_grace_ms, 10000);
    assert_int_equal(config->ping_after_ms, 2000);
    assert_int_equal(config->ping_every_ms, 10000);
    assert_int_equal(config->max_body_bytes, 64 << 20);
    assert_int_equal(config->max_held_bytes, 1 << 30);
    assert_int_equal(config->max_queue, 1024);
    assert_int_equal(config->max_connections, 4096);
    assert_true(config->on_demand && config->scan);
    assert_null(config->allow_hosts[0]);
    assert_under_root(config->api_key_file, "state/ancalagon/api-key");
    assert_under_root(config->models_dirs[0], "home/models");
    assert_under_root(config->models_dirs[1], "cache/ancalagon/models");
    assert_int_equal(config->problems_count, 0);
    assert_null(config_default(config));
    config_destroy(config);
}

static void test_server_keys(void **state) {
    struct config *config = parse("[server]\nlisten = [::1]:99\nmax-hold = 2m\nmax-body = 1K\n"
                                  "max-queue = 3\non-demand = off\nallow-host = box, box.lan\n"
                                  "api-key-file = key\nmodels = m\ndrain-timeout = 5\n");
    assert_int_equal(config->problems_count, 0);
    assert_string_equal(config->listen_host, "::1");
    assert_int_equal(config->listen_port, 99);
    assert_int_equal(config->max_hold_ms, 120000);
    assert_int_equal(config->drain_timeout_ms, 5000);
    assert_int_equal(config->max_body_bytes, 1024);
    assert_int_equal(config->max_queue, 3);
    assert_false(config->on_demand);
    assert_string_equal(config->allow_hosts[1], "box.lan");
    assert_null(config->allow_hosts[2]);
    assert_under_root(config->api_key_file, "conf/key");
    assert_under_root(config->models_dirs[0], "conf/m");
    config_destroy(config);
}

static void test_merge(void **state) {
    struct config *config =
        parse("version = 1\n[*]\nngl = 99\nkv = q8_0\nthreads = 6\nidle-off = 5m\ngroup = card\n"
              "[one]\nmodel = a.gguf\nctx = 96K\nn_gpu_layers = 10\naliases = uno, first\n"
              "[two]\nmodel = b.gguf\nkv = q4_0\nnp = 4\nidle-off = never\ndefault = on\n");
    const struct preset *one = config_find(config, "uno"), *two = config_find(config, "two");
    assert_int_equal(config->problems_count, 0);
    assert_int_equal(config->presets_count, 2);
    assert_ptr_equal(config_find(config, "first"), one);
    assert_ptr_equal(config_default(config), two);
    assert_null(config_find(config, "three"));

    static const char *const expected[][2] = {{"n-gpu-layers", "10"},
                                              {"cache-type-k", "q8_0"},
                                              {"cache-type-v", "q8_0"},
                                              {"threads", "6"},
                                              {"ctx-size", "98304"}};
    assert_int_equal(one->settings_count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(one->settings[i].flag, expected[i][0]);
        assert_string_equal(one->settings[i].value, expected[i][1]);
    }
    assert_int_equal(one->settings[0].line, 11);
    assert_string_equal(one->name, "one");
    assert_string_equal(one->group, "card");
    assert_string_equal(one->kv_type, "q8_0");
    assert_string_equal(one->description, "");
    assert_int_equal(one->ctx_tokens, 98304);
    assert_int_equal(one->idle_off_ms, 300000);
    assert_int_equal(one->load_timeout_ms, 600000);
    assert_int_equal(one->parallel, -1);
    assert_int_equal(one->line, 8);
    assert_false(one->is_default || one->is_scanned);
    assert_string_equal(two->kv_type, "q4_0");
    assert_string_equal(preset_get(two, "cache-type-v"), "q4_0");
    assert_string_equal(preset_get(two, "n-gpu-layers"), "99");
    assert_null(preset_get(two, "ctx-size"));
    assert_int_equal(two->parallel, 4);
    assert_int_equal(two->idle_off_ms, 0);
    config_destroy(config);
}

static void test_paths(void **state) {
    struct config *config = parse("[a]\nmodel = a.gguf\nmmproj = b.gguf\nchat-template-file = t.j\n"
                                  "[b]\nmodel = b.gguf\nengine = ik-server\n"
                                  "[c]\nmodel = ~/models/./a.gguf\nengine = tq3\n"
                                  "[d]\nmodel = sub/x.gguf\nengine = engines/own\n"
                                  "[e]\nmodel = /nowhere/x.gguf\nengine = none\n");
    const struct preset *p = config->presets;
    assert_int_equal(config->presets_count, 5);
    assert_under_root(p[0].model, "home/models/a.gguf");
    assert_under_root(p[0].engine_path, "bin/llama-server");
    assert_under_root(preset_get(&p[0], "mmproj"), "cache/ancalagon/models/b.gguf");
    assert_under_root(preset_get(&p[0], "chat-template-file"), "conf/t.j");
    assert_under_root(p[1].model, "cache/ancalagon/models/b.gguf");
    assert_under_root(p[1].engine_path, "bin/ik-server");
    assert_under_root(p[2].model, "home/models/a.gguf");
    assert_under_root(p[2].engine_path, "cache/ancalagon/engine/tq3/bin/llama-server");
    assert_under_root(p[3].model, "home/models/sub/x.gguf");
    assert_under_root(p[3].engine_path, "conf/engines/own");
    assert_string_equal(p[4].model, "/nowhere/x.gguf");
    // The missing ones are said, and are no errors.
    assert_int_equal(config->errors_count, 0);
    assert_int_equal(config->problems_count, 3);
    config_destroy(config);

    char *folder = path_join(root, "cache/ancalagon/models");
    char *engine = path_join(root, "bin/ik-server");
    setenv("ANCALAGON_MODELS", folder, 1);
    setenv("ANCALAGON_ENGINE", engine, 1);
    config = parse("[a]\nmodel = a.gguf\n");
    assert_under_root(config->presets[0].model, "cache/ancalagon/models/a.gguf");
    assert_string_equal(config->presets[0].engine_path, engine);
    unsetenv("ANCALAGON_MODELS");
    unsetenv("ANCALAGON_ENGINE");
    config_destroy(config);
    mem_free(folder);
    mem_free(engine);
}

static void test_problems(void **state) {
    static const struct {
        const char *text;
        unsigned line;
        const char *expected;
    } cases[] = {
        {"ctx = 1\n", 1, "put it under [*]"},
        {"[a]\n", 1, "[a] has no model; add model ="},
        {"[Server]\nmax-hold = 1\n", 2, "move it to [server]"},
        {"[SERVER]\n", 1, "write [server]"},
        {"[a b]\nmodel = a.gguf\n", 1, "no name for a preset"},
        {"[off]\nmodel = a.gguf\n", 1, "a word of lmswitch"},
        {"[list]\nmodel = a.gguf\n", 1, "a word of lmswitch"},
        {"[--json]\nmodel = a.gguf\n", 1, "no name for a preset"},
        {"[a]\nmodel = a.gguf\naliases = x, -f\n", 3, "is no name"},
        {"[a]\nmodel = a.gguf\naliases = x, sleep\n", 3, "a word of lmswitch"},
        {"[a]\nmodel = a.gguf\naliases = x$\n", 3, "is no name"},
        {"[a]\nmodel = a.gguf\n[b]\nmodel = b.gguf\naliases = a\n", 3, "so is [a] on line 1"},
        {"[a]\nmodel = a.gguf\naliases = x\n[x]\nmodel = b.gguf\n", 4, "so is [a] on line 1"},
        {"[a]\nmodel = a.gguf\ndefault = 1\n[b]\nmodel = b.gguf\ndefault = on\n", 4,
         "so is [a] on line 1"},
        {"[a]\nmodel = a.gguf\nctx-size-k = 1\ncache-type-k = q8_0\ncache-type-v = q4_0\n", 5,
         "3 tok/s; write kv = q8_0"},
        {"[*]\nkv = q8_0\n[a]\nmodel = a.gguf\nctk = q4_0\n", 5, "differ (q4_0 and q8_0)"},
        {"[a]\nmodel = a.gguf\ncache-type-v = q8_0\n", 3, "differ (f16 and q8_0)"},
        {"[a]\nmodel = a.gguf\nkv = q8 0\n", 3, "no cache type"},
        {"[a]\nmodel = a.gguf\nctx = 8192\nctx-size = 4096\n", 4, "set on line 3"},
        {"[a]\nmodel = a.gguf\nctx = lots\n", 3, "write 8192 or 96K"},
        {"[a]\nmodel = a.gguf\nctx = 9G\n", 3, "write 8192 or 96K"},
        {"[a]\nmodel = a.gguf\nparallel = 0\n", 3, "no number of slots"},
        {"[a]\nmodel = a.gguf\nload-timeout = soon\n", 3, "10m"},
        {"[a]\nmodel = a.gguf\nload-timeout = 0\n", 3, "below a second"},
        {"[a]\nmodel = a.gguf\ndefault = maybe\n", 3, "neither on nor off"},
        {"[a]\nmodel = \"a.gguf\"\n", 2, "write model = a.gguf"},
        {"[a]\nmodel =\n", 2, "model is empty"},
        {"[a]\nmodel = a.gguf\nengin = x\n", 3, "did you mean engine?"},
        {"[a]\nmodle = a.gguf\n", 2, "did you mean model?"},
        {"[a]\nmodel = a.gguf\nidle-of = 3\n", 3, "did you mean idle-off?"},
        {"[*]\nmodel = a.gguf\n", 2, "move it from [*]"},
        {"[*]\naliases = x\n", 2, "move it from [*]"},
        {"[a]\nmodel = a.gguf\nhost = 0.0.0.0\n", 3, "set listen in [server]"},
        {"[a]\nmodel = a.gguf\nport = 1\n", 3, "set listen in [server]"},
        {"[a]\nmodel = a.gguf\napi_key = x\n", 3, "set api-key-file in [server]"},
        {"[a]\nmodel = a.gguf\napi-prefix = /x\n", 3, "remove it"},
        {"[a]\nmodel = a.gguf\nslot_save_path = /\n", 3, "reach files"},
        {"[a]\nmodel = a.gguf\nssl-key-file = k\n", 3, "TLS proxy"},
        {"[a]\nmodel = a.gguf\ntools = all\n", 3, "run programs"},
        {"[a]\nmodel = a.gguf\nno-ui-mcp-proxy = off\n", 3, "reach other machines"},
        {"[a]\nmodel = a.gguf\nmodels-dir = /\n", 3, "is the router"},
        {"[a]\nmodel = a.gguf\nmodels-preset = x\n", 3, "is the router"},
        {"[a]\nhf-repo = x/y\nmodel = a.gguf\n", 2, "have no network"},
        {"[a]\nmodel = a.gguf\nLLAMA_ARG_HOST = x\n", 3, "environment variable"},
        {"[server]\nmax-hold = 1x\n", 2, "500ms"},
        {"[server]\nping-every = 0\n", 2, "no time between 100 ms"},
        {"[server]\nmax-body = 1\n", 2, "no number between 1024"},
        {"[server]\nmax-body = 2G\n", 1, "raise max-held"},
        {"[server]\nscan = maybe\n", 2, "neither on nor off"},
        {"[server]\nlisten = box:1\n", 2, "is no address"},
        {"[server]\nmax-holt = 1\n", 2, "did you mean max-hold?"},
        {"[server]\nctx-size = 1\n", 2, "under [*] or a [preset]"},
        {"[server]\ndefault = x\n", 2, "there is no preset x"},
        {"[a]\nmodel = a.gguf\nnonsense\n", 3, "expected \"key = value\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config *config = parse(cases[i].text);
        if (config->errors_count != 1 || config->problems[0].severity != CONFIG_ERROR ||
            config->problems[0].line != cases[i].line ||
            !strstr(config->problems[0].text, cases[i].expected)) {
            struct buf out;
            buf_init(&out, 10000);
            config_describe_problems(config, &out);
            fail_msg("%s: expected line %u ...%s..., got\n%s", cases[i].text, cases[i].line,
                     cases[i].expected, buf_text(&out));
        }
        config_destroy(config);
    }
}

static void test_warnings(void **state) {
    static const struct {
        const char *text;
        unsigned line;
        const char *expected;
    } cases[] = {
        {"[a]\nmodel = x.gguf\n", 2, "there is no model file"},
        {"[a]\nmodel = a.gguf\nmmproj = x.gguf\n", 3, "mmproj: there is no file"},
        {"[a]\nmodel = a.gguf\nengine = /none\n", 1, "there is no engine /none"},
        {"[a]\nmodel = a.gguf\nload-on-startup = 1\n", 3, "does nothing here"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config *config = parse(cases[i].text);
        assert_int_equal(config->problems_count, 1);
        assert_int_equal(config->errors_count, 0);
        assert_int_equal(config->problems[0].severity, CONFIG_WARNING);
        assert_int_equal(config->problems[0].line, cases[i].line);
        assert_non_null(strstr(config->problems[0].text, cases[i].expected));
        assert_int_equal(config->presets_count, 1);
        config_destroy(config);
    }
}

// All problems are told, by line, once each; a wrong preset is left out.
static void test_all_problems(void **state) {
    struct config *config = parse("[*]\nhost = x\n[b]\nmodel = b.gguf\n[c]\nctx = x\n"
                                  "[server]\nlisten = x\n");
    struct buf out;
    buf_init(&out, 10000);
    config_describe_problems(config, &out);
    assert_int_equal(config->presets_count, 0);
    assert_int_equal(config->errors_count, 3);
    assert_int_equal(config->problems_count, 3);
    assert_int_equal(config->problems[0].line, 2);
    assert_int_equal(config->problems[1].line, 6);
    assert_int_equal(config->problems[2].line, 8);
    assert_non_null(strstr(buf_text(&out), "/conf/presets.ini:2: error: host is set by ancalagon"));
    buf_fini(&out);
    config_destroy(config);
}

static void test_listen(void **state) {
    static const struct {
        const char *text, *host; // NULL: refused
        unsigned port;
    } cases[] = {
        {"127.0.0.1:1234", "127.0.0.1", 1234},
        {"[::1]:80", "::1", 80},
        {"[::]:0", "::", 0},
        {"0.0.0.0:65535", "0.0.0.0", 65535},
        {"8080", "127.0.0.1", 8080},
        {"192.168.1.5", "192.168.1.5", 1234},
        {"::1", "::1", 1234},
        {"[fe80::1]", "fe80::1", 1234},
        {"localhost:5", "127.0.0.1", 5},
        {"localhost", "127.0.0.1", 1234},
        {"", NULL, 0},
        {":1234", NULL, 0},
        {"127.0.0.1:", NULL, 0},
        {"127.0.0.1:65536", NULL, 0},
        {"127.0.0.1:-1", NULL, 0},
        {"70000", NULL, 0},
        {"[::1", NULL, 0},
        {"[::1]x", NULL, 0},
        {"[::1]:", NULL, 0},
        {"box", NULL, 0},
        {"1.2.3:4", NULL, 0},
        {"http://127.0.0.1:1", NULL, 0},
        {"127.0.0.1:12x", NULL, 0},
        {"*:1234", NULL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        char *host = NULL;
        uint16_t port = 7;
        bool ok = config_parse_listen(cases[i].text, &host, &port, &err);
        if (ok != (cases[i].host != NULL))
            fail_msg("%s: %s", cases[i].text, ok ? "accepted" : err.text);
        if (ok) {
            assert_string_equal(host, cases[i].host);
            assert_int_equal(port, cases[i].port);
        } else {
            assert_null(host);
            assert_int_equal(port, 7);
        }
        mem_free(host);
    }
}

static void test_same_engine(void **state) {
    static const struct {
        const char *other;
        bool same;
    } cases[] = {
        {"model = a.gguf\nctx = 8K\nthreads = 2\n", true},
        {"model = a.gguf\nthreads = 2\nctx-size = 8192\n", true},
        {"model = a.gguf\nctx = 8K\nthreads = 2\ndescription = x\nidle-off = 1h\naliases = q\n",
         true},
        {"model = b.gguf\nctx = 8K\nthreads = 2\n", false},
        {"model = a.gguf\nctx = 8K\nthreads = 3\n", false},
        {"model = a.gguf\nctx = 8K\n", false},
        {"model = a.gguf\nctx = 8K\nthreads = 2\nmlock = on\n", false},
        {"model = a.gguf\nctx = 8K\nthreads-batch = 2\n", false},
        {"model = a.gguf\nctx = 8K\nthreads = 2\nengine = ik-server\n", false},
    };
    struct config *config = parse("[a]\nmodel = a.gguf\nctx = 8K\nthreads = 2\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = mem_printf("[b]\n%s", cases[i].other);
        struct config *other = parse(text);
        assert_int_equal(other->presets_count, 1);
        if (preset_same_engine(config->presets, other->presets) != cases[i].same)
            fail_msg("%s", cases[i].other);
        assert_true(preset_same_engine(other->presets, config->presets) == cases[i].same);
        config_destroy(other);
        mem_free(text);
    }
    config_destroy(config);
}

static void test_scan(void **state) {
    static const char *const files[] = {"Qwen3 4B_Q4.gguf",
                                        "deep/Qwen3-4b_q4.GGUF",
                                        "deep/er/no.gguf",
                                        "mmproj-F16.gguf",
                                        "x-mmproj.gguf",
                                        "Big-00001-of-00003.gguf",
                                        "Big-00002-of-00003.gguf",
                                        "notes.txt",
                                        ".hidden.gguf",
                                        "named.gguf",
                                        "-dash (1).gguf",
                                        "list.gguf",
                                        "off.gguf"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *name = path_join("scan", files[i]);
        make(name, 0600);
        mem_free(name);
    }
    char *link_from = path_join(root, "scan/other-name.gguf");
    assert_int_equal(symlink("named.gguf", link_from), 0);
    mem_free(link_from);
    // [mine] uses a file of the folder and has the name of another as its alias.
    struct config *config = parse("[server]\nmodels = ../scan\n[*]\nthreads = 2\n"
                                  "[mine]\nmodel = other-name.gguf\naliases = big\n");
    static const char *const expected[][2] = {
        {"mine", "scan/other-name.gguf"},
        {"a", "cache/ancalagon/models/a.gguf"},
        {"b", "cache/ancalagon/models/b.gguf"},
        {"dash--1-", "scan/-dash (1).gguf"},
        {"big-2", "scan/Big-00001-of-00003.gguf"},
        {"qwen3-4b_q4", "scan/Qwen3 4B_Q4.gguf"},
        {"qwen3-4b_q4-2", "scan/deep/Qwen3-4b_q4.GGUF"},
        {"list-2", "scan/list.gguf"},
        {"off-2", "scan/off.gguf"},
    };
    config_scan_models(config);
    for (size_t i = 0; i < config->presets_count && i < 9; i++) {
        assert_string_equal(config->presets[i].name, expected[i][0]);
        assert_under_root(config->presets[i].model, expected[i][1]);
        assert_true(config->presets[i].is_scanned == (i > 0));
        assert_string_equal(preset_get(&config->presets[i], "threads"), "2");
    }
    assert_int_equal(config->presets_count, 9);
    size_t count = config->presets_count;
    assert_int_equal(config_scan_models(config), 0);
    assert_int_equal(config->presets_count, count);
    config_destroy(config);
}

static void test_load(void **state) {
    struct err err = {0};
    // No file at all: the default path may be absent, a named one may not.
    struct config *config = config_load(NULL, &err);
    assert_non_null(config);
    assert_non_null(config_find(config, "a"));
    assert_true(config_find(config, "a")->is_scanned);
    config_destroy(config);
    char *path = path_join(root, "conf/load.ini");
    assert_null(config_load(path, &err));
    assert_non_null(strstr(err.text, "load.ini"));

    static const char good[] = "[server]\nscan = off\n[x]\nmodel = a.gguf\n";
    assert_true(path_write_file(path, good, strlen(good), 0600, &err));
    config = config_load(path, &err);
    assert_non_null(config);
    assert_int_equal(config->presets_count, 1);
    assert_string_equal(config->path, path);
    config_destroy(config);

    static const char bad[] = "[x]\nmodel = none.gguf\nhost = 1\nport = 2\n";
    assert_true(path_write_file(path, bad, strlen(bad), 0600, &err));
    assert_null(config_load(path, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.text, "load.ini:3: host is set by ancalagon"));
    assert_non_null(strstr(err.text, "(and 1 more: ancalagon check-config)"));
    config = config_inspect(path, &err);
    assert_non_null(config);
    assert_int_equal(config->errors_count, 2);
    config_destroy(config);
    mem_free(path);
}

// The file that we ship must be right, but for the models and the fork that nobody has here.
static void test_example(void **state) {
    struct err err = {0};
    struct config *config = config_inspect(EXAMPLE_INI, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(config->errors_count, 0);
    const struct preset *coder = config_find(config, "coder");
    const struct preset *qwen = config_find(config, "qwen36"),
                        *gemma = config_find(config, "gemma4");
    assert_ptr_equal(config_default(config), coder);
    assert_string_equal(preset_get(coder, "n-cpu-moe"), "16");
    assert_int_equal(coder->ctx_tokens, 98304);
    assert_string_equal(coder->kv_type, "q4_0");
    assert_int_equal(qwen->ctx_tokens, 40960);
    assert_string_equal(qwen->kv_type, "q8_0");
    assert_under_root(qwen->engine_path, "home/llama.cpp-tq3/build/bin/llama-server");
    assert_string_equal(preset_get(gemma, "n-cpu-moe"), "8");
    assert_int_equal(gemma->ctx_tokens, 98304);
    config_destroy(config);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),     cmocka_unit_test(test_server_keys),
        cmocka_unit_test(test_merge),        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_problems),     cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_all_problems), cmocka_unit_test(test_listen),
        cmocka_unit_test(test_same_engine),  cmocka_unit_test(test_scan),
        cmocka_unit_test(test_load),         cmocka_unit_test(test_example),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
