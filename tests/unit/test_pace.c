// The machine's pace, and how certain a few runs are.
#include "telemetry/pace.h"

#include "trial_noise.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct series series_of(size_t count, const double *values) {
    struct series series = {0};
    for (size_t i = 0; i < count; i++)
        series_add(&series, values[i]);
    return series;
}

static void assert_near(double value, double wanted) { assert_true(fabs(value - wanted) < 1e-9); }

static void test_measures(void **state) {
    struct pace *pace = pace_create(2);
    assert_non_null(pace);
    for (int i = 0; i < 2; i++) {
        double value = pace_measure(pace);
        assert_true(value > 0.001 && value < 1000);
    }
    pace_destroy(pace);
    pace_destroy(NULL);
}

static void test_any_number_of_threads(void **state) {
    for (unsigned threads = 0; threads < 2; threads++) {
        struct pace *pace = pace_create(threads);
        assert_true(pace_measure(pace) > 0);
        pace_destroy(pace);
    }
}

static void test_at_equal_pace(void **state) {
    struct series raw = series_of(3, (double[]){100, 80, 120}), out;
    struct series pace = series_of(3, (double[]){1, 0.8, 1.2});
    assert_true(pace_adjust(&raw, &pace, 0.5, 1, &out));
    assert_int_equal(out.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_near(out.values[i], 50);
    assert_true(pace_adjust(&raw, &pace, 1, 0, &out)); // no CPU in it
    assert_near(out.values[1], 80);
    assert_true(pace_adjust(&raw, &pace, 1, 0.5, &out));
    assert_near(out.values[1], 80 / sqrt(0.8));
}

static void test_a_run_without_a_pace(void **state) {
    struct series raw = series_of(2, (double[]){100, 80}), out;
    struct series few = series_of(1, (double[]){2}), zero = series_of(2, (double[]){2, 0}),
                  none = {0};
    assert_false(pace_adjust(&raw, &few, 1, 1, &out));
    assert_near(out.values[0], 100);
    assert_false(pace_adjust(&raw, &zero, 1, 1, &out));
    assert_near(out.values[0], 100);
    assert_false(pace_adjust(&none, &none, 1, 1, &out));
    assert_int_equal(out.count, 0);
}

static void test_noise_is_learnt(void **state) {
    struct trial_noise noise;
    struct series one = series_of(1, (double[]){100});
    trial_noise_init(&noise);
    // 2 %, until runs say otherwise; of a median of one
    assert_near(trial_noise_error(&noise, &one), 0.02 * 1.2533);
    trial_noise_learn(&noise, &one); // says nothing of a spread
    assert_near(trial_noise_error(&noise, &one), 0.02 * 1.2533);
    for (int i = 0; i < 50; i++) {
        struct series wide = series_of(4, (double[]){90, 110, 90, 110});
        trial_noise_learn(&noise, &wide);
    }
    double error = trial_noise_error(&noise, &one);
    assert_true(error > 0.10 && error < 0.20);
    struct series four = series_of(4, (double[]){90, 110, 90, 110});
    assert_near(trial_noise_error(&noise, &four), error / 2);
}

static void test_noise_of_nothing(void **state) {
    struct trial_noise noise, before;
    struct series none = {0}, dead = series_of(2, (double[]){0, 100});
    trial_noise_init(&noise);
    before = noise;
    trial_noise_learn(&noise, &none);
    trial_noise_learn(&noise, &dead); // a run that gave nothing
    assert_near(noise.squares, before.squares);
    assert_near(trial_noise_error(&noise, &none), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_measures),        cmocka_unit_test(test_any_number_of_threads),
        cmocka_unit_test(test_at_equal_pace),   cmocka_unit_test(test_a_run_without_a_pace),
        cmocka_unit_test(test_noise_is_learnt), cmocka_unit_test(test_noise_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
