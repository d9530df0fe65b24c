#include "route.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *method, *target;
    enum route route;
    const char *name;
    bool gemini;
} cases[] = {
    {"GET", "/", ROUTE_HOME, "", false},
    {"HEAD", "/health", ROUTE_HEALTH, "", false},
    {"POST", "/health", ROUTE_WRONG_METHOD, "", false},
    {"GET", "/v1beta/models", ROUTE_MODELS, "", true},
    {"GET", "/v1beta/models/", ROUTE_MODELS, "", true},
    {"GET", "/v1/models/gemini-2.0", ROUTE_MODEL, "gemini-2.0", true},
    {"GET", "/models/x", ROUTE_MODEL, "x", true},
    {"POST", "/v1beta/models/gemini-2.0-flash:generateContent?key=1", ROUTE_GENERATE,
     "gemini-2.0-flash", true},
    {"POST", "/v1beta/models/m:streamGenerateContent?alt=sse", ROUTE_STREAM, "m", true},
    {"POST", "/models/m:countTokens", ROUTE_COUNT, "m", true},
    {"GET", "/v1beta/models/m:generateContent", ROUTE_WRONG_METHOD, "m", true},
    {"POST", "/v1beta/models/m:embedContent", ROUTE_NONE, NULL, true},
    {"POST", "/v1beta/models/m%00x:generateContent", ROUTE_NONE, NULL, true},
    {"POST", "/v1beta/modelsx/m:generateContent", ROUTE_NONE, NULL, false},
    {"POST", "/vx/models/m:generateContent", ROUTE_NONE, NULL, false},
    {"POST", "/v1beta", ROUTE_NONE, NULL, false},
    {"POST", "/api/v41/ocr/poste/42", ROUTE_POLE, "42", false},
    {"POST", "/api/v41/ocr/poste/A%2FB%20c", ROUTE_POLE, "A/B c", false},
    {"POST", "/api/v41/ocr/poste/42/texto?x=1", ROUTE_POLE_TEXT, "42", false},
    {"POST", "/api/v41/ocr/poste/", ROUTE_NONE, NULL, false},
    {"POST", "/api/v41/ocr/poste//texto", ROUTE_NONE, NULL, false},
    {"POST", "/api/v41/ocr/poste/42/textos", ROUTE_NONE, NULL, false},
    {"POST", "/api/v41/ocr/poste/42/", ROUTE_NONE, NULL, false},
    {"GET", "/api/v41/ocr/poste/42", ROUTE_WRONG_METHOD, NULL, false},
    {"POST", "/api/v41/ocr/lote", ROUTE_BATCH, "", false},
    {"POST", "/api/v41/ocr/alimentador/f7", ROUTE_FEEDER, "f7", false},
    {"GET", "/api/v41/ocr/trabalhos", ROUTE_JOBS, "", false},
    {"GET", "/api/v41/ocr/trabalhos/ab", ROUTE_JOB, "ab", false},
    {"DELETE", "/api/v41/ocr/trabalhos/ab", ROUTE_JOB_CANCEL, "ab", false},
    {"GET", "/api/v41/ocr/trabalhos/ab/eventos", ROUTE_JOB_EVENTS, "ab", false},
    {"GET", "/api/v41/ocr/trabalhos/ab/resultados", ROUTE_JOB_RESULTS, "ab", false},
    {"GET", "/api/v41/ocr/trabalhos/ab/resultados.csv", ROUTE_JOB_CSV, "ab", false},
    {"GET", "/api/v41/ocr/trabalhos/ab/postes.csv", ROUTE_JOB_POLES_CSV, "ab", false},
    {"OPTIONS", "*", ROUTE_NONE, NULL, false},
    {"CONNECT", "evil:80", ROUTE_NONE, NULL, false},
    {"POST", "", ROUTE_NONE, NULL, false},
};

static void every_path(void **state) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_head head = {.method = span_of(cases[i].method),
                                 .target = span_of(cases[i].target)};
        char name[ROUTE_NAME_MAX];
        enum route route = route_of(&head, name);
        if (route != cases[i].route)
            fail_msg("%s %s: %d", cases[i].method, cases[i].target, route);
        if (cases[i].name)
            assert_string_equal(name, cases[i].name);
        assert_int_equal(route_is_gemini(&head), cases[i].gemini);
    }
}

static void a_name_has_a_bound(void **state) {
    char target[160] = "/api/v41/ocr/poste/", name[ROUTE_NAME_MAX];
    struct http_head head = {.method = span_of("POST")};
    size_t base = strlen(target);
    memset(target + base, 'a', ROUTE_NAME_MAX - 1);
    head.target = span_of(target);
    assert_int_equal(route_of(&head, name), ROUTE_POLE);
    assert_int_equal(strlen(name), ROUTE_NAME_MAX - 1);
    target[base + ROUTE_NAME_MAX - 1] = 'a';
    head.target = span_of(target);
    assert_int_equal(route_of(&head, name), ROUTE_NONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_path),
        cmocka_unit_test(a_name_has_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
