#include "format/json_peek.h"

#include "base/buf.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_model(void **state) {
    static const struct {
        const char *text, *model; // NULL: no model
    } cases[] = {
        {"{}", NULL},
        {" {\"model\":\"coder\"} \n", "coder"},
        {"{\"model\":null}", NULL},
        {"{\"model\":\"\"}", ""},
        {"{\"mod\\u0065l\":\"x\"}", "x"},
        {"{\"\\u006dodel\":\"x\",\"model\":\"\\u0078\"}", "x"},
        {"{\"model\\u0000\":\"y\"}", NULL},
        {"{\"models\":\"y\",\"Model\":\"z\",\"mode\":\"\"}", NULL},
        {"{\"model\":\"a\\/b\\\\c\\\"d\\ne\\tf\"}", "a/b\\c\"d\ne\tf"},
        {"{\"model\":\"\\u00e9\\u20AC\\ud83d\\ude00\"}", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"{\"a\":{\"model\":\"no\"},\"b\":[{\"model\":\"no\"}],\"c\":\"\\\"model\\\":\"}", NULL},
        {"{\"a\":{\"b\":[[],{}]},\"model\":\"deep\"}", "deep"},
        {"{\"model\":\"x\",\"model\":\"x\"}", "x"},
        {"{\"a\":-0.5e+3,\"b\":[1,0,10E2,true,false,null],\"model\":\"n\"}", "n"},
        {"{\"\":\"\",\"model\":\"\xff\"}", "\xff"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        struct json_peek peek;
        if (!json_peek(cases[i].text, strlen(cases[i].text), 0, &peek, &err))
            fail_msg("%s: %s", cases[i].text, err.text);
        assert_true(peek.has_model == (cases[i].model != NULL));
        assert_string_equal(peek.model, cases[i].model ? cases[i].model : "");
        assert_int_equal(peek.model_length, strlen(peek.model));
    }
}

static void test_refuses(void **state) {
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"", "not a JSON object at byte 0"},
        {" [1]", "not a JSON object at byte 1"},
        {"\"model\"", "not a JSON object"},
        {"\xef\xbb\xbf{}", "not a JSON object"},
        {"{", "ends too early at byte 1"},
        {"{\"a\"", "ends too early at byte 4"},
        {"{\"a\":", "ends too early at byte 5"},
        {"{\"a\":\"x", "ends too early at byte 7"},
        {"{\"a\":\"x\\", "ends too early"},
        {"{\"a\":1", "ends too early"},
        {"{\"a\":-", "ends too early"},
        {"{\"a\":1.", "ends too early"},
        {"{\"a\":1e", "ends too early"},
        {"{}x", "text after the JSON object at byte 2"},
        {"{}{}", "text after the JSON object"},
        {"{]", "expected a key"},
        {"{\"a\":[}", "expected a value at byte 6"},
        {"{\"a\":[1}", "expected \",\" or \"]\" at byte 7"},
        {"{\"a\":1]", "expected \",\" or \"}\" at byte 6"},
        {"{\"a\":1,}", "expected a key"},
        {"{\"a\":[1,]}", "expected a value"},
        {"{,}", "expected a key"},
        {"{a:1}", "expected a key"},
        {"{'a':1}", "expected a key"},
        {"{\"a\" 1}", "expected \":\""},
        {"{\"a\":1 \"b\":2}", "expected \",\""},
        {"{\"a\":01}", "expected \",\""},
        {"{\"a\":+1}", "expected a value"},
        {"{\"a\":.5}", "expected a value"},
        {"{\"a\":1.e3}", "expected a digit"},
        {"{\"a\":-x}", "expected a digit"},
        {"{\"a\":0x10}", "expected \",\""},
        {"{\"a\":NaN}", "expected a value"},
        {"{\"a\":truE}", "expected a value"},
        {"{\"a\":nullx}", "expected \",\""},
        {"{\"a\":\"\n\"}", "raw control character in a string at byte 6"},
        {"{\"a\":\"\\x41\"}", "bad escape in a string at byte 6"},
        {"{\"a\":\"\\u12g4\"}", "bad escape"},
        {"{/**/}", "expected a key"},
        {"{\"model\":\"a\",\"model\":\"b\"}", "a second \"model\" with another value at byte 21"},
        {"{\"model\":\"a\",\"mode\\u006c\":\"ab\"}", "a second \"model\""},
        {"{\"model\":\"ab\",\"model\":\"a\"}", "a second \"model\""},
        {"{\"model\":null,\"model\":\"b\"}", "a second \"model\""},
        {"{\"model\":\"\",\"model\":null}", "a second \"model\""},
        {"{\"model\":1}", "\"model\" is not a string at byte 9"},
        {"{\"model\":[\"a\"]}", "\"model\" is not a string at byte 9"},
        {"{\"model\":true}", "\"model\" is not a string"},
        {"{\"model\":\"a\\u0000b\"}", "no character"},
        {"{\"model\":\"\\ud800\"}", "no character"},
        {"{\"model\":\"\\ud800\\u0041\"}", "no character"},
        {"{\"model\":\"\\ude00\\ud83d\"}", "no character"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        struct json_peek peek;
        if (json_peek(cases[i].text, strlen(cases[i].text), 0, &peek, &err))
            fail_msg("accepted %s", cases[i].text);
        assert_int_equal(err.code, ERR_INVALID);
        if (!strstr(err.text, cases[i].expected))
            fail_msg("%s: got \"%s\", expected \"%s\"", cases[i].text, err.text, cases[i].expected);
    }
    struct json_peek peek;
    assert_false(json_peek("{\"a\":1}\0", 8, 0, &peek, NULL));
    assert_false(json_peek("{\"a\":\"\0\"}", 9, 0, &peek, NULL));
    assert_false(json_peek(NULL, 0, 0, &peek, NULL));
}

