#include "base/buf.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_bound(void **state) {
    for (size_t max = 0; max < 600; max += 37) {
        struct buf buf;
        buf_init(&buf, max);
        size_t length = 0;
        while (buf_add(&buf, "0123456", 7))
            length += 7;
        assert_int_equal(buf.length, length); // a refused piece changes nothing
        assert_true(length <= max && length + 7 > max);
        assert_true(buf.capacity <= max + 1);
        assert_false(buf_reserve(&buf, SIZE_MAX));
        assert_true(buf_add(&buf, "", 0));
        assert_int_equal(strlen(buf_text(&buf)), length);
        buf_fini(&buf);
        assert_int_equal(buf.max, max);
    }
}

// A queue: bytes come out as they went in, whatever the order of adding and draining.
static void test_queue(void **state) {
    struct buf buf;
    buf_init(&buf, 100);
    size_t in = 0, out = 0;
    unsigned seed = 1;
    for (int i = 0; i < 100000; i++) {
        seed = seed * 1103515245u + 12345u;
        unsigned char piece[16];
        size_t n = seed >> 16 & 15;
        if (seed & 0x40000000) {
            for (size_t k = 0; k < n; k++)
                piece[k] = (unsigned char)(in + k);
            if (buf_add(&buf, piece, n))
                in += n;
        } else if (n <= buf.length) {
            for (size_t k = 0; k < n; k++)
                assert_int_equal((unsigned char)buf_bytes(&buf)[k], (unsigned char)(out + k));
            buf_drain(&buf, n);
            out += n;
        }
        assert_int_equal(buf.length, in - out);
        assert_true(buf.length || buf.start == 0);
    }
    buf_fini(&buf);
}

static void test_printf(void **state) {
    struct buf buf;
    buf_init(&buf, 8);
    assert_true(buf_printf(&buf, "%d-%s", 12, "abc"));
    assert_false(buf_printf(&buf, "%s", "xyz"));
    assert_string_equal(buf_text(&buf), "12-abc");
    assert_true(buf_printf(&buf, "%s", "xy")); // full to the last byte
    assert_string_equal(buf_text(&buf), "12-abcxy");
    buf_clear(&buf);
    assert_string_equal(buf_text(&buf), "");
    buf_fini(&buf);
}

static void test_take(void **state) {
    struct buf buf;
    size_t length;
    buf_init(&buf, 100);
    char *nothing = buf_take(&buf, &length);
    assert_string_equal(nothing, "");
    assert_int_equal(length, 0);
    mem_free(nothing);
    buf_adds(&buf, "hello");
    buf_drain(&buf, 2);
    memcpy(buf_tail(&buf), "", 0);
    assert_true(buf_reserve(&buf, 2));
    memcpy(buf_tail(&buf), "!?", 2);
    buf_advance(&buf, 2);
    char *text = buf_take(&buf, &length);
    assert_string_equal(text, "llo!?");
    assert_int_equal(length, 5);
    assert_int_equal(buf.length, 0);
    assert_true(buf_adds(&buf, "again"));
    buf_drain(&buf, 5); // empty: gives its memory back
    assert_null(buf.data);
    mem_free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bound), cmocka_unit_test(test_queue),
                                       cmocka_unit_test(test_printf), cmocka_unit_test(test_take)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
