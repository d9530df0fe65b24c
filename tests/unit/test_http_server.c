// The server on a real loop, spoken to by raw sockets.
#include "http/server.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loopback.h"

struct fixture {
    struct loop *loop;
    struct http_server *server;
    struct http_server_limits limits;
    int listener, fds_before;
    struct http_exchange *held; // the last one that waits for its reply
    unsigned requests, gone, malformed, drained;
    enum err_code why;
    struct buf streamed; // of the last body that came in pieces
    bool destroy_in_head, destroy_in_request, destroy_in_gone, destroy_in_drain;
};

static void destroy(struct fixture *f) {
    struct http_server *server = f->server;
    f->server = NULL;
    http_server_destroy(server);
}

static bool asks(struct http_exchange *exchange, const char *path) {
    return span_is(http_head_path(http_exchange_head(exchange)), path);
}

static void on_head(struct http_exchange *exchange, void *arg) {
    struct fixture *f = arg;
    if (f->destroy_in_head)
        destroy(f);
    else if (asks(exchange, "/early"))
        http_reply(exchange, 403, NULL, NULL, "early", 5);
    else if (asks(exchange, "/early-held")) {
        http_reply_begin(exchange, 200, NULL, -1);
        f->held = exchange;
    } else if (asks(exchange, "/stream")) {
        buf_clear(&f->streamed);
        http_exchange_stream_body(exchange, 3000);
    }
}

static void on_body(struct http_exchange *exchange, const char *bytes, size_t length, void *arg) {
    struct fixture *f = arg;
    buf_add(&f->streamed, bytes, length);
    if (memchr(bytes, '!', length))
        http_reply(exchange, 403, NULL, NULL, "no", 2);
}

// Handlers by path; what is not known is echoed.
static void on_request(struct http_exchange *exchange, void *arg) {
    struct fixture *f = arg;
    struct span body = http_exchange_body(exchange);
    f->requests++;
    if (f->destroy_in_request) {
        destroy(f);
    } else if (asks(exchange, "/hold")) {
        f->held = exchange;
        http_exchange_set_data(exchange, f);
    } else if (asks(exchange, "/stream")) {
        assert_int_equal(body.length, 0);
        http_reply(exchange, 200, NULL, NULL, buf_bytes(&f->streamed), f->streamed.length);
    } else if (asks(exchange, "/chunks")) {
        http_reply_begin(exchange, 200, "X: y\r\n", -1);
        http_reply_body(exchange, "one", 3);
        http_reply_body(exchange, "", 0);
        http_reply_body(exchange, "two", 3);
        http_reply_end(exchange);
    } else if (asks(exchange, "/abort")) {
        http_reply_begin(exchange, 200, NULL, -1);
        http_reply_body(exchange, "one", 3);
        http_reply_abort(exchange);
    } else if (asks(exchange, "/huge")) { // more than the queue holds, in one piece
        char *huge = mem_alloc(1 << 20);
        http_reply(exchange, 200, NULL, NULL, huge, 1 << 20);
        mem_free(huge);
    } else {
        assert_null(http_exchange_data(exchange));
        http_reply(exchange, 200, "text/plain", NULL, body.data, body.length);
    }
}

static void on_gone(struct http_exchange *exchange, const struct err *why, void *arg) {
    struct fixture *f = arg;
    f->gone++;
    f->why = why->code;
    if (f->held == exchange)
        f->held = NULL;
    if (f->destroy_in_gone)
        destroy(f);
}

static void on_drain(struct http_exchange *exchange, void *arg) {
    struct fixture *f = arg;
    f->drained++;
    if (f->destroy_in_drain) {
        f->destroy_in_drain = false;
        destroy(f);
    }
}

static const struct http_handler handler = {on_head, on_request, on_gone, on_drain, NULL, on_body};

