// plan: how much memory a model takes with given settings, what fits, and what to choose.
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli.h"
#include "config.h"
#include "format/json.h"
#include "preset_plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: ancalagon plan MODEL|PRESET [--device KIND[:SIZE] ...] [--ram SIZE] [--ctx N|max]\n"
    "                      [--kv TYPE] [--parallel N] [--kv-unified|--no-kv-unified]\n"
    "                      [--ngl N] [--n-cpu-moe N|auto] [--batch N] [--ubatch N]\n"
    "                      [--draft FILE] [--draft-n N] [--spec mtp] [--mmproj FILE]\n"
    "                      [--no-flash-attn] [--swa-full] [--split A,B] [--engine BUILD]\n"
    "                      [--json] [--config FILE]\n\n"
    "Weights + KV cache + compute buffers, from the file's header, before anything is started.\n"
    "  ancalagon plan model.gguf                         what fits this machine best\n"
    "  ancalagon plan model.gguf --device cuda:16G       ... another one\n"
    "  ancalagon plan coder --ctx 128K --kv q8_0         a preset, with changes\n"
    "KIND: cuda rocm vulkan metal rpc cpu; SIZE: 16G, 12282M. Several --device: in order.\n\n"
    "Exit: 0 it fits, 1 it does not, 2 usage or a file that cannot be planned, 3 config error.\n";

#define MIB (1024.0 * 1024.0)

struct request {
    struct cli cli;
    const char *target, *ctx, *kv, *ncmoe, *draft, *mmproj, *spec;
    struct plan_machine machine;
    bool devices_told, ram_told;
    // What the command line fixes over the preset or the engine's defaults.
    struct {
        uint32_t parallel, batch, ubatch, ngl, draft_n;
        int unified; // -1: not said
        bool no_flash, swa_full, ngl_told;
        float split[PLAN_DEVICES_MAX];
        int64_t engine;
    } set;
};

// A mistake on the command line: false, for those who say true when they understood.
__attribute__((format(printf, 1, 2))) static bool refuse(const char *format, ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    cli_fail(EXIT_USAGE, "%s", text);
    return false;
}

static bool take_number(const char *option, const char *text, int64_t max, uint32_t *out) {
    uint64_t value;
    if (text && str_to_size(text, &value) && value > 0 && value <= (uint64_t)max) {
        *out = (uint32_t)value;
        return true;
    }
    return refuse("%s needs a number from 1 to %lld", option, (long long)max);
}

static bool take_device(struct request *r, const char *text) {
    char kind[16];
    const char *colon = text ? strchr(text, ':') : NULL;
    size_t length = text ? (colon ? (size_t)(colon - text) : strlen(text)) : 0;
    r->devices_told = true;
    if (length == 0 || length >= sizeof kind)
        return refuse("--device needs KIND[:SIZE], such as cuda:16G");
    memcpy(kind, text, length);
    kind[length] = '\0';
    enum plan_kind parsed;
    if (!plan_kind_parse(kind, &parsed))
        return refuse("\"%s\" is no device kind: cuda, rocm, vulkan, metal, rpc or cpu", kind);
    if (parsed == PLAN_CPU) // everything in host memory; a size is the memory's
        return !colon || plan_parse_size(colon + 1, &r->machine.ram_bytes) ||
               refuse("\"%s\" is no size; write 32G or 32768M", colon + 1);
    if (r->machine.devices == PLAN_DEVICES_MAX)
        return refuse("at most %d devices", PLAN_DEVICES_MAX);
    struct plan_device *device = &r->machine.device[r->machine.devices];
    *device = (struct plan_device){
        .kind = parsed, .capacity_bytes = PLAN_UNKNOWN, .overhead_bytes = PLAN_UNKNOWN};
    snprintf(device->name, sizeof device->name, "%s%zu", kind, r->machine.devices);
    r->machine.devices++;
    if (colon && !plan_parse_size(colon + 1, &device->capacity_bytes))
        return refuse("\"%s\" is no size; write 16G or 16376M", colon + 1);
    device->nominal = colon != NULL;
    return true;
}

static bool take_split(struct request *r, const char *text) {
    for (size_t i = 0; text && *text && i < PLAN_DEVICES_MAX; i++) {
        char *end;
        r->set.split[i] = (float)strtod(text, &end);
        if (end == text || r->set.split[i] < 0)
            break;
        if (*end == '\0')
            return true;
        text = end + 1;
    }
    return refuse("--split needs proportions, such as 3,1");
}

