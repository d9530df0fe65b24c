#include "plan_args.h"

#include "base/mem.h"
#include "base/str.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A mistake on the command line: false, for those who say true when they understood.
#define REFUSE(...) (cli_fail(EXIT_USAGE, __VA_ARGS__), false)

static bool take_number(const char *option, const char *text, int64_t max, uint32_t *out) {
    uint64_t value;
    if (text && str_to_size(text, &value) && value > 0 && value <= (uint64_t)max) {
        *out = (uint32_t)value;
        return true;
    }
    return REFUSE("%s needs a number from 1 to %lld", option, (long long)max);
}

static bool take_engine(struct plan_args *args, const char *value) {
    const char *digits = value && value[0] == 'b' ? value + 1 : value;
    return (digits && str_to_int(digits, 1, INT32_MAX, &args->engine)) ||
           REFUSE("--engine needs a build number, such as 11434");
}

// Options that are there or not.
static bool take_word(struct plan_args *args, const char *name) {
    if (strcmp(name, "--kv-unified") == 0)
        args->unified = 1;
    else if (strcmp(name, "--no-kv-unified") == 0)
        args->unified = 0;
    else if (strcmp(name, "--no-flash-attn") == 0)
        args->no_flash = true;
    else if (strcmp(name, "--swa-full") == 0)
        args->swa_full = true;
    else
        return false;
    return true;
}

// One option and its value. Returns how many words it took, 0 when it is none of ours, -1 on a
// mistake that was told.
static int take_option(struct plan_args *args, char **argv) {
    const char *name = argv[0], *value = argv[1];
    const struct {
        const char *name;
        const char **text;
        uint32_t *number;
        int64_t max;
    } options[] = {
        {"--ctx", &args->ctx, NULL, 0},
        {"--kv", &args->kv, NULL, 0},
        {"--n-cpu-moe", &args->ncmoe, NULL, 0},
        {"--ngl", &args->ngl, NULL, 0},
        {"--draft", &args->draft, NULL, 0},
        {"--draft-ngl", &args->draft_ngl, NULL, 0},
        {"--draft-kv", &args->draft_kv, NULL, 0},
        {"--mmproj", &args->mmproj, NULL, 0},
        {"--spec", &args->spec, NULL, 0},
        {"--split", &args->split, NULL, 0},
        {"--parallel", NULL, &args->parallel, 256},
        {"--batch", NULL, &args->batch, 1 << 20},
        {"--ubatch", NULL, &args->ubatch, 1 << 20},
        {"--draft-n", NULL, &args->draft_n, 64},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (strcmp(name, options[i].name) != 0)
            continue;
        if (options[i].number)
            return take_number(name, value, options[i].max, options[i].number) ? 2 : -1;
        if (!value)
            return REFUSE("%s needs a value", name) ? 2 : -1;
        *options[i].text = value;
        return 2;
    }
    if (strcmp(name, "--engine") == 0)
        return take_engine(args, value) ? 2 : -1;
    if (take_word(args, name))
        return 1;
    return machine_args_take(&args->machine, argv);
}

// Proportions of the devices, "3,1": at least one of them has a share.
static bool read_split(const char *text, float out[PLAN_DEVICES_MAX]) {
    double sum = 0;
    for (size_t i = 0; *text && i < PLAN_DEVICES_MAX; i++) {
        char *end;
        double share = strtod(text, &end);
        if (end == text || !(share >= 0 && share <= FLT_MAX))
            break;
        out[i] = (float)share;
        sum += share;
        if (*end == '\0' && sum > 0)
            return true;
        if (*end == '\0')
            break;
        text = end + 1;
    }
    return REFUSE("--split needs proportions, such as 3,1");
}

// Takes our options out of argv; what is left goes to cli_parse.
int plan_args_parse(struct plan_args *args, int argc, char **argv, const char *help) {
    *args = (struct plan_args){.unified = -1};
    machine_args_init(&args->machine);
    char **rest = mem_alloc((size_t)(argc + 1) * sizeof *rest);
    int count = 0, taken = 1;
    for (int i = 0; i < argc && taken >= 0; i += taken ? taken : 1) {
        taken = i == 0 ? 0 : take_option(args, argv + i);
        if (taken == 0)
            rest[count++] = argv[i];
    }
    int status = taken < 0 ? EXIT_USAGE : cli_parse(&args->cli, count, rest, CLI_JSON, 1, 1, help);
    float split[PLAN_DEVICES_MAX];
    if (status < 0 && args->split && !read_split(args->split, split))
        status = EXIT_USAGE;
    if (status < 0)
        args->target = args->cli.args[0];
    mem_free(rest);
    return status;
}

bool plan_args_fix(const struct plan_args *args) { return args->ctx || args->ngl || args->ncmoe; }

// ---- over the engine's defaults ----

static bool apply_ctx(const struct plan_args *args, struct fit *fit) {
    uint64_t ctx = 0;
    fit->ctx_free = strcmp(args->ctx, "max") == 0;
    if (!fit->ctx_free && (!str_to_size(args->ctx, &ctx) || ctx > (1 << 30)))
        return REFUSE("--ctx needs a number of tokens (96K), or max");
    fit->settings.ctx = (uint32_t)ctx;
    return true;
}

