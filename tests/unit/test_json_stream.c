#include "format/json_stream.h"

#include "base/buf.h"
#include "base/mem.h"
#include "format/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// Pieces of a string are joined, so that the record is the same however the input is cut.
struct record {
    struct buf events;
    bool in_text;
};

static bool note(void *arg, enum json_event event, const char *bytes, size_t length,
                 struct err *err) {
    static const char *const NAMES[] = {"{", "}", "[", "]", "k:", "", "' ", "n:", "T ", "F ", "N "};
    (void)err;
    struct record *r = arg;
    if ((event == JSON_EVENT_TEXT || event == JSON_EVENT_TEXT_END) && !r->in_text)
        buf_adds(&r->events, "'");
    r->in_text = event == JSON_EVENT_TEXT;
    buf_adds(&r->events, NAMES[event]);
    buf_add(&r->events, bytes, length);
    if (event == JSON_EVENT_KEY || event == JSON_EVENT_NUMBER)
        buf_adds(&r->events, " ");
    return true;
}

static char *read_in(const char *text, size_t length, size_t step) {
    struct record r = {.in_text = false};
    struct json_stream s;
    struct err err = {0};
    buf_init(&r.events, 1 << 20);
    json_stream_init(&s, note, &r);
    bool good = true;
    for (size_t i = 0; i < length && good; i += step)
        good = json_stream_feed(&s, text + i, length - i < step ? length - i : step, &err);
    good = good && json_stream_end(&s, &err);
    if (!good) {
        buf_clear(&r.events);
        buf_printf(&r.events, "! %s", err.text);
        assert_false(json_stream_feed(&s, " ", 1, NULL)); // once refused, always
    }
    return buf_take(&r.events, NULL);
}

static const struct {
    const char *text, *events;
} cases[] = {
    {"{}", "{}"},
    {" [ ] ", "[]"},
    {"null", "N "},
    {"12", "n:12 "},
    {"-0.5e+10 ", "n:-0.5e+10 "},
    {"\"\"", "'' "},
    {"\"a\\n\\\"\\u00e9\\ud83d\\ude00\"", "'a\n\"\xc3\xa9\xf0\x9f\x98\x80' "},
    {"\"\\ud83dx\\ude00\"", "'\xef\xbf\xbdx\xef\xbf\xbd' "},
    {"\"\\ud83d\\ud83d\\ude00\"", "'\xef\xbf\xbd\xf0\x9f\x98\x80' "},
    {"\"\\ud83d\"", "'\xef\xbf\xbd' "},
    {"\"\\ud83d\\n\"", "'\xef\xbf\xbd\n' "},
    {"{\"a\":1,\"b\":[true,false,null,\"x\"],\"\":{}}", "{k:a n:1 k:b [T F N 'x' ]k: {}}"},
    {"[1,2]", "[n:1 n:2 ]"},
    {"{\"\\u0061b\": 0}", "{k:ab n:0 }"},
    {"", "! not JSON at byte 0: it ends in the middle"},
    {"[1,]", "! not JSON at byte 3: a value must come here"},
    {"{\"a\":1,}", "! not JSON at byte 7: a key must come here"},
    {"{,}", "! not JSON at byte 1: a key must come here"},
    {"[1}", "! not JSON at byte 2: a bracket that closes nothing"},
    {"]", "! not JSON at byte 0: a value must come here"},
    {"{} x", "! not JSON at byte 3: something after the end of the document"},
    {"01", "! not JSON at byte 2: this is no number"},
    {"[1.]", "! not JSON at byte 3: this is no number"},
    {"[-]", "! not JSON at byte 2: this is no number"},
    {"1e", "! not JSON at byte 2: this is no number"},
    {"trux", "! not JSON at byte 3: a word that is not true, false or null"},
    {"\"\\x\"", "! not JSON at byte 2: an escape that does not exist"},
    {"\"\\u12g4\"", "! not JSON at byte 5: \\u needs four hexadecimal digits"},
    {"\"a\nb\"", "! not JSON at byte 2: a control character inside a string"},
    {"\"open", "! not JSON at byte 5: it ends in the middle"},
    {"{\"a\" 1}", "! not JSON at byte 5: a colon must come here"},
    {"[1 2]", "! not JSON at byte 3: a comma or a closing bracket must come here"},
};

