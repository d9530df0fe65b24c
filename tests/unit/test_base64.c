#include "format/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *text, *bytes; // bytes NULL: refused
} cases[] = {
    {"", ""},
    {"Zg==", "f"},
    {"Zm8=", "fo"},
    {"Zm9v", "foo"},
    {"Zm9vYmFy", "foobar"},
    {"Zm9vYg", "foob"},           // without padding
    {"Zm9v\r\nYmFy\n", "foobar"}, // in lines
    {"  Zm9v", "foo"},
    {"-_-_", "\xfb\xff\xbf"}, // the URL's alphabet
    {"+/+/", "\xfb\xff\xbf"},
    {"data:image/jpeg;base64,Zm9v", "foo"},
    {"data:;base64,Zm8=", "fo"},
    {"data:image/png;charset=x;base64,Zm9v", "foo"},
    {"dataZm9v", "u\xab\x5a\x66\x6f\x6f"}, // begins like a URL and is none
    {"d", NULL},
    {"da", "u"},
    {"data:image/jpeg,Zm9v", NULL},
    {"data:", NULL},
    {"Zg=", NULL},
    {"Zg===", NULL},
    {"Z===", NULL},
    {"Zg==Zg==", NULL},
    {"Zm9v!", NULL},
    {"Z", NULL},
};

static void test_decode_however_it_is_cut(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t step = 1; step < 12; step++) {
            struct base64 b;
            struct buf out;
            const char *text = cases[i].text;
            size_t length = strlen(text);
            buf_init(&out, 100);
            base64_init(&b);
            bool good = true;
            for (size_t at = 0; at < length && good; at += step)
                good =
                    base64_feed(&b, text + at, length - at < step ? length - at : step, &out, NULL);
            good = good && base64_end(&b, &out, NULL);
            assert_int_equal(good, cases[i].bytes != NULL);
            if (good) {
                assert_int_equal(out.length, strlen(cases[i].bytes));
                assert_memory_equal(buf_bytes(&out), cases[i].bytes, out.length);
            }
            buf_fini(&out);
        }
}

static void test_round_trip(void **state) {
    (void)state;
    unsigned char bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 16);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        struct buf text, back;
        buf_init(&text, 1000);
        buf_init(&back, 1000);
        assert_true(base64_encode(bytes, n, &text));
        assert_int_equal(text.length, (n + 2) / 3 * 4);
        assert_true(base64_decode(buf_text(&text), text.length, &back, NULL));
        assert_int_equal(back.length, n);
        assert_true(n == 0 || memcmp(buf_bytes(&back), bytes, n) == 0);
        buf_fini(&text);
        buf_fini(&back);
    }
}

static void test_a_full_buffer_is_told(void **state) {
    (void)state;
    struct buf out;
    struct err err = {0};
    buf_init(&out, 16);
    assert_false(base64_decode("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 36, &out, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_however_it_is_cut),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_a_full_buffer_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
