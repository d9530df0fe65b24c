// Work in threads: its end on the loop, and what becomes of it when nobody waits any more.
#include "base/mem.h"
#include "event/work.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

struct errand {
    struct loop *loop;
    atomic_bool may_end;
    atomic_int ran, done, dropped;
    pthread_t thread;
};

static void run(void *arg) {
    struct errand *errand = arg;
    errand->thread = pthread_self();
    while (!errand->may_end)
        usleep(500);
    errand->ran++;
}

static void on_done(void *arg) {
    struct errand *errand = arg;
    errand->done++;
    loop_stop(errand->loop);
}

static void on_drop(void *arg) { ((struct errand *)arg)->dropped++; }

static const struct work_ops ops = {run, on_done, on_drop};

static void on_time(void *arg) { loop_stop(arg); }

static void turn(struct loop *loop, int64_t ms) {
    struct timer timer;
    timer_init(&timer, loop, on_time, loop);
    timer_start(&timer, ms);
    loop_run(loop);
    timer_stop(&timer);
}

static void ends_on_the_loop(void **state) {
    struct errand errand = {.loop = loop_create(NULL), .may_end = true};
    assert_non_null(work_start(errand.loop, &ops, &errand, NULL));
    loop_run(errand.loop);
    assert_int_equal(errand.ran, 1);
    assert_int_equal(errand.done, 1);
    assert_int_equal(errand.dropped, 0);
    assert_false(pthread_equal(errand.thread, pthread_self()));
    loop_destroy(errand.loop);
}

static void the_loop_turns_meanwhile(void **state) {
    struct errand errand = {.loop = loop_create(NULL)};
    assert_non_null(work_start(errand.loop, &ops, &errand, NULL));
    turn(errand.loop, 20);
    assert_int_equal(errand.done, 0);
    errand.may_end = true;
    loop_run(errand.loop);
    assert_int_equal(errand.done, 1);
    loop_destroy(errand.loop);
}

static void wait_dropped(struct errand *errand) {
    for (int i = 0; i < 60000 && !errand->dropped; i++)
        usleep(1000);
    assert_int_equal(errand->dropped, 1);
    assert_int_equal(errand->done, 0);
}

static void abandoned_while_it_runs(void **state) {
    struct errand errand = {.loop = loop_create(NULL)};
    struct work *work = work_start(errand.loop, &ops, &errand, NULL);
    work_abandon(work);
    turn(errand.loop, 5);
    assert_int_equal(errand.dropped, 0); // it is the thread's until it returns
    errand.may_end = true;
    wait_dropped(&errand);
    loop_destroy(errand.loop);
}

static void abandoned_when_it_has_ended(void **state) {
    struct errand errand = {.loop = loop_create(NULL), .may_end = true};
    struct work *work = work_start(errand.loop, &ops, &errand, NULL);
    while (!errand.ran)
        usleep(500);
    usleep(20000);
    work_abandon(work);
    wait_dropped(&errand);
    turn(errand.loop, 5);
    assert_int_equal(errand.done, 0);
    loop_destroy(errand.loop);
}

static void too_many_are_refused(void **state) {
    enum { MANY = 64 };
    struct loop *loop = loop_create(NULL);
    struct errand *errands = mem_alloc(MANY * sizeof *errands);
    struct work *works[MANY];
    struct err err = {0};
    int started = 0;
    for (int i = 0; i < MANY; i++) {
        errands[i].loop = loop;
        works[started] = work_start(loop, &ops, &errands[started], &err);
        if (!works[started])
            break;
        started++;
    }
    assert_in_range(started, 1, MANY - 1);
    assert_int_equal(err.code, ERR_BUSY);
    for (int i = 0; i < started; i++)
        work_abandon(works[i]);
    for (int i = 0; i < started; i++) {
        errands[i].may_end = true;
        wait_dropped(&errands[i]);
    }
    mem_free(errands);
    loop_destroy(loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_on_the_loop),        cmocka_unit_test(the_loop_turns_meanwhile),
        cmocka_unit_test(abandoned_while_it_runs), cmocka_unit_test(abandoned_when_it_has_ended),
        cmocka_unit_test(too_many_are_refused),
    };
    return cmocka_run_group_tests_name("work", tests, NULL, NULL);
}
