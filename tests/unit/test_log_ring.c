#include "log_ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct watcher {
    struct log_watch watch;
    struct log_ring *ring;
    struct buf seen;
    bool leaves;
};

static void on_line(const char *line, void *arg) {
    struct watcher *watcher = arg;
    buf_printf(&watcher->seen, "%s,", line);
    if (watcher->leaves)
        log_ring_unwatch(watcher->ring, &watcher->watch);
}

static const char *tail(struct log_ring *ring, size_t lines, size_t room) {
    static struct buf out;
    buf_fini(&out);
    buf_init(&out, room);
    log_ring_tail(ring, lines, &out);
    return buf_text(&out);
}

static void test_bounds(void **state) {
    struct log_ring *ring = log_ring_create(3, 10);
    assert_string_equal(tail(ring, 5, 100), "");
    log_ring_add(ring, "a");
    log_ring_add(ring, "");
    log_ring_add(ring, "c");
    log_ring_add(ring, "d");
    assert_string_equal(tail(ring, 5, 100), "\nc\nd\n"); // three lines
    assert_string_equal(tail(ring, 1, 100), "d\n");
    assert_string_equal(tail(ring, 0, 100), "");
    assert_string_equal(tail(ring, 5, 4), "\nc\n"); // as far as there is room
    log_ring_add(ring, "123456789");
    assert_string_equal(tail(ring, 5, 100), "d\n123456789\n"); // ten bytes
    log_ring_add(ring, "longer than all of it");
    assert_string_equal(tail(ring, 5, 100), "longer than all of it\n"); // the last one stays
    tail(ring, 0, 0);
    log_ring_destroy(ring);
}

static void test_watchers(void **state) {
    struct watcher watchers[3];
    struct log_ring *ring = log_ring_create(3, 1000);
    log_ring_add(ring, "before");
    for (int i = 0; i < 3; i++) {
        watchers[i] = (struct watcher){
            .watch = {.on_line = on_line, .arg = &watchers[i]}, .ring = ring, .leaves = i == 1};
        buf_init(&watchers[i].seen, 100);
        log_ring_watch(ring, &watchers[i].watch);
    }
    log_ring_add(ring, "a");
    log_ring_add(ring, "b");
    assert_string_equal(buf_text(&watchers[0].seen), "a,b,");
    assert_string_equal(buf_text(&watchers[1].seen), "a,");
    assert_string_equal(buf_text(&watchers[2].seen), "a,b,");
    for (int i = 0; i < 3; i++)
        buf_fini(&watchers[i].seen);
    log_ring_destroy(ring);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bounds),
                                       cmocka_unit_test(test_watchers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
