// How certain a few runs are.
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
        cmocka_unit_test(test_noise_is_learnt),
        cmocka_unit_test(test_noise_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
