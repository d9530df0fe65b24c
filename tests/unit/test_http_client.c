// The client against a server that is a script: raw sockets that answer as badly as is needed;
// and against our own server.
#include "http/client.h"

#include "base/mem.h"
#include "http/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loopback.h"

enum act {
    NOTHING,
    CANCEL_IN_HEAD,
    CANCEL_IN_BODY,
    AGAIN_IN_END,
    AGAIN_IN_FAIL,
    DESTROY_IN_END,
    DESTROY_IN_FAIL
};

struct fixture {
    struct loop *loop;
    struct http_peer *peer;
    int listener, fds_before;
    char path[200];
    struct buf log; // what came: "200 body. " or "200 bo! "
    unsigned ended;
    enum act act;
    struct http_call *again;
    enum err_code why;
};

static void again(struct fixture *f);

static void destroy(struct fixture *f) {
    http_peer_destroy(f->peer);
    f->peer = NULL;
}

static void on_head(struct http_call *call, const struct http_head *head, void *arg) {
    struct fixture *f = arg;
    buf_printf(&f->log, "%u ", head->status);
    if (f->act == CANCEL_IN_HEAD)
        http_call_cancel(call);
}

static void on_body(struct http_call *call, const char *bytes, size_t length, void *arg) {
    struct fixture *f = arg;
    buf_add(&f->log, bytes, length);
    if (f->act == CANCEL_IN_BODY)
        http_call_cancel(call);
}

static void on_end(struct http_call *call, void *arg) {
    struct fixture *f = arg;
    buf_adds(&f->log, ". ");
    f->ended++;
    if (f->act == AGAIN_IN_END)
        again(f);
    else if (f->act == DESTROY_IN_END)
        destroy(f);
}

static void on_fail(struct http_call *call, const struct err *why, void *arg) {
    struct fixture *f = arg;
    assert_true(why->text[0]);
    buf_adds(&f->log, "! ");
    f->why = why->code;
    f->ended++;
    if (f->act == AGAIN_IN_FAIL)
        again(f);
    else if (f->act == DESTROY_IN_FAIL)
        destroy(f);
}

static const struct http_call_ops ops = {on_head, on_body, on_end, on_fail};

static struct http_call *start(struct fixture *f, const char *method, struct span body) {
    struct err err;
    return http_call_start(f->peer, method, span_of("/x?y"), span_of("A: b\r\n"), body, &ops, f,
                           &err);
}

static struct http_call *get(struct fixture *f) { return start(f, "GET", span_of("")); }

static void again(struct fixture *f) {
    f->act = NOTHING;
    f->again = get(f);
    assert_non_null(f->again);
}

static void fixture_init(struct fixture *f, bool tcp) {
    struct err err = {0};
    *f = (struct fixture){.fds_before = count_fds()};
    f->loop = loop_create(&err);
    buf_init(&f->log, 64 << 20);
    snprintf(f->path, sizeof f->path, "/tmp/test-client-%d.sock", (int)getpid());
    f->listener = tcp ? http_listen_tcp("127.0.0.1", 0, &err) : http_listen_unix(f->path, &err);
    assert_true(f->listener >= 0);
    struct sockaddr_in where = {0};
    socklen_t length = sizeof where;
    if (tcp)
        getsockname(f->listener, (struct sockaddr *)&where, &length);
    f->peer = http_peer_create(f->loop, tcp ? NULL : f->path, "127.0.0.1", ntohs(where.sin_port));
}

static void fixture_fini(struct fixture *f) {
    http_peer_destroy(f->peer);
    PUMP_UNTIL(f->loop, event_base_get_num_events(loop_base(f->loop), EVENT_BASE_COUNT_ADDED) == 0);
    if (f->listener >= 0)
        close(f->listener);
    loop_destroy(f->loop);
    buf_fini(&f->log);
    unlink(f->path);
    assert_int_equal(count_fds(), f->fds_before);
}

