// What engines took, kept in a file that may be missing, broken or of somebody else.
#include "memory_store.h"

#include "base/mem.h"
#include "base/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/ancalagon-store-XXXXXX";

static void write_store(const char *text) {
    struct err err = {0};
    char *dir = path_state(NULL), *path = path_state("memory.json");
    assert_true(path_make_private(dir, &err));
    assert_true(path_write_file(path, text, strlen(text), 0600, &err));
    mem_free(dir);
    mem_free(path);
}

static struct plan_machine two_cards(void) {
    struct plan_machine machine = {.devices = 2};
    for (size_t i = 0; i < 2; i++) {
        struct plan_device *device = &machine.device[i];
        device->kind = PLAN_CUDA;
        device->total_bytes = UINT64_C(16063) << 20;
        device->overhead_bytes = PLAN_UNKNOWN;
    }
    memcpy(machine.device[0].card, "RTX 4070", 9);
    memcpy(machine.device[1].card, "RTX 5060", 9);
    return machine;
}

static void an_overhead_is_of_one_card_and_build(void **state) {
    struct plan_machine machine = two_cards();
    struct memory_store *store = memory_store_open();
    memory_store_learn_overhead(store, "b1", &machine.device[0], 343);
    memory_store_apply(store, "b2", &machine);
    assert_true(machine.device[0].overhead_bytes == PLAN_UNKNOWN);
    memory_store_apply(store, "b1", &machine);
    assert_int_equal(machine.device[0].overhead_bytes >> 20, 343);
    assert_true(machine.device[1].overhead_bytes == PLAN_UNKNOWN);
    machine = two_cards();
    machine.device[0].total_bytes += 1 << 20; // the same name, another card
    memory_store_apply(store, "b1", &machine);
    assert_true(machine.device[0].overhead_bytes == PLAN_UNKNOWN);
    memory_store_close(store);
}

static void a_card_need_not_be_called_in_utf8(void **state) {
    struct plan_machine machine = two_cards();
    memcpy(machine.device[0].card, "RTX \xae 1", 8);
    struct memory_store *store = memory_store_open();
    memory_store_learn_overhead(store, "b1", &machine.device[0], 343);
    memory_store_apply(store, "b1", &machine);
    assert_int_equal(machine.device[0].overhead_bytes >> 20, 343);
    memory_store_close(store);
}

static void what_cannot_be_is_not_learned(void **state) {
    static const double values[] = {-1, 8192, 1e12, 0.0 / 0.0};
    struct plan_machine machine = two_cards();
    struct memory_store *store = memory_store_open();
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        memory_store_learn_overhead(store, "b1", &machine.device[0], values[i]);
    machine.device[0].card[0] = '\0'; // only a kind was named
    memory_store_learn_overhead(store, "b1", &machine.device[0], 300);
    memory_store_apply(store, "b1", &machine);
    assert_true(machine.device[0].overhead_bytes == PLAN_UNKNOWN);
    struct buf text;
    assert_false(memory_store_text(store, &text)); // nothing to write
    memory_store_close(store);
}

static void it_comes_back_as_it_was_put(void **state) {
    struct memory_seen seen = {.engine = "11434",
                               .key = "k",
                               .when = 7,
                               .ctx = 98304,
                               .predicted = 100,
                               .measured = 103,
                               .worst = "CUDA0",
                               .parts = 2};
    seen.part[0] = (struct memory_seen_part){"CUDA0", {1, 2, 3, 4, true}, {5, 6, 7, 8.5, true}};
    seen.part[1] = (struct memory_seen_part){"host", {1, 0, 0, 4, true}, {1, 0, 0, 4, true}};
    struct err err = {0};
    struct memory_store *store = memory_store_open();
    memory_store_put(store, "coder", &seen);
    assert_true(memory_store_save(store, &err));
    memory_store_close(store);
    store = memory_store_open();
    struct memory_seen read;
    assert_false(memory_store_get(store, "other", &read));
    assert_true(memory_store_get(store, "coder", &read));
    assert_string_equal(read.engine, "11434");
    assert_int_equal(read.ctx, 98304);
    assert_int_equal(read.parts, 2);
    assert_string_equal(read.part[1].name, "host");
    assert_true(read.part[0].measured.compute_mib == 8.5);
    assert_true(memory_seen_differs(&read));
    read.measured = 99;
    assert_false(memory_seen_differs(&read));
    memory_store_close(store);
}

// A right frame with wrong things in it.
static const char odd[] =
    "{\"version\": 1, \"cards\": [null, 3, {\"card\": 7}, {\"card\": \"RTX 4070\", \"kind\": "
    "\"cuda\", \"total_mib\": 16063, \"engine\": \"b1\", \"overhead_mib\": -4}, {\"card\": \"RTX "
    "4070\"}], \"presets\": {\"coder\": 4, \"other\": {\"parts\": [9, {\"name\": []}]}}}";

static void a_broken_file_is_an_empty_store(void **state) {
    static const char *const texts[] = {
        "",
        "{",
        "[1, 2]",
        "{\"version\": 1}",
        "{\"version\": 2, \"cards\": [], \"presets\": {\"coder\": {\"parts\": []}}}",
        "{\"version\": 1, \"cards\": {}, \"presets\": []}",
        odd,
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_store(texts[i]);
        struct plan_machine machine = two_cards();
        struct memory_store *store = memory_store_open();
        struct memory_seen seen;
        assert_false(memory_store_get(store, "coder", &seen));
        memory_store_get(store, "other", &seen);
        memory_store_apply(store, "b1", &machine);
        assert_true(machine.device[0].overhead_bytes == PLAN_UNKNOWN ||
                    machine.device[0].overhead_bytes == 0);
        memory_store_learn_overhead(store, "b9", &machine.device[1], 200);
        memory_store_apply(store, "b9", &machine);
        assert_int_equal(machine.device[1].overhead_bytes >> 20, 200);
        memory_store_close(store);
    }
}

static int begin(void **state) {
    if (!mkdtemp(folder))
        return -1;
    return setenv("XDG_STATE_HOME", folder, 1);
}

static int end(void **state) {
    char *dir = path_state(NULL), *path = path_state("memory.json");
    unlink(path);
    rmdir(dir);
    mem_free(dir);
    mem_free(path);
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_overhead_is_of_one_card_and_build),
        cmocka_unit_test(a_card_need_not_be_called_in_utf8),
        cmocka_unit_test(what_cannot_be_is_not_learned),
        cmocka_unit_test(it_comes_back_as_it_was_put),
        cmocka_unit_test(a_broken_file_is_an_empty_store),
    };
    return cmocka_run_group_tests_name("memory_store", tests, begin, end);
}