static void test_events_however_it_is_cut(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t step = 1; step < 9; step++) {
            char *found = read_in(cases[i].text, strlen(cases[i].text), step);
            assert_string_equal(found, cases[i].events);
            mem_free(found);
        }
}

static void test_limits(void **state) {
    (void)state;
    char deep[2 * JSON_STREAM_DEPTH_MAX + 3];
    for (size_t extra = 0; extra < 2; extra++) {
        size_t n = JSON_STREAM_DEPTH_MAX + extra;
        memset(deep, '[', n);
        memset(deep + n, ']', n);
        char *found = read_in(deep, 2 * n, 5);
        assert_int_equal(found[0], extra ? '!' : '[');
        mem_free(found);
    }
    struct buf key;
    buf_init(&key, 4096);
    for (size_t n = JSON_STREAM_KEY_MAX; n <= JSON_STREAM_KEY_MAX + 1; n++) {
        buf_clear(&key);
        buf_adds(&key, "{\"");
        for (size_t i = 0; i < n; i++)
            buf_adds(&key, "k");
        buf_adds(&key, "\":1}");
        char *found = read_in(buf_text(&key), key.length, 7);
        assert_int_equal(found[0], n > JSON_STREAM_KEY_MAX ? '!' : '{');
        mem_free(found);
    }
    buf_fini(&key);
    char digits[100];
    memset(digits, '1', sizeof digits);
    char *found = read_in(digits, sizeof digits, 9);
    assert_string_equal(found, "! a number of more than 64 bytes at byte 64");
    mem_free(found);
}

static bool refuse(void *arg, enum json_event event, const char *bytes, size_t length,
                   struct err *err) {
    (void)bytes, (void)length;
    int *left = arg;
    if (event != JSON_EVENT_NUMBER || (*left)-- > 0)
        return true;
    return err_set(err, ERR_DENIED, "enough");
}

static void test_the_callback_may_refuse(void **state) {
    (void)state;
    struct json_stream s;
    struct err err = {0};
    int left = 2;
    json_stream_init(&s, refuse, &left);
    assert_false(json_stream_feed(&s, "[1,2,3,4]", 9, &err));
    assert_int_equal(err.code, ERR_DENIED);
    assert_false(json_stream_end(&s, &err));
}

// What jansson takes, this takes, and the other way round.
static void test_same_verdict_as_jansson(void **state) {
    (void)state;
    static const char LETTERS[] = "[]{}:,\"\\ ab01.-eEtrufalsn\n";
    unsigned seed = 7;
    size_t good = 0;
    for (int round = 0; round < 200000; round++) {
        char text[16];
        size_t n = 0, want = 1 + (seed = seed * 1103515245u + 12345u) / 65536u % 9;
        while (n < want)
            text[n++] =
                LETTERS[(seed = seed * 1103515245u + 12345u) / 65536u % (sizeof LETTERS - 1)];
        json_t *tree = json_parse(text, n, 0, JSON_PARSE_ANY, NULL);
        char *found = read_in(text, n, 1 + (size_t)round % 5);
        bool overflow = strchr(text, 'e') || strchr(text, 'E'); // 1e999: jansson says too large
        if ((tree != NULL) != (found[0] != '!') && !overflow)
            fail_msg("%.*s: %s", (int)n, text, found);
        good += tree != NULL;
        json_decref(tree);
        mem_free(found);
    }
    assert_true(good > 500);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_however_it_is_cut),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_the_callback_may_refuse),
        cmocka_unit_test(test_same_verdict_as_jansson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
