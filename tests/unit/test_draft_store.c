#include "draft_store.h"

#include "base/mem.h"
#include "base/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64];

static int begin(void **state) {
    snprintf(root, sizeof root, "/tmp/ancalagon-drafts-XXXXXX");
    return mkdtemp(root) ? setenv("XDG_STATE_HOME", root, 1) : -1;
}

static int end(void **state) {
    char *folder = path_state(NULL), *file = path_state("drafts.json");
    unlink(file);
    rmdir(folder);
    mem_free(folder);
    mem_free(file);
    return rmdir(root);
}

static const struct draft_key KEY = {"coder", "/m/coder.gguf", "/m/small.gguf", "11434"};

static void test_nothing_known(void **state) {
    struct draft_record record;
    assert_false(draft_store_get(&KEY, &record));
    assert_true(record.measured_gain == 0 && record.acceptance < 0 && !record.off);
}

static void test_put_and_get(void **state) {
    struct draft_record record = {
        .measured_gain = 1.42, .measured_tokens = 2.5, .measured_n = 4, .acceptance = 0.7};
    struct draft_record back;
    struct err err = {0};
    assert_true(draft_store_put(&KEY, &record, &err));
    assert_true(draft_store_get(&KEY, &back));
    assert_int_equal(back.measured_n, 4);
    assert_true(back.measured_gain == 1.42 && back.measured_tokens == 2.5 &&
                back.acceptance == 0.7 && !back.off);
    record = (struct draft_record){.acceptance = -1, .off = true, .why = "too few"};
    assert_true(draft_store_put(&KEY, &record, &err)); // replaced as a whole
    assert_true(draft_store_get(&KEY, &back));
    assert_true(back.measured_gain == 0 && back.acceptance < 0 && back.off);
    assert_string_equal(back.why, "too few");
}

static void test_each_part_of_the_key_counts(void **state) {
    struct draft_record record = {.measured_gain = 2, .acceptance = -1}, back;
    struct err err = {0};
    assert_true(draft_store_put(&KEY, &record, &err));
    for (size_t i = 0; i < 4; i++) {
        struct draft_key other = KEY;
        *(i == 0   ? &other.preset
          : i == 1 ? &other.model
          : i == 2 ? &other.draft
                   : &other.engine) = "other";
        assert_false(draft_store_get(&other, &back));
        struct draft_record its = {.measured_gain = 3 + (double)i, .acceptance = -1};
        assert_true(draft_store_put(&other, &its, &err));
        assert_true(draft_store_get(&other, &back) && back.measured_gain == 3 + (double)i);
    }
    assert_true(draft_store_get(&KEY, &back) && back.measured_gain == 2);
}

static void test_a_path_need_not_be_utf8(void **state) {
    static const struct draft_key odd = {"coder", "/m/caf\xe9.gguf", "/m/\xff.gguf", "11434"};
    struct draft_record record = {.measured_gain = 1.5, .acceptance = -1, .why = "cut \xe2\x82"};
    struct draft_record back;
    struct err err = {0};
    assert_true(draft_store_put(&odd, &record, &err));
    assert_true(draft_store_get(&odd, &back) && back.measured_gain == 1.5);
    record.measured_gain = 1.25;
    assert_true(draft_store_put(&odd, &record, &err)); // the same entry, not a second one
    assert_true(draft_store_get(&odd, &back) && back.measured_gain == 1.25);
}

static void test_a_broken_file_is_none(void **state) {
    static const char *const TEXTS[] = {"",
                                        "{",
                                        "[]",
                                        "{\"drafts\": 7}",
                                        "{\"drafts\": [1, null]}",
                                        "{\"drafts\": [{\"preset\": \"coder\"}]}"};
    char *path = path_state("drafts.json");
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        struct draft_record record = {.measured_gain = 2, .acceptance = -1};
        struct err err = {0};
        assert_true(path_write_file(path, TEXTS[i], strlen(TEXTS[i]), 0600, &err));
        assert_false(draft_store_get(&KEY, &record));
        assert_true(draft_store_put(&KEY, &record, &err));
        assert_true(draft_store_get(&KEY, &record));
    }
    mem_free(path);
}

static void test_the_oldest_go_first(void **state) {
    struct draft_record record = {.measured_gain = 2, .acceptance = -1};
    struct err err = {0};
    char name[32];
    for (int i = 0; i < 520; i++) {
        snprintf(name, sizeof name, "preset-%d", i);
        struct draft_key key = {name, "/m", "/d", "1"};
        assert_true(draft_store_put(&key, &record, &err));
    }
    assert_false(draft_store_get(&(struct draft_key){"preset-0", "/m", "/d", "1"}, &record));
    assert_true(draft_store_get(&(struct draft_key){"preset-519", "/m", "/d", "1"}, &record));
}

static void test_engine_names(void **state) {
    char text[32];
    char version[] = "tq3-1234 (abc)", empty[] = "", path[] = "/opt/e";
    draft_store_engine(&(struct dialect){.build = 11434, .version = version}, text, sizeof text);
    assert_string_equal(text, "11434");
    draft_store_engine(&(struct dialect){.version = version}, text, sizeof text);
    assert_string_equal(text, "tq3-1234 (abc)");
    draft_store_engine(&(struct dialect){.version = empty, .path = path}, text, sizeof text);
    assert_string_equal(text, "/opt/e");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_known),
        cmocka_unit_test(test_put_and_get),
        cmocka_unit_test(test_each_part_of_the_key_counts),
        cmocka_unit_test(test_a_path_need_not_be_utf8),
        cmocka_unit_test(test_a_broken_file_is_none),
        cmocka_unit_test(test_the_oldest_go_first),
        cmocka_unit_test(test_engine_names),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