static void listen_on(struct fixture *f, const char *address) {
    struct err err = {0};
    char path[64];
    if (address) {
        f->listener = http_listen_tcp(address, 0, &err);
    } else {
        snprintf(path, sizeof path, "/tmp/test-http-%d.sock", (int)getpid());
        f->listener = http_listen_unix(path, &err);
    }
    assert_true(f->listener >= 0);
    assert_true(http_server_listen(f->server, f->listener, &err));
}

static void fixture_init(struct fixture *f) {
    struct err err;
    *f = (struct fixture){.limits = http_server_default_limits, .fds_before = count_fds()};
    f->limits.body_bytes = 1000;
    f->limits.head.head_bytes = 1000;
    f->limits.write_queue_bytes = 256 * 1024;
    buf_init(&f->streamed, 1 << 20);
    f->loop = loop_create(&err);
}

static void fixture_start(struct fixture *f, const char *address) {
    f->server = http_server_create(f->loop, &f->limits, &handler, f);
    listen_on(f, address);
}

static void fixture_fini(struct fixture *f) {
    if (f->server)
        destroy(f);
    PUMP_UNTIL(f->loop, event_base_get_num_events(loop_base(f->loop), EVENT_BASE_COUNT_ADDED) == 0);
    loop_destroy(f->loop);
    buf_fini(&f->streamed);
    char path[64];
    snprintf(path, sizeof path, "/tmp/test-http-%d.sock", (int)getpid());
    unlink(path);
    assert_int_equal(count_fds(), f->fds_before); // nothing left open
}

static int is_answered(int fd, struct buf *got, size_t length, bool *end) {
    *end = raw_read(fd, got);
    return *end || got->length >= length;
}

#define H "Host: h\r\n"
#define OK(length) "HTTP/1.1 200 OK\r\nContent-Length: " length "\r\n"
#define TEXT "Content-Type: text/plain\r\n"
#define CLOSE "Connection: close\r\n"
#define ERROR(status, length)                                                                      \
    "HTTP/1.1 " status "\r\nContent-Length: " length "\r\n" CLOSE TEXT "\r\n"

static const struct {
    const char *request, *reply;
    bool closes;
} talks[] = {
    {"GET / HTTP/1.1\r\n" H "\r\n", OK("0") TEXT "\r\n", false},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello", OK("5") TEXT "\r\nhello", false},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
     OK("5") TEXT "\r\nhello", false},
    {"HEAD / HTTP/1.1\r\n" H "\r\n", OK("0") TEXT "\r\n", false},
    {"HEAD /chunks HTTP/1.1\r\n" H "\r\n",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n", false},
    {"GET /chunks HTTP/1.1\r\n" H "\r\n",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n",
     false},
    {"GET /chunks HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
     "HTTP/1.1 200 OK\r\n" CLOSE "X: y\r\n\r\nonetwo", true},
    {"GET / HTTP/1.0\r\n\r\n", OK("0") CLOSE TEXT "\r\n", true},
    {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
     OK("0") "Connection: keep-alive\r\n" TEXT "\r\n", false},
    {"GET / HTTP/1.1\r\n" H CLOSE "\r\nGET / HTTP/1.1\r\n" H "\r\n", OK("0") CLOSE TEXT "\r\n",
     true},
    // Pipelined
    {"POST / HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\naGET /chunks HTTP/1.1\r\n" H "\r\n"
     "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nb",
     OK("1") TEXT
     "\r\na"
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n" OK(
         "1") TEXT "\r\nb",
     false},
    {"GET / HTTP/1.1\r\n" H "\r\nnonsense\r\n\r\n",
     OK("0") TEXT
     "\r\n" ERROR("400 Bad Request", "47") "the request line is not METHOD TARGET VERSION",
     true},
    // Expect
    {"POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
     "HTTP/1.1 100 Continue\r\n\r\n" OK("2") TEXT "\r\nab", false},
    {"POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n",
     OK("0") TEXT "\r\n", false},
    {"POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n",
     ERROR("413 Content Too Large", "56") "the request body has 1001 bytes; at most 1000 are taken",
     true},
    {"POST /early HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
     "HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n" CLOSE "\r\nearly", true},
    // Replies from on_head
    {"GET /early HTTP/1.1\r\n" H "\r\nGET / HTTP/1.1\r\n" H "\r\n",
     "HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nearly" OK("0") TEXT "\r\n", false},
    {"POST /early HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n" H "\r\n",
     "HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n" CLOSE "\r\nearly", true},
    // Bodies that are not kept
    {"POST /stream HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n" H "\r\n",
     OK("5") "\r\nhello" OK("0") TEXT "\r\n", false},
    {"POST /stream HTTP/1.1\r\n" H
     "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n1\r\ny\r\n0\r\n\r\n",
     OK("3") "\r\nhey", false},
    {"POST /stream HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", OK("0") "\r\n", false},
    {"POST /stream HTTP/1.1\r\n" H "Content-Length: 900\r\n\r\nhey!",
     "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n" CLOSE "\r\nno", true},
    // Cut replies: no last chunk
    {"GET /abort HTTP/1.1\r\n" H "\r\n",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n", true},
    {"GET /huge HTTP/1.1\r\n" H "\r\nGET / HTTP/1.1\r\n" H "\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n", true},
    // Refused
    {"GET / HTTP/1.1\r\n\r\n",
     ERROR("400 Bad Request", "50") "an HTTP/1.1 request needs exactly one Host header", true},
    {"GET / HTTP/3.0\r\n" H "\r\n",
     ERROR("505 HTTP Version Not Supported", "45") "only HTTP/1.0 and HTTP/1.1 are spoken here",
     true},
};

