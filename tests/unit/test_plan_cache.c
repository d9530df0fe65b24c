// Cells, caches and states: what the engine derives from the settings, and the architecture's say.
#include "plan/parts.h"

#include "tiny_gguf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { ROW = 64 * TINY_HEADS_KV }; // elements of one token's keys in one layer

// What tiny_shape says, and more keys of the case's own.
struct extra {
    const char *name;
    uint32_t values[8];
    size_t count; // 1: a number, more: an array
};

static struct model *model_of(const char *arch, uint32_t layers, const struct extra *extra) {
    struct tiny t;
    tiny_start(&t, arch);
    tiny_number(&t, "block_count", layers);
    tiny_number(&t, "embedding_length", TINY_EMBD);
    tiny_number(&t, "context_length", TINY_CTX);
    tiny_number(&t, "vocab_size", TINY_VOCAB);
    tiny_number(&t, "attention.head_count", TINY_HEADS);
    bool heads = false;
    for (; extra && extra->name; extra++) {
        heads |= strcmp(extra->name, "attention.head_count_kv") == 0;
        if (extra->count > 1)
            tiny_numbers(&t, extra->name, extra->values, extra->count);
        else
            tiny_number(&t, extra->name, extra->values[0]);
    }
    if (!heads)
        tiny_number(&t, "attention.head_count_kv", TINY_HEADS_KV);
    return tiny_open(&t);
}

static void test_cells(void **state) {
    static const struct {
        uint32_t ctx, parallel, batch, ubatch;
        bool unified, swa_full;
        struct cells want;
    } cases[] = {
        // ctx slots batch ub  unified full | streams, slots, full, sliding, ubatch, tokens, outputs
        {8192, 1, 2048, 512, true, false, {1, 1, 8192, 1024, 512, 512, 1, 1}},
        {8192, 4, 2048, 512, true, false, {1, 4, 8192, 2560, 512, 512, 4, 1}},
        {8192, 4, 2048, 512, false, false, {4, 4, 2048, 1024, 512, 512, 4, 1}},
        {8192, 1, 2048, 512, true, true, {1, 1, 8192, 8192, 512, 512, 1, 1}},
        {8000, 1, 2048, 512, true, false, {1, 1, 8192, 1024, 512, 512, 1, 1}},  // to 256
        {8192, 3, 2048, 512, false, false, {3, 3, 2816, 1024, 512, 513, 3, 1}}, // each slot to 256
        {0, 1, 2048, 512, true, false, {1, 1, TINY_CTX, 1024, 512, 512, 1, 1}}, // as trained
        {1, 1, 2048, 512, true, false, {1, 1, 256, 256, 1, 1, 1, 1}},
        {100, 1, 2048, 512, true, false, {1, 1, 256, 256, 100, 100, 1, 1}}, // no pass beyond it
        {4096, 1, 256, 512, true, false, {1, 1, 4096, 768, 256, 256, 1, 1}},
        {4096, 1, 8192, 8192, true, false, {1, 1, 4096, 4096, 4096, 4096, 1, 1}},
        {4096, 0, 2048, 512, true, false, {1, 1, 4096, 1024, 512, 512, 1, 1}}, // a slot at least
        {600, 4, 2048, 512, false, false, {4, 4, 256, 256, 512, 512, 4, 1}},
    };
    const struct extra sliding[] = {{"attention.sliding_window", {512}, 1}, {0}};
    struct model *model = model_of("gpt-oss", 4, sliding);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan_settings settings;
        struct cells cells;
        plan_settings_init(&settings);
        settings.ctx = cases[i].ctx;
        settings.parallel = cases[i].parallel;
        settings.batch = cases[i].batch;
        settings.ubatch = cases[i].ubatch;
        settings.unified = cases[i].unified;
        settings.swa_full = cases[i].swa_full;
        cells_of(model, &settings, &cells);
        assert_memory_equal(&cells, &cases[i].want, sizeof cells);
    }
    model_close(model);
}

