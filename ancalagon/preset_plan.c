#include "preset_plan.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "base/system.h"
#include "engine/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *preset_plan_get(const struct preset *preset, const char *name) {
    const struct setting_rule *rule = setting_rule_find(name);
    const char *value = preset_get(preset, name);
    for (size_t i = 0; rule && !value && i < SETTING_FLAGS_MAX && rule->flags[i]; i++)
        value = preset_get(preset, rule->flags[i] + strspn(rule->flags[i], "-"));
    return value;
}

static bool number(const struct preset *preset, const char *flag, uint32_t *out, struct err *err) {
    const char *text = preset_plan_get(preset, flag);
    int64_t value;
    if (!text || strcmp(text, "auto") == 0)
        return true;
    if (strcmp(text, "all") == 0 || strcmp(text, "max") == 0) {
        *out = UINT32_MAX;
        return true;
    }
    if (!str_to_int(text, -2, INT32_MAX, &value))
        return err_set(err, ERR_INVALID, "%s = %.40s is no number", flag, text);
    if (value >= 0)
        *out = (uint32_t)value;
    else if (strcmp(flag, "gpu-layers") == 0)
        *out = UINT32_MAX;
    return true;
}

static bool cache_type(const struct preset *preset, const char *flag,
                       const struct gguf_type_info **out, struct err *err) {
    const char *text = preset_plan_get(preset, flag);
    if (!text || strcmp(text, "auto") == 0)
        return true;
    const struct gguf_type_info *type = gguf_type_named(text);
    if (!type)
        return err_set(err, ERR_INVALID, "%s = %.40s: no cache type whose size we know", flag,
                       text);
    *out = type;
    return true;
}

static bool flag_on(const struct preset *preset, const char *flag, bool fallback) {
    const char *text = preset_plan_get(preset, flag);
    bool value;
    if (!text)
        return fallback;
    if (*text == '\0')
        return true;
    return str_to_bool(text, &value) ? value : fallback;
}

// "3,1" -> proportions of the devices.
static void split(const struct preset *preset, struct plan_settings *out) {
    const char *text = preset_plan_get(preset, "tensor-split");
    for (size_t i = 0; text && *text && i < PLAN_DEVICES_MAX; i++) {
        char *end;
        double share = strtod(text, &end);
        if (end == text || share < 0)
            return;
        out->split[i] = (float)share;
        text = *end ? end + 1 : end;
    }
}

static void speculation(const struct preset *preset, struct plan_settings *out,
                        const char **draft) {
    const char *type = preset_plan_get(preset, "spec-type");
    uint32_t tokens = out->draft_tokens;
    number(preset, "draft-max", &tokens, NULL);
    out->draft_tokens = tokens < 64 ? tokens : 64;
    *draft = preset_plan_get(preset, "model-draft");
    if (*draft && (!type || strstr(type, "draft-simple")))
        out->draft = PLAN_DRAFT_MODEL;
    else if (type && strstr(type, "mtp"))
        out->draft = PLAN_DRAFT_MTP;
    else if (type && strstr(type, "ngram"))
        out->draft = PLAN_DRAFT_NGRAM;
}