// The length of a text of ours is not the point: compare up to the number, and the body.
static bool same_reply(const char *got, const char *expected) {
    while (*got && *expected) {
        if (strncmp(got, "Content-Length: ", 16) == 0 &&
            strncmp(expected, "Content-Length: ", 16) == 0) {
            got += strcspn(got, "\r");
            expected += strcspn(expected, "\r");
        }
        if (*got++ != *expected++)
            return false;
    }
    return *got == *expected;
}

static void run_talk(struct fixture *f, size_t i, size_t piece) {
    struct buf got;
    buf_init(&got, 1 << 22);
    int fd = raw_connect(f->listener);
    size_t length = strlen(talks[i].request);
    bool end = false;
    for (size_t at = 0; at < length && !end; at += piece) {
        size_t n = length - at < piece ? length - at : piece;
        if (!raw_send(f->loop, fd, talks[i].request + at, n))
            break; // it has answered and closed
        pump(f->loop);
    }
    size_t expected = strlen(talks[i].reply) - (strchr(talks[i].reply, '!') ? 1 : 0);
    if (talks[i].closes)
        PUMP_UNTIL(f->loop, raw_read(fd, &got));
    else
        PUMP_UNTIL(f->loop, is_answered(fd, &got, expected, &end));
    pump_some(f->loop);
    raw_read(fd, &got);
    if (!same_reply(buf_text(&got), talks[i].reply))
        fail_msg("in pieces of %zu: %s\nexpected %s\ngot      %s", piece, talks[i].request,
                 talks[i].reply, buf_text(&got));
    if (!talks[i].closes)
        assert_int_equal(http_server_connections(f->server), 1);
    close(fd);
    PUMP_UNTIL(f->loop, http_server_connections(f->server) == 0);
    assert_int_equal(f->gone, 0);
    buf_fini(&got);
}

static void test_talks(void **state) {
    static const char *const addresses[] = {NULL, "127.0.0.1", "::1"};
    for (size_t a = 0; a < 3; a++) {
        struct fixture f;
        fixture_init(&f);
        fixture_start(&f, addresses[a]);
        for (size_t i = 0; i < sizeof talks / sizeof *talks; i++) {
            run_talk(&f, i, 100000);
            run_talk(&f, i, a ? 7 : 1);
        }
        fixture_fini(&f);
    }
}