// One option and its value. Returns how many words it took, 0 when it is none of ours, -1 on an
// error that was told.
static int take_option(struct request *r, char **argv) {
    const char *name = argv[0], *value = argv[1];
    const struct {
        const char *name;
        const char **text;
        uint32_t *number;
        int64_t max;
    } options[] = {
        {"--ctx", &r->ctx, NULL, 0},
        {"--kv", &r->kv, NULL, 0},
        {"--n-cpu-moe", &r->ncmoe, NULL, 0},
        {"--draft", &r->draft, NULL, 0},
        {"--mmproj", &r->mmproj, NULL, 0},
        {"--spec", &r->spec, NULL, 0},
        {"--parallel", NULL, &r->set.parallel, 256},
        {"--batch", NULL, &r->set.batch, 1 << 20},
        {"--ubatch", NULL, &r->set.ubatch, 1 << 20},
        {"--draft-n", NULL, &r->set.draft_n, 64},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (strcmp(name, options[i].name) != 0)
            continue;
        if (options[i].number)
            return take_number(name, value, options[i].max, options[i].number) ? 2 : -1;
        if (!value)
            return refuse("%s needs a value", name) ? 2 : -1;
        *options[i].text = value;
        return 2;
    }
    if (strcmp(name, "--device") == 0)
        return take_device(r, value) ? 2 : -1;
    if (strcmp(name, "--split") == 0)
        return take_split(r, value) ? 2 : -1;
    if (strcmp(name, "--ngl") == 0) {
        int64_t n;
        r->set.ngl_told = true;
        r->set.ngl = UINT32_MAX;
        if (value && strcmp(value, "all") == 0)
            return 2;
        if (!value || !str_to_int(value, -2, INT32_MAX, &n))
            return refuse("--ngl needs a number of layers, or all") ? 2 : -1;
        if (n >= 0)
            r->set.ngl = (uint32_t)n;
        return 2;
    }
    if (strcmp(name, "--ram") == 0) {
        r->ram_told = true;
        if (value && plan_parse_size(value, &r->machine.ram_bytes))
            return 2;
        return refuse("--ram needs a size, such as 32G") ? 2 : -1;
    }
    if (strcmp(name, "--engine") == 0) {
        const char *digits = value && value[0] == 'b' ? value + 1 : value;
        if (digits && str_to_int(digits, 1, INT32_MAX, &r->set.engine))
            return 2;
        return refuse("--engine needs a build number, such as 11434") ? 2 : -1;
    }
    if (strcmp(name, "--kv-unified") == 0)
        r->set.unified = 1;
    else if (strcmp(name, "--no-kv-unified") == 0)
        r->set.unified = 0;
    else if (strcmp(name, "--no-flash-attn") == 0)
        r->set.no_flash = true;
    else if (strcmp(name, "--swa-full") == 0)
        r->set.swa_full = true;
    else
        return 0;
    return 1;
}

// Takes our options out of argv; what is left goes to cli_parse.
static int parse(struct request *r, int argc, char **argv) {
    *r = (struct request){.machine.ram_bytes = PLAN_UNKNOWN, .set.unified = -1};
    char **rest = mem_alloc((size_t)(argc + 1) * sizeof *rest);
    int count = 0, taken = 1;
    for (int i = 0; i < argc && taken >= 0; i += taken ? taken : 1) {
        taken = i == 0 ? 0 : take_option(r, argv + i);
        if (taken == 0)
            rest[count++] = argv[i];
    }
    int status = taken < 0 ? EXIT_USAGE : cli_parse(&r->cli, count, rest, CLI_JSON, 1, 1, help);
    if (status < 0)
        r->target = r->cli.args[0];
    mem_free(rest);
    return status;
}

// ---- what is planned ----

struct subject {
    struct config *config; // NULL when a file was named
    const struct preset *preset;
    struct model *model, *draft;
    struct gguf *projector;
    struct fit fit;
};

// A name with a slash or the suffix is a file, there or not; anything else is a preset.
static bool is_file(const char *target) { return strchr(target, '/') || str_ends(target, ".gguf"); }

