#include "format/share_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { ROOM = 2 * (SHARE_FRAME_HEAD + SHARE_FRAME_MAX) };

static void test_frames_come_in_pieces(void **state) {
    (void)state;
    struct buf wire, in;
    struct share_frame frame;
    bool wrong;
    buf_init(&wire, ROOM);
    buf_init(&in, ROOM);
    assert_true(share_frame_write(&wire, 'R', "a\0b", 4));
    assert_true(share_frame_write(&wire, 'K', NULL, 0));
    const char *bytes = buf_bytes(&wire);
    size_t frames = 0;
    for (size_t i = 0; i < wire.length; i++) {
        assert_true(buf_add(&in, bytes + i, 1));
        while (share_frame_read(&in, &frame, &wrong)) {
            if (frames++ == 0) {
                size_t at = 0;
                assert_int_equal(frame.kind, 'R');
                assert_string_equal(share_frame_text(&frame, &at), "a");
                assert_string_equal(share_frame_text(&frame, &at), "b");
                assert_null(share_frame_text(&frame, &at));
            }
            share_frame_drop(&in, &frame);
        }
        assert_false(wrong);
    }
    assert_int_equal(frames, 2);
    assert_int_equal(in.length, 0);
    buf_fini(&wire);
    buf_fini(&in);
}

static void test_what_is_too_long(void **state) {
    (void)state;
    static char large[SHARE_FRAME_MAX + 1];
    struct buf wire;
    struct share_frame frame;
    bool wrong;
    buf_init(&wire, ROOM);
    assert_false(share_frame_write(&wire, 'B', large, sizeof large));
    assert_true(share_frame_write(&wire, 'B', large, SHARE_FRAME_MAX));
    assert_true(share_frame_read(&wire, &frame, &wrong));
    assert_int_equal(frame.length, SHARE_FRAME_MAX);
    share_frame_drop(&wire, &frame);
    assert_true(buf_add(&wire, "B\0\1\0\1", 5)); // one byte more
    assert_false(share_frame_read(&wire, &frame, &wrong));
    assert_true(wrong);
    buf_fini(&wire);
}

static void test_texts_without_an_end(void **state) {
    (void)state;
    struct share_frame frame = {'L', "abc", 3};
    size_t at = 0;
    assert_null(share_frame_text(&frame, &at));
    at = 3;
    assert_null(share_frame_text(&frame, &at));
}

static void test_sizes(void **state) {
    (void)state;
    static const uint64_t sizes[] = {0, 1, 255, 256, 1ULL << 40, UINT64_MAX};
    unsigned char bytes[8];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        share_put_size(bytes, sizes[i]);
        assert_true(share_get_size(bytes) == sizes[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_come_in_pieces),
        cmocka_unit_test(test_what_is_too_long),
        cmocka_unit_test(test_texts_without_an_end),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
