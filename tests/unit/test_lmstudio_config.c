// LM Studio's file of load settings: what is written, and that all else stays.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "lmstudio_config.h"

#include <string.h>

#include <cmocka.h>

#define K "llm.load.llama.kCacheQuantizationType"
#define V "llm.load.llama.vCacheQuantizationType"
#define FLASH "{\"key\":\"llm.load.llama.flashAttention\",\"value\":true}"
#define FIELD(key, checked, type)                                                                  \
    "{\"key\":\"" key "\",\"value\":{\"checked\":" checked ",\"value\":\"" type "\"}}"

static void test_edit(void **state) {
    static const struct {
        const char *before, *type, *after;
    } rows[] = {
        {NULL, "q8_0",
         "{\"preset\":\"\",\"operation\":{\"fields\":[]},\"load\":{\"fields\":[" FLASH
         "," FIELD(K, "true", "q8_0") "," FIELD(V, "true", "q8_0") "]}}"},
        // A bare text is what LM Studio ignores; it becomes a checkbox, in its place.
        {"{\"load\":{\"x\":1,\"fields\":[{\"key\":\"a\",\"value\":2},{\"key\":\"" V
         "\",\"value\":\"q4_0\"}]},\"y\":null}",
         "q4_0",
         "{\"load\":{\"x\":1,\"fields\":[{\"key\":\"a\",\"value\":2}," FIELD(
             V, "true", "q4_0") "," FLASH "," FIELD(K, "true", "q4_0") "]},\"y\":null}"},
        {"{}", "f16",
         "{\"load\":{\"fields\":[" FIELD(K, "false", "f16") "," FIELD(V, "false", "f16") "]}}"},
        {"{\"load\":{}}", "f32",
         "{\"load\":{\"fields\":[" FIELD(K, "true", "f32") "," FIELD(V, "true", "f32") "]}}"},
        {"{\"load\":[]}", "q8_0", NULL},
        {"{\"load\":{\"fields\":{}}}", "q8_0", NULL},
        {"[]", "q8_0", NULL},
        {"{\"load\":", "q8_0", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err err = {0};
        size_t length = 0;
        const char *before = rows[i].before;
        char *after =
            lmstudio_config_edit(before, before ? strlen(before) : 0, rows[i].type, &length, &err);
        if (rows[i].after) {
            assert_non_null(after);
            assert_string_equal(after, rows[i].after);
            assert_int_equal(length, strlen(after));
        } else {
            assert_null(after);
            assert_int_not_equal(err.code, ERR_NONE);
        }
        mem_free(after);
    }
}

static void test_types(void **state) {
    static const char *const good[] = {"f32",  "f16",  "q8_0", "q5_1",
                                       "q5_0", "q4_1", "q4_0", "iq4_nl"};
    static const char *const bad[] = {"", "q8", "q8_0,", "q4_K", "f16, q8_0", "Q8_0"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(lmstudio_config_is_type(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(lmstudio_config_is_type(bad[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_edit), cmocka_unit_test(test_types)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
