// The gate before the GPU: one at a time, in the order of arrival, and nobody waits for ever. Tests
// wait for facts (so many stand in line), never for a time to pass, but for the deadline's own
// test.
#include "gpu_gate.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { FOREVER_MS = 600000, CREW = 8, ROUNDS = 400 };

struct visitor {
    pthread_t thread;
    struct gpu_gate *gate;
    struct recall recall;
    int64_t wait_ms;
    bool entered;
    struct err err;
    unsigned place; // in which order they came in
};

static unsigned next_place; // the gate is its lock

static void *visit(void *arg) {
    struct visitor *visitor = arg;
    visitor->entered =
        gpu_gate_enter(visitor->gate, visitor->wait_ms, &visitor->recall, &visitor->err);
    if (visitor->entered) {
        visitor->place = next_place++;
        gpu_gate_leave(visitor->gate);
    }
    return NULL;
}

static void wait_for_line(struct gpu_gate *gate, unsigned waiting) {
    while (gpu_gate_waiting(gate) != waiting)
        sched_yield();
}

static void send(struct visitor *visitor, struct gpu_gate *gate, int64_t wait_ms) {
    *visitor = (struct visitor){.gate = gate, .wait_ms = wait_ms, .place = 99};
    assert_int_equal(pthread_create(&visitor->thread, NULL, visit, visitor), 0);
}

static void first_come_first_served(void **state) {
    struct gpu_gate *gate = gpu_gate_create();
    struct visitor visitors[CREW];
    next_place = 0;
    (void)state;
    assert_true(gpu_gate_enter(gate, 0, NULL, NULL));
    for (unsigned i = 0; i < CREW; i++) {
        send(&visitors[i], gate, FOREVER_MS);
        wait_for_line(gate, i + 1);
    }
    gpu_gate_leave(gate);
    for (unsigned i = 0; i < CREW; i++) {
        pthread_join(visitors[i].thread, NULL);
        assert_true(visitors[i].entered);
        assert_int_equal(visitors[i].place, i);
    }
    assert_true(gpu_gate_enter(gate, 0, NULL, NULL)); // and is free again
    gpu_gate_leave(gate);
    gpu_gate_destroy(gate);
}

static void nobody_waits_past_the_deadline(void **state) {
    struct gpu_gate *gate = gpu_gate_create();
    struct visitor late, patient;
    next_place = 0;
    (void)state;
    assert_true(gpu_gate_enter(gate, 0, NULL, NULL));
    send(&late, gate, 20);
    pthread_join(late.thread, NULL);
    assert_false(late.entered);
    assert_int_equal(late.err.code, ERR_TIMEOUT);
    assert_int_equal(gpu_gate_waiting(gate), 0);
    send(&patient, gate, FOREVER_MS); // the place of who left is not served
    wait_for_line(gate, 1);
    gpu_gate_leave(gate);
    pthread_join(patient.thread, NULL);
    assert_true(patient.entered);
    gpu_gate_destroy(gate);
}

static void who_is_recalled_gives_up_the_place(void **state) {
    struct gpu_gate *gate = gpu_gate_create();
    struct visitor visitors[3];
    next_place = 0;
    (void)state;
    assert_true(gpu_gate_enter(gate, 0, NULL, NULL));
    for (unsigned i = 0; i < 3; i++) {
        send(&visitors[i], gate, FOREVER_MS);
        wait_for_line(gate, i + 1);
    }
    gpu_gate_recall(gate, &visitors[1].recall);
    pthread_join(visitors[1].thread, NULL); // while the gate is still held
    assert_false(visitors[1].entered);
    assert_int_equal(visitors[1].err.code, ERR_BUSY);
    assert_int_equal(gpu_gate_waiting(gate), 2);
    gpu_gate_leave(gate);
    pthread_join(visitors[0].thread, NULL);
    pthread_join(visitors[2].thread, NULL);
    assert_int_equal(visitors[0].place, 0);
    assert_int_equal(visitors[2].place, 1);
    // Recalled before it came, although the gate is free.
    assert_false(gpu_gate_enter(gate, FOREVER_MS, &visitors[1].recall, NULL));
    assert_true(gpu_gate_enter(gate, 0, NULL, NULL));
    gpu_gate_leave(gate);
    gpu_gate_destroy(gate);
}

// Turns, deadlines and recalls all at once: a wake-up that were lost would leave somebody waiting
// for ten minutes; two inside at once would show in `inside`.
struct crowd {
    struct gpu_gate *gate;
    struct recall recalls[CREW];
    atomic_int inside, most, turns;
};
struct member {
    struct crowd *crowd;
    unsigned number;
};

static void *come_and_go(void *arg) {
    const struct member *member = arg;
    struct crowd *crowd = member->crowd;
    for (int round = 0; round < ROUNDS; round++) {
        bool hasty = member->number == 0;
        struct recall *recall = member->number == 1 ? &crowd->recalls[1] : NULL;
        if (!gpu_gate_enter(crowd->gate, hasty ? 0 : FOREVER_MS, recall, NULL)) {
            if (recall)
                atomic_store(&recall->asked, false);
            continue;
        }
        int inside = atomic_fetch_add(&crowd->inside, 1) + 1;
        if (inside > atomic_load(&crowd->most))
            atomic_store(&crowd->most, inside);
        atomic_fetch_add(&crowd->turns, 1);
        if (round % 7 == 0)
            sched_yield();
        atomic_fetch_sub(&crowd->inside, 1);
        gpu_gate_leave(crowd->gate);
        if (member->number == 2)
            gpu_gate_recall(crowd->gate, &crowd->recalls[1]);
    }
    return NULL;
}

static void a_crowd_gets_through(void **state) {
    struct crowd crowd = {.gate = gpu_gate_create()};
    struct member members[CREW];
    pthread_t threads[CREW];
    (void)state;
    for (unsigned i = 0; i < CREW; i++) {
        members[i] = (struct member){&crowd, i};
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &members[i]), 0);
    }
    for (unsigned i = 0; i < CREW; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&crowd.most), 1);
    assert_true(atomic_load(&crowd.turns) >= (CREW - 2) * ROUNDS);
    assert_int_equal(gpu_gate_waiting(crowd.gate), 0);
    assert_true(gpu_gate_enter(crowd.gate, 0, NULL, NULL));
    gpu_gate_leave(crowd.gate);
    gpu_gate_destroy(crowd.gate);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_come_first_served),
        cmocka_unit_test(nobody_waits_past_the_deadline),
        cmocka_unit_test(who_is_recalled_gives_up_the_place),
        cmocka_unit_test(a_crowd_gets_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
