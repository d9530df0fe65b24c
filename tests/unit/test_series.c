#include "base/series.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool same(double a, double b) { return (isnan(a) && isnan(b)) || fabs(a - b) < 1e-9; }

static void test_figures(void **state) {
    static const struct {
        double values[6];
        size_t count;
        double median, min, max, mad, spread;
    } rows[] = {
        {{0}, 0, NAN, NAN, NAN, NAN, NAN}, {{7}, 1, 7, 7, 7, 0, NAN},
        {{8, 4}, 2, 6, 4, 8, 2, NAN},      {{3, 1, 2}, 3, 2, 1, 3, 1, 1.4826 / 2},
        {{5, 5, 5, 5}, 4, 5, 5, 5, 0, 0},  {{10, 11, 9, 10, 500}, 5, 10, 9, 500, 1, 0.14826},
        {{0, 0, 0}, 3, 0, 0, 0, 0, NAN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct series series = {0};
        for (size_t v = 0; v < rows[i].count; v++)
            assert_true(series_add(&series, rows[i].values[v]));
        assert_true(same(series_median(&series), rows[i].median));
        assert_true(same(series_min(&series), rows[i].min));
        assert_true(same(series_max(&series), rows[i].max));
        assert_true(same(series_mad(&series), rows[i].mad));
        assert_true(same(series_spread(&series), rows[i].spread));
    }
}

static void test_bounds(void **state) {
    struct series series = {0};
    assert_false(series_add(&series, NAN));
    for (int i = 0; i < SERIES_MAX; i++)
        assert_true(series_add(&series, SERIES_MAX - i));
    assert_false(series_add(&series, 1));
    assert_int_equal(series.count, SERIES_MAX);
    assert_true(same(series_median(&series), (SERIES_MAX + 1) / 2.0));
    assert_true(same(series.values[0], SERIES_MAX)); // still in the order of measuring
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_figures),
                                       cmocka_unit_test(test_bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
