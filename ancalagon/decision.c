#include "decision.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "preset_plan.h"
#include "reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB (1024.0 * 1024.0)

bool decision_is_open(const char *flag, const char *value) {
    if (strcmp(flag, "ctx-size") == 0)
        return strcmp(value, "max") == 0;
    bool may = strcmp(flag, "n-cpu-moe") == 0 || strcmp(flag, "cache-type-k") == 0 ||
               strcmp(flag, "cache-type-v") == 0;
    return may && strcmp(value, "auto") == 0;
}

static void decide(struct decision *out, const char *flag, const char *value) {
    struct decision_setting *setting = &out->settings[out->count++];
    snprintf(setting->flag, sizeof setting->flag, "%s", flag);
    snprintf(setting->value, sizeof setting->value, "%s", value);
}

static void decide_number(struct decision *out, const char *flag, uint32_t value) {
    char text[16];
    snprintf(text, sizeof text, "%u", value);
    decide(out, flag, text);
}

static void decide_type(struct decision *out, const char *flag, const struct gguf_type_info *type) {
    char text[16];
    size_t i = 0;
    for (; type->name[i] && i < sizeof text - 1; i++)
        text[i] = type->name[i] >= 'A' && type->name[i] <= 'Z' ? (char)(type->name[i] + 32)
                                                               : type->name[i];
    text[i] = '\0';
    decide(out, flag, text);
}

// ---- which build ----

// The preset's own engine; when it names none and cannot read the file, one of the other presets'.
static bool choose_engine(const struct config *config, const struct preset *preset,
                          const struct model *model, struct decision *out, struct err *err) {
    const char *type = NULL;
    enum gguf_type_family family = model_family(model, &type);
    if (reader_can(out->dialect, family))
        return true;
    bool named = strcmp(preset->engine, "default") != 0;
    for (size_t i = 0; !named && i < config->presets_count; i++) {
        struct err ignored;
        const struct dialect *other = dialect_probe(config->presets[i].engine_path, &ignored);
        if (other && reader_can(other, family)) {
            out->dialect = other;
            return true;
        }
    }
    return err_set(
        err, ERR_INVALID,
        "%s has %s tensors, which this build of llama-server does not read: it needs %s; "
        "build it and set engine = in the preset",
        model->path, type ? type : "unknown", gguf_type_engine(family));
}

// ---- what fits ----

static uint64_t anonymous(const struct plan_part *host) { // what no page cache gives back
    return host->kv + host->state + host->compute + host->overhead;
}

static uint64_t total_ram(void) {
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : PLAN_UNKNOWN;
}

static bool host_fits(const struct plan *plan, uint64_t returning, struct err *err) {
    uint64_t free = plan_ram_available(), need = anonymous(&plan->host);
    if (free != PLAN_UNKNOWN && need > free + returning)
        return err_set(err, ERR_INVALID,
                       "host memory has %.0f MiB to give, %.0f too little: KV cache %.0f + state "
                       "%.0f + compute %.0f MiB",
                       (double)(free + returning) / MIB, (double)(need - free - returning) / MIB,
                       (double)plan->host.kv / MIB, (double)plan->host.state / MIB,
                       (double)(plan->host.compute + plan->host.overhead) / MIB);
    if (plan->host.weights > total_ram())
        log_warn("plan.weights mib=%.0f why=\"more than this machine's memory: they are read from "
                 "the disk again and again\"",
                 (double)plan->host.weights / MIB);
    return true;
}

// The devices as they are without our engines, less what the others of ours hold.
static void find_machine(const struct dialect *dialect, const struct plan *others,
                         struct plan_machine *out) {
    preset_plan_machine(dialect, out);
    out->ram_bytes = PLAN_UNKNOWN; // judged apart: mapped weights are no claim on it
    for (size_t i = 0; i < out->devices && i < others->devices; i++) {
        uint64_t held = plan_total(&others->device[i]);
        if (out->device[i].capacity_bytes != PLAN_UNKNOWN)
            out->device[i].capacity_bytes -=
                held < out->device[i].capacity_bytes ? held : out->device[i].capacity_bytes;
    }
}

static bool fits(const struct fit *fit, struct plan *plan, uint64_t returning, struct err *err) {
    if (!fit_plan(fit, plan))
        return err_set(err, ERR_INVALID, "%s", plan->reason);
    return host_fits(plan, returning, err);
}

// What the user left open, and what the engine would have fitted itself: offloading that nobody
// fixed, a context that nobody asked for.
static bool resolve(struct fit *fit, bool placed, bool ctx_told, struct plan *plan,
                    uint64_t returning, struct err *err) {
    bool open = fit->ctx_free || fit->kv_free || fit->offload_free;
    if (!open && fits(fit, plan, returning, err))
        return true;
    bool may = open || !placed || !ctx_told;
    if (!may)
        return false;
    struct fit trial = *fit;
    trial.offload_free |= !placed;
    trial.ctx_free |= !ctx_told;
    static const char *const TYPES[] = {"f16", "q8_0", "q4_0"};
    for (size_t i = 0; i < (fit->kv_free ? 3u : 1u); i++) {
        if (fit->kv_free)
            trial.settings.k = trial.settings.v = gguf_type_named(TYPES[i]);
        struct fit attempt = trial;
        if (fit_resolve(&attempt, plan) && host_fits(plan, returning, err)) {
            *fit = attempt;
            return true;
        }
    }
    if (plan->reason[0])
        err_set(err, ERR_INVALID, "%s", plan->reason);
    return false;
}

