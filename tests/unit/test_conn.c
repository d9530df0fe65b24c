// Connections over socket pairs: what is written arrives, and a conn may go at any time.
#define _GNU_SOURCE
#include "event/conn.h"

#include "base/mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loopback.h"

struct side {
    struct loop *loop;
    struct conn *conn;
    int fd; // the other end
    struct buf got;
    unsigned drained, closed;
    enum err_code why;
    enum { STAY, GO_IN_DATA, GO_IN_DRAIN, GO_IN_CLOSE, FINISH_IN_DATA } act;
};

static void go(struct side *side) {
    conn_destroy(side->conn);
    side->conn = NULL;
}

static void on_data(struct conn *conn, const char *bytes, size_t length, void *arg) {
    struct side *side = arg;
    buf_add(&side->got, bytes, length);
    if (side->act == GO_IN_DATA)
        go(side);
    if (side->act == FINISH_IN_DATA) {
        conn_write(conn, "bye", 3);
        conn_finish(conn);
        assert_false(conn_write(conn, "more", 4));
        side->conn = NULL;
    }
}

static void on_drain(struct conn *conn, void *arg) {
    struct side *side = arg;
    side->drained++;
    if (side->act == GO_IN_DRAIN)
        go(side);
}

static void on_close(struct conn *conn, const struct err *why, void *arg) {
    struct side *side = arg;
    side->closed++;
    side->why = why->code;
    assert_false(conn_write(conn, "x", 1));
    if (side->act == GO_IN_CLOSE)
        go(side);
}

static const struct conn_ops ops = {.on_data = on_data, .on_drain = on_drain, .on_close = on_close};

static void side_init(struct side *side, size_t max_queue) {
    struct err err;
    int fds[2];
    *side = (struct side){.loop = loop_create(&err)};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    buf_init(&side->got, 16 << 20);
    side->fd = fds[1];
    side->conn = conn_open(side->loop, fds[0], max_queue, &ops, side);
}

static void side_fini(struct side *side) {
    conn_destroy(side->conn);
    close(side->fd);
    PUMP_UNTIL(side->loop,
               event_base_get_num_events(loop_base(side->loop), EVENT_BASE_COUNT_ADDED) == 0);
    loop_destroy(side->loop);
    buf_fini(&side->got);
}

static bool arrived(struct side *side, struct buf *into, size_t length) {
    raw_read(side->fd, into);
    return into->length >= length;
}

// Owned bytes, a borrowed span behind them, more than the kernel takes at once.
static void test_order(void **state) {
    struct side side;
    struct buf got;
    side_init(&side, 1000);
    buf_init(&got, 16 << 20);
    char *big = mem_alloc(4 << 20);
    memset(big, 'b', 4 << 20);
    assert_true(conn_write(side.conn, "one", 3));
    assert_true(conn_write(side.conn, "two", 3));
    conn_write_borrowed(side.conn, (struct span){big, 4 << 20});
    assert_int_equal(conn_backlog(side.conn), 6 + (4 << 20));
    PUMP_UNTIL(side.loop, arrived(&side, &got, 6 + (4 << 20)));
    PUMP_UNTIL(side.loop, side.drained);
    assert_memory_equal(buf_bytes(&got), "onetwo", 6);
    assert_memory_equal(buf_bytes(&got) + 6, big, 4 << 20);
    assert_int_equal(conn_backlog(side.conn), 0);
    mem_free(big);
    buf_fini(&got);
    side_fini(&side);
}

static void test_disown(void **state) {
    for (int fits = 0; fits < 2; fits++) {
        struct side side;
        struct buf got;
        side_init(&side, fits ? 8 << 20 : 1000);
        buf_init(&got, 16 << 20);
        char *big = mem_alloc(4 << 20);
        conn_write_borrowed(side.conn, (struct span){big, 4 << 20});
        pump_some(side.loop);
        assert_int_equal(conn_disown(side.conn), fits);
        memset(big, 'x', 4 << 20); // it is ours again
        mem_free(big);
        if (fits) {
            PUMP_UNTIL(side.loop, arrived(&side, &got, 4 << 20));
            assert_null(memchr(buf_bytes(&got), 'x', got.length));
        }
        PUMP_UNTIL(side.loop, (raw_read(side.fd, &got), conn_backlog(side.conn) == 0));
        buf_fini(&got);
        side_fini(&side);
    }
}

static void test_bound(void **state) {
    struct side side;
    side_init(&side, 10);
    assert_true(conn_write(side.conn, "0123456789", 10));
    assert_false(conn_write(side.conn, "x", 1));
    assert_int_equal(conn_backlog(side.conn), 10);
    PUMP_UNTIL(side.loop, side.drained);
    assert_true(conn_write(side.conn, "x", 1));
    side_fini(&side);
}

