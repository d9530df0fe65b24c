#include "base/mem.h"
#include "base/str.h"
#include "format/json.h"
#include "trial_prompt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

// A tokenizer with one token a word, the least there is.
static json_t *tokenize(const char *body) {
    json_t *question = json_parse(body, strlen(body), 0, 0, NULL), *tokens = json_array();
    assert_non_null(question);
    const char *text = json_get_text(question, "content", "");
    for (const char *word = text; *word; word += strspn(word, " ")) {
        char copy[32] = "";
        size_t length = strcspn(word, " ");
        memcpy(copy, word, length < sizeof copy - 1 ? length : sizeof copy - 1);
        json_array_append_new(tokens, json_integer((json_int_t)(str_hash(copy) % 30000 + 10)));
        word += length;
    }
    json_decref(question);
    return json_pack("{s:o}", "tokens", tokens);
}

static json_t *write_one(struct trial_prompt *prompt, size_t tokens) {
    struct buf text;
    buf_init(&text, 1 << 20);
    assert_true(trial_prompt_write(prompt, tokens, &text));
    json_t *list = json_parse(buf_bytes(&text), text.length, 0, 0, NULL);
    assert_non_null(list);
    buf_fini(&text);
    return list;
}

static size_t common(const json_t *a, const json_t *b) {
    size_t i = 0;
    while (i < json_array_size(a) && json_equal(json_array_get(a, i), json_array_get(b, i)))
        i++;
    return i;
}

static void learn(struct trial_prompt *prompt, size_t tokens) {
    struct err err = {0};
    char *body = trial_prompt_ask(prompt, tokens);
    json_t *answer = tokenize(body);
    assert_true(trial_prompt_learn(prompt, answer, tokens, &err));
    json_decref(answer);
    mem_free(body);
}

// Exact lengths, and no two prompts that a cache could confuse.
static void test_lengths_and_nonces(void **state) {
    enum { PROMPTS = 40 };
    struct trial_prompt prompt;
    json_t *seen[PROMPTS];
    trial_prompt_init(&prompt, 4711);
    learn(&prompt, 600);
    for (size_t i = 0; i < PROMPTS; i++) {
        seen[i] = write_one(&prompt, 8 + 15 * i);
        assert_int_equal(json_array_size(seen[i]), 8 + 15 * i);
        for (size_t k = 0; k < i; k++)
            assert_true(common(seen[i], seen[k]) < 3);
        if (i > 0) // the one before is in the slot: not one token may be the same
            assert_int_equal(common(seen[i], seen[i - 1]), 0);
    }
    for (size_t i = 0; i < PROMPTS; i++)
        json_decref(seen[i]);
    trial_prompt_fini(&prompt);
}

static void test_first_token(void **state) {
    struct trial_prompt prompt;
    trial_prompt_init(&prompt, 1);
    learn(&prompt, 100);
    json_t *answer = json_pack("{s:[i]}", "tokens", 2);
    trial_prompt_learn_first(&prompt, answer);
    json_decref(answer);
    json_t *list = write_one(&prompt, 100), *other = write_one(&prompt, 100);
    assert_int_equal(json_array_size(list), 100);
    assert_int_equal(json_integer_value(json_array_get(list, 0)), 2);
    assert_int_equal(common(list, other), 1);
    json_decref(list);
    json_decref(other);
    answer = json_pack("{s:[]}", "tokens"); // a model without one
    trial_prompt_learn_first(&prompt, answer);
    json_decref(answer);
    assert_int_equal(prompt.first, -1);
    trial_prompt_fini(&prompt);
}

static void test_bad_answers(void **state) {
    static const char *const answers[] = {"{}", "{\"tokens\":7}", "{\"tokens\":[1,2,3]}", "[]"};
    struct trial_prompt prompt;
    trial_prompt_init(&prompt, 1);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct err err = {0};
        json_t *answer = json_parse(answers[i], strlen(answers[i]), 0, 0, NULL);
        assert_false(trial_prompt_learn(&prompt, answer, 100, &err));
        assert_non_null(strstr(err.text, "/tokenize"));
        json_decref(answer);
    }
    assert_false(trial_prompt_learn(&prompt, NULL, 100, NULL));
    trial_prompt_fini(&prompt);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lengths_and_nonces),
                                       cmocka_unit_test(test_first_token),
                                       cmocka_unit_test(test_bad_answers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
