// A conversation that is made to fit: which turns go.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "format/json.h"
#include "trim.h"

#include <string.h>

#include <cmocka.h>

// Turns of about `words` * 2 tokens each, u and a by turns as `pattern` says.
static char *conversation(const char *pattern, size_t words) {
    struct buf text;
    buf_init(&text, 1 << 20);
    buf_adds(&text, "{\"model\":\"m\",\"max_tokens\":9,\"system\":\"be brief\",\"messages\":[");
    for (size_t i = 0; pattern[i]; i++) {
        buf_printf(&text, "%s{\"role\":\"%s\",\"content\":\"%zu", i ? "," : "",
                   pattern[i] == 'u' ? "user" : "assistant", i);
        for (size_t k = 0; k < words; k++)
            buf_adds(&text, " letters");
        buf_adds(&text, "\"}");
    }
    buf_adds(&text, "]}");
    return buf_take(&text, NULL);
}

static void test_trim(void **state) {
    static const struct {
        const char *pattern;
        size_t words;
        int64_t room;
        size_t gone, left; // pairs, messages
    } rows[] = {
        {"u", 100, 1000, 0, 1},   // it fits
        {"u", 1000, 100, 0, 1},   // nothing to leave out
        {"uau", 1000, 100, 1, 1}, // the last question stays, however long
        {"uauau", 100, 1500, 0, 5},   {"uauau", 100, 800, 1, 3}, {"uauauauau", 100, 800, 3, 3},
        {"uauauaua", 100, 100, 3, 2}, // the answer was begun by the client
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct messages_request request;
        struct err err;
        char *text = conversation(rows[i].pattern, rows[i].words);
        assert_true(messages_parse(&request, text, strlen(text), &err));
        size_t gone = trim_turns(&request, rows[i].room);
        const json_t *messages = json_object_get(request.root, "messages");
        print_message("# row %zu: %zu of %s gone\n", i, gone, rows[i].pattern);
        assert_int_equal(gone, rows[i].gone);
        assert_int_equal(json_array_size(messages), rows[i].left);
        assert_string_equal(json_get_text(json_array_get(messages, 0), "role", ""), "user");
        assert_string_equal(json_get_text(request.root, "system", ""), "be brief");
        if (rows[i].left > 2)
            assert_true(messages_estimate_tokens(&request) <= rows[i].room);
        messages_fini(&request);
        mem_free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_trim)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