// --- Clients that leave

static void open_held(struct fixture *f, int *fd) {
    static const char request[] = "GET /hold HTTP/1.1\r\n" H "\r\n";
    *fd = raw_connect(f->listener);
    assert_true(raw_send(f->loop, *fd, request, sizeof request - 1));
    PUMP_UNTIL(f->loop, f->held);
}

enum farewell { CLOSE_FD, RESET, HALF_CLOSE };

static void test_leaving(void **state) {
    for (int how = CLOSE_FD; how <= HALF_CLOSE; how++)
        for (int begun = 0; begun < 3; begun++)
            for (int tcp = 0; tcp < 2; tcp++) {
                struct fixture f;
                int fd;
                fixture_init(&f);
                fixture_start(&f, tcp ? "127.0.0.1" : NULL);
                open_held(&f, &fd);
                if (begun)
                    http_reply_begin(f.held, 200, NULL, -1);
                if (begun == 2)
                    http_reply_body(f.held, "x", 1);
                pump(f.loop);
                if (how == HALF_CLOSE)
                    shutdown(fd, SHUT_WR);
                else if (how == RESET)
                    raw_reset(fd);
                else
                    close(fd);
                PUMP_UNTIL(f.loop, f.gone);
                pump_some(f.loop);
                assert_int_equal(f.gone, 1);
                assert_int_equal(http_server_connections(f.server), 0);
                if (how == HALF_CLOSE)
                    close(fd);
                fixture_fini(&f);
            }
}

static void test_leaving_with_pipelined_bytes(void **state) {
    struct fixture f;
    int fd;
    fixture_init(&f);
    fixture_start(&f, NULL);
    open_held(&f, &fd);
    char *noise = mem_alloc(200 * 1024);
    raw_send(f.loop, fd, noise, 200 * 1024); // more than is kept for later
    mem_free(noise);
    pump_some(f.loop);
    assert_int_equal(f.gone, 0);
    close(fd);
    PUMP_UNTIL(f.loop, f.gone);
    fixture_fini(&f);
}

// --- Back-pressure

static void test_slow_reader(void **state) {
    struct fixture f;
    struct buf got;
    int fd;
    fixture_init(&f);
    f.limits.write_queue_bytes = 4 << 20;
    fixture_start(&f, "127.0.0.1");
    buf_init(&got, 64 << 20);
    open_held(&f, &fd);
    char block[32768];
    memset(block, 'x', sizeof block);
    http_reply_begin(f.held, 200, NULL, -1);
    size_t sent = 0;
    while (http_reply_backlog(f.held) < (1 << 20)) { // until the kernel takes no more
        assert_true(http_reply_body(f.held, block, sizeof block));
        sent += sizeof block;
        pump(f.loop);
    }
    unsigned drained = f.drained;
    pump_some(f.loop);
    assert_int_equal(f.drained, drained);
    PUMP_UNTIL(f.loop, (raw_read(fd, &got), f.drained > drained));
    assert_int_equal(http_reply_backlog(f.held), 0);
    http_reply_end(f.held);
    PUMP_UNTIL(f.loop,
               (raw_read(fd, &got),
                got.length > 5 && memcmp(buf_bytes(&got) + got.length - 5, "0\r\n\r\n", 5) == 0));
    size_t count = 0;
    for (size_t i = 0; i < got.length; i++)
        count += buf_bytes(&got)[i] == 'x';
    assert_int_equal(count, sent);
    close(fd);
    buf_fini(&got);
    fixture_fini(&f);
}

