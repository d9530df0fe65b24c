// Guards, and searches over settings: what comes out fits, and one step further does not.
#include "plan/fit.h"

#include "tiny_gguf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { LAYERS = 8 };
#define MIB (1ull << 20)

static struct model *dense, *mixture;

static int set_up(void **state) {
    dense = tiny_model("llama", LAYERS, 0, false);
    mixture = tiny_model("qwen3moe", LAYERS, 16, false);
    return 0;
}

static int tear_down(void **state) {
    model_close(dense);
    model_close(mixture);
    return 0;
}

static struct plan_machine card(uint64_t mib) {
    return (struct plan_machine){.devices = 1,
                                 .ram_bytes = PLAN_UNKNOWN,
                                 .device = {{.name = "CARD0",
                                             .kind = PLAN_RPC,
                                             .capacity_bytes = mib * MIB,
                                             .overhead_bytes = PLAN_UNKNOWN}}};
}

static struct fit fit_of(const struct model *model, const struct plan_machine *machine) {
    struct fit fit = {.model = model, .machine = machine};
    plan_settings_init(&fit.settings);
    fit.settings.parallel = 1;
    fit.ctx_free = fit.kv_free = fit.offload_free = true;
    return fit;
}

struct said {
    int errors, warnings;
    char text[512];
};

static void hear(void *arg, bool is_error, const char *text) {
    struct said *said = arg;
    *(is_error ? &said->errors : &said->warnings) += 1;
    snprintf(said->text, sizeof said->text, "%s", text);
}