static bool apply_kv(const struct plan_args *args, struct fit *fit) {
    struct plan_settings *s = &fit->settings;
    fit->kv_free = strcmp(args->kv, "auto") == 0;
    if (!fit->kv_free && !(s->k = s->v = gguf_type_named(args->kv)))
        return REFUSE("\"%s\" is no cache type: f16, q8_0, q4_0, ...", args->kv);
    return true;
}

static bool apply_ncmoe(const struct plan_args *args, struct fit *fit) {
    int64_t n = 0;
    bool automatic = strcmp(args->ncmoe, "auto") == 0;
    if (!automatic && !str_to_int(args->ncmoe, 0, MODEL_LAYERS_MAX, &n))
        return REFUSE("--n-cpu-moe needs a number of layers, or auto");
    fit->settings.ncmoe = (uint32_t)n;
    fit->offload_free = automatic;
    return true;
}

static bool read_ngl(const char *option, const char *text, uint32_t *out) {
    int64_t n = -1;
    if (strcmp(text, "all") != 0 && !str_to_int(text, -2, INT32_MAX, &n))
        return REFUSE("%s needs a number of layers, or all", option);
    *out = n < 0 ? UINT32_MAX : (uint32_t)n;
    return true;
}

static bool apply_ngl(const struct plan_args *args, struct fit *fit) {
    fit->offload_free = false;
    return read_ngl("--ngl", args->ngl, &fit->settings.ngl);
}

static bool apply_draft(const struct plan_args *args, struct plan_settings *s) {
    if (args->draft_n)
        s->draft_tokens = args->draft_n;
    if (args->draft_kv && !(s->draft_k = s->draft_v = gguf_type_named(args->draft_kv)))
        return REFUSE("\"%s\" is no cache type: f16, q8_0, q4_0, ...", args->draft_kv);
    return !args->draft_ngl || read_ngl("--draft-ngl", args->draft_ngl, &s->draft_ngl);
}

static bool apply_spec(const struct plan_args *args, struct fit *fit) {
    if (strcmp(args->spec, "mtp") != 0 && strcmp(args->spec, "draft-mtp") != 0)
        return REFUSE("--spec mtp is the one that takes memory of its own");
    fit->settings.draft = PLAN_DRAFT_MTP;
    return true;
}

bool plan_args_apply(const struct plan_args *args, struct fit *fit) {
    struct plan_settings *s = &fit->settings;
    if (args->parallel) {
        s->parallel = args->parallel;
        s->unified = false;
    }
    if (args->unified >= 0)
        s->unified = args->unified;
    if (args->batch)
        s->batch = args->batch;
    if (args->ubatch)
        s->ubatch = args->ubatch;
    if (s->batch < s->ubatch)
        s->batch = s->ubatch;
    s->flash_attention &= !args->no_flash;
    s->swa_full |= args->swa_full;
    s->engine_build = args->engine;
    return (!args->ctx || apply_ctx(args, fit)) && (!args->kv || apply_kv(args, fit)) &&
           (!args->ncmoe || apply_ncmoe(args, fit)) && (!args->ngl || apply_ngl(args, fit)) &&
           (!args->split || read_split(args->split, s->split)) &&
           (!args->spec || apply_spec(args, fit)) && apply_draft(args, s);
}

// ---- over a preset ----

static void lay(struct plan_overlays *out, const char *setting, const char *value) {
    if (value)
        out->item[out->count++] = (struct overlay){setting, value};
}

static void lay_number(struct plan_overlays *out, char room[16], const char *setting, uint32_t n) {
    snprintf(room, 16, "%u", n);
    lay(out, setting, n ? room : NULL);
}

void plan_args_overlays(const struct plan_args *args, struct plan_overlays *out) {
    *out = (struct plan_overlays){.count = 0};
    lay(out, "ctx", args->ctx);
    lay(out, "kv", args->kv);
    lay(out, "n-cpu-moe", args->ncmoe);
    lay(out, "gpu-layers", args->ngl);
    lay(out, "model-draft", args->draft);
    lay(out, "mmproj", args->mmproj);
    lay(out, "gpu-layers-draft", args->draft_ngl);
    lay(out, "cache-type-k-draft", args->draft_kv);
    lay(out, "cache-type-v-draft", args->draft_kv);
    lay(out, "tensor-split", args->split);
    if (args->spec)
        lay(out, "spec-type", strcmp(args->spec, "mtp") == 0 ? "draft-mtp" : args->spec);
    else if (args->draft)
        lay(out, "spec-type", "draft-simple");
    lay_number(out, out->numbers[0], "parallel", args->parallel);
    lay_number(out, out->numbers[1], "batch-size", args->batch);
    lay_number(out, out->numbers[2], "ubatch-size", args->ubatch);
    lay_number(out, out->numbers[3], "draft-max", args->draft_n);
    if (args->unified >= 0)
        lay(out, "kv-unified", args->unified ? "on" : "off");
    lay(out, "flash-attn", args->no_flash ? "off" : NULL);
    lay(out, "swa-full", args->swa_full ? "on" : NULL);
}
