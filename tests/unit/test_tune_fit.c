// What may be tuned, of models that are all header and holes.
#include "plan/tune_fit.h"

#include "gguf_build.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { LAYERS = 12, EMBD = 2048, HEADS = 16, VOCAB = 1024, F16 = 1 };
#define LAYER_BYTES (UINT64_C(256) << 20) // of experts, or of the feed-forward

static int begin(void **state) {
    (void)state;
    test_folder_begin();
    return 0;
}

static int end(void **state) {
    (void)state;
    return rmdir(test_folder);
}

static void put_numbers(struct buf *b, bool mixture) {
    static const struct {
        const char *key;
        uint32_t n;
    } KEYS[] = {{"block_count", LAYERS},
                {"context_length", 32768},
                {"embedding_length", EMBD},
                {"feed_forward_length", 4 * EMBD},
                {"attention.head_count", HEADS},
                {"attention.head_count_kv", HEADS},
                {"expert_count", 32},
                {"expert_used_count", 4},
                {"expert_feed_forward_length", 512}};
    put_head(b, 3, 2 + LAYERS, mixture ? 10 : 7);
    put_key_text(b, "general.architecture", "holes");
    for (size_t i = 0; i < (mixture ? 9u : 6u); i++) {
        char key[64];
        snprintf(key, sizeof key, "holes.%s", KEYS[i].key);
        put_key_u32(b, key, KEYS[i].n);
    }
}

static struct model *model(bool mixture) {
    struct buf b;
    struct err err = {0};
    uint64_t at = 0, table = (uint64_t)EMBD * VOCAB * 2;
    buf_init(&b, 1 << 20);
    put_numbers(&b, mixture);
    put_tensor(&b, "token_embd.weight", F16, EMBD, VOCAB, at);
    put_tensor(&b, "output.weight", F16, EMBD, VOCAB, at += table);
    at += table;
    for (int i = 0; i < LAYERS; i++, at += LAYER_BYTES) {
        char name[64];
        snprintf(name, sizeof name, "blk.%d.ffn_up%s.weight", i, mixture ? "_exps" : "");
        put_tensor(&b, name, F16, EMBD, LAYER_BYTES / 2 / EMBD, at);
    }
    put_padding(&b, 32);
    char *path = write_file("holes.gguf", &b, b.length);
    assert_int_equal(truncate(path, (off_t)(b.length + at)), 0);
    struct model *opened = model_open(path, &err);
    if (!opened)
        fail_msg("%s", err.text);
    unlink(path);
    mem_free(path);
    buf_fini(&b);
    return opened;
}

static struct plan_machine card(uint64_t mib) {
    struct plan_machine machine = {.ram_bytes = PLAN_UNKNOWN, .devices = mib > 0};
    machine.device[0] = (struct plan_device){.name = "CUDA0",
                                             .kind = PLAN_CUDA,
                                             .capacity_bytes = mib << 20,
                                             .overhead_bytes = PLAN_UNKNOWN};
    return machine;
}

static struct tune_fit subject(struct model *m, const struct plan_machine *machine) {
    struct tune_fit tf = {.fit = {.model = m, .machine = machine},
                          .cores_physical = 8,
                          .cores_logical = 16,
                          .depth_tokens = 2048};
    plan_settings_init(&tf.fit.settings);
    tf.fit.settings.ctx = 8192;
    tf.kv[0] = gguf_type_named("f16");
    tf.kv[1] = gguf_type_named("q8_0");
    tf.kv_count = 2;
    return tf;
}

static bool has(const struct tune_list *list, int value) {
    for (size_t i = 0; i < list->count; i++)
        if (list->values[i] == value)
            return true;
    return false;
}

// Of 12 layers of 256 MiB some fit: the rest of their experts, or they, go to the CPU.
static void what_does_not_fit_is_offloaded(void **state) {
    (void)state;
    for (int mixture = 0; mixture < 2; mixture++) {
        struct model *m = model(mixture);
        struct plan_machine machine = card(3500);
        struct tune_fit tf = subject(m, &machine);
        struct tune_space space;
        struct plan plan;
        assert_true(fit_offload(&tf.fit, &plan));
        assert_true(tune_fit_space(&tf, &space, NULL));
        int present = mixture ? (int)tf.fit.settings.ncmoe : LAYERS + 1 - (int)tf.fit.settings.ngl;
        assert_in_range(present, 1, LAYERS);
        assert_int_equal(space.axis[TUNE_OFFLOAD].values[0], present);
        assert_true(space.axis[TUNE_OFFLOAD].count > 2);
        assert_true(has(&space.axis[TUNE_THREADS], 8) && has(&space.axis[TUNE_THREADS], 7) &&
                    has(&space.axis[TUNE_THREADS], 16));
        assert_false(space.hints.cpu_only);
        // The planner's word, and less room with fewer layers away.
        struct tune_choice choice = {{0}};
        double before = NAN, spare;
        choice.value[TUNE_UBATCH] = 512;
        for (int n = LAYERS; n >= 0; n--) {
            struct fit fit = tf.fit;
            choice.value[TUNE_OFFLOAD] = n;
            tune_fit_settings(&tf, &choice, &fit.settings, &fit.draft);
            if (!has(&space.axis[TUNE_OFFLOAD], n))
                continue;
            bool fits = space.fits(space.arg, &choice, &spare);
            assert_int_equal(fits, fit_plan(&fit, &plan) || n == present);
            assert_true(isnan(before) || isnan(spare) || spare < before);
            before = spare;
        }
        tune_fit_fini(&tf);
        model_close(m);
    }
}