static void explain(const struct fit *fit, struct err *err) {
    char nearest[160], text[sizeof err->text];
    fit_nearest(fit, nearest, sizeof nearest);
    if (!*nearest)
        return;
    snprintf(text, sizeof text, "it does not fit: %.300s. What would: %s", err->text, nearest);
    err_set(err, ERR_INVALID, "%s", text);
}

static void note_guard(void *arg, bool is_error, const char *text) {
    struct err *err = arg;
    if (is_error && err->code == ERR_NONE)
        err_set(err, ERR_INVALID, "%s", text);
    else if (!is_error)
        log_warn("plan.note why=\"%s\"", text);
}

// Only what differs from the preset, so that a command line stays what its user wrote.
static void write_down(const struct fit *fit, const struct plan_settings *asked, bool placed,
                       struct decision *out) {
    const struct plan_settings *s = &fit->settings;
    uint32_t all = fit->model->layers + 1;
    if (s->ctx != asked->ctx || fit->ctx_free)
        decide_number(out, "ctx-size", out->plan.ctx_total);
    if (fit->kv_free) {
        decide_type(out, "cache-type-k", s->k);
        decide_type(out, "cache-type-v", s->v);
    }
    if (fit->machine->devices == 0)
        return;
    if (s->ncmoe != asked->ncmoe || fit->offload_free)
        decide_number(out, "n-cpu-moe", s->ncmoe);
    // With layers and context both told, the engine's own fit pass has nothing left to do.
    if (!placed)
        decide_number(out, "n-gpu-layers", s->ngl > all ? all : s->ngl);
    if (!placed && s->ctx == 0)
        decide_number(out, "ctx-size", out->plan.ctx_total);
}

static bool plan_model(const struct preset *preset, struct model *model, const struct plan *others,
                       uint64_t returning, struct decision *out, struct err *err) {
    const char *draft_path = NULL, *mmproj_path = NULL;
    struct fit fit = {.model = model, .machine = &out->machine};
    if (!preset_plan_settings(preset, &fit.settings, &draft_path, &mmproj_path, err))
        return false;
    struct plan_settings asked = fit.settings;
    preset_plan_freedom(preset, &fit);
    fit.settings.engine_build = out->dialect->family == DIALECT_MAINLINE ? out->dialect->build : 0;
    find_machine(out->dialect, others, &out->machine);
    bool placed =
        preset_plan_get(preset, "gpu-layers") || preset_plan_get(preset, "override-tensor");
    bool ctx_told = preset_plan_get(preset, "ctx-size") != NULL && asked.ctx != 0;
    struct err ignored = {0}, guard = {0};
    struct model *draft =
        fit.settings.draft == PLAN_DRAFT_MODEL ? model_open(draft_path, &ignored) : NULL;
    struct gguf *projector = mmproj_path ? gguf_open(mmproj_path, &ignored) : NULL;
    fit.draft = draft;
    fit.projector = projector;
    plan_check(model, &fit.settings, note_guard, &guard);
    bool ok = guard.code == ERR_NONE;
    if (!ok)
        *err = guard;
    else if (!resolve(&fit, placed, ctx_told, &out->plan, returning, err)) {
        ok = false;
        explain(&fit, err);
    }
    if (ok) {
        out->planned = true;
        write_down(&fit, &asked, placed, out);
    }
    model_close(draft);
    gguf_close(projector);
    return ok;
}

static bool starts_like_gguf(const char *path) {
    char magic[4] = "";
    FILE *file = fopen(path, "rbe");
    bool yes = file && fread(magic, 1, 4, file) == 4 && memcmp(magic, "GGUF", 4) == 0;
    if (file)
        fclose(file);
    return yes;
}

bool decision_make(const struct config *config, const struct preset *preset,
                   const struct plan *others, uint64_t returning, struct decision *out,
                   struct err *err) {
    *out = (struct decision){.dialect = dialect_probe(preset->engine_path, err)};
    if (!out->dialect)
        return false;
    if (!preset->plan || !starts_like_gguf(preset->model))
        return true; // the engine knows, or tells what is wrong with it
    struct model *model = model_open(preset->model, err);
    if (!model && err->code == ERR_NOTFOUND) {
        log_warn("plan.skipped preset=%s why=\"%s\"", preset->name, err->text);
        return true;
    }
    if (!model)
        return false;
    // RPC workers have memory that only the engine can ask for.
    bool ok =
        choose_engine(config, preset, model, out, err) &&
        (preset_plan_get(preset, "rpc") || plan_model(preset, model, others, returning, out, err));
    model_close(model);
    return ok;
}

const char *decision_get(const struct decision *decision, const struct preset *preset,
                         const char *flag) {
    for (size_t i = 0; decision && i < decision->count; i++)
        if (strcmp(decision->settings[i].flag, flag) == 0)
            return decision->settings[i].value;
    const char *value = preset_get(preset, flag);
    return value && decision_is_open(flag, value) ? NULL : value;
}
