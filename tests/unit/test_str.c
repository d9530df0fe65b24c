#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BAD = -1 };

static void test_int(void **state) {
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-5", true, -5},
        {"100", true, 100},
        {"007", true, 7},
        {"", false, 0},
        {"-", false, 0},
        {"+5", false, 0},
        {" 5", false, 0},
        {"5 ", false, 0},
        {"0x5", false, 0},
        {"5.0", false, 0},
        {"--5", false, 0},
        {"101", false, 0},
        {"-6", false, 0},
        {"9223372036854775808", false, 0},
        {"18446744073709551617", false, 0},
        {"99999999999999999999999999", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t value = 0;
        assert_int_equal(str_to_int(cases[i].text, -5, 100, &value), cases[i].ok);
        assert_int_equal(value, cases[i].value);
    }
    int64_t most;
    assert_true(str_to_int("9223372036854775807", 0, INT64_MAX, &most));
    assert_true(most == INT64_MAX);
}

static const struct {
    const char *text;
    int64_t value;
} sizes[] = {{"0", 0},
             {"8192", 8192},
             {"96K", 98304},
             {"1k", 1024},
             {"64M", 64 << 20},
             {"2G", 2LL << 30},
             {"", BAD},
             {"K", BAD},
             {"1KB", BAD},
             {"1 K", BAD},
             {"-1", BAD},
             {"1.5K", BAD},
             {"1T", BAD},
             {"17179869184G", BAD},
             {"18446744073709551616", BAD}},
  durations[] = {{"90", 90000},
                 {"90s", 90000},
                 {"500ms", 500},
                 {"10m", 600000},
                 {"2h", 7200000},
                 {"0", 0},
                 {"", BAD},
                 {"s", BAD},
                 {"1d", BAD},
                 {"1 s", BAD},
                 {"-1s", BAD},
                 {"1.5s", BAD},
                 {"9223372036854775807h", BAD},
                 {"1sms", BAD}},
  booleans[] = {{"on", 1},    {"Yes", 1}, {"TRUE", 1}, {"1", 1},   {"off", 0},   {"no", 0},
                {"false", 0}, {"0", 0},   {"", BAD},   {"2", BAD}, {"onn", BAD}, {"o", BAD}};

static void test_units(void **state) {
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint64_t value = 0;
        assert_int_equal(str_to_size(sizes[i].text, &value), sizes[i].value != BAD);
        assert_true(sizes[i].value == BAD || value == (uint64_t)sizes[i].value);
    }
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        int64_t value = 0;
        assert_int_equal(str_to_duration_ms(durations[i].text, &value), durations[i].value != BAD);
        assert_true(durations[i].value == BAD || value == durations[i].value);
    }
    for (size_t i = 0; i < sizeof booleans / sizeof *booleans; i++) {
        bool value = false;
        assert_int_equal(str_to_bool(booleans[i].text, &value), booleans[i].value != BAD);
        assert_true(booleans[i].value == BAD || value == booleans[i].value);
    }
}

static void test_spans(void **state) {
    assert_true(span_is(span_of("ab"), "ab"));
    assert_false(span_is(span_of("ab"), "abc"));
    assert_false(span_is(span_of("abc"), "ab"));
    assert_true(span_is(span_of(NULL), ""));
    assert_true(span_is_nocase(span_of("aB"), "Ab"));
    assert_true(span_is(span_trim(span_of(" \t a b\t ")), "a b"));
    assert_int_equal(span_trim(span_of(" \t ")).length, 0);
    assert_true(str_starts("abc", "ab") && !str_starts("a", "ab"));
    const char *text = "a:b:c";
    assert_ptr_equal(str_last(text, 5, ':'), text + 3);
    assert_ptr_equal(str_last(text, 3, ':'), text + 1);
    assert_null(str_last(text, 1, ':'));
    assert_null(str_last(text, 0, 'a'));
    assert_true(str_ends("abc", "bc") && !str_ends("c", "bc") && str_ends("a", ""));
}

static void test_secret(void **state) {
    static const struct {
        const char *secret, *given;
        bool same;
    } cases[] = {{"key", "key", true},     {"key", "kex", false}, {"key", "ke", false},
                 {"key", "keykey", false}, {"key", "", false},    {"", "", true},
                 {"", "x", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(str_equal_secret(cases[i].secret, span_of(cases[i].given)), cases[i].same);
    assert_true(str_hash("") == 0xcbf29ce484222325u); // FNV-1a's published values
    assert_true(str_hash("a") == 0xaf63dc4c8601ec8cu);
    assert_true(str_hash("foobar") == 0x85944171f73967e8u);
}

// A length that differs by a multiple of 256 is a difference too.
static void test_secret_of_another_length(void **state) {
    char given[260];
    memset(given, 'k', sizeof given);
    assert_false(str_equal_secret("kkkk", (struct span){given, 260}));
    assert_false(str_equal_secret("", (struct span){"\0\0", 2}));
    memset(given, 0, sizeof given);
    assert_false(str_equal_secret("", (struct span){given, 256}));
}

static void test_hex_digits(void **state) {
    (void)state;
    for (int c = -128; c < 128; c++) {
        const char *digits = "0123456789abcdefABCDEF", *at = c ? strchr(digits, c) : NULL;
        int wanted = !at ? -1 : at - digits < 16 ? (int)(at - digits) : (int)(at - digits) - 6;
        assert_int_equal(str_hex_digit((char)c), wanted);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_int),
                                       cmocka_unit_test(test_units),
                                       cmocka_unit_test(test_spans),
                                       cmocka_unit_test(test_secret),
                                       cmocka_unit_test(test_secret_of_another_length),
                                       cmocka_unit_test(test_hex_digits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