static bool apply_words(const struct request *r, struct fit *fit) {
    struct plan_settings *s = &fit->settings;
    if (r->ctx) {
        uint64_t ctx = 0;
        fit->ctx_free = strcmp(r->ctx, "max") == 0;
        if (!fit->ctx_free && (!str_to_size(r->ctx, &ctx) || ctx > (1 << 30)))
            return refuse("--ctx needs a number of tokens (96K), or max");
        s->ctx = (uint32_t)ctx;
    }
    if (r->kv) {
        fit->kv_free = strcmp(r->kv, "auto") == 0;
        if (!fit->kv_free && !(s->k = s->v = gguf_type_named(r->kv)))
            return refuse("\"%s\" is no cache type: f16, q8_0, q4_0, ...", r->kv);
    }
    if (r->ncmoe) {
        int64_t n = 0;
        bool automatic = strcmp(r->ncmoe, "auto") == 0;
        if (!automatic && !str_to_int(r->ncmoe, 0, MODEL_LAYERS_MAX, &n))
            return refuse("--n-cpu-moe needs a number of layers, or auto");
        s->ncmoe = (uint32_t)n;
        fit->offload_free = automatic;
    }
    if (r->spec) {
        if (strcmp(r->spec, "mtp") != 0 && strcmp(r->spec, "draft-mtp") != 0)
            return refuse("--spec mtp is the one that takes memory of its own");
        s->draft = PLAN_DRAFT_MTP;
    }
    return true;
}

static bool apply(const struct request *r, struct fit *fit) {
    struct plan_settings *s = &fit->settings;
    if (r->set.parallel) {
        s->parallel = r->set.parallel;
        s->unified = false;
    }
    if (r->set.unified >= 0)
        s->unified = r->set.unified;
    if (r->set.batch)
        s->batch = r->set.batch;
    if (r->set.ubatch) {
        s->ubatch = r->set.ubatch;
        if (s->batch < s->ubatch)
            s->batch = s->ubatch;
    }
    if (r->set.ngl_told) {
        s->ngl = r->set.ngl;
        fit->offload_free = false;
    }
    if (r->set.draft_n)
        s->draft_tokens = r->set.draft_n;
    if (r->set.no_flash)
        s->flash_attention = false;
    s->swa_full |= r->set.swa_full;
    s->engine_build = r->set.engine;
    for (size_t i = 0; i < PLAN_DEVICES_MAX; i++)
        if (r->set.split[i] > 0)
            s->split[i] = r->set.split[i];
    return apply_words(r, fit);
}

static bool open_extra(struct subject *subject, const char *draft, const char *mmproj,
                       struct err *err) {
    if (draft) {
        char *path = path_expand(draft);
        subject->draft = model_open(path, err);
        mem_free(path);
        if (!subject->draft)
            return false;
        subject->fit.draft = subject->draft;
        subject->fit.settings.draft = PLAN_DRAFT_MODEL;
    }
    if (mmproj) {
        char *path = path_expand(mmproj);
        subject->projector = gguf_open(path, err);
        mem_free(path);
        if (!subject->projector)
            return false;
        subject->fit.projector = subject->projector;
    }
    return true;
}

// The default engine's devices, or the preset's engine's.
static void find_machine(const struct request *r, const struct subject *subject,
                         struct plan_machine *out) {
    *out = r->machine;
    if (!r->devices_told) {
        const char *engine = subject->preset ? subject->preset->engine_path : NULL;
        char *cached = engine ? NULL : path_cache("engine/bin/llama-server");
        struct err err = {0};
        const struct dialect *dialect = dialect_probe(engine ? engine : cached, &err);
        uint64_t ram = out->ram_bytes;
        preset_plan_machine(dialect, out);
        if (r->ram_told)
            out->ram_bytes = ram;
        mem_free(cached);
    } else if (!r->ram_told && out->ram_bytes == PLAN_UNKNOWN && out->devices == 0) {
        out->ram_bytes = plan_ram_available();
    }
}

