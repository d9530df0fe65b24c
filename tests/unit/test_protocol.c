#include "protocol.h"

#include <jansson.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const enum protocol protocols[] = {PROTOCOL_OPENAI, PROTOCOL_RESPONSES, PROTOCOL_ANTHROPIC};
static const char hostile[] = "quote \" backslash \\ newline \n and \x01 and \xc3\xa9";

static const char *string_at(const json_t *root, const char *outer, const char *inner) {
    return json_string_value(json_object_get(outer ? json_object_get(root, outer) : root, inner));
}

static void test_bodies(void **state) {
    static const unsigned statuses[] = {400, 401, 403, 404, 413, 429, 500, 502, 503, 504, 529};
    for (size_t p = 0; p < 3; p++)
        for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
            struct buf out;
            buf_init(&out, 10000);
            protocol_error_body(&out, protocols[p], statuses[i], hostile, "model_not_found");
            json_t *root = json_loadb(buf_bytes(&out), out.length, 0, NULL);
            assert_non_null(root);
            assert_string_equal(string_at(root, "error", "message"), hostile);
            assert_non_null(string_at(root, "error", "type"));
            if (protocols[p] == PROTOCOL_ANTHROPIC)
                assert_string_equal(string_at(root, NULL, "type"), "error");
            else
                assert_string_equal(string_at(root, "error", "code"), "model_not_found");
            json_decref(root);
            buf_fini(&out);
        }
}

static void test_events(void **state) {
    static const char *const starts[] = {"data: {", "event: error\ndata: {"};
    for (size_t p = 0; p < 2; p++) {
        struct buf out;
        buf_init(&out, 10000);
        protocol_error_event(&out, protocols[p], 502, hostile, NULL);
        const char *text = buf_text(&out);
        assert_memory_equal(text, starts[p], strlen(starts[p]));
        const char *json = strchr(text, '{'), *end = strstr(text, "\n\n");
        assert_true(end == text + out.length - 2);
        assert_null(memchr(json, '\n', (size_t)(end - json))); // one line, or it is two events
        json_t *root = json_loadb(json, (size_t)(end - json), 0, NULL);
        assert_non_null(root);
        const char *message = protocols[p] == PROTOCOL_RESPONSES
                                  ? string_at(root, NULL, "message")
                                  : string_at(root, "error", "message");
        assert_string_equal(message, hostile);
        json_decref(root);
        buf_fini(&out);
    }
}

static void test_translate(void **state) {
    static const struct {
        enum protocol protocol;
        bool as_event;
        const char *body, *message; // NULL = left as it is
    } cases[] = {
        {PROTOCOL_OPENAI, false, "{\"error\":{\"message\":\"m\"}}", NULL},
        {PROTOCOL_OPENAI, true, "{\"error\":{\"message\":\"m\"}}", "m"},
        {PROTOCOL_RESPONSES, false, "{\"error\":{\"message\":\"m\",\"code\":500}}", "m"},
        {PROTOCOL_RESPONSES, false, "{\"error\":\"m\"}", "m"},
        {PROTOCOL_RESPONSES, false, "{\"message\":\"m\"}", "m"},
        {PROTOCOL_RESPONSES, false, "not json", NULL},
        {PROTOCOL_RESPONSES, false, "", NULL},
        {PROTOCOL_RESPONSES, false, "[]", NULL},
        {PROTOCOL_RESPONSES, false, "{\"error\":5}", NULL},
        {PROTOCOL_RESPONSES, true, "not json", "the engine refused the request"},
        {PROTOCOL_RESPONSES, true, "{\"error\":{\"message\":\"m\"}}", "m"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out;
        buf_init(&out, 10000);
        bool done = protocol_translate_error(&out, cases[i].protocol, 400, span_of(cases[i].body),
                                             cases[i].as_event);
        assert_int_equal(done, cases[i].message != NULL);
        if (done) {
            char quoted[100];
            snprintf(quoted, sizeof quoted, "\"message\":\"%s\"", cases[i].message);
            assert_non_null(strstr(buf_text(&out), quoted));
        } else {
            assert_int_equal(out.length, 0);
        }
        buf_fini(&out);
    }
}

static void test_statuses(void **state) {
    static const struct {
        enum err_code code;
        unsigned status;
    } cases[] = {{ERR_INVALID, 400}, {ERR_NOTFOUND, 404}, {ERR_LIMIT, 413}, {ERR_DENIED, 403},
                 {ERR_BUSY, 503},    {ERR_TIMEOUT, 504},  {ERR_PEER, 502},  {ERR_SYSTEM, 500}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(protocol_status(cases[i].code), cases[i].status);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bodies), cmocka_unit_test(test_events),
                                       cmocka_unit_test(test_translate),
                                       cmocka_unit_test(test_statuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