static void test_guards(void **state) {
    static const struct {
        const char *k, *v;
        bool flash_attention, unified;
        uint32_t ctx, parallel;
        int errors, warnings;
        const char *says;
    } cases[] = {
        {"f16", "f16", true, true, 32768, 4, 0, 0, ""},
        {"f16", "f16", true, true, 0, 4, 0, 0, ""},
        {"q8_0", "q4_0", true, true, 4096, 1, 1, 0, "K q8_0, V q4_0): GPUs"},
        {"q8_0", "q8_0", false, true, 4096, 1, 1, 0, "needs flash attention"},
        {"q8_0", "f16", false, true, 4096, 1, 1, 0, "differ"},
        {"f16", "q8_0", false, true, 4096, 1, 2, 0, "flash attention"},
        {"f16", "f16", false, true, 4096, 1, 0, 0, ""},
        {"f16", "f16", true, true, 32769, 1, 0, 1, "trained for 32768"},
        {"f16", "f16", true, false, 131072, 4, 0, 0, ""}, // each slot as trained
        {"f16", "f16", true, false, 131072, 2, 0, 1, "a slot of 65536"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan_settings settings;
        struct said said = {0};
        plan_settings_init(&settings);
        settings.k = gguf_type_named(cases[i].k);
        settings.v = gguf_type_named(cases[i].v);
        settings.flash_attention = cases[i].flash_attention;
        settings.unified = cases[i].unified;
        settings.ctx = cases[i].ctx;
        settings.parallel = cases[i].parallel;
        assert_int_equal(plan_check(dense, &settings, hear, &said), cases[i].errors);
        assert_int_equal(said.errors, cases[i].errors);
        assert_int_equal(said.warnings, cases[i].warnings);
        if (!strstr(said.text, cases[i].says))
            fail_msg("case %zu: %s", i, said.text);
    }
}

// Heads of 80 values, as Phi-2's: blocks of 32 do not divide them, and the engine refuses.
static void test_odd_heads(void **state) {
    struct model *model = tiny_model("llama", LAYERS, 0, false);
    struct plan_machine machine = card(400);
    struct fit_proposal proposals[FIT_PROPOSALS_MAX];
    struct fit fit = fit_of(model, &machine);
    struct said said = {0};
    struct plan plan;
    model->layer[3].head_k = 80;
    assert_int_equal(plan_check(model, &fit.settings, hear, &said), 0); // f16
    fit.settings.k = fit.settings.v = gguf_type_named("q8_0");
    assert_int_equal(plan_check(model, &fit.settings, hear, &said), 1);
    assert_non_null(strstr(said.text, "blocks of 32 values, and this model's heads have 80"));
    assert_false(fit_plan(&fit, &plan));
    assert_true(fit_choose(&fit, &plan)); // kv = auto
    assert_int_equal(fit.settings.k->id, GGUF_TYPE_F16);
    size_t count = fit_propose(&fit, proposals);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(proposals[i].settings.k->id, GGUF_TYPE_F16);
    model_close(model);
}

static void test_the_reason(void **state) {
    struct plan_machine machine = card(100);
    struct fit fit = fit_of(dense, &machine);
    struct plan plan;
    fit.settings.ctx = 4096;
    assert_false(fit_plan(&fit, &plan));
    uint64_t need = plan_total(&plan.device[0]);
    assert_int_equal(plan.spare_bytes, (int64_t)(100 * MIB) - (int64_t)need);
    char want[64];
    snprintf(want, sizeof want, "CARD0 has 100 MiB, %.0f too little",
             (double)(need - 100 * MIB) / (double)MIB);
    assert_ptr_equal(strstr(plan.reason, want), plan.reason);

    machine.device[0].capacity_bytes = need; // to the byte
    assert_true(fit_plan(&fit, &plan));
    assert_int_equal(plan.spare_bytes, 0);
    assert_string_equal(plan.reason, "");
    machine.ram_bytes = plan_total(&plan.host) - 1;
    assert_false(fit_plan(&fit, &plan));
    assert_non_null(strstr(plan.reason, "host memory"));

    // A GPU keeps room for what grows; a size read off the box is not all there.
    machine = card(1000);
    machine.device[0].kind = PLAN_CUDA;
    machine.device[0].overhead_bytes = 0;
    assert_true(fit_plan(&fit, &plan));
    int64_t spare = plan.spare_bytes;
    machine.device[0].nominal = true;
    fit_plan(&fit, &plan);
    assert_int_equal(spare - plan.spare_bytes, 600 * MIB);
}

static void test_ctx_max(void **state) {
    static const struct {
        uint64_t mib;
        uint32_t parallel;
        bool unified;
    } cases[] = {{300, 1, true}, {350, 1, true},   {420, 1, true}, {900, 1, true}, {420, 4, false},
                 {420, 4, true}, {2000, 4, false}, {100, 1, true}, {275, 1, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan_machine machine = card(cases[i].mib);
        struct fit fit = fit_of(dense, &machine), next;
        struct plan plan;
        fit.settings.ctx = 12345;
        fit.settings.parallel = cases[i].parallel;
        fit.settings.unified = cases[i].unified;
        uint32_t slots = cases[i].unified ? 1 : cases[i].parallel, step = 1024 * slots;
        if (!fit_ctx_max(&fit, &plan)) {
            assert_int_equal(fit.settings.ctx, 12345); // left as it was
            fit.settings.ctx = step;
            assert_false(fit_plan(&fit, &plan));
            continue;
        }
        assert_true(plan.fits);
        assert_true(plan_total(&plan.device[0]) <= cases[i].mib * MIB);
        assert_int_equal(fit.settings.ctx % step, 0);
        next = fit;
        next.settings.ctx += step;
        assert_true(fit.settings.ctx == TINY_CTX * slots || !fit_plan(&next, &plan));
    }
}

static void test_offload(void **state) {
    for (uint64_t mib = 20; mib < 700; mib += 31) {
        const struct model *models[] = {dense, mixture};
        for (int m = 0; m < 2; m++) {
            struct plan_machine machine = card(mib);
            struct fit fit = fit_of(models[m], &machine), trial;
            struct plan plan;
            fit.settings.ctx = 4096;
            bool fits = fit_offload(&fit, &plan);
            assert_int_equal(fits, plan.fits);
            trial = fit;
            if (!fits) { // not even with nothing there
                trial.settings.ngl = 0;
                assert_false(fit_plan(&trial, &plan));
            } else if (fit.settings.ncmoe) {
                trial.settings.ncmoe--;
                assert_false(fit_plan(&trial, &plan));
                assert_int_equal(m, 1);
            } else if (fit.settings.ngl <= LAYERS) {
                trial.settings.ngl++;
                assert_false(fit_plan(&trial, &plan));
            }
        }
    }
}

// A host too small for the whole model takes the part that the devices leave.
static void test_offload_to_a_small_host(void **state) {
    unsigned fitted = 0, refused = 0;
    for (uint64_t ram = 8; ram < 400; ram += 16) {
        struct plan_machine machine = card(200);
        struct fit fit = fit_of(dense, &machine);
        struct plan plan;
        fit.settings.ctx = 4096;
        assert_true(fit_offload(&fit, &plan)); // into a host without limit
        uint64_t need = plan_total(&plan.host);
        struct plan_settings least = fit.settings;
        machine.ram_bytes = ram * MIB;
        fit = fit_of(dense, &machine);
        fit.settings.ctx = 4096;
        bool fits = fit_offload(&fit, &plan);
        assert_int_equal(fits, need <= ram * MIB);
        assert_int_equal(fits, plan.fits);
        if (fits)
            assert_int_equal(fit.settings.ngl, least.ngl);
        fit.settings.ngl = 0; // what fits need not fit on the host alone
        fitted += fits && !fit_plan(&fit, &plan);
        refused += !fits;
    }
    assert_true(fitted > 0 && refused > 0);
}

static void test_resolve(void **state) {
    const struct {
        const struct model *model;
        uint64_t mib;
        bool ctx_free, offload_free;
        uint32_t ctx; // asked for
        bool fits;
        int ctx_least, on_cpu_most;
    } cases[] = {
        {dense, 4000, true, true, 0, true, TINY_CTX, 0},
        {dense, 4000, false, false, 4096, true, 4096, 0},
        {dense, 420, true, true, 0, true, TINY_CTX, LAYERS}, // a useful context before speed
        {dense, 420, true, false, 0, true, 2048, 0},         // all on the device, as told
        {dense, 420, false, true, TINY_CTX, true, TINY_CTX, LAYERS},
        {dense, 420, false, false, TINY_CTX, false, TINY_CTX, 0},
        {mixture, 420, true, true, 0, true, TINY_CTX, LAYERS},
        {dense, 1, true, false, 0, false, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan_machine machine = card(cases[i].mib);
        struct fit fit = fit_of(cases[i].model, &machine);
        struct plan plan;
        fit.ctx_free = cases[i].ctx_free;
        fit.offload_free = cases[i].offload_free;
        fit.settings.ctx = cases[i].ctx;
        bool fits = fit_resolve(&fit, &plan);
        assert_int_equal(fits, cases[i].fits);
        assert_true(!fits || plan.fits);
        if (!cases[i].ctx_free)
            assert_int_equal(fit.settings.ctx, cases[i].ctx);
        if (!cases[i].offload_free)
            assert_int_equal(fit.settings.ngl, UINT32_MAX);
        if (fits)
            assert_true(plan.ctx_total >= (uint32_t)cases[i].ctx_least);
        uint32_t off = fit.settings.ngl > LAYERS ? 0 : LAYERS + 1 - fit.settings.ngl;
        assert_true(off <= (uint32_t)cases[i].on_cpu_most);
    }
}

static void test_nearest(void **state) {
    static const struct {
        uint64_t mib;
        bool mixture;
        const char *says[3];
    } cases[] = {
        {440, false, {"ctx = ", ", or kv = q8_0", ", or gpu-layers = "}},
        {380, false, {"ctx = ", ", or kv = q4_0", ", or gpu-layers = "}},
        {290, false, {"ctx = ", ", or gpu-layers = "}},
        {420, true, {"n-cpu-moe = "}},
        {4, false, {"gpu-layers = 0"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan_machine machine = card(cases[i].mib);
        struct fit fit = fit_of(cases[i].mixture ? mixture : dense, &machine);
        char text[256];
        fit_nearest(&fit, text, sizeof text);
        for (size_t j = 0; j < 3 && cases[i].says[j]; j++)
            if (!strstr(text, cases[i].says[j]))
                fail_msg("case %zu: '%s' lacks '%s'", i, text, cases[i].says[j]);
    }
}

static uint32_t on_cpu(const struct plan_settings *s) {
    return s->ncmoe ? s->ncmoe : s->ngl > LAYERS ? 0 : LAYERS + 1 - s->ngl;
}

static uint64_t precision(const struct plan_settings *s) {
    return 1024ull * s->k->block_bytes / s->k->block;
}

static void test_proposals(void **state) {
    for (uint64_t mib = 150; mib < 1300; mib += 97) {
        struct plan_machine machine = card(mib);
        struct fit fit = fit_of(mib % 2 ? dense : mixture, &machine);
        struct fit_proposal list[FIT_PROPOSALS_MAX];
        size_t count = fit_propose(&fit, list);
        assert_in_range(count, 1, FIT_PROPOSALS_MAX);
        for (size_t i = 0; i < count; i++) {
            struct plan plan;
            plan_make(fit.model, NULL, NULL, &list[i].settings, &machine, &plan);
            assert_true(plan.fits);
            assert_memory_equal(&plan.device[0], &list[i].plan.device[0], sizeof plan.device[0]);
            assert_true(list[i].words[0] != '\0');
            assert_ptr_equal(list[i].settings.k, list[i].settings.v);
            for (size_t j = 0; j < count; j++) // none is beaten in everything
                assert_false(j != i && list[j].plan.ctx_slot >= plan.ctx_slot &&
                             on_cpu(&list[j].settings) <= on_cpu(&list[i].settings) &&
                             precision(&list[j].settings) >= precision(&list[i].settings));
        }
    }
}

static void test_the_recommended_proposal(void **state) {
    struct plan_machine machine = card(8000); // room for everything: one is best
    struct fit fit = fit_of(dense, &machine);
    struct fit_proposal list[FIT_PROPOSALS_MAX];
    assert_int_equal(fit_propose(&fit, list), 1);
    assert_int_equal(list[0].plan.ctx_slot, TINY_CTX);
    assert_string_equal(list[0].settings.k->name, gguf_type_named("f16")->name);
    assert_int_equal(on_cpu(&list[0].settings), 0);

    machine = card(440); // 8 bits hold the whole context on the device
    fit_propose(&fit, list);
    assert_int_equal(list[0].plan.ctx_slot, TINY_CTX);
    assert_string_equal(list[0].settings.k->name, gguf_type_named("q8_0")->name);
    assert_int_equal(on_cpu(&list[0].settings), 0);

    fit.kv_free = false; // what the user fixed stays
    fit.ctx_free = false;
    fit.settings.ctx = 2048;
    size_t count = fit_propose(&fit, list);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(list[i].settings.ctx, 2048);
        assert_ptr_equal(list[i].settings.k, fit.settings.k);
    }
    machine = card(1);
    fit.offload_free = false;
    assert_int_equal(fit_propose(&fit, list), 0);
}

// Slips of the pen: a plan comes out, which is too large or called an estimate. What is wrong with
// a file itself, model_check refuses.
static void test_numbers_beyond_reason(void **state) {
    static const struct {
        uint32_t used, ctx, ubatch, parallel;
        bool flash_attention, fits, estimated;
    } cases[] = {
        {2, 4096, 512, 1, true, true, false},
        {1, 4096, 512, 1, true, true, false},
        {16, 4096, 512, 1, true, true, false},
        {2, 1 << 30, 512, 4, true, false, false},
        {2, 1, 1 << 30, 64, false, true, false},
        {2, 1 << 30, 1 << 30, 1024, false, false, true},
        {16, 1 << 30, 1 << 30, 1, true, false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tiny t;
        tiny_start(&t, "qwen3moe");
        tiny_number(&t, "expert_used_count", cases[i].used);
        tiny_number(&t, "expert_count", 16);
        tiny_shape(&t, 2, 0);
        tiny_tensor(&t, "token_embd.weight", GGUF_TYPE_F16, TINY_EMBD, TINY_VOCAB, 1);
        for (uint32_t l = 0; l < 2; l++)
            tiny_layer(&t, l, 16);
        struct model *model = tiny_open(&t);
        struct plan_machine machine = card(4000);
        struct fit fit = fit_of(model, &machine);
        struct plan plan;
        fit.settings.batch = fit.settings.ubatch = cases[i].ubatch;
        fit.settings.ctx = cases[i].ctx;
        fit.settings.parallel = cases[i].parallel;
        fit.settings.flash_attention = cases[i].flash_attention;
        assert_int_equal(fit_plan(&fit, &plan), cases[i].fits);
        assert_int_equal(plan.estimated, cases[i].estimated);
        model_close(model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guards),
        cmocka_unit_test(test_odd_heads),
        cmocka_unit_test(test_the_reason),
        cmocka_unit_test(test_ctx_max),
        cmocka_unit_test(test_offload),
        cmocka_unit_test(test_offload_to_a_small_host),
        cmocka_unit_test(test_resolve),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_proposals),
        cmocka_unit_test(test_the_recommended_proposal),
        cmocka_unit_test(test_numbers_beyond_reason),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