static void test_pause(void **state) {
    struct side side;
    side_init(&side, 1000);
    conn_pause(side.conn);
    conn_pause(side.conn);
    assert_true(raw_send(side.loop, side.fd, "hello", 5));
    pump_some(side.loop);
    assert_int_equal(side.got.length, 0);
    conn_resume(side.conn);
    PUMP_UNTIL(side.loop, side.got.length == 5);
    side_fini(&side);
}

static void test_close(void **state) {
    for (int act = STAY; act <= GO_IN_CLOSE; act += GO_IN_CLOSE) {
        struct side side;
        side_init(&side, 1000);
        side.act = act;
        shutdown(side.fd, SHUT_WR); // half closed is closed
        PUMP_UNTIL(side.loop, side.closed);
        pump_some(side.loop);
        assert_int_equal(side.closed, 1);
        assert_int_equal(side.why, ERR_PEER);
        side_fini(&side);
    }
}

// The peer's last words are read although it took none of ours.
static void test_last_words(void **state) {
    struct side side;
    side_init(&side, 1000);
    assert_true(raw_send(side.loop, side.fd, "no", 2));
    shutdown(side.fd, SHUT_RD);
    close(side.fd);
    side.fd = dup(0);
    conn_write(side.conn, "question", 8);
    loop_run_deferred(side.loop); // it is written before anything is read
    PUMP_UNTIL(side.loop, side.closed);
    assert_string_equal(buf_text(&side.got), "no");
    side_fini(&side);
}

static void test_go_inside(void **state) {
    struct side side;
    side_init(&side, 1000);
    side.act = GO_IN_DATA;
    raw_send(side.loop, side.fd, "x", 1);
    PUMP_UNTIL(side.loop, !side.conn);
    side_fini(&side);

    side_init(&side, 1000);
    side.act = GO_IN_DRAIN;
    conn_write(side.conn, "x", 1);
    PUMP_UNTIL(side.loop, !side.conn);
    side_fini(&side);
}

// conn_finish: our last bytes get there although the peer goes on sending; then it is closed.
static void test_finish(void **state) {
    struct side side;
    struct buf got;
    side_init(&side, 1000);
    buf_init(&got, 1000);
    side.act = FINISH_IN_DATA;
    raw_send(side.loop, side.fd, "x", 1);
    PUMP_UNTIL(side.loop, !side.conn);
    raw_send(side.loop, side.fd, "much more", 9);
    PUMP_UNTIL(side.loop, raw_read(side.fd, &got));
    assert_string_equal(buf_text(&got), "bye");
    assert_int_equal(side.got.length, 1); // nothing is told any more
    assert_int_equal(side.closed, 0);
    buf_fini(&got);
    side_fini(&side);
}

static void test_finish_floods(void **state) { // it does not read for ever
    struct side side;
    side_init(&side, 1000);
    conn_finish(side.conn);
    side.conn = NULL;
    enum { BLOCK = 1 << 20, MOST = 1000 }; // more than half a GiB
    char *block = mem_alloc(BLOCK);
    int blocks = 0;
    while (blocks < MOST && raw_send(side.loop, side.fd, block, BLOCK))
        blocks++;
    assert_in_range(blocks, 300, MOST - 1); // but a body of 200 MB is
    mem_free(block);
    side_fini(&side);
}

static void test_write_timeout(void **state) {
    struct side side;
    side_init(&side, 64 << 20);
    conn_set_write_timeout(side.conn, 20);
    char *big = mem_alloc(4 << 20);
    conn_write(side.conn, big, 4 << 20);
    mem_free(big);
    PUMP_UNTIL(side.loop, side.closed);
    assert_int_equal(side.why, ERR_TIMEOUT);
    side_fini(&side);
}

// Nobody but the loop knows it any more: with the loop it has to go.
static void test_finish_outlived_by_peer(void **state) {
    for (int busy = 0; busy < 2; busy++) {
        struct side side;
        side_init(&side, 16 << 20);
        size_t length = busy ? 8 << 20 : 1; // more than the kernel takes
        char *bytes = mem_alloc(length);
        assert_true(conn_write(side.conn, bytes, length));
        mem_free(bytes);
        loop_run_deferred(side.loop);
        conn_finish(side.conn);
        loop_destroy(side.loop);
        char byte;
        while (recv(side.fd, &byte, 1, 0) > 0) {
        }
        assert_int_equal(send(side.fd, "x", 1, MSG_NOSIGNAL), -1); // nobody holds the other end
        assert_int_equal(errno, EPIPE);
        close(side.fd);
        buf_fini(&side.got);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_disown),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_last_words),
        cmocka_unit_test(test_go_inside),
        cmocka_unit_test(test_finish),
        cmocka_unit_test(test_finish_outlived_by_peer),
        cmocka_unit_test(test_finish_floods),
        cmocka_unit_test(test_write_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
