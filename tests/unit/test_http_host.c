#include "http/host.h"

#include "base/mem.h"
#include "base/path.h"
#include "http/head.h"
#include "http/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

// What is allowed is for test_guard and test_ocr_door; here, which name it is.
static void names(void **state) {
    static const struct {
        const char *text, *host, *origin; // NULL: none
    } cases[] = {
        {"LocalHost:80", "localhost", NULL},
        {"box.example.", "box.example", NULL},
        {"[FE80::1]:1234", "fe80::1", NULL},
        {"http://Box.Example:80", NULL, "box.example"},
        {"https://[::1]", NULL, "::1"},
        {"HTTP://localhost", NULL, NULL}, // browsers write it small
        {"ws://localhost", NULL, NULL},
        {"http://localhost/path", NULL, NULL},
        {"http://a@localhost", NULL, NULL},
        {"localhost:123456", NULL, NULL},
        {"", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[HTTP_HOST_MAX + 1];
        assert_int_equal(http_host_name(span_of(cases[i].text), name), cases[i].host != NULL);
        assert_string_equal(name, cases[i].host ? cases[i].host : "");
        assert_int_equal(http_origin_name(span_of(cases[i].text), name), cases[i].origin != NULL);
        assert_string_equal(name, cases[i].origin ? cases[i].origin : "");
    }
}

static void this_machine(void **state) {
    static const struct {
        const char *name;
        bool loopback, own;
    } cases[] = {
        {"localhost", true, true}, {"x.localhost", true, true}, {"127.9.9.9", true, true},
        {"::1", true, true},       {"10.0.0.1", false, true},   {"fe80::1", false, true},
        {"box", false, true},      {"box.local", false, true},  {"box.lan", false, false},
        {"mybox", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(http_is_loopback(cases[i].name), cases[i].loopback);
        assert_int_equal(http_is_own(cases[i].name, "Box"), cases[i].own);
    }
}

static void keys(void **state) {
    struct http_keys *keys = http_keys_of("# one\n two \r\nthree");
    assert_true(http_keys_fit(keys, span_of("two")));
    assert_true(http_keys_fit(keys, span_of("three")));
    assert_false(http_keys_fit(keys, span_of("# one")));
    assert_false(http_keys_fit(keys, span_of("two \r\nthree")));
    assert_false(http_keys_fit(keys, span_of("")));
    http_keys_destroy(keys);
    char path[64];
    struct err err = {0};
    snprintf(path, sizeof path, "/tmp/ancalagon-keys-%d", (int)getpid());
    assert_null(http_keys_read(path, "", &err));
    assert_non_null(strstr(err.text, "cannot look at"));
    assert_true(path_write_file(path, "#\n", 2, 0600, NULL));
    assert_null(http_keys_read(path, ", or not", &err));
    assert_non_null(strstr(err.text, "write one a line, or not"));
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(this_machine),
        cmocka_unit_test(keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
