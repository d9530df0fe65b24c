#include "speculation.h"

#include "draft_choice.h"
#include "engine/spell.h"
#include "reader.h"
#include "support.h"
#include "timings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_sums_fade(void **state) {
    struct speculation s = {0};
    assert_true(speculation_acceptance(&s) < 0);
    for (int i = 0; i < 100; i++)
        speculation_add(&s, 400, 300, 240);
    assert_true(speculation_acceptance(&s) > 0.79 && speculation_acceptance(&s) < 0.81);
    assert_int_equal(s.seen, 40000);
    for (int i = 0; i < 30; i++) // 12,000 tokens of another kind: what was before is forgotten
        speculation_add(&s, 400, 300, 30);
    assert_true(speculation_acceptance(&s) < 0.13);
    assert_true(s.generated < 4000);
}

static void test_one_long_answer_counts_as_many_short_ones(void **state) {
    struct speculation a = {0}, b = {0};
    speculation_add(&a, 10, 10, 10);
    speculation_add(&b, 10, 10, 10);
    speculation_add(&a, 20000, 15000, 0);
    for (int i = 0; i < 2000; i++)
        speculation_add(&b, 10, 7, 0);
    assert_true(speculation_acceptance(&a) < 0.01 && speculation_acceptance(&b) < 0.01);
}

// What llama-server says at the end of an answer, with and without a draft.
static void test_timings(void **state) {
    struct metrics metrics = {0};
    static const char WITH[] =
        "{\"timings\":{\"cache_n\":0,\"prompt_n\":9,\"prompt_ms\":10.5,\"predicted_n\":64,"
        "\"predicted_ms\":500.0,\"draft_n\":90,\"draft_n_accepted\":34}}";
    static const char WITHOUT[] =
        "{\"timings\":{\"cache_n\":0,\"prompt_n\":9,\"prompt_ms\":10.5,\"predicted_n\":64,"
        "\"predicted_ms\":500.0}}";
    static const char IMPOSSIBLE[] =
        "{\"timings\":{\"prompt_n\":9,\"prompt_ms\":10.5,\"predicted_n\":64,\"predicted_ms\":1,"
        "\"draft_n\":10,\"draft_n_accepted\":99}}";
    struct timings last = {0};
    timings_learn(&metrics, &last, WITH, sizeof WITH - 1);
    assert_int_equal(metrics.generated_tokens, 64);
    assert_int_equal(metrics.draft_tokens, 90);
    assert_int_equal(metrics.draft_accepted, 34);
    last = (struct timings){0}; // another answer
    timings_learn(&metrics, &last, WITHOUT, sizeof WITHOUT - 1);
    assert_int_equal(metrics.generated_tokens, 128);
    assert_int_equal(metrics.draft_tokens, 90);
    last = (struct timings){0};
    timings_learn(&metrics, &last, IMPOSSIBLE, sizeof IMPOSSIBLE - 1);
    assert_int_equal(metrics.draft_accepted, 44);
}

// Callers may ask for them with every token; they count from the beginning each time.
static void test_timings_with_every_token(void **state) {
    struct metrics metrics = {0};
    struct timings last = {0};
    char piece[1000];
    size_t length = 0;
    for (int token = 1; token <= 30; token++) {
        length += (size_t)snprintf(
            piece + length, sizeof piece - length,
            "data: {\"timings\":{\"cache_n\":4,\"prompt_n\":9,\"prompt_ms\":100.0,\"predicted_n\":"
            "%d,\"predicted_ms\":%d.0,\"draft_n\":%d,\"draft_n_accepted\":%d}}\n\n",
            token, 10 * token, 3 * token, token);
        if (token % 3 == 0) { // events arrive in bunches, too
            timings_learn(&metrics, &last, piece, length);
            length = 0;
        }
    }
    assert_int_equal(metrics.prompt_tokens, 9);
    assert_int_equal(metrics.cached_tokens, 4);
    assert_int_equal(metrics.generated_tokens, 30);
    assert_int_equal(metrics.draft_tokens, 90);
    assert_int_equal(metrics.draft_accepted, 30);
    assert_true(metrics.prefill_s > 0.0999 && metrics.prefill_s < 0.1001);
    assert_true(metrics.decode_s > 0.2999 && metrics.decode_s < 0.3001);
}