static void test_queue_bound(void **state) {
    struct fixture f;
    int fd;
    fixture_init(&f);
    fixture_start(&f, NULL);
    open_held(&f, &fd);
    char block[32768] = {0};
    http_reply_begin(f.held, 200, NULL, -1);
    int pieces = 0;
    while (http_reply_body(f.held, block, sizeof block)) {
        assert_true(++pieces < 1000);
        pump(f.loop);
    }
    assert_true(http_reply_backlog(f.held) <= f.limits.write_queue_bytes);
    struct buf got;
    buf_init(&got, 4 << 20);
    PUMP_UNTIL(f.loop, (raw_read(fd, &got), http_reply_backlog(f.held) == 0));
    assert_false(http_reply_body(f.held, "x", 1)); // there is a hole: never go on
    http_reply_end(f.held);
    PUMP_UNTIL(f.loop, raw_read(fd, &got));
    assert_memory_not_equal(buf_bytes(&got) + got.length - 5, "0\r\n\r\n", 5);
    buf_fini(&got);
    close(fd);
    fixture_fini(&f);
}

static void test_write_timeout(void **state) {
    struct fixture f;
    int fd;
    fixture_init(&f);
    f.limits.write_timeout_ms = 20;
    fixture_start(&f, NULL);
    open_held(&f, &fd);
    char block[32768] = {0};
    http_reply_begin(f.held, 200, NULL, -1);
    while (f.held && http_reply_body(f.held, block, sizeof block))
        pump(f.loop);
    PUMP_UNTIL(f.loop, f.gone);
    assert_int_equal(f.gone, 1);
    assert_int_equal(f.why, ERR_TIMEOUT);
    close(fd);
    fixture_fini(&f);
}

// --- Deadlines and bounds

static void test_deadlines(void **state) {
    static const struct {
        const char *sent, *reply;
    } cases[] = {
        {"", "HTTP/1.1 408 "},
        {"GET / HT", "HTTP/1.1 408 "},
        {"\r\n", "HTTP/1.1 408 "},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhe", "HTTP/1.1 408 "},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5", "HTTP/1.1 408 "},
        {"GET / HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 200 "}, // then it is idle
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct buf got;
        fixture_init(&f);
        f.limits.head_timeout_ms = f.limits.body_timeout_ms = f.limits.idle_timeout_ms = 20;
        fixture_start(&f, NULL);
        buf_init(&got, 10000);
        int fd = raw_connect(f.listener);
        raw_send(f.loop, fd, cases[i].sent, strlen(cases[i].sent));
        PUMP_UNTIL(f.loop, raw_read(fd, &got));
        assert_memory_equal(buf_text(&got), cases[i].reply, strlen(cases[i].reply));
        assert_int_equal(f.gone, 0);
        close(fd);
        buf_fini(&got);
        fixture_fini(&f);
    }
}

static void test_connection_limit(void **state) {
    struct fixture f;
    struct buf got;
    fixture_init(&f);
    f.limits.connections = 2;
    fixture_start(&f, NULL);
    buf_init(&got, 10000);
    int first = raw_connect(f.listener), second = raw_connect(f.listener);
    PUMP_UNTIL(f.loop, http_server_connections(f.server) == 2);
    int third = raw_connect(f.listener);
    PUMP_UNTIL(f.loop, raw_read(third, &got));
    assert_non_null(strstr(buf_text(&got), "HTTP/1.1 503 "));
    close(first);
    PUMP_UNTIL(f.loop, http_server_connections(f.server) == 1);
    int fourth = raw_connect(f.listener);
    PUMP_UNTIL(f.loop, http_server_connections(f.server) == 2);
    close(second);
    close(third);
    close(fourth);
    buf_fini(&got);
    fixture_fini(&f);
}