static void test_guesses_ask_for_more_outputs(void **state) {
    static const struct {
        const char *arch;
        enum plan_draft draft;
        int64_t build;
        uint32_t outputs, snapshots;
    } cases[] = {
        {"qwen35", PLAN_DRAFT_NONE, 0, 2, 1},
        {"qwen35", PLAN_DRAFT_NGRAM, 0, 8, 1},
        {"qwen35", PLAN_DRAFT_MODEL, 0, 8, 1},
        {"qwen35", PLAN_DRAFT_MTP, 0, 8, 4}, // goes back to a state when a guess was wrong
        {"llama", PLAN_DRAFT_MTP, 0, 8, 1},
        {"llama", PLAN_DRAFT_NONE, 9000, 512, 1}, // older engines: logits for every token
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model *model = model_of(cases[i].arch, 4, NULL);
        struct plan_settings settings;
        struct cells cells;
        plan_settings_init(&settings);
        settings.ctx = 4096;
        settings.parallel = 2;
        settings.draft = cases[i].draft;
        settings.engine_build = cases[i].build;
        cells_of(model, &settings, &cells);
        assert_int_equal(cells.outputs, cases[i].outputs);
        assert_int_equal(cells.snapshots, cases[i].snapshots);
        model_close(model);
    }
}

// One slot of 4096 tokens, passes of 512.
static const struct {
    const char *arch;
    const struct extra extra[8];
    uint64_t tokens; // kept in all layers together, of ROW elements in keys and as many in values
    uint64_t state;  // f32 elements
} rules[] = {
    {"llama", {{0}}, 6 * 4096, 0},
    {"a-model-we-never-saw", {{0}}, 6 * 4096, 0},
    {"llama", {{"attention.head_count_kv", {4, 0, 4, 0, 8, 0}, 6}}, 4 * 4096, 0},
    {"llama",
     {{"attention.key_length", {128}, 1}, {"attention.value_length", {128}, 1}},
     12 * 4096},
    // Every second layer slides, the last of six does not, ...; 512 + a pass of 512.
    {"gpt-oss", {{"attention.sliding_window", {512}, 1}}, 3 * 4096 + 3 * 1024, 0},
    {"gemma3", {{"attention.sliding_window", {512}, 1}}, 4096 + 5 * 1024, 0},
    {"gemma3", {{0}}, 6 * 4096, 0},
    {"cohere2", {{"attention.sliding_window", {512}, 1}}, 4096 + 5 * 1024, 0},
    {"cohere2moe", {{"attention.sliding_window", {512}, 1}}, 2 * 4096 + 4 * 1024, 0},
    {"llama", {{"attention.sliding_window", {512}, 1}}, 6 * 4096, 0}, // does not slide
    {"step35",
     {{"attention.sliding_window", {512}, 1},
      {"attention.sliding_window_pattern", {1, 1, 0, 1, 1, 0}, 6}},
     2 * 4096 + 4 * 1024,
     0},
    {"gemma4",
     {{"attention.sliding_window", {512}, 1},
      {"attention.sliding_window_pattern", {1, 1, 1, 1, 1, 0}, 6},
      {"attention.key_length", {128}, 1},
      {"attention.value_length", {128}, 1},
      {"attention.key_length_swa", {64}, 1},
      {"attention.value_length_swa", {64}, 1}},
     2 * 4096 + 5 * 1024,
     0},
    // The last layers read the caches of others.
    {"gemma4", {{"attention.shared_kv_layers", {2}, 1}}, 4 * 4096, 0},
    // Three of four layers keep a state: of (4 - 1) x (2048 + 2 x 16 x 128) and 128 x 2048.
    {"qwen35moe",
     {{"ssm.conv_kernel", {4}, 1},
      {"ssm.inner_size", {2048}, 1},
      {"ssm.state_size", {128}, 1},
      {"ssm.group_count", {16}, 1},
      {"ssm.time_step_rank", {16}, 1},
      {"full_attention_interval", {3}, 1}},
     2 * 4096,
     4 * (3 * (2048 + 2 * 16 * 128) + 128 * 2048)},
    {"mamba",
     {{"ssm.conv_kernel", {4}, 1}, {"ssm.inner_size", {2048}, 1}, {"ssm.state_size", {16}, 1}},
     0,
     6 * (3 * 2048 + 16 * 2048)},
    {"falcon-h1",
     {{"ssm.conv_kernel", {4}, 1}, {"ssm.inner_size", {2048}, 1}, {"ssm.state_size", {16}, 1}},
     6 * 4096,
     6 * (3 * 2048 + 16 * 2048)},
    {"lfm2",
     {{"shortconv.l_cache", {3}, 1}, {"attention.head_count_kv", {0, 0, 4, 0, 0, 4}, 6}},
     2 * 4096,
     4 * 2 * TINY_EMBD},
    {"rwkv6", {{"wkv.head_size", {64}, 1}}, 0, 6 * (2 * TINY_EMBD + 64 * TINY_EMBD)},
    {"nemotron_h",
     {{"ssm.conv_kernel", {4}, 1},
      {"ssm.inner_size", {2048}, 1},
      {"ssm.state_size", {16}, 1},
      {"attention.head_count_kv", {0, 0, 4, 0, 0, 0}, 6},
      {"feed_forward_length", {0, 4096, 0, 0, 4096, 0}, 6}},
     4096,
     3 * (3 * 2048 + 16 * 2048)},
    {"dream", {{0}}, 0, 0}, // reads all anew each time
};

