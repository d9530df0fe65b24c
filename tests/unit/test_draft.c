#include "plan/draft.h"

#include "gguf_build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int begin(void **state) {
    test_folder_begin();
    return 0;
}

static int end(void **state) { return rmdir(test_folder); }

// ---- compatibility ----

struct words {
    const char *model, *pre;
    int count;
    int odd; // this token has another text; -1: none
    int64_t bos, eos;
    int add_bos, add_eos; // -1: not said
};

static void put_flag(struct buf *b, const char *key, int on) {
    char byte = (char)on;
    put_key(b, key, GGUF_BOOL);
    put(b, &byte, 1);
}

static struct gguf *vocabulary(const struct words *w) {
    struct buf b;
    char word[32];
    buf_init(&b, 16 << 20);
    put_head(&b, 3, 0,
             2 + (w->pre != NULL) + (w->bos >= 0) + (w->eos >= 0) + (w->add_bos >= 0) +
                 (w->add_eos >= 0));
    put_key_text(&b, "tokenizer.ggml.model", w->model);
    if (w->pre)
        put_key_text(&b, "tokenizer.ggml.pre", w->pre);
    if (w->bos >= 0)
        put_key_u32(&b, "tokenizer.ggml.bos_token_id", (uint32_t)w->bos);
    if (w->eos >= 0)
        put_key_u32(&b, "tokenizer.ggml.eos_token_id", (uint32_t)w->eos);
    if (w->add_bos >= 0)
        put_flag(&b, "tokenizer.ggml.add_bos_token", w->add_bos);
    if (w->add_eos >= 0)
        put_flag(&b, "tokenizer.ggml.add_eos_token", w->add_eos);
    put_key(&b, "tokenizer.ggml.tokens", GGUF_ARRAY);
    put_u32(&b, GGUF_STRING);
    put_u64(&b, (uint64_t)w->count);
    for (int i = 0; i < w->count; i++) {
        snprintf(word, sizeof word, "%s%d", i == w->odd ? "odd" : "token", i);
        put_text(&b, word);
    }
    static int number;
    snprintf(word, sizeof word, "vocab-%d.gguf", number++);
    char *path = write_file(word, &b, b.length);
    struct err err = {0};
    struct gguf *gguf = gguf_open(path, &err);
    if (!gguf)
        fail_msg("%s", err.text);
    mem_free(path); // stays until its lists were read
    buf_fini(&b);
    return gguf;
}

static void forget_files(void) {
    for (int i = 0; i < 100; i++) {
        char name[32];
        snprintf(name, sizeof name, "vocab-%d.gguf", i);
        char *path = test_file(name);
        unlink(path);
        mem_free(path);
    }
}

