// From a preset's settings to what the arithmetic wants: devices, freedom, what is not understood.
#include "preset_plan.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { SETTINGS_MAX = 6 };

// "flag=value flag=value"
static void make(struct preset *preset, const char *text) {
    *preset = (struct preset){.name = mem_strdup("p")};
    preset->settings = mem_alloc(SETTINGS_MAX * sizeof *preset->settings);
    while (*text) {
        size_t length = strcspn(text, " "), name = strcspn(text, "=");
        assert_true(preset->settings_count < SETTINGS_MAX && name < length);
        preset->settings[preset->settings_count++] = (struct preset_setting){
            mem_strndup(text, name), mem_strndup(text + name + 1, length - name - 1), 0};
        text += length + strspn(text + length, " ");
    }
}

static struct plan_machine three(void) {
    struct plan_machine machine = {.devices = 3};
    static const char *const names[] = {"CUDA0", "CUDA1", "Vulkan0"};
    for (size_t i = 0; i < 3; i++)
        snprintf(machine.device[i].name, sizeof machine.device[i].name, "%s", names[i]);
    return machine;
}

static void which_devices(void **state) {
    static const struct {
        const char *settings, *devices; // NULL: cannot be told
    } cases[] = {
        {"ctx-size=1", "CUDA0 CUDA1 Vulkan0 "},
        {"device=CUDA1,CUDA0", "CUDA1 CUDA0 "},
        {"dev=Vulkan0", "Vulkan0 "},
        {"device=none", ""},
        {"device=CUDA2", NULL},
        {"device=CUDA0,CUDA", NULL},
        {"device=CUDA0,CUDA0,CUDA0,CUDA0", "CUDA0 CUDA0 CUDA0 CUDA0 "},
        {"split-mode=layer", "CUDA0 CUDA1 Vulkan0 "},
        {"split-mode=none", "CUDA0 "},
        {"split-mode=none main-gpu=2", "Vulkan0 "},
        {"split-mode=none main-gpu=3", NULL},
        {"split-mode=none device=CUDA1,Vulkan0 main-gpu=1", "Vulkan0 "},
        {"sm=row", NULL},
        {"split-mode=row device=CUDA1", "CUDA1 "}, // one has nothing to split
        {"rpc=10.0.0.2:50052", NULL},              // its worker is not among them
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan_machine machine = three();
        struct preset preset;
        char found[200] = "";
        make(&preset, cases[i].settings);
        bool told = preset_plan_devices(&preset, &machine);
        assert_int_equal(told, cases[i].devices != NULL);
        for (size_t d = 0; told && d < machine.devices; d++) {
            strncat(found, machine.device[d].name, sizeof found - strlen(found) - 1);
            strncat(found, " ", sizeof found - strlen(found) - 1);
        }
        if (told)
            assert_string_equal(found, cases[i].devices);
        preset_fini(&preset);
    }
}

static void what_is_open_placed_and_understood(void **state) {
    static const struct {
        const char *settings;
        bool ctx, kv, offload, placed, exact;
    } cases[] = {
        {"ctx-size=8192", false, false, false, false, true},
        {"ctx-size=max", true, false, false, false, true},
        {"cache-type-k=auto cache-type-v=auto", false, true, false, false, true},
        {"n-cpu-moe=auto", false, false, true, false, true},
        {"n-cpu-moe=16", false, false, false, true, true},
        {"cpu-moe=on", false, false, false, true, true},
        {"n-cpu-ffn=4", false, false, false, true, true},
        {"override-tensor=exps=CPU", false, false, false, true, false},
        {"lora=x.gguf", false, false, false, false, false},
        {"fit=on", false, false, false, false, false},
        {"fit=off", false, false, false, false, true},
        {"spec-draft-ngl=0", false, false, false, false, true},
        {"spec-draft-device=none", false, false, false, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct preset preset;
        struct fit fit = {0};
        make(&preset, cases[i].settings);
        preset_plan_freedom(&preset, &fit);
        assert_int_equal(fit.ctx_free, cases[i].ctx);
        assert_int_equal(fit.kv_free, cases[i].kv);
        assert_int_equal(fit.offload_free, cases[i].offload);
        assert_int_equal(preset_plan_is_placed(&preset), cases[i].placed);
        assert_int_equal(preset_plan_is_exact(&preset), cases[i].exact);
        preset_fini(&preset);
    }
}

static void the_settings(void **state) {
    struct preset preset;
    struct plan_settings s;
    const char *draft = NULL, *mmproj = NULL;
    struct err err = {0};
    make(&preset, "c=4096 np=2 ub=256 ngl=all flash-attn=off rope-scaling=yarn");
    assert_true(preset_plan_settings(&preset, &s, &draft, &mmproj, &err));
    assert_int_equal(s.ctx, 4096);
    assert_int_equal(s.parallel, 2);
    assert_false(s.unified);
    assert_int_equal(s.ubatch, 256);
    assert_true(s.ngl == UINT32_MAX);
    assert_false(s.flash_attention);
    assert_true(s.rope_told);
    preset_fini(&preset);
    make(&preset, "cache-type-k=q9_9 cache-type-v=q9_9");
    assert_false(preset_plan_settings(&preset, &s, &draft, &mmproj, &err));
    assert_non_null(strstr(err.text, "q9_9"));
    preset_fini(&preset);
}

static void kinds_of_devices(void **state) {
    static const struct {
        const char *name;
        enum plan_kind kind;
    } cases[] = {{"CUDA0", PLAN_CUDA},     {"ROCm1", PLAN_ROCM}, {"HIP0", PLAN_ROCM},
                 {"Vulkan2", PLAN_VULKAN}, {"MTL0", PLAN_METAL}, {"RPC0", PLAN_RPC},
                 {"SYCL0", PLAN_VULKAN}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(plan_kind_of_device(cases[i].name), cases[i].kind);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(which_devices),
        cmocka_unit_test(what_is_open_placed_and_understood),
        cmocka_unit_test(the_settings),
        cmocka_unit_test(kinds_of_devices),
    };
    return cmocka_run_group_tests_name("preset_plan", tests, NULL, NULL);
}