static int find_subject(const struct request *r, struct subject *subject) {
    struct err err = {0};
    const char *draft = NULL, *mmproj = NULL, *path = r->target;
    struct fit *fit = &subject->fit;
    plan_settings_init(&fit->settings);
    fit->ctx_free = fit->kv_free = fit->offload_free = true;
    if (!is_file(r->target)) {
        subject->config = config_load(r->cli.config, &err);
        if (!subject->config)
            return cli_fail(EXIT_CONFIG, "%s", err.text);
        subject->preset = config_find(subject->config, r->target);
        if (!subject->preset)
            return cli_fail(EXIT_USAGE,
                            "\"%s\" is neither a file nor a preset; see: ancalagon list",
                            r->target);
        if (!preset_plan_settings(subject->preset, &fit->settings, &draft, &mmproj, &err))
            return cli_fail(EXIT_CONFIG, "[%s] %s", r->target, err.text);
        preset_plan_freedom(subject->preset, fit);
        path = subject->preset->model;
    }
    if (r->draft)
        draft = r->draft;
    if (r->mmproj)
        mmproj = r->mmproj;
    if (!apply(r, fit))
        return EXIT_USAGE;
    subject->model = model_open(path, &err);
    if (!subject->model || !open_extra(subject, draft, mmproj, &err))
        return cli_fail(EXIT_USAGE, "%s", err.text);
    fit->model = subject->model;
    return -1;
}

static void forget(struct subject *subject) {
    model_close(subject->model);
    model_close(subject->draft);
    gguf_close(subject->projector);
    config_destroy(subject->config);
    dialect_forget();
}

// ---- telling it ----

struct outcome {
    struct plan plan;
    json_t *notes;
    struct fit_proposal proposals[FIT_PROPOSALS_MAX];
    size_t proposal_count;
};

static void add_note(void *arg, bool is_error, const char *text) {
    struct outcome *outcome = arg;
    json_array_append_new(outcome->notes, json_string(text));
    if (is_error && outcome->plan.fits) {
        outcome->plan.fits = false;
        snprintf(outcome->plan.reason, sizeof outcome->plan.reason, "%s", text);
    }
}

static void note_reader(const struct model *model, struct outcome *outcome) {
    const char *type = NULL;
    char text[240];
    switch (model_family(model, &type)) {
    case GGUF_TYPE_MAINLINE: return;
    case GGUF_TYPE_TQ3:
        snprintf(text, sizeof text,
                 "%s tensors: only the fork turbo-tan/llama.cpp-tq3 reads them; build it and name "
                 "it with engine = in the preset",
                 type);
        break;
    case GGUF_TYPE_IK:
        snprintf(text, sizeof text,
                 "%s tensors: only ikawrakow/ik_llama.cpp reads them; build it and name it with "
                 "engine = in the preset",
                 type ? type : "ik_llama.cpp");
        break;
    default:
        snprintf(text, sizeof text,
                 "tensor types that llama.cpp does not know: it needs the fork that made them "
                 "(sizes are taken from the file)");
    }
    add_note(outcome, false, text);
}

static json_t *mib(uint64_t bytes) {
    return bytes == PLAN_UNKNOWN
               ? json_null()
               : json_real((double)(int64_t)((double)bytes / MIB * 100 + .5) / 100);
}

static json_t *part_json(const char *name, const char *kind, const struct plan_part *part,
                         uint64_t capacity) {
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", name, "kind", kind,
                     "weights_mib", mib(part->weights), "kv_mib", mib(part->kv), "state_mib",
                     mib(part->state), "compute_mib", mib(part->compute), "overhead_mib",
                     mib(part->overhead), "total_mib", mib(plan_total(part)), "capacity_mib",
                     mib(capacity));
}

static json_t *settings_json(const struct fit *fit, const struct plan_settings *s,
                             const struct plan *plan) {
    uint32_t all = fit->model->layers + 1;
    char k[16], v[16];
    return json_pack("{s:I, s:I, s:b, s:I, s:I, s:I, s:I, s:s, s:s, s:b}", "ctx",
                     (json_int_t)plan->ctx_total, "parallel", (json_int_t)s->parallel, "kv_unified",
                     (int)s->unified, "batch", (json_int_t)s->batch, "ubatch",
                     (json_int_t)s->ubatch, "ngl",
                     (json_int_t)(fit->machine->devices == 0 ? 0
                                  : s->ngl > all             ? all
                                                             : s->ngl),
                     "n_cpu_moe", (json_int_t)(s->ncmoe == UINT32_MAX ? all - 1 : s->ncmoe), "kv_k",
                     plan_type_name(s->k, k), "kv_v", plan_type_name(s->v, v), "flash_attn",
                     (int)s->flash_attention);
}