// ---- what a build is told ----

static struct dialect *build(const char *data) {
    char *help = test_data(data);
    struct dialect *dialect = dialect_create("/e", help, "version: 1", NULL);
    mem_free(help);
    return dialect;
}

static void spelt(const char *data, int kind, const char *expected) {
    struct dialect *dialect = build(data);
    struct draft_choice choice = {.kind = kind, .n = 4, .path = "/m/small.gguf", .n_text = "4"};
    struct setting settings[DRAFT_SETTINGS_MAX];
    struct args args;
    struct problems problems = {0};
    struct buf line;
    args_init(&args);
    buf_init(&line, 1000);
    size_t count = draft_choice_settings(&choice, dialect, settings);
    assert_true(count <= DRAFT_SETTINGS_MAX);
    assert_true(dialect_spell(dialect, settings, count, &args, &problems));
    for (size_t i = 0; i < args.count; i++)
        buf_printf(&line, "%s%s", i ? " " : "", args.items[i]);
    assert_string_equal(buf_text(&line), expected);
    buf_fini(&line);
    args_fini(&args);
    problems_fini(&problems);
    dialect_destroy(dialect);
}

static void test_settings(void **state) {
    spelt("help-mainline-11434.txt", DRAFT_MODEL,
          "--spec-draft-model /m/small.gguf --spec-draft-n-max 4 --spec-type draft-simple");
    spelt("help-mainline-11434.txt", DRAFT_HEAD, "--spec-draft-n-max 4 --spec-type draft-mtp");
    spelt("help-old.txt", DRAFT_MODEL, "--model-draft /m/small.gguf --draft-max 4");
    spelt("help-ik.txt", DRAFT_MODEL, "--model-draft /m/small.gguf --spec-type draft:n_max=4");
    spelt("help-mainline-11434.txt", DRAFT_NONE, "");
}

// ---- which build reads what ----

static void test_readers(void **state) {
    struct dialect *plain = build("help-mainline-11434.txt"), *ik = build("help-ik.txt");
    struct dialect tq3 = *plain;
    tq3.family = DIALECT_TQ3;
    assert_int_equal(reader_reads(plain, GGUF_TYPE_MAINLINE, NULL), READS_YES);
    assert_int_equal(reader_reads(plain, GGUF_TYPE_TQ3, "TQ3_4S"), READS_NO);
    assert_int_equal(reader_reads(&tq3, GGUF_TYPE_TQ3, "TQ3_4S"), READS_YES);
    assert_int_equal(reader_reads(ik, GGUF_TYPE_TQ3, "TQ3_4S"), READS_UNKNOWN);
    assert_int_equal(reader_reads(ik, GGUF_TYPE_IK, "IQ4_K"), READS_YES);
    assert_int_equal(reader_reads(plain, GGUF_TYPE_IK, "IQ4_K"), READS_NO);
    assert_int_equal(reader_reads(plain, GGUF_TYPE_UNKNOWN, NULL), READS_UNKNOWN);
    dialect_destroy(plain);
    dialect_destroy(ik);
}

static void test_notes(void **state) {
    char text[240];
    assert_false(reader_note(GGUF_TYPE_MAINLINE, NULL, text, sizeof text));
    assert_string_equal(text, "");
    assert_true(reader_note(GGUF_TYPE_TQ3, "TQ3_4S", text, sizeof text));
    assert_non_null(strstr(text, "TQ3_4S tensors: only the fork turbo-tan/llama.cpp-tq3"));
    assert_true(reader_note(GGUF_TYPE_IK, "IQ4_K", text, sizeof text));
    assert_non_null(strstr(text, "ikawrakow/ik_llama.cpp"));
    assert_true(reader_note(GGUF_TYPE_OLD, "Q4_0_4_4", text, sizeof text));
    assert_non_null(strstr(text, "get the file as Q4_0"));
    assert_true(reader_note(GGUF_TYPE_UNKNOWN, NULL, text, sizeof text));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums_fade),
        cmocka_unit_test(test_one_long_answer_counts_as_many_short_ones),
        cmocka_unit_test(test_timings),
        cmocka_unit_test(test_timings_with_every_token),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_readers),
        cmocka_unit_test(test_notes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