bool preset_plan_settings(const struct preset *preset, struct plan_settings *out,
                          const char **draft, const char **mmproj, struct err *err) {
    plan_settings_init(out);
    uint32_t slots = 0;
    if (!number(preset, "ctx-size", &out->ctx, err) || !number(preset, "parallel", &slots, err) ||
        !number(preset, "ubatch-size", &out->ubatch, err) ||
        !number(preset, "batch-size", &out->batch, err) ||
        !number(preset, "gpu-layers", &out->ngl, err) ||
        !number(preset, "gpu-layers-draft", &out->draft_ngl, err) ||
        !number(preset, "n-cpu-moe", &out->ncmoe, err) ||
        !number(preset, "n-cpu-ffn", &out->ncffn, err) ||
        !cache_type(preset, "cache-type-k", &out->k, err) ||
        !cache_type(preset, "cache-type-v", &out->v, err) ||
        !cache_type(preset, "cache-type-k-draft", &out->draft_k, err) ||
        !cache_type(preset, "cache-type-v-draft", &out->draft_v, err))
        return false;
    if (out->ctx == UINT32_MAX) // "max": decided later
        out->ctx = 0;
    if (slots) { // slots that are asked for have a cache each, unless told otherwise
        out->parallel = slots;
        out->unified = false;
    }
    out->unified = flag_on(preset, "kv-unified", out->unified);
    if (preset_plan_get(preset, "no-kv-unified"))
        out->unified = false;
    const char *flash = preset_plan_get(preset, "flash-attn");
    if (flash && strcmp(flash, "auto") != 0)
        out->flash_attention = flag_on(preset, "flash-attn", true);
    if (flag_on(preset, "cpu-moe", false))
        out->ncmoe = UINT32_MAX;
    out->swa_full = flag_on(preset, "swa-full", false);
    out->kv_offload =
        !flag_on(preset, "no-kv-offload", false) && flag_on(preset, "kv-offload", true);
    out->rope_told =
        preset_plan_get(preset, "rope-scaling") || preset_plan_get(preset, "rope-scale") ||
        preset_plan_get(preset, "rope-freq-base") || preset_plan_get(preset, "rope-freq-scale") ||
        preset_plan_get(preset, "yarn-orig-ctx") || preset_plan_get(preset, "override-kv");
    split(preset, out);
    speculation(preset, out, draft);
    *mmproj = flag_on(preset, "no-mmproj", false) ? NULL : preset_plan_get(preset, "mmproj");
    return true;
}

static bool is_word(const struct preset *preset, const char *flag, const char *word) {
    const char *text = preset_plan_get(preset, flag);
    return text && strcmp(text, word) == 0;
}

void preset_plan_freedom(const struct preset *preset, struct fit *fit) {
    fit->ctx_free = is_word(preset, "ctx-size", "max");
    fit->kv_free = is_word(preset, "cache-type-k", "auto");
    fit->offload_free = is_word(preset, "n-cpu-moe", "auto");
}

bool preset_plan_is_placed(const struct preset *preset) {
    static const char *const flags[] = {"n-cpu-moe", "cpu-moe", "n-cpu-ffn", "override-tensor"};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        const char *value = preset_plan_get(preset, flags[i]);
        if (value && strcmp(value, "auto") != 0)
            return true;
    }
    return false;
}

const char *preset_plan_obstacle(const struct preset *preset) {
    static const char *const moving[] = {
        "override-tensor", "override-tensor-draft", "cpu-moe-draft",
        "n-cpu-moe-draft", "device-draft",          "lora",
        "lora-scaled",     "no-mmproj-offload",     "mmproj-offload",
        "mmproj-device",   "control-vector",        "control-vector-scaled",
        "model-vocoder",
    };
    for (size_t i = 0; i < sizeof moving / sizeof *moving; i++)
        if (preset_plan_get(preset, moving[i]))
            return moving[i];
    if (flag_on(preset, "fit", false))
        return "fit = on";
    return "these devices or files";
}

bool preset_plan_is_exact(const struct preset *preset) {
    return strcmp(preset_plan_obstacle(preset), "these devices or files") == 0;
}

static bool keep_device(const struct plan_machine *from, const char *name, size_t length,
                        struct plan_machine *to) {
    for (size_t i = 0; i < from->devices; i++)
        if (strlen(from->device[i].name) == length &&
            strncmp(from->device[i].name, name, length) == 0) {
            to->device[to->devices++] = from->device[i];
            return true;
        }
    return false;
}

static bool has_worker(const struct plan_machine *machine) {
    for (size_t i = 0; i < machine->devices; i++)
        if (machine->device[i].kind == PLAN_RPC)
            return true;
    return false;
}

