#include "format/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_parse(void **state) {
    static const struct {
        const char *text;
        unsigned depth, flags;
        enum err_code code; // ERR_NONE: accepted
    } cases[] = {
        {"{}", 0, 0, ERR_NONE},
        {"[1,2]", 0, 0, ERR_NONE},
        {"3", 0, 0, ERR_INVALID},
        {"3", 0, JSON_PARSE_ANY, ERR_NONE},
        {"{\"a\":1,\"a\":2}", 0, 0, ERR_NONE},
        {"{\"a\":1,\"a\":2}", 0, JSON_PARSE_UNIQUE, ERR_INVALID},
        {"[[[]]]", 3, 0, ERR_NONE},
        {"[[[]]]", 2, 0, ERR_LIMIT},
        {"[[],[],[[]]]", 3, 0, ERR_NONE},
        {"[\"[[[[\\\"[[[\"]", 1, 0, ERR_NONE},
        {"{", 0, 0, ERR_INVALID},
        {"{} x", 0, 0, ERR_INVALID},
        {"", 0, 0, ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        json_t *json =
            json_parse(cases[i].text, strlen(cases[i].text), cases[i].depth, cases[i].flags, &err);
        assert_int_equal(err.code, cases[i].code);
        assert_true((json != NULL) == (cases[i].code == ERR_NONE));
        json_decref(json);
    }
}

// What models and clients write all the same.
static void test_parse_mended(void **state) {
    static const struct {
        const char *text, *seen; // NULL: refused still
    } cases[] = {
        {"[\"a\\u0000b\"]", "[\"a\xef\xbf\xbd"
                            "b\"]"},
        {"[\"\\ud83d\"]", "[\"\xef\xbf\xbd\"]"},
        {"[\"\\ud83d\\ude00\\ude00\"]", "[\"\xf0\x9f\x98\x80\xef\xbf\xbd\"]"},
        {"[\"\xff\"]", "[\"\xef\xbf\xbd\"]"},
        {"[9223372036854775807]", "[9223372036854775807]"},
        {"[18446744073709551615,-9223372036854775809,1]",
         "[18446744073709551616.0,-9223372036854775808.0,1]"},
        {"[1e999,-1e999]", "[1.7976931348623157e308,-1.7976931348623157e308]"},
        {"[\"18446744073709551615 \\\" 1e999\",1e999]",
         "[\"18446744073709551615 \\\" 1e999\",1.7976931348623157e308]"},
        {"[1e999", NULL},
        {"[1-2]", NULL},
        {"[\"\\u00\"]", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        json_t *json = json_parse_mended(cases[i].text, strlen(cases[i].text), 0, 0, &err);
        assert_int_equal(json != NULL, cases[i].seen != NULL);
        assert_int_equal(err.code, cases[i].seen ? ERR_NONE : ERR_INVALID);
        if (json) {
            json_t *seen = json_parse(cases[i].seen, strlen(cases[i].seen), 0, 0, NULL);
            assert_true(json_equal(json, seen));
            json_decref(seen);
        }
        json_decref(json);
    }
    char digits[402] = "[";
    memset(digits + 1, '9', 399);
    digits[400] = ']';
    json_t *json = json_parse_mended(digits, 401, 0, 0, NULL);
    assert_true(json_real_value(json_array_get(json, 0)) > 1e308);
    json_decref(json);
}

static void test_depth_default(void **state) {
    char text[2 * JSON_DEPTH_DEFAULT + 3];
    for (unsigned depth = JSON_DEPTH_DEFAULT; depth <= JSON_DEPTH_DEFAULT + 1; depth++) {
        struct err err = {0};
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        json_t *json = json_parse(text, 2 * depth, 0, 0, &err);
        assert_true((json != NULL) == (depth == JSON_DEPTH_DEFAULT));
        json_decref(json);
    }
}

static void test_members(void **state) {
    static const char text[] = "{\"s\":\"x\",\"i\":-7,\"b\":true,\"n\":null,\"r\":1.5}";
    json_t *json = json_parse(text, strlen(text), 0, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_get_text(json, "s", "?"), "x");
    assert_string_equal(json_get_text(json, "i", "?"), "?");
    assert_string_equal(json_get_text(json, "none", "?"), "?");
    assert_int_equal(json_get_int(json, "i", 1), -7);
    assert_int_equal(json_get_int(json, "r", 1), 1);
    assert_int_equal(json_get_int(NULL, "i", 1), 1);
    assert_true(json_get_bool(json, "b", false));
    assert_true(json_get_bool(json, "n", true));
    assert_false(json_get_bool(json, "i", false));
    json_decref(json);
}

static void test_write(void **state) {
    struct buf out;
    json_t *json = json_pack("{s:[i,b],s:s}", "a", 1, 1, "b", "x");
    buf_init(&out, 25);
    assert_true(buf_adds(&out, "> "));
    assert_true(json_write(&out, json));
    assert_string_equal(buf_text(&out), "> {\"a\":[1,true],\"b\":\"x\"}");
    assert_false(json_write(&out, json));
    assert_string_equal(buf_text(&out), "> {\"a\":[1,true],\"b\":\"x\"}");
    json_decref(json);
    buf_fini(&out);
}

static void test_write_numbers(void **state) {
    static const char text[] =
        "[0.1,0.30000000000000004,1.0,-0.0,100.0,1e+300,1e-07,3.141592653589793,9007199254740993]";
    struct buf out;
    json_t *json = json_parse(text, strlen(text), 0, 0, NULL);
    buf_init(&out, 256);
    assert_true(json_write(&out, json));
    assert_string_equal(buf_text(&out), text);
    json_decref(json);
    buf_fini(&out);
}

static void test_write_string(void **state) {
    static const struct {
        const char *bytes, *expected;
    } cases[] = {
        {"", "\"\""},
        {"plain / text", "\"plain / text\""},
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"\b\f\n\r\t\x01\x1f", "\"\\b\\f\\n\\r\\t\\u0001\\u001f\""},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"\xff", "\"\xef\xbf\xbd\""},
        {"a\xc3", "\"a\xef\xbf\xbd\""},
        {"\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xe2\x82z", "\"\xef\xbf\xbd\xef\xbf\xbdz\""},
        {"\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out;
        buf_init(&out, 100);
        assert_true(json_write_string(&out, cases[i].bytes, strlen(cases[i].bytes)));
        assert_string_equal(buf_text(&out), cases[i].expected);
        // What we write, jansson reads.
        json_t *json = json_parse(buf_bytes(&out), out.length, 0, JSON_PARSE_ANY, NULL);
        assert_non_null(json);
        json_decref(json);
        buf_fini(&out);
    }
    struct buf small;
    buf_init(&small, 6);
    assert_false(json_write_string(&small, "12345", 5));
    assert_int_equal(small.length, 0);
    assert_true(json_write_string(&small,
                                  "1\0"
                                  "23",
                                  1));
    assert_false(json_write_string(&small, "\0", 1));
    assert_string_equal(buf_text(&small), "\"1\"");
    buf_fini(&small);
}

