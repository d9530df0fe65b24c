// Unit files: quoting, instances, who conflicts with whom; and the names of shell aliases.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "config.h"
#include "short_name.h"
#include "ssh.h"
#include "units.h"

#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_text(struct buf *buf, const char *wanted) {
    assert_string_equal(buf_text(buf), wanted);
    buf_fini(buf);
}

static void test_quote(void **state) {
    static const struct {
        const char *word, *quoted;
    } cases[] = {
        {"/usr/bin/ancalagon", "\"/usr/bin/ancalagon\""},
        {"/a b/c", "\"/a b/c\""},
        {"100%", "\"100%%\""},
        {"$HOME", "\"$$HOME\""},
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"a\nb", "\"a\\nb\""},
        {"", "\"\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out;
        buf_init(&out, 1024);
        units_quote(&out, cases[i].word);
        assert_text(&out, cases[i].quoted);
    }
}

static void test_instance(void **state) {
    static const struct {
        const char *name, *instance;
    } cases[] = {
        {"coder", "coder"},
        {"qwen3-coder_2.5:x", "qwen3-coder_2.5:x"},
        {"unsloth/qwen", "unsloth\\x2fqwen"},
        {"a@b", "a@b"},
        {"a\\x2f", "a\\x5cx2f"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out;
        buf_init(&out, 1024);
        units_instance(&out, cases[i].name);
        char *back = units_instance_name(buf_text(&out));
        assert_string_equal(back, cases[i].name);
        mem_free(back);
        assert_text(&out, cases[i].instance);
    }
    char *odd = units_instance_name("tail\\x2");
    assert_string_equal(odd, "tail\\x2");
    mem_free(odd);
}

static const char three[] = "[server]\nscan = off\nlisten = [fd00::1]:99\n"
                            "[*]\nengine = /bin/true\n"
                            "[a]\nmodel = /m/a.gguf\n"
                            "[b]\nmodel = /m/b.gguf\n"
                            "[other]\nmodel = /m/o.gguf\ngroup = cpu\n"
                            "[c/d]\nmodel = /m/c.gguf\n";

static void test_conflicts(void **state) {
    struct err err;
    struct config *config = config_parse(three, strlen(three), "/tmp/x.ini", &err);
    assert_non_null(config);
    struct buf out;
    buf_init(&out, 64 * 1024);
    units_conflicts(&out, config, config_find(config, "b"));
    const char *text = buf_text(&out);
    assert_non_null(strstr(text, "Conflicts=ancalagon@a.service\nAfter=ancalagon@a.service\n"));
    assert_non_null(
        strstr(text, "Conflicts=ancalagon@c\\x2fd.service\nBefore=ancalagon@c\\x2fd.service\n"));
    assert_null(strstr(text, "other"));
    assert_null(strstr(text, "ancalagon@b.service"));
    buf_clear(&out);
    units_socket(&out, config);
    text = buf_text(&out);
    assert_non_null(strstr(text, "\nListenStream=[fd00::1]:99\n"));
    assert_non_null(strstr(text, "\nFreeBind=yes\n"));
    buf_fini(&out);
    config_destroy(config);
}

static void test_service(void **state) {
    struct units_env env = {"/opt/a b/ancalagon", "/home/x/50%.ini", "/home/x/s", "/home/x/c"};
    setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    setenv("ANCALAGON_MODELS", "/big/100%", 1);
    struct buf out;
    buf_init(&out, 64 * 1024);
    units_service(&out, &env);
    const char *text = buf_text(&out);
    assert_non_null(
        strstr(text, "\nExecStart=\"/opt/a b/ancalagon\" serve --config \"/home/x/50%%.ini\"\n"));
    assert_non_null(strstr(text, "\nEnvironment=\"ANCALAGON_MODELS=/big/100%%\"\n"));
    assert_non_null(strstr(text, "\nPrivateTmp=yes\n"));
    buf_clear(&out);
    env.config = "/tmp/try/presets.ini"; // a /tmp of its own would hide it
    units_service(&out, &env);
    assert_null(strstr(buf_text(&out), "PrivateTmp"));
    buf_clear(&out);
    units_template(&out, &env);
    assert_non_null(strstr(buf_text(&out), " hold --config \"/tmp/try/presets.ini\" -- \"%i\"\n"));
    buf_fini(&out);
    unsetenv("ANCALAGON_MODELS");
}

static void test_short_names(void **state) {
    struct short_names taken = {0};
    static const struct {
        const char *preset, *aliases, *name;
    } cases[] = {
        {"qwen36", "[]", "llq36"},    {"coder", "[\"code\",\"qwen3-coder\"]", "llcoder"},
        {"gemma4", "[]", "llgemma4"}, {"Qwen2.5-7b", "[\"q25\",\"x1\"]", "llx1"},
        {"co-der", "[]", "llcoder2"}, {"off", "[]", "lloff2"},
        {"q36", "[]", "llq362"},      {"qwen", "[]", "llqwen"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *aliases = json_loads(cases[i].aliases, 0, NULL);
        char *name = short_name_choose(&taken, cases[i].preset, aliases);
        assert_string_equal(name, cases[i].name);
        mem_free(name);
        json_decref(aliases);
    }
    short_names_fini(&taken);
}

static void test_ssh_quote(void **state) {
    static const struct {
        const char *word, *quoted;
    } cases[] = {
        {"coder", "'coder'"},
        {"it's", "'it'\\''s'"},
        {"a\\b", "'a'\\\\'b'"},
        {"$(touch x); `y` \"z\"", "'$(touch x); `y` \"z\"'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out;
        buf_init(&out, 1024);
        ssh_quote(&out, cases[i].word);
        assert_text(&out, cases[i].quoted);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quote),       cmocka_unit_test(test_instance),
        cmocka_unit_test(test_conflicts),   cmocka_unit_test(test_service),
        cmocka_unit_test(test_short_names), cmocka_unit_test(test_ssh_quote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