bool preset_plan_devices(const struct preset *preset, struct plan_machine *machine) {
    if (preset_plan_get(preset, "rpc") && !has_worker(machine))
        return false; // the workers did not answer
    const char *names = preset_plan_get(preset, "device"), *mode;
    if (!names)
        names = preset_plan_get(preset, "dev");
    if (names) {
        struct plan_machine all = *machine;
        machine->devices = 0;
        for (const char *at = names; *at && strcmp(names, "none") != 0;) {
            size_t length = strcspn(at, ",");
            if (machine->devices == PLAN_DEVICES_MAX || !keep_device(&all, at, length, machine))
                return false;
            at += length + (at[length] == ',');
        }
    }
    mode = preset_plan_get(preset, "split-mode");
    if (!mode)
        mode = preset_plan_get(preset, "sm");
    if (!mode || strcmp(mode, "layer") == 0 || machine->devices < 2)
        return true;
    int64_t main_device = 0;
    const char *chosen = preset_plan_get(preset, "main-gpu");
    if (strcmp(mode, "none") != 0 ||
        (chosen && !str_to_int(chosen, 0, (int64_t)machine->devices - 1, &main_device)))
        return false;
    machine->device[0] = machine->device[main_device];
    machine->devices = 1;
    return true;
}

bool preset_plan_pages_weights(const struct preset *preset) {
    const char *mode = preset_plan_get(preset, "load-mode");
    if (mode && strcmp(mode, "auto") != 0 && strcmp(mode, "mmap") != 0)
        return false;
    return flag_on(preset, "mmap", true) && !flag_on(preset, "no-mmap", false) &&
           !flag_on(preset, "mlock", false) && !flag_on(preset, "direct-io", false);
}

enum plan_kind plan_kind_of_device(const char *name) {
    static const struct {
        const char *prefix;
        enum plan_kind kind;
    } KINDS[] = {{"CUDA", PLAN_CUDA},     {"ROCm", PLAN_ROCM},   {"HIP", PLAN_ROCM},
                 {"Vulkan", PLAN_VULKAN}, {"Metal", PLAN_METAL}, {"MTL", PLAN_METAL},
                 {"RPC", PLAN_RPC}};
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
        if (strncasecmp(name, KINDS[i].prefix, strlen(KINDS[i].prefix)) == 0)
            return KINDS[i].kind;
    return PLAN_VULKAN;
}

void preset_plan_machine(const struct dialect_devices *listed, struct plan_machine *out) {
    *out = (struct plan_machine){.ram_bytes = plan_ram_available()};
    for (size_t i = 0; listed && i < listed->count && i < PLAN_DEVICES_MAX; i++) {
        const struct dialect_device *from = &listed->items[i];
        struct plan_device *to = &out->device[out->devices++];
        snprintf(to->name, sizeof to->name, "%s", from->name);
        to->kind = plan_kind_of_device(from->name);
        to->overhead_bytes = PLAN_UNKNOWN;
        snprintf(to->card, sizeof to->card, "%s", from->description);
        to->total_bytes = from->total_mib > 0 ? (uint64_t)from->total_mib << 20 : 0;
        // A driver that tells nothing leaves us without a limit, not with one of zero.
        to->capacity_bytes = from->total_mib > 0 ? (uint64_t)from->free_mib << 20 : PLAN_UNKNOWN;
    }
}

bool plan_parse_size(const char *text, uint64_t *bytes) {
    uint64_t value;
    if (!str_to_size(text, &value) || value == 0 || value > (UINT64_C(1) << 50))
        return false;
    bool bare = text[strlen(text) - 1] >= '0' && text[strlen(text) - 1] <= '9';
    *bytes = bare ? value << 20 : value;
    return true;
}

uint64_t plan_ram_available(void) {
    struct system_memory memory;
    system_memory_read(&memory);
    return memory.available ? memory.available : PLAN_UNKNOWN;
}

uint64_t plan_swap_free(void) {
    struct system_memory memory;
    system_memory_read(&memory);
    return memory.swap_free;
}

uint64_t plan_ram_total(void) {
    struct system_memory memory;
    system_memory_read(&memory);
    return memory.total ? memory.total : PLAN_UNKNOWN;
}