static void test_numbers_and_flags(void **state) {
    static const struct {
        const char *text;
        int stream; // -1: absent
        int64_t max_tokens;
    } cases[] = {
        {"{\"stream\":true,\"max_tokens\":12}", 1, 12},
        {"{\"stream\":false}", 0, -1},
        {"{\"stream\":null}", -1, -1},
        {"{\"stream\":\"true\",\"max_tokens\":\"5\"}", -1, -1},
        {"{\"stream\":false,\"stream\":true}", 1, -1},
        {"{\"a\":{\"stream\":true,\"max_tokens\":1}}", -1, -1},
        {"{\"n_predict\":-1}", -1, -1},
        {"{\"n_predict\":7,\"max_tokens\":9}", -1, 7},
        {"{\"max_completion_tokens\":0}", -1, 0},
        {"{\"max_tokens\":1e3}", -1, -1},
        {"{\"max_tokens\":99999999999999999999999}", -1, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_peek peek;
        assert_true(json_peek(cases[i].text, strlen(cases[i].text), 0, &peek, NULL));
        assert_int_equal(peek.has_stream ? peek.stream : -1, cases[i].stream);
        assert_int_equal(peek.has_max_tokens ? peek.max_tokens : -1, cases[i].max_tokens);
    }
}

static void test_places(void **state) {
    static const char text[] = " { \"model\" : \"b\\u0061\" , \"x\":1}";
    struct json_peek peek;
    assert_true(json_peek(text, strlen(text), 0, &peek, NULL));
    assert_int_equal(peek.members_begin, 2);
    assert_false(peek.is_empty);
    assert_memory_equal(text + peek.model_begin, "\"b\\u0061\"", 9);
    assert_int_equal(peek.model_end - peek.model_begin, 9);
    assert_true(json_peek("{ }", 3, 0, &peek, NULL));
    assert_true(peek.is_empty);
    assert_int_equal(peek.members_begin, 1);
}

// depth counts the object itself.
static bool peek_nested(unsigned depth, unsigned max_depth, bool objects, struct err *err) {
    struct buf text;
    struct json_peek peek;
    buf_init(&text, 1u << 22);
    buf_adds(&text, "{\"a\":");
    for (unsigned i = 1; i < depth; i++)
        buf_adds(&text, objects ? "{\"a\":" : "[");
    buf_adds(&text, "0");
    for (unsigned i = 1; i < depth; i++)
        buf_adds(&text, objects ? "}" : "]");
    buf_adds(&text, "}");
    bool ok = json_peek(buf_bytes(&text), text.length, max_depth, &peek, err);
    buf_fini(&text);
    return ok;
}

static void test_depth(void **state) {
    for (int objects = 0; objects < 2; objects++) {
        struct err err = {0};
        assert_true(peek_nested(JSON_PEEK_DEPTH_DEFAULT, 0, objects, &err));
        assert_false(peek_nested(JSON_PEEK_DEPTH_DEFAULT + 1, 0, objects, &err));
        assert_int_equal(err.code, ERR_LIMIT);
        assert_true(peek_nested(3, 3, objects, &err));
        assert_false(peek_nested(4, 3, objects, &err));
        assert_true(peek_nested(JSON_PEEK_DEPTH_MAX, 5000, objects, &err));
        assert_false(peek_nested(JSON_PEEK_DEPTH_MAX + 1, 5000, objects, &err));
        assert_false(peek_nested(300000, 0, objects, &err));
    }
}

// A special byte is found wherever it falls in the 8- and 32-byte steps.
static void test_long_strings(void **state) {
    char text[400];
    for (size_t at = 0; at < 300; at++) {
        struct json_peek peek;
        size_t length = (size_t)snprintf(text, sizeof text, "{\"a\":\"");
        memset(text + length, 0x80 | (int)at, at);
        length += at;
        memcpy(text + length, "\\\"", 2);
        memset(text + length + 2, '~', 70);
        size_t total = length + 72;
        memcpy(text + total, "\",\"model\":\"m\"}", 14);
        assert_true(json_peek(text, total + 14, 0, &peek, NULL));
        assert_string_equal(peek.model, "m");
        text[length] = text[length + 1] = '\x1f';
        assert_false(json_peek(text, total + 14, 0, &peek, NULL));
        text[length] = text[length + 1] = '\x7f';
        assert_true(json_peek(text, total + 14, 0, &peek, NULL));
        text[length] = '"';
        assert_false(json_peek(text, total + 14, 0, &peek, NULL));
    }
}

static void test_model_length(void **state) {
    char text[400];
    for (int length = 255; length <= 256; length++) {
        struct json_peek peek;
        struct err err = {0};
        int n = snprintf(text, sizeof text, "{\"model\":\"%0*d\"}", length, 0);
        assert_true(json_peek(text, (size_t)n, 0, &peek, &err) == (length == 255));
        assert_int_equal(err.code, length == 255 ? ERR_NONE : ERR_LIMIT);
        if (length == 255)
            assert_int_equal(peek.model_length, 255);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_places),       cmocka_unit_test(test_numbers_and_flags),
        cmocka_unit_test(test_depth),        cmocka_unit_test(test_long_strings),
        cmocka_unit_test(test_model_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