static json_t *proposals_json(const struct fit *fit, const struct outcome *outcome) {
    json_t *list = json_array();
    for (size_t i = 0; i < outcome->proposal_count; i++) {
        const struct fit_proposal *p = &outcome->proposals[i];
        json_t *one = settings_json(fit, &p->settings, &p->plan);
        json_object_set_new(one, "words", json_string(p->words));
        if (p->plan.devices)
            json_object_set_new(one, "device_mib", mib(plan_total(&p->plan.device[0])));
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *model_json(const struct model *m) {
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:I}", "path", m->path, "name",
                     m->name, "architecture", m->arch, "quantisation", model_quantisation(m),
                     "weights_mib", mib(model_weights_bytes(m)), "layers", (json_int_t)m->layers,
                     "ctx_train", (json_int_t)m->ctx_train, "experts", (json_int_t)m->experts,
                     "experts_used", (json_int_t)m->experts_used);
}

static void print_json(const struct fit *fit, const struct outcome *outcome) {
    const struct plan *plan = &outcome->plan;
    json_t *devices = json_array();
    for (size_t i = 0; i < plan->devices; i++)
        json_array_append_new(devices,
                              part_json(fit->machine->device[i].name,
                                        plan_kind_name(fit->machine->device[i].kind),
                                        &plan->device[i], fit->machine->device[i].capacity_bytes));
    char nearest[160] = "";
    if (!plan->fits)
        fit_nearest(fit, nearest, sizeof nearest);
    json_t *all = json_pack(
        "{s:o, s:o, s:I, s:I, s:o, s:o, s:b, s:s, s:s, s:b, s:O, s:o}", "model",
        model_json(fit->model), "settings", settings_json(fit, &fit->settings, plan), "ctx",
        (json_int_t)plan->ctx_total, "ctx_slot", (json_int_t)plan->ctx_slot, "devices", devices,
        "host", part_json("host", "cpu", &plan->host, fit->machine->ram_bytes), "fits",
        (int)plan->fits, "reason", plan->reason, "nearest", nearest, "estimated",
        (int)plan->estimated, "notes", outcome->notes, "proposals", proposals_json(fit, outcome));
    json_dumpf(all, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
    putchar('\n');
    json_decref(all);
}

static void print_part(const char *name, const struct plan_part *part, uint64_t capacity) {
    printf("%-12s %8.0f %8.0f %7.0f %8.0f %7.0f %8.0f", name, (double)part->weights / MIB,
           (double)part->kv / MIB, (double)part->state / MIB, (double)part->compute / MIB,
           (double)part->overhead / MIB, (double)plan_total(part) / MIB);
    if (capacity != PLAN_UNKNOWN)
        printf("  of %.0f", (double)capacity / MIB);
    putchar('\n');
}

static void print_settings(const struct fit *fit, const struct plan *plan) {
    const struct plan_settings *s = &fit->settings;
    printf("%s, %s, %.1f GB, trained for %u tokens", fit->model->arch,
           model_quantisation(fit->model), (double)model_weights_bytes(fit->model) / 1e9,
           fit->model->ctx_train);
    if (fit->model->experts)
        printf(", %u experts (%u at a time)", fit->model->experts, fit->model->experts_used);
    printf("\ncontext %u tokens", plan->ctx_total);
    if (s->parallel > 1)
        printf(s->unified ? ", shared by %u slots" : ", in %u slots", s->parallel);
    char k[16], v[16];
    printf(", KV cache %s%s%s", plan_type_name(s->k, k), s->k == s->v ? "" : " / ",
           s->k == s->v ? "" : plan_type_name(s->v, v));
    if (fit->machine->devices && s->ncmoe)
        printf(", experts of %u layers on the CPU", s->ncmoe);
    if (fit->machine->devices)
        printf(", %u of %u layers on devices", plan->layers_offloaded, fit->model->layers);
    puts("\n");
}

static void print_section(const struct fit *fit, const struct fit_proposal *p) {
    uint32_t all = fit->model->layers + 1;
    struct err err = {0};
    char *path = path_absolute(fit->model->path, &err), type[16];
    printf("\nFor presets.ini:\n[mymodel]\nmodel = %s\nctx = %u\nkv = %s\nparallel = %u\n",
           path ? path : fit->model->path, p->plan.ctx_total, plan_type_name(p->settings.k, type),
           p->settings.parallel);
    if (fit->machine->devices)
        printf("gpu-layers = %u\n", p->settings.ngl > all ? all : p->settings.ngl);
    if (p->settings.ncmoe)
        printf("n-cpu-moe = %u\n", p->settings.ncmoe);
    mem_free(path);
}

static void print_proposals(const struct fit *fit, const struct outcome *outcome) {
    if (outcome->proposal_count == 0)
        return;
    puts("\nWhat fits, the recommended one first (one slot):");
    printf("  %9s  %-5s %6s %9s  %s\n", "context", "KV", "on CPU", "device MiB", "");
    for (size_t i = 0; i < outcome->proposal_count; i++) {
        const struct fit_proposal *p = &outcome->proposals[i];
        char type[16];
        uint32_t all = fit->model->layers + 1;
        uint32_t cpu = p->settings.ncmoe           ? p->settings.ncmoe
                       : p->settings.ngl > all - 1 ? 0
                                                   : all - p->settings.ngl;
        double device = p->plan.devices ? (double)plan_total(&p->plan.device[0]) / MIB : 0;
        printf("%s %9u  %-5s %6u %10.0f  %s\n", i ? " " : "*", p->plan.ctx_total,
               plan_type_name(p->settings.k, type),
               fit->machine->devices ? cpu : fit->model->layers, device, p->words);
    }
    print_section(fit, &outcome->proposals[0]);
}

static void print_text(const struct fit *fit, const struct outcome *outcome) {
    const struct plan *plan = &outcome->plan;
    print_settings(fit, plan);
    printf("%-12s %8s %8s %7s %8s %7s %8s  MiB\n", "", "weights", "KV", "state", "compute",
           "driver", "total");
    for (size_t i = 0; i < plan->devices; i++)
        print_part(fit->machine->device[i].name, &plan->device[i],
                   fit->machine->device[i].capacity_bytes);
    print_part("host", &plan->host, fit->machine->ram_bytes);
    if (plan->fits) {
        puts("\nIt fits.");
    } else {
        printf("\nIt does not fit: %s.\n", plan->reason);
        char nearest[160];
        fit_nearest(fit, nearest, sizeof nearest);
        if (*nearest)
            printf("What would: %s.\n", nearest);
    }
    size_t i;
    json_t *note;
    json_array_foreach(outcome->notes, i, note) printf("Note: %s.\n", json_string_value(note));
    print_proposals(fit, outcome);
}

static int plan_subject(const struct request *r, struct subject *subject) {
    struct plan_machine machine;
    struct outcome outcome = {.notes = json_array()};
    struct fit *fit = &subject->fit;
    find_machine(r, subject, &machine);
    fit->machine = &machine;
    bool propose = !r->ctx && !r->set.ngl_told && !r->ncmoe && !subject->preset;
    bool free = (r->ctx && fit->ctx_free) || (r->ncmoe && fit->offload_free) ||
                (subject->preset && (fit->ctx_free || fit->offload_free));
    if (propose) {
        struct fit one = *fit;
        if (!r->set.parallel) {
            one.settings.parallel = 1;
            one.settings.unified = false;
        }
        outcome.proposal_count = fit_propose(&one, outcome.proposals);
        if (outcome.proposal_count)
            fit->settings = outcome.proposals[0].settings;
    }
    if (free)
        fit_resolve(fit, &outcome.plan);
    fit_plan(fit, &outcome.plan);
    plan_check(fit->model, &fit->settings, add_note, &outcome);
    note_reader(fit->model, &outcome);
    if (outcome.plan.estimated)
        add_note(&outcome, false, "an architecture we do not know: compute is an upper estimate");
    if (r->cli.json)
        print_json(fit, &outcome);
    else
        print_text(fit, &outcome);
    json_decref(outcome.notes);
    return outcome.plan.fits ? EXIT_DONE : EXIT_FAILED;
}

int cmd_plan(int argc, char **argv) {
    struct request request;
    struct subject subject = {0};
    int status = parse(&request, argc, argv);
    if (status >= 0)
        return status;
    status = find_subject(&request, &subject);
    if (status < 0)
        status = plan_subject(&request, &subject);
    forget(&subject);
    return status;
}
