// What is read of an engine's /props, in the shapes of several builds.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/props.h"
#include "format/json.h"

#include <string.h>

#include <cmocka.h>

static void test_read(void **state) {
    static const struct {
        const char *answer;
        struct props props;
    } cases[] = {
        {"{}", {0}},
        {"[1]", {0}},
        {"{\"default_generation_settings\":{\"n_ctx\":8192},\"total_slots\":4}",
         {.slots = 4, .window_tokens = 8192}},
        {"{\"n_ctx\":4096}", {.window_tokens = 4096}},
        {"{\"default_generation_settings\":{\"n_ctx\":-1},\"total_slots\":100000}", {0}},
        {"{\"default_generation_settings\":{\"n_ctx\":2147483648},\"total_slots\":\"4\"}", {0}},
        {"{\"modalities\":{\"vision\":false,\"audio\":false}}", {.blind = true}},
        {"{\"modalities\":{\"vision\":true}}", {0}},
        {"{\"chat_template\":\"{% for m in messages %}{{ m.content }}{% endfor %}\"}",
         {.toolless = true}},
        {"{\"chat_template\":\"{% if tools %}{{ tools }}{% endif %}\"}", {0}},
        {"{\"chat_template\":\"{{ m.tool_calls }}\"}", {0}},
        {"{\"chat_template\":\"\"}", {0}},
        {"{\"chat_template\":\"{{ m }}\",\"chat_template_tool_use\":\"{{ tools }}\"}", {0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *answer = json_parse(cases[i].answer, strlen(cases[i].answer), 0, 0, NULL);
        assert_non_null(answer);
        struct props props = props_read(answer);
        json_decref(answer);
        assert_int_equal(props.slots, cases[i].props.slots);
        assert_int_equal(props.window_tokens, cases[i].props.window_tokens);
        assert_int_equal(props.blind, cases[i].props.blind);
        assert_int_equal(props.toolless, cases[i].props.toolless);
    }
    struct props nothing = props_read(NULL);
    assert_true(nothing.slots == 0 && !nothing.blind && !nothing.toolless);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
