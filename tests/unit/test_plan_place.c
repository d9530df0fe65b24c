// Which layer lies where, and the bytes of the weights there.
#include "plan/parts.h"

#include "tiny_gguf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { LAYERS = 8, ALL = -1 };
#define GIB (1ull << 30)

static struct model *dense, *tied, *mixture;

static int set_up(void **state) {
    dense = tiny_model("llama", LAYERS, 0, false);
    tied = tiny_model("llama", LAYERS, 0, true);
    mixture = tiny_model("qwen3moe", LAYERS, 8, false);
    return 0;
}

static int tear_down(void **state) {
    model_close(dense);
    model_close(tied);
    model_close(mixture);
    return 0;
}

static struct plan_machine machine_of(size_t devices, enum plan_kind kind) {
    struct plan_machine machine = {.devices = devices, .ram_bytes = PLAN_UNKNOWN};
    for (size_t i = 0; i < devices; i++)
        machine.device[i] = (struct plan_device){.name = "GPU",
                                                 .kind = kind,
                                                 .capacity_bytes = PLAN_UNKNOWN,
                                                 .overhead_bytes = PLAN_UNKNOWN};
    return machine;
}

static void test_layers(void **state) {
    static const struct {
        size_t devices;
        int ngl;
        uint64_t gib[3]; // free on each device; 0: unknown
        float split[3];
        int64_t build;
        const char *where; // of each layer and of the output; '-': in host memory
    } cases[] = {
        {0, ALL, {0}, {0}, 0, "---------"},
        {1, ALL, {0}, {0}, 0, "000000000"},
        {1, 0, {0}, {0}, 0, "---------"},
        {1, 1, {0}, {0}, 0, "--------0"}, // the output goes first
        {1, 4, {0}, {0}, 0, "-----0000"},
        {1, 9, {0}, {0}, 0, "000000000"},
        {1, 99, {0}, {0}, 0, "000000000"},
        {1, 4, {0}, {0}, 6000, "----0000-"}, // and went last, once
        {1, 9, {0}, {0}, 6000, "000000000"},
        {2, ALL, {0}, {0}, 0, "000001111"}, // equal shares of 9
        {2, ALL, {24, 8}, {0}, 0, "000000011"},
        {2, ALL, {24, 8}, {1, 1}, 0, "000001111"},
        {2, ALL, {0}, {0, 1}, 0, "111111111"},
        {2, ALL, {0}, {1, 0}, 0, "000000000"},
        {2, 4, {0}, {1, 1}, 0, "-----0011"},
        {3, ALL, {0}, {1, 1, 1}, 0, "000111222"},
        {3, ALL, {0}, {0, 2, 1}, 0, "111111222"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan_machine machine = machine_of(cases[i].devices, PLAN_CUDA);
        struct plan_settings settings;
        struct placement place;
        plan_settings_init(&settings);
        settings.ngl = cases[i].ngl == ALL ? UINT32_MAX : (uint32_t)cases[i].ngl;
        settings.engine_build = cases[i].build;
        memcpy(settings.split, cases[i].split, sizeof cases[i].split);
        for (size_t d = 0; d < cases[i].devices; d++)
            if (cases[i].gib[d])
                machine.device[d].capacity_bytes = cases[i].gib[d] * GIB;
        place_layers(dense, &settings, &machine, &place);
        char where[LAYERS + 2] = "";
        for (int l = 0; l <= LAYERS; l++) {
            int at = l == LAYERS ? place.output : place.layer[l];
            where[l] = at == PLACE_HOST ? '-' : (char)('0' + at);
        }
        assert_string_equal(where, cases[i].where);
    }
}

static void test_weights(void **state) {
    const uint64_t layer = TINY_ATTENTION_BYTES + TINY_FF_BYTES, norm = 4 * TINY_EMBD;
    const uint64_t table = TINY_TABLE_BYTES, ff = TINY_FF_BYTES;
    const uint64_t experts = 8ull * TINY_EXPERT_BYTES,
                   other = TINY_ATTENTION_BYTES + 8 * TINY_ROUTER_BYTES;
    const struct {
        const struct model *model;
        size_t devices;
        int ngl;
        uint32_t ncmoe, ncffn;
        uint64_t host, device;
    } cases[] = {
        {dense, 0, ALL, 0, 0, 2 * table + norm + 8 * layer, 0},
        {dense, 1, ALL, 0, 0, table, table + norm + 8 * layer},
        {dense, 1, 1, 0, 0, table + 8 * layer, table + norm},
        {dense, 1, 3, 0, 0, table + 6 * layer, table + norm + 2 * layer},
        {dense, 1, ALL, 0, 3, table + 3 * ff, table + norm + 8 * layer - 3 * ff},
        {dense, 1, ALL, 5, 0, table, table + norm + 8 * layer}, // no experts to move
        // A table for looking up and multiplying is loaded for both, where they differ.
        {tied, 0, ALL, 0, 0, table + norm + 8 * layer, 0},
        {tied, 1, 0, 0, 0, table + norm + 8 * layer, 0},
        {tied, 1, ALL, 0, 0, table, table + norm + 8 * layer},
        {mixture, 1, ALL, 0, 0, table, table + norm + 8 * (other + experts)},
        {mixture, 1, ALL, 3, 0, table + 3 * experts, table + norm + 8 * other + 5 * experts},
        {mixture, 1, ALL, 99, 0, table + 8 * experts, table + norm + 8 * other},
        {mixture, 1, 3, 7, 0, table + 6 * other + 7 * experts, table + norm + 2 * other + experts},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan_machine machine = machine_of(cases[i].devices, PLAN_CUDA);
        struct plan_settings settings;
        struct plan plan;
        plan_settings_init(&settings);
        settings.ngl = cases[i].ngl == ALL ? UINT32_MAX : (uint32_t)cases[i].ngl;
        settings.ncmoe = cases[i].ncmoe;
        settings.ncffn = cases[i].ncffn;
        plan_make(cases[i].model, NULL, NULL, &settings, &machine, &plan);
        assert_int_equal(plan.host.weights, cases[i].host);
        assert_int_equal(plan.device[0].weights, cases[i].device);
    }
}

// Q8_0 rows of 1000 elements (992 is no multiple of 32 either): CUDA pads the last row to 512s.
static void test_padding_of_rows(void **state) {
    static const struct {
        enum plan_kind kind;
        uint32_t width;
        uint64_t bytes;
    } cases[] = {
        {PLAN_RPC, 512, 544 * 3},
        {PLAN_CUDA, 512, 1664},            // 1632 in steps of 128
        {PLAN_RPC, 544, 578 * 3 + 2 + 24}, // in steps of 32
        {PLAN_CUDA, 544, 2304},            // 1734 + 510, in steps of 128
        {PLAN_VULKAN, 544, 1760},
        {PLAN_METAL, 544, 16384},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tiny t;
        tiny_start(&t, "llama");
        tiny_shape(&t, 1, 0);
        tiny_tensor(&t, "blk.0.attn_q.weight", GGUF_TYPE_Q8_0, cases[i].width, 3, 1);
        struct model *model = tiny_open(&t);
        struct plan_machine machine = machine_of(1, cases[i].kind);
        struct plan_settings settings;
        struct plan plan;
        plan_settings_init(&settings);
        plan_make(model, NULL, NULL, &settings, &machine, &plan);
        assert_int_equal(plan.device[0].weights, cases[i].bytes);
        model_close(model);
    }
}

static void test_tensors_that_stay_out(void **state) {
    struct tiny t;
    tiny_start(&t, "glm4moe");
    tiny_shape(&t, 3, 0);
    tiny_number(&t, "nextn_predict_layers", 1);
    tiny_tensor(&t, "blk.0.attn_q.weight", GGUF_TYPE_F16, 1024, 1024, 1);
    tiny_tensor(&t, "blk.2.attn_q.weight", GGUF_TYPE_F16, 1024, 1024, 1); // the MTP head
    tiny_tensor(&t, "blk.3.attn_q.weight", GGUF_TYPE_F16, 1024, 1024, 1); // beyond the last
    struct model *model = tiny_open(&t);
    struct plan_machine machine = machine_of(1, PLAN_CUDA);
    struct plan_settings settings;
    struct plan plan;
    plan_settings_init(&settings);
    plan_make(model, NULL, NULL, &settings, &machine, &plan);
    assert_int_equal(plan.device[0].weights, 2 << 20);
    settings.draft = PLAN_DRAFT_MTP;
    plan_make(model, NULL, NULL, &settings, &machine, &plan);
    assert_int_equal(plan.device[0].weights, 4 << 20);
    model_close(model);
}

static void test_a_draft_model_goes_along(void **state) {
    struct plan_machine machine = machine_of(1, PLAN_RPC);
    struct plan_settings settings;
    struct plan alone, small, both;
    plan_settings_init(&settings);
    settings.ctx = 4096;
    settings.ncffn = 4; // not the draft's
    settings.draft = PLAN_DRAFT_MODEL;
    plan_make(dense, NULL, NULL, &settings, &machine, &alone);
    plan_make(dense, tied, NULL, &settings, &machine, &both);
    settings.ncffn = 0;
    settings.draft = PLAN_DRAFT_NONE;
    plan_make(tied, NULL, NULL, &settings, &machine, &small);
    assert_int_equal(both.device[0].weights, alone.device[0].weights + small.device[0].weights);
    assert_int_equal(both.device[0].kv, alone.device[0].kv + small.device[0].kv);
    assert_int_equal(both.device[0].compute, alone.device[0].compute + small.device[0].compute);
    assert_int_equal(both.ctx_total, 4096);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_padding_of_rows),
        cmocka_unit_test(test_tensors_that_stay_out),
        cmocka_unit_test(test_a_draft_model_goes_along),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
