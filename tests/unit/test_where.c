// Addresses as people write them, and models as people name them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "http/where.h"
#include "model_choice.h"

#include <string.h>

#include <cmocka.h>

static void test_addresses(void **state) {
    static const struct {
        const char *host;
        unsigned port;
        const char *name, *address, *prefix;
        unsigned result;
        bool loopback;
    } cases[] = {
        {NULL, 0, "127.0.0.1", "127.0.0.1", "", 1234, true},
        {"10.0.0.5", 0, "10.0.0.5", "10.0.0.5", "", 1234, false},
        {"10.0.0.5:8080", 0, "10.0.0.5", "10.0.0.5", "", 8080, false},
        {"10.0.0.5:8080", 9, "10.0.0.5", "10.0.0.5", "", 9, false},
        {"http://10.0.0.5:8080/llm/v1/", 0, "10.0.0.5", "10.0.0.5", "/llm", 8080, false},
        {"HTTP://127.1.2.3/v1", 0, "127.1.2.3", "127.1.2.3", "", 1234, true},
        {"http://10.0.0.5:8080//", 0, "10.0.0.5", "10.0.0.5", "", 8080, false},
        {"http://10.0.0.5:1/llm/v1", 0, "10.0.0.5", "10.0.0.5", "/llm", 1, false},
        {"10.0.0.5/a/v1/chat/completions/", 0, "10.0.0.5", "10.0.0.5", "/a", 1234, false},
        {"http://10.0.0.5/v1/models", 0, "10.0.0.5", "10.0.0.5", "", 1234, false},
        {"http://10.0.0.5/llmv1", 0, "10.0.0.5", "10.0.0.5", "/llmv1", 1234, false},
        {"0:0::1", 0, "0:0::1", "0:0::1", "", 1234, true},
        {"fe80::1%lo", 0, "fe80::1%lo", "fe80::1%lo", "", 1234, false},
        {"[fe80::1%lo]:80/v1", 0, "fe80::1%lo", "fe80::1%lo", "", 80, false},
        {"::1", 0, "::1", "::1", "", 1234, true},
        {"[::1]:77", 0, "::1", "::1", "", 77, true},
        {"http://[fd00::5]/x", 0, "fd00::5", "fd00::5", "/x", 1234, false},
        {"localhost", 5, "localhost", "127.0.0.1", "", 5, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct where where;
        struct err err = {0};
        assert_true(where_read(&where, cases[i].host, cases[i].port, 1234, &err));
        assert_string_equal(where.host, cases[i].name);
        assert_string_equal(where.addresses[0], cases[i].address);
        assert_string_equal(where.prefix, cases[i].prefix);
        assert_int_equal(where.port, cases[i].result);
        assert_int_equal(where.loopback, cases[i].loopback);
    }
}

static void test_no_addresses(void **state) {
    static const struct {
        const char *host, *text;
    } cases[] = {
        {"https://x", "TLS is not spoken here"},
        {"", "is no host"},
        {"x:y", "is no host"},
        {"x:0", "is no host"},
        {"x:70000", "is no host"},
        {"[::1", "is no host"},
        {"http://x/a b", "is no host"},
        {"http://x/?a=b", "is no host"},
        {"[::1]:", "is no host"},
        {"[::1]8080", "is no host"},
        {"[::1]x:80", "is no host"},
        {"10.0.0.5%lo", "there is no host"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct where where;
        struct err err = {0};
        assert_false(where_read(&where, cases[i].host, 0, 1234, &err));
        if (!strstr(err.text, cases[i].text))
            fail_msg("\"%s\" instead of \"%s\"", err.text, cases[i].text);
    }
}

// As a person would write it again.
static void test_names(void **state) {
    static const struct {
        const char *host, *name;
    } cases[] = {
        {"10.0.0.5", "10.0.0.5:1234"},
        {"http://10.0.0.5:9/v1", "10.0.0.5:9"},
        {"::1", "[::1]:1234"},
        {"[::1]:80", "[::1]:80"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct where where;
        assert_true(where_read(&where, cases[i].host, 0, 1234, NULL));
        assert_string_equal(where.name, cases[i].name);
    }
}

static void test_models(void **state) {
    static const char *const names[] = {"qwen3-8b", "qwen3-coder-30b", "Gemma-4-26B",
                                        "models/Llama-3.1-8B-Instruct-Q4_K_M.gguf", "smollm2"};
    static const struct {
        const char *wanted;
        int index;
    } cases[] = {
        {"qwen3-8b", 0}, {"QWEN3-8B", 0}, {"coder", 1}, {"gemma", 2}, {"llama-3.1", 3},
        {"smol", 4},     {"qwen3", -1},   {"8b", -1},   {"gpt", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(model_choice(cases[i].wanted, names, 5, NULL), cases[i].index);
    struct err err = {0};
    assert_int_equal(model_choice("qwen3-codr-30b", names, 5, &err), -1);
    assert_non_null(strstr(err.text, "did you mean: qwen3-coder-30b, "));
    assert_int_equal(model_choice("gpt", names, 1, &err), -1);
    assert_string_equal(err.text, "there is no model \"gpt\" there; there is: qwen3-8b");
    assert_int_equal(model_choice("gpt", names, 0, &err), -1);
}

static void test_names_of_anthropic(void **state) {
    assert_true(model_choice_is_anthropic("sonnet"));
    assert_true(model_choice_is_anthropic("claude-opus-4-8"));
    assert_true(model_choice_is_anthropic("OPUS"));
    assert_false(model_choice_is_anthropic("sonnets"));
    assert_false(model_choice_is_anthropic("qwen3"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_no_addresses),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_names_of_anthropic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