static void what_fits_stays_on_the_card(void **state) {
    (void)state;
    struct model *m = model(true);
    struct plan_machine machine = card(24000);
    struct tune_fit tf = subject(m, &machine);
    struct tune_space space;
    assert_true(tune_fit_space(&tf, &space, NULL));
    assert_true(space.axis[TUNE_OFFLOAD].count <= 1);
    assert_int_equal(space.axis[TUNE_THREADS].count, 0); // nothing for them to do
    assert_int_equal(space.axis[TUNE_UBATCH].values[0], 512);
    assert_true(has(&space.axis[TUNE_UBATCH], 2048) && !has(&space.axis[TUNE_UBATCH], 4096));
    tune_fit_fini(&tf);
    model_close(m);
}

static void without_a_card(void **state) {
    (void)state;
    struct model *m = model(false);
    struct plan_machine machine = card(0);
    struct tune_fit tf = subject(m, &machine);
    struct tune_space space;
    tf.vary_flash = tf.vary_repack = true;
    assert_true(tune_fit_space(&tf, &space, NULL));
    assert_true(space.hints.cpu_only && space.hints.gpu_bytes > 0);
    assert_int_equal(space.axis[TUNE_OFFLOAD].count, 0);
    assert_true(has(&space.axis[TUNE_UBATCH], 32));
    // A quantised V needs flash attention.
    struct tune_choice choice = {{0}};
    double spare;
    choice.value[TUNE_THREADS] = 8;
    choice.value[TUNE_UBATCH] = 512;
    choice.value[TUNE_KV] = 1;
    choice.value[TUNE_FLASH] = 2;
    choice.value[TUNE_REPACK] = 1;
    assert_false(space.fits(space.arg, &choice, &spare));
    choice.value[TUNE_FLASH] = 1;
    assert_true(space.fits(space.arg, &choice, &spare));
    tune_fit_fini(&tf);
    model_close(m);
}

static void what_is_kept_is_not_varied(void **state) {
    (void)state;
    struct model *m = model(true);
    struct plan_machine machine = card(3500);
    struct tune_fit tf = subject(m, &machine);
    struct tune_space space;
    struct err err = {0};
    tf.fit.settings.ncmoe = 10;
    tf.keep_offload = tf.keep_ubatch = true;
    tf.kv_count = 1;
    assert_true(tune_fit_space(&tf, &space, NULL));
    assert_int_equal(space.axis[TUNE_OFFLOAD].count, 0);
    assert_int_equal(space.hints.layers_on_cpu, 10); // threads matter all the same
    assert_true(space.axis[TUNE_THREADS].count > 1);
    tf.keep_threads = true;
    assert_false(tune_fit_space(&tf, &space, &err));
    assert_int_equal(err.code, ERR_NOTFOUND);
    tune_fit_fini(&tf);
    model_close(m);
}

// n-cpu-moe = auto in the preset: a larger ubatch takes what a layer frees.
static void layers_may_follow(void **state) {
    (void)state;
    struct model *m = model(true);
    struct plan_machine machine = card(3500);
    struct tune_fit tf = subject(m, &machine);
    struct tune_space space;
    struct tune_choice choice = {{0}};
    struct plan plan;
    double spare;
    assert_true(fit_offload(&tf.fit, &plan));
    machine.device[0].capacity_bytes -= (uint64_t)plan.spare_bytes; // full to the brim
    tf.keep_offload = true;
    assert_true(tune_fit_space(&tf, &space, NULL));
    choice.value[TUNE_THREADS] = 8;
    choice.value[TUNE_UBATCH] = 2048;
    assert_false(space.fits(space.arg, &choice, &spare));
    tf.offload_follows = true;
    assert_true(tune_fit_space(&tf, &space, NULL));
    assert_true(space.fits(space.arg, &choice, &spare));
    tune_fit_fini(&tf);
    model_close(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_fit_is_offloaded),
        cmocka_unit_test(what_fits_stays_on_the_card),
        cmocka_unit_test(without_a_card),
        cmocka_unit_test(what_is_kept_is_not_varied),
        cmocka_unit_test(layers_may_follow),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