// The scripted server's side of the next connection, its request read up to the empty line.
static int take(struct fixture *f) {
    int fd = -1;
    PUMP_UNTIL(f->loop, (fd = accept(f->listener, NULL, NULL)) >= 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void read_request(struct fixture *f, int fd, const char *expected) {
    struct buf got;
    buf_init(&got, 1 << 20);
    PUMP_UNTIL(f->loop, (raw_read(fd, &got),
                         strstr(buf_text(&got), "\r\n\r\n") && got.length >= strlen(expected)));
    if (strstr(buf_text(&got), "Host: localhost\r\n")) // over TCP it has the port
        assert_string_equal(buf_text(&got), expected);
    buf_fini(&got);
}

#define GET "GET /x?y HTTP/1.1\r\nHost: localhost\r\nA: b\r\n\r\n"
#define HEAD "HEAD /x?y HTTP/1.1\r\nHost: localhost\r\nA: b\r\n\r\n"
#define POST "POST /x?y HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nA: b\r\n\r\nhello"
#define OK "HTTP/1.1 200 OK\r\n"

static const struct {
    const char *method, *reply; // the connection is closed behind it
    const char *log;
    bool stays_open, reused;
} answers[] = {
    {"GET", OK "Content-Length: 2\r\n\r\nab", "200 ab. ", true, true},
    {"GET", OK "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n", "200 ab. ", true,
     true},
    {"GET", OK "Content-Length: 0\r\n\r\n", "200 . ", true, true},
    {"GET", OK "Content-Length: 2\r\nConnection: close\r\n\r\nab", "200 ab. ", true, false},
    {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab", "200 ab. ", true, false},
    {"GET", "HTTP/1.1 204 No Content\r\n\r\n", "204 . ", true, true},
    {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "304 . ", true, true},
    {"GET", "HTTP/1.1 503 Wait\r\nContent-Length: 2\r\n\r\nno", "503 no. ", true, true},
    {"HEAD", OK "Content-Length: 2\r\n\r\n", "200 . ", true, true},
    {"HEAD", "HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 2\r\n\r\n", "200 . ", true, true},
    {"GET",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\n" OK
     "Content-Length: 2\r\n\r\nab",
     "200 ab. ", true, true},
    {"GET", OK "\r\nab", "200 ab. ", false, false},
    {"GET", OK "\r\n", "200 . ", false, false},
    {"GET", "HTTP/1.0 200 OK\r\n\r\nab", "200 ab. ", false, false},
    // More than was asked for: the answer counts, the connection does not
    {"GET", OK "Content-Length: 2\r\n\r\nabc", "200 ab. ", true, false},
    {"GET", OK "Content-Length: 2\r\n\r\nab" OK "Content-Length: 6\r\n\r\npoison", "200 ab. ", true,
     false},
    // Cut or wrong
    {"GET", "", "! ", false, false},
    {"GET", "\r\n", "! ", false, false},
    {"GET", "HTTP/1.1 100 Continue\r\n\r\n", "! ", false, false},
    {"GET", "HTTP/1.1 2", "! ", false, false},
    {"GET", OK "Content-Length: 5\r\n\r\nab", "200 ab! ", false, false},
    {"GET", OK "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", "200 ab! ", false, false},
    {"GET", OK "Transfer-Encoding: chunked\r\n\r\n2\r\nabXX", "200 ab! ", true, false},
    {"GET", OK "Content-Length: 2\r\nContent-Length: 3\r\n\r\nab", "! ", true, false},
    {"GET", "nonsense\r\n\r\n", "! ", true, false},
};

// Each answer, cut into pieces or not, and whether the connection serves a second call.
static void test_answers(void **state) {
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        for (int whole = 0; whole < 2; whole++) {
            struct fixture f;
            fixture_init(&f, false);
            assert_non_null(start(&f, answers[i].method, span_of("")));
            assert_int_equal(f.ended, 0); // never before it returns
            int fd = take(&f);
            read_request(&f, fd, strcmp(answers[i].method, "HEAD") == 0 ? HEAD : GET);
            size_t length = strlen(answers[i].reply), step = whole ? length : 1;
            for (size_t at = 0; at < length; at += step) {
                if (!raw_send(f.loop, fd, answers[i].reply + at, step))
                    break;
                pump(f.loop);
            }
            if (!answers[i].stays_open)
                close(fd);
            PUMP_UNTIL(f.loop, f.ended);
            pump_some(f.loop);
            if (strcmp(buf_text(&f.log), answers[i].log) != 0)
                fail_msg("%s\nexpected %s\ngot      %s", answers[i].reply, answers[i].log,
                         buf_text(&f.log));
            assert_int_equal(f.ended, 1);
            assert_int_equal(http_peer_idle(f.peer), answers[i].reused);
            if (answers[i].stays_open)
                close(fd);
            PUMP_UNTIL(f.loop, http_peer_idle(f.peer) == 0); // the peer closed it
            fixture_fini(&f);
        }
}

static void test_request(void **state) {
    struct fixture f;
    fixture_init(&f, false);
    start(&f, "POST", span_of("hello"));
    int fd = take(&f);
    read_request(&f, fd, POST);
    raw_send(f.loop, fd, OK "Content-Length: 0\r\n\r\n", 38);
    PUMP_UNTIL(f.loop, f.ended);
    get(&f); // on the same connection
    assert_int_equal(http_peer_idle(f.peer), 0);
    read_request(&f, fd, GET);
    raw_send(f.loop, fd, OK "Content-Length: 1\r\n\r\nx", 39);
    PUMP_UNTIL(f.loop, f.ended == 2);
    assert_string_equal(buf_text(&f.log), "200 . 200 x. ");
    close(fd);
    fixture_fini(&f);
}

static void test_cannot_connect(void **state) {
    struct fixture f;
    fixture_init(&f, false);
    close(f.listener);
    f.listener = -1;
    assert_null(get(&f));
    unlink(f.path);
    assert_null(get(&f));
    fixture_fini(&f);

    fixture_init(&f, true);
    close(f.listener);
    f.listener = -1;
    if (get(&f)) // TCP may learn of it at once or later
        PUMP_UNTIL(f.loop, f.ended);
    assert_true(f.ended == 0 || strcmp(buf_text(&f.log), "! ") == 0);
    fixture_fini(&f);
}

static void test_head_too_large(void **state) {
    struct fixture f;
    struct err err = {0};
    fixture_init(&f, false);
    char *field = mem_alloc(70000);
    memset(field, 'a', 70000);
    assert_null(http_call_start(f.peer, "GET", span_of("/"), (struct span){field, 70000},
                                span_of(""), &ops, &f, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    mem_free(field);
    fixture_fini(&f);
}

// --- A kept connection that the peer closes just as it is used again

static int keep_one(struct fixture *f) {
    get(f);
    int fd = take(f);
    read_request(f, fd, GET);
    raw_send(f->loop, fd, OK "Content-Length: 0\r\n\r\n", 38);
    PUMP_UNTIL(f->loop, f->ended);
    assert_int_equal(http_peer_idle(f->peer), 1);
    return fd;
}

static void test_retry(void **state) {
    for (int tcp = 0; tcp < 2; tcp++) {
        struct fixture f;
        fixture_init(&f, tcp);
        int fd = keep_one(&f);
        close(fd); // not seen yet: the loop has not run
        assert_non_null(start(&f, "POST", span_of("hello")));
        assert_int_equal(http_peer_idle(f.peer), 0);
        fd = take(&f);
        read_request(&f, fd, POST);
        raw_send(f.loop, fd, OK "Content-Length: 1\r\n\r\nx", 39);
        PUMP_UNTIL(f.loop, f.ended == 2);
        assert_string_equal(buf_text(&f.log), "200 . 200 x. ");
        close(fd);
        fixture_fini(&f);
    }
}

static void test_retry_once(void **state) {
    struct fixture f;
    fixture_init(&f, false);
    close(keep_one(&f));
    get(&f);
    close(take(&f)); // the new one too
    PUMP_UNTIL(f.loop, f.ended == 2);
    pump_some(f.loop);
    assert_string_equal(buf_text(&f.log), "200 . ! ");
    assert_int_equal(accept(f.listener, NULL, NULL), -1);
    fixture_fini(&f);
}

static void test_no_retry_once_answered(void **state) {
    struct fixture f;
    fixture_init(&f, false);
    int fd = keep_one(&f);
    get(&f);
    read_request(&f, fd, GET);
    raw_send(f.loop, fd, "HTTP/1.1 2", 10);
    close(fd);
    PUMP_UNTIL(f.loop, f.ended == 2);
    assert_string_equal(buf_text(&f.log), "200 . ! ");
    fixture_fini(&f);
}

static void test_speaks_unasked(void **state) {
    struct fixture f;
    fixture_init(&f, false);
    int fd = keep_one(&f);
    raw_send(f.loop, fd, OK "Content-Length: 6\r\n\r\npoison", 44);
    PUMP_UNTIL(f.loop, http_peer_idle(f.peer) == 0);
    close(fd);
    fixture_fini(&f);
}

// --- Cancel, pause

static bool peer_left(int fd) {
    struct buf got;
    buf_init(&got, 1 << 20);
    bool left = raw_read(fd, &got);
    buf_fini(&got);
    return left;
}

static void test_cancel(void **state) {
    for (int act = NOTHING; act <= CANCEL_IN_BODY; act++) {
        struct fixture f;
        fixture_init(&f, false);
        struct http_call *call = get(&f);
        int fd = take(&f);
        read_request(&f, fd, GET);
        f.act = act;
        if (act == NOTHING)
            http_call_cancel(call); // before the first byte
        else
            raw_send(f.loop, fd, OK "Content-Length: 5\r\n\r\nhello", 43);
        PUMP_UNTIL(f.loop, peer_left(fd));
        assert_int_equal(f.ended, 0); // no callback comes any more
        assert_int_equal(http_peer_idle(f.peer), 0);
        close(fd);
        fixture_fini(&f);
    }
}

static void test_pause(void **state) {
    struct fixture f;
    fixture_init(&f, false);
    struct http_call *call = get(&f);
    int fd = take(&f);
    read_request(&f, fd, GET);
    raw_send(f.loop, fd, OK "Content-Length: 8000000\r\n\r\n", 44);
    PUMP_UNTIL(f.loop, f.log.length);
    http_call_pause(call);
    char *block = mem_alloc(65536);
    size_t sent = 0;
    ssize_t n;
    for (int i = 0; i < 1000; i++, pump(f.loop)) // until the kernel takes no more
        while ((n = send(fd, block, 65536, MSG_NOSIGNAL)) > 0)
            sent += (size_t)n;
    assert_true(sent < 8000000);
    assert_string_equal(buf_text(&f.log), "200 ");
    http_call_resume(call);
    while (sent < 8000000) {
        size_t left = 8000000 - sent < 65536 ? 8000000 - sent : 65536;
        assert_true(raw_send(f.loop, fd, block, left));
        sent += left;
    }
    PUMP_UNTIL(f.loop, f.ended);
    assert_int_equal(f.log.length, 4 + 8000000 + 2);
    mem_free(block);
    close(fd);
    fixture_fini(&f);
}

// --- From inside the callbacks (for the sanitizers to watch)

static void test_again_inside(void **state) {
    struct fixture f;
    fixture_init(&f, false);
    f.act = AGAIN_IN_END;
    get(&f);
    int fd = take(&f);
    read_request(&f, fd, GET);
    raw_send(f.loop, fd, OK "Content-Length: 1\r\n\r\na", 39);
    PUMP_UNTIL(f.loop, f.again);
    read_request(&f, fd, GET); // it went out on the connection that had just become free
    raw_send(f.loop, fd, OK "Content-Length: 1\r\n\r\nb", 39);
    PUMP_UNTIL(f.loop, f.ended == 2);
    close(fd);
    PUMP_UNTIL(f.loop, http_peer_idle(f.peer) == 0);
    f.act = AGAIN_IN_FAIL;
    get(&f);
    close(take(&f));
    fd = take(&f);
    read_request(&f, fd, GET);
    raw_send(f.loop, fd, OK "Content-Length: 1\r\n\r\nc", 39);
    PUMP_UNTIL(f.loop, f.ended == 4);
    assert_string_equal(buf_text(&f.log), "200 a. 200 b. ! 200 c. ");
    close(fd);
    fixture_fini(&f);
}

// What a peer sends behind its answer must not become the answer to the call started in on_end.
static void test_surplus_is_no_answer(void **state) {
    struct fixture f;
    fixture_init(&f, false);
    f.act = AGAIN_IN_END;
    get(&f);
    int fd = take(&f);
    read_request(&f, fd, GET);
    raw_send(f.loop, fd, OK "Content-Length: 1\r\n\r\na" OK "Content-Length: 6\r\n\r\npoison", 83);
    PUMP_UNTIL(f.loop, f.again);
    int second = take(&f);
    raw_send(f.loop, second, OK "Content-Length: 1\r\n\r\nb", 39);
    PUMP_UNTIL(f.loop, f.ended == 2);
    assert_string_equal(buf_text(&f.log), "200 a. 200 b. ");
    close(fd);
    close(second);
    fixture_fini(&f);
}

static void test_destroy_inside(void **state) {
    for (int act = DESTROY_IN_END; act <= DESTROY_IN_FAIL; act++) {
        struct fixture f;
        fixture_init(&f, false);
        f.act = act;
        get(&f);
        int fd = take(&f);
        read_request(&f, fd, GET);
        if (act == DESTROY_IN_END)
            raw_send(f.loop, fd, OK "Content-Length: 1\r\n\r\na", 39);
        close(fd);
        PUMP_UNTIL(f.loop, !f.peer);
        fixture_fini(&f);
    }
}

// --- An answer that comes before the request is sent

static void test_early_answer(void **state) {
    for (int kept = 0; kept < 2; kept++) {
        struct fixture f;
        fixture_init(&f, false);
        char *body = mem_alloc(4 << 20);
        memset(body, 'x', 4 << 20);
        start(&f, "POST", (struct span){body, 4 << 20});
        int fd = take(&f);
        pump_some(f.loop);
        raw_send(f.loop, fd, "HTTP/1.1 413 No\r\nContent-Length: 1\r\n\r\nx", 39);
        if (!kept)
            close(fd); // most of the body was never read
        PUMP_UNTIL(f.loop, f.ended);
        mem_free(body);
        assert_string_equal(buf_text(&f.log), "413 x. ");
        assert_int_equal(http_peer_idle(f.peer), 0); // half a request is on it
        if (kept)
            close(fd);
        fixture_fini(&f);
    }
}

// --- Against our own server

static void on_request(struct http_exchange *exchange, void *arg) {
    struct span body = http_exchange_body(exchange);
    http_reply_begin(exchange, 200, NULL, body.length % 2 ? -1 : (int64_t)body.length);
    http_reply_body(exchange, body.data, body.length);
    http_reply_end(exchange);
}

static const struct http_handler handler = {.on_request = on_request};

static void talk_to_ourselves(struct fixture *f) {
    struct err err;
    struct http_server_limits limits = http_server_default_limits;
    struct http_server *server = http_server_create(f->loop, &limits, &handler, NULL);
    assert_true(http_server_listen(server, dup(f->listener), &err));
    char *body = mem_alloc(3000000);
    size_t total = 0;
    for (size_t i = 0; i < 40; i++) {
        size_t length = i * i * i * 45;
        start(f, "POST", (struct span){body, length});
        if (i % 3 == 0)
            PUMP_UNTIL(f->loop, f->ended == i + 1); // else several at once
        total += length + strlen("200 . ");
    }
    PUMP_UNTIL(f->loop, f->ended == 40);
    assert_int_equal(f->log.length, total);
    http_peer_close_idle(f->peer);
    PUMP_UNTIL(f->loop, http_server_connections(server) == 0);
    http_server_destroy(server);
    mem_free(body);
}

// An address with colons stands in brackets in Host.
static void test_ipv6(void **state) {
    struct fixture f;
    struct err err;
    struct sockaddr_in6 where = {0};
    socklen_t length = sizeof where;
    int listener = http_listen_tcp("::1", 0, &err);
    if (listener < 0)
        skip(); // no IPv6 on this machine
    fixture_init(&f, false);
    f.fds_before--;
    close(f.listener);
    f.listener = listener;
    getsockname(listener, (struct sockaddr *)&where, &length);
    http_peer_destroy(f.peer);
    f.peer = http_peer_create(f.loop, NULL, "::1", ntohs(where.sin6_port));
    assert_non_null(get(&f));
    int fd = take(&f);
    struct buf got;
    char host[40];
    buf_init(&got, 4096);
    PUMP_UNTIL(f.loop, (raw_read(fd, &got), strstr(buf_text(&got), "\r\n\r\n")));
    snprintf(host, sizeof host, "Host: [::1]:%u\r\n", ntohs(where.sin6_port));
    assert_non_null(strstr(buf_text(&got), host));
    buf_fini(&got);
    raw_send(f.loop, fd, OK "Content-Length: 1\r\n\r\nx", 39);
    PUMP_UNTIL(f.loop, f.ended);
    assert_string_equal(buf_text(&f.log), "200 x. ");
    close(fd);
    fixture_fini(&f);
}

static void test_own_server(void **state) {
    for (int tcp = 0; tcp < 2; tcp++) {
        struct fixture f;
        fixture_init(&f, tcp);
        talk_to_ourselves(&f);
        fixture_fini(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_cannot_connect),
        cmocka_unit_test(test_head_too_large),
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_retry_once),
        cmocka_unit_test(test_no_retry_once_answered),
        cmocka_unit_test(test_speaks_unasked),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_again_inside),
        cmocka_unit_test(test_surplus_is_no_answer),
        cmocka_unit_test(test_destroy_inside),
        cmocka_unit_test(test_early_answer),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_own_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
