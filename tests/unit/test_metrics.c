#include "metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_page(void **state) {
    struct metrics a = {.requests = 3, .decode_s = 2, .generated_tokens = 100}, b = {.requests = 5};
    histogram_add(&a.first_byte, 5);
    histogram_add(&a.first_byte, 6);
    histogram_add(&a.first_byte, 1000000);
    const struct metrics *all[] = {&a, &b};
    const struct metrics_now now[] = {{"a", "ready", 1, 2}, {"b", "off", 0, 0}};
    struct buf out;
    buf_init(&out, 1 << 20);
    metrics_write(&out, all, now, 2);
    static const char *const lines[] = {
        "ancalagon_requests_total{preset=\"a\"} 3\nancalagon_requests_total{preset=\"b\"} 5\n",
        "ancalagon_waiting{preset=\"a\"} 1\n",
        "ancalagon_running{preset=\"a\"} 2\n",
        "ancalagon_ready{preset=\"a\"} 1\nancalagon_ready{preset=\"b\"} 0\n",
        "ancalagon_decode_tokens_per_second{preset=\"a\"} 50\n",
        "le=\"0.005\"} 1\n",
        "le=\"0.01\"} 2\n",
        "le=\"300\"} 2\n",
        "le=\"+Inf\"} 3\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(buf_text(&out), lines[i]))
            fail_msg("no %s in\n%s", lines[i], buf_text(&out));
    buf_fini(&out);
}

// The form: each family once, HELP and TYPE before its samples, histograms cumulative to _count.
static void test_form(void **state) {
    struct metrics m = {0};
    for (int i = 0; i < 1000; i++)
        histogram_add(&m.load, i * i);
    const struct metrics *all[] = {&m};
    const struct metrics_now now[] = {{"x", "off", 0, 0}};
    struct buf out;
    buf_init(&out, 1 << 20);
    metrics_write(&out, all, now, 1);
    char *rest = (char *)buf_text(&out), family[100] = "", *line;
    double last = 0;
    while ((line = strsep(&rest, "\n")) && *line) {
        char name[100] = "";
        if (strncmp(line, "# HELP ", 7) == 0)
            continue;
        if (sscanf(line, "# TYPE %99s", name) == 1) {
            assert_null(strstr(rest, line)); // each family once
            memcpy(family, name, sizeof family);
            last = 0;
            continue;
        }
        assert_memory_equal(line, family, strlen(family)); // samples stand below their TYPE
        const char *value = strrchr(line, ' ');
        assert_non_null(value);
        char *end;
        double number = strtod(value, &end);
        assert_true(*end == '\0' && number >= 0);
        if (strstr(line, "_bucket{")) {
            assert_true(number >= last);
            last = number;
        } else if (strstr(line, "_count{")) {
            assert_true(number == last);
        }
    }
    buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_page), cmocka_unit_test(test_form)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
