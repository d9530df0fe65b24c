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
    {"POST", "/v1/embeddings", ROUTE_GENERATE, PROTOCOL_OPENAI},
    {"POST", "/v1/rerank", ROUTE_GENERATE, PROTOCOL_OPENAI},
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
        enum protocol protocol =
            route ? route->protocol : route_guess_protocol(span_of(cases[i].path));
        assert_int_equal(protocol, cases[i].protocol);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_routes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
