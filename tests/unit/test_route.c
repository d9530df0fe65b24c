#include "route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *method, *path;
    int kind; // -1 = 404, -2 = wrong method
    enum protocol protocol;
} cases[] = {
    {"POST", "/v1/chat/completions", ROUTE_GENERATE, PROTOCOL_OPENAI},
    {"POST", "/v1/completions", ROUTE_GENERATE, PROTOCOL_OPENAI},
    {"POST", "/v1/responses", ROUTE_GENERATE, PROTOCOL_RESPONSES},
    {"POST", "/v1/embeddings", ROUTE_COMPUTE, PROTOCOL_OPENAI},
    {"POST", "/v1/rerank", ROUTE_COMPUTE, PROTOCOL_OPENAI},
    {"POST", "/v1/messages", ROUTE_GENERATE, PROTOCOL_ANTHROPIC},
    {"POST", "/v1/messages/count_tokens", ROUTE_LIGHT, PROTOCOL_ANTHROPIC},
    {"POST", "/infill", ROUTE_GENERATE, PROTOCOL_OPENAI},
    {"POST", "/tokenize", ROUTE_LIGHT, PROTOCOL_OPENAI},
    {"POST", "/detokenize", ROUTE_LIGHT, PROTOCOL_OPENAI},
    {"POST", "/apply-template", ROUTE_LIGHT, PROTOCOL_OPENAI},
    {"GET", "/props", ROUTE_PEEK, PROTOCOL_OPENAI},
    {"GET", "/v1/models", ROUTE_MODELS, PROTOCOL_OPENAI},
    {"GET", "/v1/models/coder", ROUTE_MODELS, PROTOCOL_OPENAI},
    {"HEAD", "/health", ROUTE_HEALTH, PROTOCOL_OPENAI},
    {"GET", "/metrics", ROUTE_METRICS, PROTOCOL_OPENAI},
    {"GET", "/", ROUTE_HOME, PROTOCOL_OPENAI},
    {"POST", "/props", -2, PROTOCOL_OPENAI},
    {"GET", "/v1/messages", -2, PROTOCOL_ANTHROPIC},
    {"HEAD", "/v1/chat/completions", -2, PROTOCOL_OPENAI},
    {"DELETE", "/v1/models/coder", -2, PROTOCOL_OPENAI},
    // What an engine offers and we never pass
    {"GET", "/slots", -1, PROTOCOL_OPENAI},
    {"POST", "/slots/0", -1, PROTOCOL_OPENAI},
    {"POST", "/completion", -1, PROTOCOL_OPENAI},
    {"POST", "/lora-adapters", -1, PROTOCOL_OPENAI},
    {"POST", "/models/load", -1, PROTOCOL_OPENAI},
    {"GET", "/index.html", -1, PROTOCOL_OPENAI},
    {"GET", "/v1/models/", -1, PROTOCOL_OPENAI},
    {"GET", "//v1/models", -1, PROTOCOL_OPENAI},
    {"GET", "/v1/Models", -1, PROTOCOL_OPENAI},
    {"POST", "/v1/chat/completions/", -1, PROTOCOL_OPENAI},
    {"POST", "/v1/messages/batches", -1, PROTOCOL_ANTHROPIC},
    {"GET", "", -1, PROTOCOL_OPENAI},
};

static void test_routes(void **state) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *wrong = NULL;
        const struct route *route =
            route_find(span_of(cases[i].method), span_of(cases[i].path), &wrong);
        int got = route ? (int)route->kind : wrong ? -2 : -1;
        if (got != cases[i].kind)
            fail_msg("%s %s: %d, expected %d", cases[i].method, cases[i].path, got, cases[i].kind);
        struct http_head head = {.target = span_of(cases[i].path)};
        assert_int_equal(route_protocol(&head), cases[i].protocol);
    }
}

// What an Anthropic client asks.
static const struct {
    const char *target;
    enum protocol protocol;
} with_version[] = {
    {"/v1/models", PROTOCOL_ANTHROPIC},
    {"/v1/models/coder?x=y", PROTOCOL_ANTHROPIC},
    {"/v1/messages", PROTOCOL_ANTHROPIC},
    {"/v1/messages/count_tokens?beta=true", PROTOCOL_ANTHROPIC},
    {"/v1/complete", PROTOCOL_ANTHROPIC},
    {"/", PROTOCOL_ANTHROPIC},
    {"/v1/chat/completions", PROTOCOL_OPENAI},
    {"/v1/responses", PROTOCOL_RESPONSES},
    {"/props", PROTOCOL_OPENAI},
};

static void test_protocol_by_header(void **state) {
    struct http_field version = {span_of("Anthropic-Version"), span_of("2023-06-01")};
    for (size_t i = 0; i < sizeof with_version / sizeof *with_version; i++) {
        struct http_head head = {
            .target = span_of(with_version[i].target), .fields = &version, .field_count = 1};
        if (route_protocol(&head) != with_version[i].protocol)
            fail_msg("%s", with_version[i].target);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_routes),
                                       cmocka_unit_test(test_protocol_by_header)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
