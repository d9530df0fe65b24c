#include "watchdog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FLOOR = 30000 };

// Watches an engine that is silent from 0 on, once every 250 ms as the server does; returns when it
// was given up, or -1. The engine's CPU time grows by cpu_percent; a probe is answered or not.
static int64_t given_up(struct watchdog *w, bool prefill, int cpu_percent, bool answers,
                        enum watchdog_verdict *how, unsigned *probes) {
    *probes = 0;
    for (int64_t now = 0; now <= 2000000; now += 250) {
        struct watchdog_view view = {now, FLOOR, cpu_percent < 0 ? -1 : now * cpu_percent / 100,
                                     prefill};
        *how = watchdog_check(w, &view);
        if (*how == WATCHDOG_PROBE) {
            ++*probes;
            watchdog_probe_sent(w, now);
            if (answers)
                watchdog_probe_answered(w);
        } else if (*how != WATCHDOG_FINE) {
            return now;
        }
    }
    return -1;
}

static void test_silence(void **state) {
    static const struct {
        const char *what;
        int64_t longest_ms;
        bool prefill;
        int cpu_percent;
        bool answers;
        enum watchdog_verdict how;
        int64_t from, to; // given up in between
    } cases[] = {
        {"no CPU, no answer: stopped or dead", 0, false, 0, false, WATCHDOG_FROZEN, 5000, 8000},
        {"the same while a prompt is processed", 0, true, 0, false, WATCHDOG_FROZEN, 5000, 8000},
        {"no CPU but it answers: the floor", 0, false, 0, true, WATCHDOG_HUNG, FLOOR, FLOOR + 250},
        {"busy without a token: the floor", 0, false, 100, true, WATCHDOG_HUNG, FLOOR, FLOOR + 250},
        {"busy and mute: not frozen", 0, false, 100, false, WATCHDOG_HUNG, FLOOR, FLOOR + 250},
        {"a slow engine: four times its usual", 20000, false, 100, true, WATCHDOG_HUNG, 80000,
         80250},
        {"a long prompt on a busy CPU", 0, true, 100, true, WATCHDOG_HUNG, 600000, 600250},
        {"a long prompt on an idle CPU", 0, true, 0, true, WATCHDOG_HUNG, FLOOR, FLOOR + 250},
        {"CPU unknown counts as busy", 0, true, -1, false, WATCHDOG_HUNG, 600000, 600250},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct watchdog w = {.longest_ms = cases[i].longest_ms};
        enum watchdog_verdict how;
        unsigned probes;
        watchdog_reset(&w, 0);
        int64_t when =
            given_up(&w, cases[i].prefill, cases[i].cpu_percent, cases[i].answers, &how, &probes);
        if (when < cases[i].from || when > cases[i].to || how != cases[i].how || probes == 0)
            fail_msg("%s: given up at %lld, verdict %d, %u probes", cases[i].what, (long long)when,
                     (int)how, probes);
    }
}

static void test_progress(void **state) {
    struct watchdog w = {0};
    watchdog_reset(&w, 0);
    struct watchdog_view view = {.floor_ms = FLOOR, .cpu_ms = 0};
    for (int64_t now = 0; now < 1000000; now += 20000) { // slower than the floor's half, for ever
        view.now_ms = now;
        enum watchdog_verdict verdict = watchdog_check(&w, &view);
        assert_true(verdict == WATCHDOG_FINE || verdict == WATCHDOG_PROBE);
        watchdog_progress(&w, now);
    }
    assert_true(watchdog_patience_ms(&w, &view) >= 4 * 19000);
    for (int i = 0; i < 20000; i++) // it got fast: the slow time is forgotten
        watchdog_progress(&w, 1000000 + i);
    assert_true(watchdog_patience_ms(&w, &view) == FLOOR);
}

static void test_first_byte(void **state) {
    struct watchdog w = {0};
    watchdog_reset(&w, 0);
    struct watchdog_view view = {.floor_ms = FLOOR};
    watchdog_first_byte(&w, 60000);
    watchdog_first_byte(&w, 10);
    assert_int_equal(watchdog_patience_ms(&w, &view), 240000);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_silence),
                                       cmocka_unit_test(test_progress),
                                       cmocka_unit_test(test_first_byte)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