// A body of 600 bytes, held unanswered; the next one finds no room until the first is answered.
static void test_held_bytes(void **state) {
    struct fixture f;
    struct buf got;
    char request[1000];
    fixture_init(&f);
    f.limits.held_bytes = 1000;
    fixture_start(&f, NULL);
    buf_init(&got, 10000);
    snprintf(request, sizeof request,
             "POST /hold HTTP/1.1\r\n" H "Content-Length: 600\r\n\r\n%0600d", 0);
    int first = raw_connect(f.listener), second = raw_connect(f.listener);
    raw_send(f.loop, first, request, strlen(request));
    PUMP_UNTIL(f.loop, f.held);
    raw_send(f.loop, second, request, strlen(request));
    PUMP_UNTIL(f.loop, raw_read(second, &got));
    assert_non_null(strstr(buf_text(&got), "HTTP/1.1 503 "));
    close(second);
    http_reply(f.held, 200, NULL, NULL, "", 0);
    f.held = NULL;
    second = raw_connect(f.listener);
    raw_send(f.loop, second, request, strlen(request));
    PUMP_UNTIL(f.loop, f.held);
    http_exchange_drop_body(f.held);
    assert_int_equal(http_exchange_body(f.held).length, 0);
    close(first);
    close(second);
    buf_fini(&got);
    fixture_fini(&f);
}

static void test_body_limit_shrinks(void **state) {
    struct fixture f;
    struct buf got;
    fixture_init(&f);
    fixture_start(&f, NULL);
    buf_init(&got, 10000);
    int fd = raw_connect(f.listener);
    static const char head[] = "POST / HTTP/1.1\r\n" H "Content-Length: 600\r\n\r\n0123456789";
    raw_send(f.loop, fd, head, sizeof head - 1);
    pump_some(f.loop);
    http_server_set_body_limit(f.server, 5); // a reload
    raw_send(f.loop, fd, "0123456789", 10);
    PUMP_UNTIL(f.loop, raw_read(fd, &got));
    assert_non_null(strstr(buf_text(&got), "HTTP/1.1 413 "));
    assert_int_equal(f.requests, 0);
    close(fd);
    buf_fini(&got);
    fixture_fini(&f);
}

// The answer comes while the body is still on its way: it is read and dropped, and the client
// gets to read the answer.
static void stream_to(struct fixture *f, const char *head, size_t bytes, bool leave) {
    struct buf got;
    char body[256];
    buf_init(&got, 1 << 20);
    memset(body, 'a', sizeof body);
    int fd = raw_connect(f->listener);
    bool open = raw_send(f->loop, fd, head, strlen(head));
    for (size_t sent = 0; open && sent < bytes; sent += sizeof body)
        open = raw_send(f->loop, fd, body, sizeof body);
    if (leave) {
        PUMP_UNTIL(f->loop, f->streamed.length >= bytes);
        close(fd);
    } else {
        PUMP_UNTIL(f->loop, raw_read(fd, &got));
        close(fd);
    }
    PUMP_UNTIL(f->loop, http_server_connections(f->server) == 0);
    if (!leave)
        assert_non_null(strstr(buf_text(&got), "413"));
    buf_fini(&got);
}

// Whoever saw a part of a body hears that the rest never comes; once.
static void test_streams_that_never_end(void **state) {
    static const char LENGTH[] = "POST /stream HTTP/1.1\r\n" H "Content-Length: 2560\r\n\r\n";
    static const char CHUNK[] =
        "POST /stream HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nf00\r\n";
    static const char LARGE[] = "POST /stream HTTP/1.1\r\n" H "Content-Length: 3001\r\n\r\n";
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f, NULL);
    stream_to(&f, LENGTH, 1024, true);
    assert_int_equal(f.gone, 1);
    assert_int_equal(f.streamed.length, 1024);
    stream_to(&f, CHUNK, 0xf00, false); // more than the 3000 that were asked for
    assert_int_equal(f.gone, 2);
    assert_int_equal(f.why, ERR_LIMIT);
    assert_true(f.streamed.length <= 3000);
    stream_to(&f, LARGE, 0, false);
    assert_int_equal(f.gone, 3);
    assert_int_equal(f.requests, 0);
    f.limits.body_timeout_ms = 30;
    destroy(&f);
    fixture_start(&f, "127.0.0.1");
    int fd = raw_connect(f.listener);
    raw_send(f.loop, fd, LENGTH, strlen(LENGTH));
    PUMP_UNTIL(f.loop, f.gone == 4);
    assert_int_equal(f.why, ERR_TIMEOUT);
    close(fd);
    PUMP_UNTIL(f.loop, http_server_connections(f.server) == 0);
    assert_int_equal(f.gone, 4);
    fixture_fini(&f);
}

