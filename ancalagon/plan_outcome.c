#include "plan_outcome.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "control_client.h"
#include "decision.h"
#include "format/json.h"
#include "plan/draft.h"
#include "preset_plan.h"
#include "reader.h"

#include <stdio.h>
#include <string.h>

enum { SERVER_MS = 1000 }; // how long a running server may take to say what it holds

static void add_note(void *arg, const char *text) {
    struct plan_outcome *out = arg;
    json_array_append_new(out->notes, json_text(text));
}

static void add_guard(void *arg, bool is_error, const char *text) {
    struct plan_outcome *out = arg;
    add_note(out, text);
    if (is_error && !out->says[0])
        snprintf(out->says, sizeof out->says, "%s", text);
}

static void note_reader(struct plan_outcome *out) {
    const char *type = NULL;
    char text[240];
    const struct model *model = out->fit.model;
    enum gguf_type_family family = model_family(model, &type);
    if (reader_note(family, type, text, sizeof text))
        add_note(out, text);
    if (out->plan.estimated)
        add_note(out, "an architecture we do not know: compute is an upper estimate");
}

// A vocabulary that we do not know may still be the same.
static void check_draft(struct plan_outcome *out) {
    const struct model *model = out->fit.model, *draft = out->fit.draft;
    struct draft_vocab ours, its;
    char why[160], text[sizeof out->says];
    if (!draft || out->fit.settings.draft != PLAN_DRAFT_MODEL ||
        draft_compatible(model->gguf, draft->gguf, why, sizeof why))
        return;
    draft_vocab_read(model->gguf, &ours);
    draft_vocab_read(draft->gguf, &its);
    bool known = ours.kind != DRAFT_VOCAB_NONE && its.kind != DRAFT_VOCAB_NONE;
    snprintf(text, sizeof text, "the draft %.100s %s: %s", draft->path,
             known ? "does not go with this model" : "may not go with this model", why);
    add_guard(out, known, text);
    out->runs &= !known;
}

// llama-server fails to start then ("failed to create MTP context"), unless a draft file has it.
static void check_head(struct plan_outcome *out, const char *draft) {
    if (draft || out->fit.settings.draft != PLAN_DRAFT_MTP || out->fit.model->layers_mtp > 0)
        return;
    add_guard(out, true, "this model has no multi-token head (MTP) to speculate with");
    out->runs = false;
}

static void note_experts(struct plan_outcome *out) {
    if (out->fit.settings.ncmoe && out->fit.model->experts == 0)
        add_note(out, "this model has no experts: n-cpu-moe moves nothing");
}

// ---- the machine ----

// The devices that the build sees, with what is free on them now and what its driver takes.
static void find_machine(const struct plan_args *args, const char *engine, const char *rpc,
                         struct plan_outcome *out) {
    struct dialect_devices listed = {0};
    struct err ignored;
    if (!args->machine.devices_told)
        dialect_devices_now(engine, rpc, &listed, &ignored);
    machine_args_resolve(&args->machine, &listed, &out->machine);
    dialect_devices_fini(&listed);
    const struct dialect *dialect = out->machine.devices && !args->machine.devices_told
                                        ? dialect_probe(engine, &ignored)
                                        : NULL;
    if (!dialect)
        return;
    struct memory_store *store = memory_store_open();
    memory_store_apply(store, dialect->version, &out->machine);
    memory_store_close(store);
}

static void give_back(const json_t *holds, struct plan_machine *machine) {
    for (size_t i = 0; i < machine->devices; i++) {
        struct plan_device *device = &machine->device[i];
        double mib = json_number_value(json_object_get(holds, device->name));
        if (device->capacity_bytes == PLAN_UNKNOWN || !(mib > 0 && mib < 1e9))
            continue;
        device->capacity_bytes += (uint64_t)(mib * 1024 * 1024);
        if (device->capacity_bytes > device->total_bytes)
            device->capacity_bytes = device->total_bytes;
    }
}

// What this group's engine holds would be free by the time the preset is loaded.
static void count_loaded(const struct plan_args *args, struct plan_outcome *out) {
    struct err err;
    struct control_reply reply = {0};
    struct control *control =
        args->machine.devices_told ? NULL : control_open(args->cli.config, &err);
    size_t i;
    json_t *preset;
    if (control && control_ask(control, "GET", "/presets", NULL, SERVER_MS, &reply, &err)) {
        json_array_foreach(reply.json, i, preset) {
            if (strcmp(json_get_text(preset, "group", ""), out->preset.group) == 0)
                give_back(json_object_get(preset, "holds"), &out->machine);
        }
    }
    control_reply_fini(&reply);
    control_close(control);
}

