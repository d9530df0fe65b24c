// What an engine prints of prompts does not get into logs.
#include "engine/hush.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_prompt_within_an_error(void **state) {
    static const struct {
        const char *line;
        bool hushed;
    } lines[] = {
        {"0.00.684.621 I srv  update_slots: all slots are idle", false},
        {"0.01.000.001 E anthropic string not as expected: x-anthropic-billing-header: a", true},
        {"You are Claude Code.", true},
        {"", true},
        {"1. Be kind.", true},
        {"0.01.000.002 I srv  log_server_r: done request: POST /v1/messages  200", false},
        {"You are no prompt.", false},
        {"anthropic string not as expected: y", true}, // without a prefix
        {"more of it", true},
        {"slot launch_slot_: id  0 | task 3 | processing task", false},
    };
    struct hush hush = {0};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_int_equal(hush_line(&hush, lines[i].line), lines[i].hushed);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_prompt_within_an_error)};
    return cmocka_run_group_tests_name("hush", tests, NULL, NULL);
}