static void test_early_answer(void **state) {
    for (int tcp = 0; tcp < 2; tcp++) {
        struct fixture f;
        struct buf got;
        fixture_init(&f);
        f.limits.body_bytes = 1 << 20;
        fixture_start(&f, tcp ? "127.0.0.1" : NULL);
        buf_init(&got, 10000);
        int fd = raw_connect(f.listener);
        static const char head[] = "POST /early HTTP/1.1\r\n" H "Content-Length: 300000\r\n\r\n";
        raw_send(f.loop, fd, head, sizeof head - 1);
        char *body = mem_alloc(300000);
        raw_send(f.loop, fd, body, 300000);
        mem_free(body);
        shutdown(fd, SHUT_WR);
        PUMP_UNTIL(f.loop, raw_read(fd, &got));
        assert_non_null(strstr(buf_text(&got), "HTTP/1.1 403 "));
        assert_int_equal(f.requests, 0);
        close(fd);
        buf_fini(&got);
        fixture_fini(&f);
    }
}

static void test_stream_while_body_comes(void **state) {
    struct fixture f;
    struct buf got;
    fixture_init(&f);
    fixture_start(&f, NULL);
    buf_init(&got, 10000);
    int fd = raw_connect(f.listener);
    static const char head[] = "POST /early-held HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\n01234";
    raw_send(f.loop, fd, head, sizeof head - 1);
    PUMP_UNTIL(f.loop, f.held);
    raw_send(f.loop, fd, "56789GET / HTTP/1.1\r\n\r\n", 22);
    pump_some(f.loop);
    http_reply_body(f.held, "x", 1);
    http_reply_end(f.held);
    PUMP_UNTIL(f.loop, raw_read(fd, &got));
    assert_string_equal(buf_text(&got), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" CLOSE
                                        "\r\n1\r\nx\r\n0\r\n\r\n");
    assert_int_equal(f.requests, 0);
    close(fd);
    buf_fini(&got);
    fixture_fini(&f);
}

// --- The server ends inside each of its callbacks (for the sanitizers to watch)

static void test_destroy_inside(void **state) {
    for (int where = 0; where < 4; where++) {
        struct fixture f;
        fixture_init(&f);
        fixture_start(&f, NULL);
        int fd = raw_connect(f.listener), other = raw_connect(f.listener);
        static const char hold[] = "GET /hold HTTP/1.1\r\n" H "\r\n";
        static const char post[] = "POST / HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nab";
        raw_send(f.loop, other, hold, sizeof hold - 1);
        PUMP_UNTIL(f.loop, f.held);
        f.destroy_in_head = where == 0;
        f.destroy_in_request = where == 1;
        f.destroy_in_gone = where == 2;
        f.destroy_in_drain = where == 3;
        if (where == 2)
            close(other);
        else if (where == 3)
            http_reply_begin(f.held, 200, NULL, -1);
        else
            raw_send(f.loop, fd, post, sizeof post - 1);
        PUMP_UNTIL(f.loop, !f.server);
        pump_some(f.loop);
        assert_int_equal(f.gone, where < 2 ? 2 : 1); // each that owed a reply, once
        close(fd);
        if (where != 2)
            close(other);
        fixture_fini(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_talks),
        cmocka_unit_test(test_leaving),
        cmocka_unit_test(test_leaving_with_pipelined_bytes),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_queue_bound),
        cmocka_unit_test(test_write_timeout),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_connection_limit),
        cmocka_unit_test(test_held_bytes),
        cmocka_unit_test(test_body_limit_shrinks),
        cmocka_unit_test(test_streams_that_never_end),
        cmocka_unit_test(test_early_answer),
        cmocka_unit_test(test_stream_while_body_comes),
        cmocka_unit_test(test_destroy_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