// ---- files ----

// A language model in its place would be planned as one, and refused by the engine.
static bool is_projector(const struct gguf *gguf) {
    if (model_kind_of(gguf) == MODEL_KIND_PROJECTOR)
        return true;
    cli_fail(EXIT_USAGE, "%s is a model of its own, no projector (mmproj) for another one",
             gguf_path(gguf));
    return false;
}

static bool read_files(struct plan_outcome *out, const char *const paths[MODEL_FILES]) {
    model_files_read(&out->files, paths);
    for (size_t i = 0; i < MODEL_FILES; i++) {
        const struct model_file *file = &out->files.file[i];
        if (!file->path || file->model || file->projector)
            continue;
        if (file->foreign)
            cli_fail(EXIT_USAGE, "%s is no GGUF file", file->path);
        else
            cli_fail(EXIT_USAGE, "%s", file->err.text);
        return false;
    }
    const struct gguf *projector = out->files.file[MODEL_FILE_PROJECTOR].projector;
    if (projector && !is_projector(projector))
        return false;
    out->fit.model = out->files.file[MODEL_FILE_MODEL].model;
    out->fit.draft = out->files.file[MODEL_FILE_DRAFT].model;
    out->fit.projector = projector;
    out->fit.machine = &out->machine;
    return true;
}

static void propose(const struct plan_args *args, struct plan_outcome *out) {
    struct fit one = out->fit;
    if (!args->parallel) {
        one.settings.parallel = 1;
        one.settings.unified = false;
    }
    out->proposal_count = fit_propose(&one, out->proposals);
    if (out->proposal_count)
        out->fit.settings = out->proposals[0].settings;
}

static int plan_file(const struct plan_args *args, struct plan_outcome *out) {
    char *draft = args->draft ? path_expand(args->draft) : NULL;
    char *mmproj = args->mmproj ? path_expand(args->mmproj) : NULL;
    char *engine = path_cache("engine/bin/llama-server");
    plan_settings_init(&out->fit.settings);
    out->fit.ctx_free = out->fit.kv_free = out->fit.offload_free = true;
    if (args->draft)
        out->fit.settings.draft = PLAN_DRAFT_MODEL;
    int status = -1;
    if (!plan_args_apply(args, &out->fit) ||
        !read_files(out, (const char *const[]){args->target, draft, mmproj})) {
        status = EXIT_USAGE;
    } else {
        find_machine(args, engine, NULL, out);
        if (!plan_args_fix(args))
            propose(args, out);
        else if ((args->ctx && out->fit.ctx_free) || (args->ncmoe && out->fit.offload_free))
            fit_resolve(&out->fit, &out->plan);
        fit_plan(&out->fit, &out->plan);
        plan_check(out->fit.model, &out->fit.settings, add_guard, out);
        out->runs = out->plan.fits && !out->says[0];
    }
    mem_free(engine);
    mem_free(draft);
    mem_free(mmproj);
    return status;
}

// ---- presets ----

static bool find_preset(const struct plan_args *args, struct plan_outcome *out, int *status) {
    struct err err = {0};
    struct plan_overlays overlays;
    out->config = config_load(args->cli.config, &err);
    const struct preset *preset = out->config ? config_find(out->config, args->target) : NULL;
    plan_args_overlays(args, &overlays);
    *status = EXIT_CONFIG;
    if (!out->config)
        cli_fail(EXIT_CONFIG, "%s", err.text);
    else if (!preset)
        *status = cli_fail(EXIT_USAGE, "\"%s\" is neither a file nor a preset; see: ancalagon list",
                           args->target);
    else if (!preset_overlay(preset, NULL, overlays.item, overlays.count, &out->preset, &err))
        *status =
            cli_fail(overlays.count ? EXIT_USAGE : EXIT_CONFIG, "[%s] %s", args->target, err.text);
    else
        out->is_preset = true;
    return out->is_preset;
}