static void make(const struct model *model, const char *type, struct plan *plan) {
    struct plan_machine machine = {.ram_bytes = PLAN_UNKNOWN};
    struct plan_settings settings;
    plan_settings_init(&settings);
    settings.ctx = 4096;
    settings.parallel = 1;
    settings.k = settings.v = gguf_type_named(type);
    plan_make(model, NULL, NULL, &settings, &machine, plan);
}

static void test_rules_of_architectures(void **state) {
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        static const struct {
            const char *name;
            uint64_t block, bytes;
        } types[] = {{"f16", 1, 2}, {"q8_0", 32, 34}, {"q4_0", 32, 18}, {"f32", 1, 4}};
        struct model *model = model_of(rules[i].arch, 6, rules[i].extra);
        for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
            struct plan plan;
            make(model, types[t].name, &plan);
            uint64_t want = rules[i].tokens * 2 * ROW * types[t].bytes / types[t].block;
            if (plan.host.kv != want || plan.host.state != 4 * rules[i].state)
                print_error("rule %zu (%s), %s\n", i, rules[i].arch, types[t].name);
            assert_int_equal(plan.host.kv, want);
            assert_int_equal(plan.host.state, 4 * rules[i].state);
        }
        model_close(model);
    }
}

// What is kept of a sequence to go back to: its state, and the window of the layers that slide.
static void test_checkpoints(void **state) {
    static const struct {
        const char *arch;
        struct extra extra[8];
        uint32_t ctx;
        bool swa_full;
        uint64_t bytes; // with an f16 cache
    } cases[] = {
        {"llama", {{0}}, 4096, false, 0},
        {"gemma3", {{"attention.sliding_window", {512}, 1}}, 4096, false, 5 * 512 * 4 * ROW},
        {"gemma3", {{"attention.sliding_window", {512}, 1}}, 256, false, 5 * 256 * 4 * ROW},
        {"gemma3", {{"attention.sliding_window", {512}, 1}}, 4096, true, 0},
        {"gemma3", {{0}}, 4096, false, 0},
        {"lfm2",
         {{"shortconv.l_cache", {3}, 1}, {"attention.head_count_kv", {0, 0, 4, 0, 0, 4}, 6}},
         4096,
         false,
         4 * 4 * 2 * TINY_EMBD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model *model = model_of(cases[i].arch, 6, cases[i].extra);
        struct plan_settings settings;
        plan_settings_init(&settings);
        settings.ctx = cases[i].ctx;
        settings.swa_full = cases[i].swa_full;
        assert_int_equal(plan_checkpoint_bytes(model, &settings), cases[i].bytes);
        model_close(model);
    }
}

static void test_compressed_keys_have_no_values(void **state) {
    const struct extra extra[] = {{"attention.key_length_mla", {192}, 1},
                                  {"attention.value_length_mla", {128}, 1},
                                  {"attention.key_length", {576}, 1},
                                  {"attention.value_length", {512}, 1},
                                  {"attention.kv_lora_rank", {512}, 1},
                                  {"attention.head_count_kv", {1}, 1},
                                  {0}};
    struct model *model = model_of("deepseek2", 6, extra);
    struct plan plan;
    make(model, "f16", &plan);
    assert_int_equal(plan.host.kv, 6 * 4096 * 576 * 2);
    model_close(model);
}

static void test_where_caches_lie(void **state) {
    struct model *model = model_of("llama", 6, NULL);
    struct plan_machine machine = {.devices = 2,
                                   .ram_bytes = PLAN_UNKNOWN,
                                   .device = {{.name = "A",
                                               .kind = PLAN_RPC,
                                               .capacity_bytes = PLAN_UNKNOWN,
                                               .overhead_bytes = PLAN_UNKNOWN},
                                              {.name = "B",
                                               .kind = PLAN_RPC,
                                               .capacity_bytes = PLAN_UNKNOWN,
                                               .overhead_bytes = PLAN_UNKNOWN}}};
    const uint64_t layer = 2 * 2 * ROW * 4096;
    const struct {
        uint32_t ngl;
        bool offload;
        uint64_t layers[3]; // on A, B, host
    } cases[] = {
        {UINT32_MAX, true, {4, 2, 0}}, // the output counts as one more, on B
        {4, true, {2, 1, 3}},
        {0, true, {0, 0, 6}},
        {UINT32_MAX, false, {0, 0, 6}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan_settings settings;
        struct plan plan;
        plan_settings_init(&settings);
        settings.ctx = 4096;
        settings.ngl = cases[i].ngl;
        settings.kv_offload = cases[i].offload;
        plan_make(model, NULL, NULL, &settings, &machine, &plan);
        assert_int_equal(plan.device[0].kv, cases[i].layers[0] * layer);
        assert_int_equal(plan.device[1].kv, cases[i].layers[1] * layer);
        assert_int_equal(plan.host.kv, cases[i].layers[2] * layer);
    }
    model_close(model);
}

// Without flash attention values lie transposed, all as wide as the widest layer's.
static void test_transposed_values(void **state) {
    const struct extra extra[] = {{"attention.head_count_kv", {4, 2, 4, 2}, 4}, {0}};
    struct model *model = model_of("llama", 4, extra);
    struct plan_machine machine = {.ram_bytes = PLAN_UNKNOWN};
    struct plan_settings settings;
    struct plan plan;
    plan_settings_init(&settings);
    settings.ctx = 4096;
    plan_make(model, NULL, NULL, &settings, &machine, &plan);
    assert_int_equal(plan.host.kv, 3 * 4096 * ROW * 4);
    settings.flash_attention = false;
    plan_make(model, NULL, NULL, &settings, &machine, &plan);
    assert_int_equal(plan.host.kv, 3 * 4096 * ROW * 2 + 4 * 4096 * ROW * 2);
    model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cells),
        cmocka_unit_test(test_guesses_ask_for_more_outputs),
        cmocka_unit_test(test_checkpoints),
        cmocka_unit_test(test_rules_of_architectures),
        cmocka_unit_test(test_compressed_keys_have_no_values),
        cmocka_unit_test(test_where_caches_lie),
        cmocka_unit_test(test_transposed_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
