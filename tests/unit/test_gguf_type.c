#include "format/gguf_type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

// Bits a weight of types whose figure everybody knows, times 10,000: an independent check.
static void test_bits(void **state) {
    static const struct {
        const char *name;
        unsigned bits;
    } CASES[] = {{"F32", 320000},    {"F16", 160000},     {"BF16", 160000},   {"Q4_0", 45000},
                 {"Q4_1", 50000},    {"Q5_0", 55000},     {"Q5_1", 60000},    {"Q8_0", 85000},
                 {"Q8_1", 90000},    {"Q2_K", 26250},     {"Q3_K", 34375},    {"Q4_K", 45000},
                 {"Q5_K", 55000},    {"Q6_K", 65625},     {"Q8_K", 91250},    {"IQ2_XXS", 20625},
                 {"IQ2_XS", 23125},  {"IQ3_XXS", 30625},  {"IQ1_S", 15625},   {"IQ4_NL", 45000},
                 {"IQ3_S", 34375},   {"IQ2_S", 25625},    {"IQ4_XS", 42500},  {"IQ1_M", 17500},
                 {"TQ1_0", 16875},   {"TQ2_0", 20625},    {"MXFP4", 42500},   {"NVFP4", 45000},
                 {"Q1_0", 11250},    {"Q2_0", 22500},     {"TQ3_1S", 40000},  {"TQ3_4S", 40000},
                 {"TQ4_1S", 50000},  {"TQ3_0", 35000},    {"Q6_0", 65000},    {"IQ2_K", 23750},
                 {"IQ3_K", 34375},   {"IQ4_K", 45000},    {"IQ5_K", 55000},   {"IQ6_K", 66250},
                 {"I8", 80000},      {"I16", 160000},     {"I32", 320000},    {"I64", 640000},
                 {"F64", 640000},    {"IQ4_K_R4", 45000}, {"Q4_0_R8", 45000}, {"Q6_0_R4", 65000},
                 {"IQ2_K_R4", 23750}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const struct gguf_type_info *type = gguf_type_named(CASES[i].name);
        assert_non_null(type);
        assert_int_equal(gguf_row_bytes(type, 4096) * 8 * 10000 / 4096, CASES[i].bits);
    }
}

static void test_table(void **state) {
    const struct gguf_type_info *before = NULL;
    size_t count = 0;
    for (const struct gguf_type_info *t = gguf_type_next(NULL); t; t = gguf_type_next(t)) {
        assert_true(!before || before->id <= t->id);
        assert_true(t->block > 0 && t->block_bytes > 0 && t->family != GGUF_TYPE_UNKNOWN);
        // The first of a number is what gguf_type_info says; only numbers of forks have several.
        if (!before || before->id != t->id)
            assert_ptr_equal(gguf_type_info(t->id), t);
        else
            assert_true(gguf_type_ambiguous(t->id));
        assert_true(strlen(gguf_type_engine(t->family)) > 0);
        before = t;
        count++;
    }
    assert_true(count > 90);
}

static void test_ids(void **state) {
    static const struct {
        uint32_t id;
        const char *name;
        enum gguf_type_family family;
    } CASES[] = {
        {0, "F32", GGUF_TYPE_MAINLINE},   {12, "Q4_K", GGUF_TYPE_MAINLINE},
        {31, "Q4_0_4_4", GGUF_TYPE_OLD},  {40, "NVFP4", GGUF_TYPE_MAINLINE},
        {44, "TQ3_1S", GGUF_TYPE_TQ3},    {46, "TQ3_4S", GGUF_TYPE_TQ3},
        {48, "TQ4_1S", GGUF_TYPE_TURBO},  {139, "IQ4_K", GGUF_TYPE_IK},
        {158, "IQ1_KT", GGUF_TYPE_IK},    {202, "Q4_0_R8", GGUF_TYPE_IK},
        {212, "Q4_K_R4", GGUF_TYPE_IK},   {230, "BF16_R16", GGUF_TYPE_IK},
        {352, "IQ5_KS_R4", GGUF_TYPE_IK},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const struct gguf_type_info *type = gguf_type_info(CASES[i].id);
        assert_non_null(type);
        assert_string_equal(type->name, CASES[i].name);
        assert_int_equal(type->family, CASES[i].family);
    }
    static const uint32_t NONE[] = {4, 5, 43, 49, 132, 143, 159, 201, 400, UINT32_MAX};
    for (size_t i = 0; i < sizeof NONE / sizeof *NONE; i++) {
        assert_null(gguf_type_info(NONE[i]));
        assert_true(gguf_type_ambiguous(NONE[i]));
    }
    assert_false(gguf_type_ambiguous(12));
    assert_true(gguf_type_ambiguous(41));
}

static void test_names(void **state) {
    assert_int_equal(gguf_type_named("q4_0")->id, 2);
    assert_int_equal(gguf_type_named("BF16")->id, 30);
    assert_int_equal(gguf_type_named("q1_0")->id, 41); // mainline's number first
    assert_null(gguf_type_named("q4"));
    assert_null(gguf_type_named(""));
}

static void test_rows(void **state) {
    const struct gguf_type_info *q4 = gguf_type_info(2), *ks = gguf_type_info(144);
    assert_int_equal(gguf_row_bytes(q4, 64), 36);
    assert_int_equal(gguf_row_bytes(q4, 33), 0);
    assert_int_equal(gguf_row_bytes(ks, 512), 4 + 2 * 136); // a scale in front of the row
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits),  cmocka_unit_test(test_table), cmocka_unit_test(test_ids),
        cmocka_unit_test(test_names), cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