// The build as it is, or of another number.
static const struct dialect *find_build(const struct plan_args *args, struct plan_outcome *out,
                                        struct dialect *other) {
    struct err err = {0};
    const struct dialect *dialect = decision_engine(out->config, &out->preset, &out->files, &err);
    // Another machine will have the build that it needs; note_reader names it.
    if (!dialect && err.code == ERR_INVALID && args->machine.devices_told)
        dialect = dialect_probe(out->preset.engine_path, &err);
    else if (!dialect && err.code == ERR_INVALID)
        snprintf(out->says, sizeof out->says, "%.300s", err.text);
    else if (!dialect)
        add_note(out, "there is no engine to ask: planned for a current llama-server");
    if (!dialect || !args->engine)
        return dialect;
    *other = *dialect;
    other->family = DIALECT_MAINLINE;
    other->build = args->engine;
    return other;
}

static void note_draft(struct plan_outcome *out, const struct draft_choice *draft) {
    char text[sizeof draft->why + 16];
    if (!out->preset.draft || !*draft->why)
        return;
    snprintf(text, sizeof text, "%s: %s", draft->kind == DRAFT_NONE ? "no draft" : "draft",
             draft->why);
    add_note(out, text);
}

static void keep_fit(struct plan_outcome *out, const struct decision *decision) {
    out->machine = decision->machine;
    out->plan = decision->plan;
    out->fit.settings = decision->chosen;
}

// As the server would; what it leaves to the engine is planned with the preset's settings as they
// stand.
static void decide(const struct plan_args *args, struct plan_outcome *out) {
    struct dialect other;
    struct decision decision;
    struct err err = {0};
    struct decision_asked asked = {.config = out->config,
                                   .preset = &out->preset,
                                   .dialect = find_build(args, out, &other),
                                   .files = &out->files,
                                   .machine = out->machine,
                                   .swap_bytes = args->machine.ram_told ? 0 : plan_swap_free()};
    bool ok = asked.dialect && decision_make(&asked, add_note, out, &decision, &err);
    out->runs = ok && decision.planned;
    if (out->runs || err.code == ERR_LIMIT) {
        keep_fit(out, &decision);
        note_draft(out, &decision.draft);
        return;
    }
    if (!ok && err.code != ERR_NONE)
        snprintf(out->says, sizeof out->says, "%.300s", err.text);
    else if (ok)
        add_note(out,
                 "the server leaves this preset's memory to the engine; these are its settings "
                 "as they stand");
    if (!asked.dialect && (out->fit.ctx_free || out->fit.kv_free || out->fit.offload_free))
        fit_choose(&out->fit, &out->plan);
    fit_plan(&out->fit, &out->plan);
    plan_check(out->fit.model, &out->fit.settings, add_guard, out);
    out->runs = ok;
}

static int plan_preset(const struct plan_args *args, struct plan_outcome *out) {
    const char *paths[MODEL_FILES], *draft, *mmproj;
    struct err err = {0};
    int status = -1;
    if (!find_preset(args, out, &status))
        return status;
    decision_paths(&out->preset, paths);
    if (!read_files(out, paths))
        return EXIT_USAGE;
    draft_files_read(&out->files.drafts, out->preset.draft, out->config->models_dirs,
                     out->fit.model);
    if (!preset_plan_settings(&out->preset, &out->fit.settings, &draft, &mmproj, &err))
        return cli_fail(EXIT_CONFIG, "[%s] %s", args->target, err.text);
    preset_plan_freedom(&out->preset, &out->fit);
    find_machine(args, out->preset.engine_path, preset_get(&out->preset, "rpc"), out);
    count_loaded(args, out);
    decide(args, out);
    struct memory_store *store = memory_store_open();
    out->has_seen = memory_store_get(store, out->preset.name, &out->seen);
    memory_store_close(store);
    return -1;
}

// A name with a slash or the suffix is a file, there or not; anything else is a preset.
static bool is_file(const char *target) { return strchr(target, '/') || str_ends(target, ".gguf"); }

int plan_outcome_make(const struct plan_args *args, struct plan_outcome *out) {
    *out = (struct plan_outcome){.notes = json_array()};
    int status = is_file(args->target) ? plan_file(args, out) : plan_preset(args, out);
    if (status < 0) {
        note_reader(out);
        note_experts(out);
        check_draft(out);
        check_head(out,
                   out->is_preset ? preset_plan_get(&out->preset, "model-draft") : args->draft);
    }
    return status;
}

void plan_outcome_fini(struct plan_outcome *out) {
    model_files_fini(&out->files);
    if (out->is_preset)
        preset_fini(&out->preset);
    config_destroy(out->config);
    json_decref(out->notes);
    dialect_forget();
}
