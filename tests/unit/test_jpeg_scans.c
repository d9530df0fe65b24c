// Scans of JPEGs are counted, and nothing that only looks like one.
#include "base/buf.h"
#include "base/mem.h"
#include "vision/jpeg_scans.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) text, sizeof(text) - 1

static void test_scans(void **state) {
    (void)state;
    static const struct {
        const char *head; // behind SOI
        size_t head_length;
        const char *scan; // behind that, so often
        size_t scan_length;
        unsigned times;
        bool good;
    } CASES[] = {
        {"", 0, BYTES("\xff\xda\0\x03\0\x12"), JPEG_SCANS_MAX, true},
        {"", 0, BYTES("\xff\xda\0\x03\0\x12"), JPEG_SCANS_MAX + 1, false},
        // between restarts, behind fill bytes, behind bytes that belong to nothing
        {"", 0, BYTES("\xff\xda\0\x03\0\xff\xd0\x12\xff\xd7"), JPEG_SCANS_MAX + 1, false},
        {"", 0, BYTES("\xff\xff\xff\xda\0\x03\0"), JPEG_SCANS_MAX + 1, false},
        {"", 0, BYTES("\xff\xda\0\x03\0\x12\xff\xc4\0\x03\x07\x33"), JPEG_SCANS_MAX + 1, false},
        // stuffed; of a thumbnail inside of a segment; behind the end
        {"", 0, BYTES("\x12\xff\0\xda\0\x03"), 500, true},
        {"", 0, BYTES("\xff\xe1\0\x08\xff\xda\xff\xda\xff\xda"), 500, true},
        {BYTES("\xff\xd9"), BYTES("\xff\xda\0\x03\0\x12"), 500, true},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct err err = {0};
        struct buf file;
        buf_init(&file, 1 << 20);
        buf_add(&file, "\xff\xd8\xff\xe0\0\x02", 6);
        buf_add(&file, CASES[i].head, CASES[i].head_length);
        for (unsigned k = 0; k < CASES[i].times; k++)
            buf_add(&file, CASES[i].scan, CASES[i].scan_length);
        if (jpeg_scans_check(buf_bytes(&file), file.length, "a.jpg", &err) != CASES[i].good)
            fail_msg("%zu: %s", i, err.text);
        assert_int_equal(err.code, CASES[i].good ? ERR_NONE : ERR_LIMIT);
        buf_fini(&file);
    }
}

static void test_cut_anywhere(void **state) {
    (void)state;
    static const char WHOLE[] = "\xff\xd8\xff\xe0\0\x04\x01\x02\xff\xda\0\x03\0\x12\xff\xd9";
    for (size_t length = 0; length < sizeof WHOLE; length++) {
        char *cut = mem_alloc(length ? length : 1); // so that its end is known
        memcpy(cut, WHOLE, length);
        assert_true(jpeg_scans_check(cut, length, "a.jpg", NULL));
        mem_free(cut);
    }
    assert_true(jpeg_scans_check("GIF89a", 6, "a.gif", NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scans),
        cmocka_unit_test(test_cut_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
