#define _GNU_SOURCE
#include "door.h"

#include "base/mem.h"
#include "base/path.h"

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

static struct door *make(const char *keys, const char *hosts, bool exposed, mode_t mode,
                         struct err *err) {
    static char path[64];
    struct config config = {.allow_host = hosts, .listen_host = "0.0.0.0"};
    if (keys) {
        snprintf(path, sizeof path, "/tmp/ancalagon-door-%d", (int)getpid());
        assert_true(path_write_file(path, keys, strlen(keys), mode, NULL));
        config.api_key_file = path;
    }
    struct door *door = door_create(&config, exposed, err);
    if (keys)
        unlink(path);
    return door;
}

static enum door_verdict check(const struct door *door, const char *host, const char *name,
                               const char *value, const char *target) {
    struct http_field fields[] = {{span_of("Host"), span_of(host)},
                                  {span_of(name ? name : "x"), span_of(value ? value : "")}};
    struct http_head head = {.method = span_of("GET"),
                             .target = span_of(target),
                             .fields = fields,
                             .field_count = name ? 2 : 1};
    return door_check(door, &head);
}

static void hosts_and_origins(void **state) {
    static const struct {
        const char *host, *origin;
        enum door_verdict verdict;
    } cases[] = {
        {"127.0.0.1:8091", NULL, DOOR_OPEN},
        {"localhost", NULL, DOOR_OPEN},
        {"LOCALHOST:1", NULL, DOOR_OPEN},
        {"[::1]:8091", NULL, DOOR_OPEN},
        {"192.168.1.9:8091", NULL, DOOR_OPEN},
        {"ocr.lan", NULL, DOOR_OPEN},
        {"OCR.lan:80", NULL, DOOR_OPEN},
        {"cr.lan", NULL, DOOR_BAD_HOST},
        {"ocr.lan.evil", NULL, DOOR_BAD_HOST},
        {"evil.example", NULL, DOOR_BAD_HOST},
        {"127.0.0.1.evil.example", NULL, DOOR_BAD_HOST},
        {"localhost:80@evil", NULL, DOOR_BAD_HOST},
        {"[::1", NULL, DOOR_BAD_HOST},
        {"localhost.", NULL, DOOR_OPEN},
        {"a.localhost", NULL, DOOR_OPEN},
        {"evil.example, localhost", NULL, DOOR_BAD_HOST},
        {"evil.example/.localhost", NULL, DOOR_BAD_HOST},
        {"ocr.lan, other.lan", NULL, DOOR_BAD_HOST},
        {"ocr.lan:evil", NULL, DOOR_BAD_HOST},
        {"", NULL, DOOR_BAD_HOST},
        {"localhost", "http://localhost:3000", DOOR_OPEN},
        {"localhost", "http://[::1]:3000", DOOR_OPEN},
        {"localhost", "https://other.lan", DOOR_OPEN},
        {"localhost", "https://evil.example", DOOR_BAD_ORIGIN},
        {"localhost", "http://app.localhost", DOOR_OPEN},
        {"localhost", "file://localhost", DOOR_BAD_ORIGIN},
        {"localhost", "http://user@localhost", DOOR_BAD_ORIGIN},
        {"localhost", "http://evil.example/.localhost", DOOR_BAD_ORIGIN},
        {"localhost", "null", DOOR_BAD_ORIGIN},
        {"localhost", "", DOOR_BAD_ORIGIN},
    };
    struct err err = {0};
    struct door *door = make(NULL, "ocr.lan, other.lan", false, 0, &err);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum door_verdict verdict =
            check(door, cases[i].host, cases[i].origin ? "Origin" : NULL, cases[i].origin, "/");
        if (verdict != cases[i].verdict)
            fail_msg("%s %s: %d", cases[i].host, cases[i].origin, verdict);
    }
    struct http_field twice[] = {{span_of("Host"), span_of("localhost")},
                                 {span_of("Origin"), span_of("http://localhost")},
                                 {span_of("origin"), span_of("http://localhost")}};
    struct http_head head = {.method = span_of("GET"), .fields = twice, .field_count = 3};
    assert_int_equal(door_check(door, &head), DOOR_BAD_ORIGIN);
    head.field_count = 0; // no Host at all
    assert_int_equal(door_check(door, &head), DOOR_BAD_HOST);
    door_destroy(door);
}

static void keys(void **state) {
    static const struct {
        const char *name, *value, *target;
        enum door_verdict verdict;
    } cases[] = {
        {NULL, NULL, "/", DOOR_NO_KEY},
        {"x-goog-api-key", "one", "/", DOOR_OPEN},
        {"X-Api-Key", "two", "/", DOOR_OPEN},
        {"Authorization", "Bearer two", "/", DOOR_OPEN},
        {"Authorization", "Basic two", "/", DOOR_NO_KEY},
        {NULL, NULL, "/?key=one", DOOR_OPEN},
        {NULL, NULL, "/?key=three", DOOR_BAD_KEY},
        {"x-goog-api-key", "one ", "/", DOOR_BAD_KEY},
        {"x-goog-api-key", "# ours", "/", DOOR_BAD_KEY},
        {"x-goog-api-key", "one\ntwo", "/", DOOR_BAD_KEY},
    };
    struct err err = {0};
    struct door *door = make("# ours\none\r\n\n  two", NULL, true, 0600, &err);
    assert_non_null(door);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum door_verdict verdict =
            check(door, "localhost", cases[i].name, cases[i].value, cases[i].target);
        if (verdict != cases[i].verdict)
            fail_msg("%s %s %s: %d", cases[i].name, cases[i].value, cases[i].target, verdict);
    }
    door_destroy(door);
}

static void a_door_that_cannot_be(void **state) {
    struct err err = {0};
    assert_null(make(NULL, NULL, true, 0, &err));
    assert_non_null(strstr(err.text, "api-key-file"));
    assert_null(make("one", NULL, false, 0644, &err));
    assert_non_null(strstr(err.text, "chmod 600"));
    assert_null(make("# none\n\n", NULL, false, 0600, &err));
    assert_non_null(strstr(err.text, "holds no key"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_and_origins),
        cmocka_unit_test(keys),
        cmocka_unit_test(a_door_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
