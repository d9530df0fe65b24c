#include "http/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_query(void **state) {
    static const struct {
        const char *target, *value; // of "a"; NULL = there is none
    } cases[] = {
        {"/x", NULL},
        {"/x?", NULL},
        {"/x?a", ""},
        {"/x?a=", ""},
        {"/x?a=b", "b"},
        {"/x?b=c&a=d", "d"},
        {"/x?aa=b", NULL},
        {"/x?a=b&a=c", "b"},
        {"/x?a=b%20c+d", "b c d"},
        {"/x?a=%", NULL},
        {"/x?a=%4", NULL},
        {"/x?a=%4g", NULL},
        {"/x?a=%41", "A"},
        {"/x?a=%00", NULL},
        {"/x?a=1234567", "1234567"},
        {"/x?a=12345678", NULL},
        {"/x?&&a=b", "b"},
        {"/x?b=a=c", NULL},
        {"/x?b=?a=c", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char value[8] = "";
        struct http_head head = {.target = span_of(cases[i].target)};
        assert_true(span_is(http_head_path(&head), "/x"));
        assert_int_equal(http_head_query(&head, "a", value, sizeof value), cases[i].value != NULL);
        if (cases[i].value)
            assert_string_equal(value, cases[i].value);
    }
}

static void test_path_decode(void **state) {
    static const struct {
        const char *part, *name; // NULL = refused
    } cases[] = {
        {"a", "a"},
        {"a/b", "a/b"},
        {"a%2Fb", "a/b"},
        {"a%2fb%3A7", "a/b:7"},
        {"a+b", "a+b"},
        {"%2B", "+"},
        {"%25", "%"},
        {"%2541", "%41"},
        {"%", NULL},
        {"%4", NULL},
        {"%4g", NULL},
        {"a%00", NULL},
        {"1234567", "1234567"},
        {"12345678", NULL},
        {"%31234567", "1234567"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[8];
        bool good = http_path_decode(span_of(cases[i].part), name, sizeof name);
        assert_int_equal(good, cases[i].name != NULL);
        if (good)
            assert_string_equal(name, cases[i].name);
    }
}

static void test_fields(void **state) {
    struct http_field fields[] = {
        {{"Host", 4}, {"h", 1}}, {{"A", 1}, {"1", 1}}, {{"a", 1}, {"2", 1}}};
    struct http_head head = {.fields = fields, .field_count = 3};
    assert_true(span_is(http_head_value(&head, "host"), "h"));
    assert_true(span_is(http_head_value(&head, "A"), "1"));
    assert_int_equal(http_head_value(&head, "b").length, 0);
    assert_null(http_head_find(&head, "hos"));
    assert_string_equal(http_status_text(404), "Not Found");
    assert_string_equal(http_status_text(299), "Unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_query),
                                       cmocka_unit_test(test_path_decode),
                                       cmocka_unit_test(test_fields)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
