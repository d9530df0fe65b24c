#include "format/sse.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void record(void *arg, const struct sse_event *event) {
    buf_printf(arg, "%.*s(%.*s)%zu ", (int)event->name.length, event->name.data,
               (int)event->data.length, event->data.data, event->raw_bytes);
}

static const struct {
    const char *text, *expected;
} streams[] = {
    {"", ""},
    {"data: a\n\n", "message(a)9 "},
    {"data: a\r\n\r\ndata:b\r\n\r\n", "message(a)10 message(b)10 "},
    {"data: a\r\rdata: b\r\r", "message(a)9 message(b)9 "},
    {"event: ping\ndata: {}\n\n", "ping({})22 "},
    {"event: a\ndata: 1\n\ndata: 2\n\n", "a(1)18 message(2)9 "},
    {"data: a\ndata\ndata:  b\n\n", "message(a\n\n b)23 "},
    {": ping\n\ndata: a\n\n", "message(a)17 "},
    {"event: none\n\ndata: a\n\n", "message(a)22 "},
    {"data\n\n", "message()6 "},
    {"\xef\xbb\xbf"
     "data: a\n\n",
     "message(a)12 "},
    {"data: a\n\n\xef\xbb\xbf"
     "data: b\n\n",
     "message(a)9 "},
    {"id: 1\nretry: 5\ndatax: a\n data: b\ndata: c\n\n", "message(c)42 "},
    {"data: a\n", ""},
    {"data: [DONE]\n\n\n\ndata: b\n\n", "message([DONE])14 message(b)11 "},
    {"data: {\"x\":\"y: z\"}\n\n", "message({\"x\":\"y: z\"})20 "},
};

// Every stream in pieces of every size gives the same events.
static void test_streams(void **state) {
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
        size_t length = strlen(streams[i].text);
        for (size_t piece = 1; piece <= length + 1; piece++) {
            struct sse sse;
            struct buf events;
            buf_init(&events, 10000);
            sse_init(&sse, 100, record, &events);
            for (size_t done = 0; done < length; done += piece)
                sse_feed(&sse, streams[i].text + done,
                         piece < length - done ? piece : length - done);
            assert_string_equal(buf_text(&events), streams[i].expected);
            assert_int_equal(sse.skipped, 0);
            sse_fini(&sse);
            buf_fini(&events);
        }
    }
}

static void test_too_large(void **state) {
    static const struct {
        const char *text, *expected;
        unsigned skipped;
    } cases[] = {
        {"data: 12345\n\ndata: a\n\n", "message(12345)13 message(a)9 ", 0},
        {"data: 123456\n\ndata: a\n\n", "message(a)9 ", 1},
        {"data: 1234\ndata: 5678\ndata: 90\n\ndata: a\n\n", "message(a)9 ", 1},
        {": 123456789012345\n\ndata: a\n\n", "message(a)9 ", 1},
        {"data: a\nid: 123456789012\n\ndata: b\n\n", "message(b)9 ", 1},
        {": 12\n\n: 12\n\n: 12\n\ndata: a\n\n", "message(a)27 ", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t length = strlen(cases[i].text);
        for (size_t piece = 1; piece <= length; piece++) {
            struct sse sse;
            struct buf events;
            buf_init(&events, 10000);
            sse_init(&sse, 11, record, &events);
            for (size_t done = 0; done < length; done += piece)
                sse_feed(&sse, cases[i].text + done, piece < length - done ? piece : length - done);
            assert_string_equal(buf_text(&events), cases[i].expected);
            assert_int_equal(sse.skipped, cases[i].skipped);
            sse_fini(&sse);
            buf_fini(&events);
        }
    }
    char name[SSE_NAME_MAX + 30];
    struct sse sse;
    struct buf events;
    buf_init(&events, 10000);
    sse_init(&sse, 1000, record, &events);
    int n = snprintf(name, sizeof name, "event: %0*d\ndata: a\n\n", (int)SSE_NAME_MAX + 1, 0);
    sse_feed(&sse, name, (size_t)n);
    assert_int_equal(events.length, 0);
    assert_int_equal(sse.skipped, 1);
    sse_fini(&sse);
    buf_fini(&events);
}

// A thousand idle streams must cost nothing.
static void test_no_memory_between_events(void **state) {
    struct sse sse;
    struct buf events;
    buf_init(&events, 1000);
    sse_init(&sse, 1u << 20, record, &events);
    sse_feed(&sse, "data: a\n\nevent: b\ndata: c\n\n", 27);
    assert_null(sse.line.data);
    assert_null(sse.data.data);
    sse_fini(&sse);
    buf_fini(&events);
}

static void test_writers(void **state) {
    struct buf out;
    buf_init(&out, 1000);
    assert_true(sse_comment(&out, "ping"));
    assert_true(sse_write(&out, NULL, "a\nb\r\nc\rd", 8));
    assert_true(sse_write(&out, "error", "{}", 2));
    assert_true(sse_write(&out, NULL, "", 0));
    assert_string_equal(buf_text(&out), ": ping\n\ndata: a\ndata: b\ndata: c\ndata: d\n\n"
                                        "event: error\ndata: {}\n\ndata: \n\n");
    struct buf events;
    struct sse sse;
    buf_init(&events, 1000);
    sse_init(&sse, 1000, record, &events);
    sse_feed(&sse, buf_bytes(&out), out.length);
    assert_string_equal(buf_text(&events), "message(a\nb\nc\nd)41 error({})23 message()8 ");
    sse_fini(&sse);
    buf_fini(&events);
    buf_fini(&out);

    buf_init(&out, 10);
    assert_false(sse_comment(&out, "a long one"));
    assert_false(sse_write(&out, "e", "data", 4));
    assert_int_equal(out.length, 0);
    buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_no_memory_between_events),
        cmocka_unit_test(test_writers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