static const struct {
    const char *bytes, *text;
} odd_texts[] = {
    {"", ""},
    {"caf\xc3\xa9", "caf\xc3\xa9"},
    {"caf\xe9", "caf\xef\xbf\xbd"},
    {"\xe9t\xe9", "\xef\xbf\xbdt\xef\xbf\xbd"},
    {"cut \xe2\x82", "cut \xef\xbf\xbd\xef\xbf\xbd"},
    {"\xed\xa0\x80\n\"", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\n\""},
};

static void test_text(void **state) {
    for (size_t i = 0; i < sizeof odd_texts / sizeof *odd_texts; i++) {
        const char *bytes = odd_texts[i].bytes;
        json_t *json = json_text(bytes);
        assert_string_equal(json_string_value(json), odd_texts[i].text);
        assert_true(json_is_text(json, bytes));
        assert_true(json_is_text(json, odd_texts[i].text));
        assert_false(json_is_text(json, "other"));
        assert_int_equal(json_is_utf8(bytes), strcmp(bytes, odd_texts[i].text) == 0);
        json_decref(json);
    }
    json_t *part = json_text_n("\xffxyz", 2);
    assert_string_equal(json_string_value(part), "\xef\xbf\xbdx");
    json_decref(part);
    assert_true(json_is_null(json_text(NULL)));
    assert_false(json_is_text(json_null(), ""));
    assert_false(json_is_text(NULL, ""));
}

static void test_build(void **state) {
    struct buf out;
    json_t *kept = json_integer(7), *tree = json_object();
    json_set(tree, "k\xff", json_true());
    json_set(tree, "none", NULL);
    tree = json_build("{s:s, s:s, s:[i,f, I],s:{s:b, s:n}, s:o, s:o, s:O, s:f, s:[], s:{}}", "odd",
                      "\xe9!", "null", NULL, "list", -1, 0.5, (json_int_t)1 << 40, "\xfe", "yes", 5,
                      "n", "tree", tree, "lost", NULL, "kept", kept, "inf", (double)INFINITY, "a",
                      "o");
    buf_init(&out, 1000);
    assert_true(json_write(&out, tree));
    assert_string_equal(
        buf_text(&out),
        "{\"odd\":\"\xef\xbf\xbd!\",\"null\":null,\"list\":[-1,0.5,1099511627776],"
        "\"\xef\xbf\xbd\":{\"yes\":true,\"n\":null},\"tree\":{\"k\xef\xbf\xbd\":true,"
        "\"none\":null},\"lost\":null,\"kept\":7,\"inf\":null,\"a\":[],\"o\":{}}");
    json_decref(tree);
    assert_int_equal(kept->refcount, 1);
    json_decref(kept);
    buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),         cmocka_unit_test(test_parse_mended),
        cmocka_unit_test(test_depth_default), cmocka_unit_test(test_members),
        cmocka_unit_test(test_write),         cmocka_unit_test(test_write_numbers),
        cmocka_unit_test(test_write_string),  cmocka_unit_test(test_text),
        cmocka_unit_test(test_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