static void test_compatible(void **state) {
    static const struct {
        struct words target, draft;
        const char *why; // NULL: compatible
    } CASES[] = {
        {{"gpt2", "qwen2", 1000, -1, 1, 2, 0, -1}, {"gpt2", "qwen2", 1000, -1, 1, 2, 0, -1}, NULL},
        // up to 128 more on either side, and only what both have is compared
        {{"gpt2", "qwen2", 1000, -1, 1, 2, 0, -1},
         {"gpt2", "qwen2", 1128, 1100, 1, 2, 0, -1},
         NULL},
        {{"gpt2", "qwen2", 1128, -1, 1, 2, 0, -1}, {"gpt2", "qwen2", 1000, -1, 1, 2, 0, -1}, NULL},
        {{"gpt2", "qwen2", 1129, -1, 1, 2, 0, -1},
         {"gpt2", "qwen2", 1000, -1, 1, 2, 0, -1},
         "vocabularies of 1129 and 1000"},
        // texts count from token 5 on
        {{"gpt2", "qwen2", 1000, -1, 1, 2, 0, -1}, {"gpt2", "qwen2", 1000, 4, 1, 2, 0, -1}, NULL},
        {{"gpt2", "qwen2", 1000, -1, 1, 2, 0, -1},
         {"gpt2", "qwen2", 1000, 5, 1, 2, 0, -1},
         "token 5 "},
        {{"gpt2", "qwen2", 1000, -1, 1, 2, 0, -1},
         {"gpt2", "qwen2", 1000, 999, 1, 2, 0, -1},
         "token 999 "},
        {{"gpt2", "qwen2", 1000, -1, 1, 2, 0, -1},
         {"llama", NULL, 1000, -1, 1, 2, 0, -1},
         "another kind"},
        // ids matter only where they are added
        {{"gpt2", "qwen2", 1000, -1, 7, 8, 0, 0}, {"gpt2", "qwen2", 1000, -1, 1, 2, 0, 0}, NULL},
        {{"gpt2", "qwen2", 1000, -1, 7, 8, 1, 0},
         {"gpt2", "qwen2", 1000, -1, 1, 8, 1, 0},
         "begin with another"},
        {{"gpt2", "qwen2", 1000, -1, 7, 8, 1, 0},
         {"gpt2", "qwen2", 1000, -1, 7, 8, 0, 0},
         "begin with another"},
        {{"gpt2", "qwen2", 1000, -1, 7, 8, 0, 1},
         {"gpt2", "qwen2", 1000, -1, 7, 9, 0, 1},
         "end with another"},
        {{"gpt2", "qwen2", 1000, -1, 7, 8, 0, 1},
         {"gpt2", "qwen2", 1000, -1, 7, 8, 0, 0},
         "end with another"},
        // what the file does not say comes from the tokenizer's name
        {{"gpt2", "llama-bpe", 1000, -1, 7, 8, -1, -1},
         {"gpt2", "qwen2", 1000, -1, 7, 8, -1, -1},
         "begin with another"},
        {{"gpt2", "llama-bpe", 1000, -1, 7, 8, -1, -1},
         {"gpt2", "qwen2", 1000, -1, 7, 8, 1, -1},
         NULL},
        {{"llama", NULL, 1000, -1, -1, -1, -1, -1}, {"llama", NULL, 1000, -1, 1, 2, 1, 0}, NULL},
        {{"gpt2", NULL, 1000, -1, -1, -1, 1, -1}, {"gpt2", NULL, 1000, -1, 11, 3, 1, -1}, NULL},
        // a number outside of the vocabulary is passed over
        {{"llama", NULL, 1000, -1, 5000, 2, -1, -1}, {"llama", NULL, 1000, -1, 1, 2, -1, -1}, NULL},
        {{"gemma4", NULL, 1000, -1, 3, 2, 0, -1}, {"gemma4", NULL, 1000, -1, 3, 2, 1, -1}, NULL},
        {{"strange", NULL, 1000, -1, 3, 2, 0, -1},
         {"strange", NULL, 1000, -1, 3, 2, 0, -1},
         "no vocabulary"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct gguf *target = vocabulary(&CASES[i].target), *draft = vocabulary(&CASES[i].draft);
        char why[200] = "";
        bool ok = draft_compatible(target, draft, why, sizeof why);
        if (ok != !CASES[i].why || (CASES[i].why && !strstr(why, CASES[i].why)))
            fail_msg("case %zu: %s \"%s\"", i, ok ? "accepted" : "refused", why);
        assert_int_equal(draft_compatible(draft, target, NULL, 0), ok);
        gguf_close(target);
        gguf_close(draft);
    }
    forget_files();
}

static void test_no_vocabulary(void **state) {
    struct buf b;
    buf_init(&b, 1000);
    put_head(&b, 3, 0, 1);
    put_key_text(&b, "tokenizer.ggml.model", "gpt2");
    struct err err;
    struct gguf *gguf = open_bytes(&b, b.length, &err);
    char why[100];
    assert_non_null(gguf);
    assert_false(draft_compatible(gguf, gguf, why, sizeof why));
    gguf_close(gguf);
    buf_fini(&b);
}

// ---- gain ----

// A card where the target takes 10 ms a token, whatever it checks, and the draft 1 ms.
static const struct draft_costs CARD = {
    .target_ms = {0, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10},
    .draft_ms = 1};

static void test_gain(void **state) {
    // (1 - .8^4) / (1 - .8) = 2.952 tokens in 13 ms, against one in 10
    assert_true(draft_gain(&CARD, 0.8, 3) > 2.270 && draft_gain(&CARD, 0.8, 3) < 2.271);
    assert_true(draft_gain(&CARD, 0, 3) < 0.77); // all guesses wrong: only their cost
    assert_true(draft_gain(&CARD, 1, 3) > 3.07 && draft_gain(&CARD, 1, 3) < 3.08);
    double gain;
    unsigned few = draft_best_n(&CARD, 0.3, NULL), many = draft_best_n(&CARD, 0.95, &gain);
    assert_true(few >= 1 && few < many && many <= DRAFT_TOKENS_MAX);
    assert_true(gain == draft_gain(&CARD, 0.95, many));
    for (unsigned n = 1; n <= DRAFT_TOKENS_MAX; n++)
        assert_true(draft_gain(&CARD, 0.95, n) <= gain);
}

static void test_gain_seen(void **state) {
    // 100 steps of 3 guesses, 195.2 of 300 right: the same as a = .8 above.
    double seen = draft_gain_seen(&CARD, 295.2, 300, 195.2);
    assert_true(seen > 2.270 && seen < 2.271);
    assert_true(draft_gain_seen(&CARD, 100, 300, 0) < 0.77);
    assert_true(draft_gain_seen(&CARD, 0, 0, 0) >= 0); // nothing yet: no division by zero
    assert_true(draft_gain_seen(&CARD, 10, 1000, 10) > 0);
}

static void test_acceptance_seen(void **state) {
    static const double CHANCES[] = {0.05, 0.3, 0.65, 0.9, 0.99};
    for (size_t i = 0; i < sizeof CHANCES / sizeof *CHANCES; i++)
        for (unsigned n = 1; n <= DRAFT_TOKENS_MAX; n += 5) { // 1000 steps of n guesses
            double tokens = draft_tokens(CHANCES[i], n) * 1000;
            double seen = draft_acceptance_seen(tokens, 1000.0 * n, tokens - 1000);
            assert_true(seen > CHANCES[i] - 1e-6 && seen < CHANCES[i] + 1e-6);
        }
    assert_true(draft_acceptance_seen(100, 300, 0) < 1e-6);
    assert_true(draft_acceptance_seen(0, 0, 0) <= 1);
    assert_true(draft_acceptance_seen(10, 5, 10) > 0.999); // more than was guessed: no figures
}

// ---- costs, from headers ----

// `layers` blocks of one matrix each; `experts`: the matrix is of that many, 1 used.
static struct model *model_of(uint32_t layers, uint64_t width, uint32_t experts, uint32_t mtp) {
    struct buf b;
    char name[64];
    uint64_t bytes = width * width * 2, at = 0;
    buf_init(&b, 1 << 20);
    put_head(&b, 3, layers + 1, 8);
    put_key_text(&b, "general.architecture", "qwen3moe");
    put_key_u32(&b, "qwen3moe.block_count", layers);
    put_key_u32(&b, "qwen3moe.embedding_length", (uint32_t)width);
    put_key_u32(&b, "qwen3moe.attention.head_count", 1);
    put_key_u32(&b, "qwen3moe.context_length", 4096);
    put_key_u32(&b, "qwen3moe.expert_count", experts);
    put_key_u32(&b, "qwen3moe.expert_used_count", experts ? 1 : 0);
    put_key_u32(&b, "qwen3moe.nextn_predict_layers", mtp);
    for (uint32_t i = 0; i < layers; i++) {
        snprintf(name, sizeof name, "blk.%u.%s.weight", i, experts ? "ffn_up_exps" : "ffn_up");
        put_tensor(&b, name, 1, width, width * (experts ? experts : 1), at);
        at += bytes * (experts ? experts : 1);
    }
    put_tensor(&b, "token_embd.weight", 1, width, width, at);
    put_padding(&b, 32);
    char *path = write_file("model.gguf", &b, b.length);
    assert_int_equal(truncate(path, (off_t)(b.length + at + bytes)), 0);
    buf_fini(&b);
    struct err err = {0};
    struct model *model = model_open(path, &err);
    if (!model)
        fail_msg("%s", err.text);
    unlink(path);
    mem_free(path);
    return model;
}

static struct plan_machine machine_of(enum plan_kind kind) {
    struct plan_machine machine = {.ram_bytes = PLAN_UNKNOWN};
    if (kind != PLAN_CPU) {
        machine.devices = 1;
        machine.device[0] = (struct plan_device){
            .kind = kind, .capacity_bytes = PLAN_UNKNOWN, .overhead_bytes = PLAN_UNKNOWN};
    }
    return machine;
}

static double best_gain(const struct model *target, const struct model *draft,
                        const struct plan_settings *settings, enum plan_kind kind) {
    struct plan_machine machine = machine_of(kind);
    struct draft_costs costs;
    double gain;
    draft_costs_predict(target, draft, settings, &machine, &costs);
    draft_best_n(&costs, draft_acceptance_usual(draft), &gain);
    return gain;
}

static void test_where_it_pays(void **state) {
    struct model *large = model_of(32, 8192, 0, 0), *small = model_of(16, 2048, 0, 0);
    struct model *same = model_of(30, 8192, 0, 0), *mixture = model_of(32, 4096, 64, 0);
    struct model *head = model_of(33, 8192, 0, 1);
    struct plan_settings settings;
    plan_settings_init(&settings);
    assert_true(best_gain(large, small, &settings, PLAN_CUDA) > 1.5);
    assert_true(best_gain(large, same, &settings, PLAN_CUDA) < DRAFT_WORTH);
    assert_true(best_gain(head, NULL, &settings, PLAN_CUDA) > 1.5);
    // A CPU checks one token after the other: only a measurement may say otherwise.
    assert_true(best_gain(large, small, &settings, PLAN_CPU) < DRAFT_WORTH);
    // Each token of a mixture wants other experts, so that there is less to share.
    double whole = best_gain(mixture, small, &settings, PLAN_CUDA);
    assert_true(whole < best_gain(large, small, &settings, PLAN_CUDA));
    settings.ncmoe = 32;
    assert_true(best_gain(mixture, small, &settings, PLAN_CUDA) < DRAFT_WORTH);
    model_close(large);
    model_close(small);
    model_close(same);
    model_close(mixture);
    model_close(head);
}

static void test_costs_follow_bytes(void **state) {
    struct model *large = model_of(32, 4096, 0, 0), *small = model_of(8, 4096, 0, 0);
    struct plan_machine machine = machine_of(PLAN_CUDA);
    struct plan_settings settings;
    struct draft_costs costs, half;
    plan_settings_init(&settings);
    draft_costs_predict(large, small, &settings, &machine, &costs);
    double ratio = costs.target_ms[1] / costs.draft_ms; // 33 matrices to 9
    assert_true(ratio > 3.4 && ratio < 3.9);
    for (unsigned k = 1; k <= DRAFT_TOKENS_MAX; k++)
        assert_true(costs.target_ms[k + 1] > costs.target_ms[k]);
    settings.ngl = 17; // half of it on the CPU, some ten times slower
    draft_costs_predict(large, small, &settings, &machine, &half);
    assert_true(half.target_ms[1] > 4 * costs.target_ms[1]);
    assert_true(half.draft_ms == costs.draft_ms);
    model_close(large);
    model_close(small);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compatible),
        cmocka_unit_test(test_no_vocabulary),
        cmocka_unit_test(test_gain),
        cmocka_unit_test(test_gain_seen),
        cmocka_unit_test(test_acceptance_seen),
        cmocka_unit_test(test_where_it_pays),
        cmocka_unit_test(test_costs_follow_bytes),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
