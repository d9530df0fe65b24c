#include "decision.h"

#include "base/str.h"
#include "preset_plan.h"
#include "reader.h"

#include <stdio.h>
#include <string.h>

#define MIB (1024.0 * 1024.0)

bool decision_is_open(const char *flag, const char *value) {
    if (strcmp(flag, "ctx-size") == 0)
        return strcmp(value, "max") == 0;
    bool may = strcmp(flag, "n-cpu-moe") == 0 || strcmp(flag, "cache-type-k") == 0 ||
               strcmp(flag, "cache-type-v") == 0;
    return may && strcmp(value, "auto") == 0;
}

const char *decision_get(const struct decision *decision, const struct preset *preset,
                         const char *flag) {
    for (size_t i = 0; decision && i < decision->count; i++)
        if (strcmp(decision->settings[i].flag, flag) == 0)
            return decision->settings[i].value;
    const char *value = preset_get(preset, flag);
    return value && decision_is_open(flag, value) ? NULL : value;
}

void decision_paths(const struct preset *preset, const char *paths[MODEL_FILES]) {
    struct plan_settings settings;
    struct err ignored;
    paths[MODEL_FILE_MODEL] = preset->model;
    paths[MODEL_FILE_DRAFT] = paths[MODEL_FILE_PROJECTOR] = NULL;
    if (!preset_plan_settings(preset, &settings, &paths[MODEL_FILE_DRAFT],
                              &paths[MODEL_FILE_PROJECTOR], &ignored) ||
        settings.draft != PLAN_DRAFT_MODEL)
        paths[MODEL_FILE_DRAFT] = NULL;
}

// ---- which build ----

const struct dialect *decision_engine(const struct config *config, const struct preset *preset,
                                      const struct model_files *files, struct err *err) {
    const struct dialect *own = dialect_probe(preset->engine_path, err);
    const struct model *model = files->file[MODEL_FILE_MODEL].model;
    if (!own || !model || !preset->plan)
        return own;
    const char *type = NULL;
    enum gguf_type_family family = model_family(model, &type);
    enum reads answer = reader_reads(own, family, type);
    bool is_default = strcmp(preset->engine, "default") == 0;
    // An unnamed type of a build that the user chose: the user may know better.
    if (answer == READS_YES || (answer == READS_UNKNOWN && (!is_default || own->build > 11434)))
        return own;
    for (size_t i = 0; is_default && i < config->presets_count; i++) {
        struct err ignored;
        const struct dialect *other = dialect_probe(config->presets[i].engine_path, &ignored);
        if (other && reader_reads(other, family, type) == READS_YES)
            return other;
    }
    err_set(err, ERR_INVALID,
            "%s has %s tensors, which this build of llama-server does not read: it needs %s; "
            "build that and set engine = in the preset",
            model->path, type ? type : "unknown", gguf_type_engine(family));
    return NULL;
}

// ---- what was decided ----

void decision_add(struct decision *out, const char *flag, const char *value) {
    if (out->count == DECISION_SETTINGS_MAX)
        return;
    struct decision_setting *setting = &out->settings[out->count++];
    snprintf(setting->flag, sizeof setting->flag, "%s", flag);
    snprintf(setting->value, sizeof setting->value, "%s", value);
}

static void decide_number(struct decision *out, const char *flag, uint32_t value) {
    char text[16];
    snprintf(text, sizeof text, "%u", value);
    decision_add(out, flag, text);
}

// ---- what fits ----

struct judging {
    const struct decision_asked *asked;
    struct fit fit;
    struct plan_settings written;
    bool layers_told; // gpu-layers
    bool placed;      // gpu-layers, n-cpu-moe or the like: the user's word on what goes where
    bool ctx_told;
    bool exact; // the plan knows all that the preset says
    bool paged; // weights in host memory may be dropped and read again
    void (*note)(void *arg, const char *text);
    void *arg;
};

static void note(const struct judging *j, const char *text) {
    if (j->note)
        j->note(j->arg, text);
}

// What no page cache gives back.
static uint64_t anonymous(const struct judging *j, const struct plan_part *host) {
    return plan_total(host) - (j->paged ? host->weights : 0);
}

// Without the margins that a choice of ours leaves: would it really not work? A driver's own use is
// a guess until it is learned, and mapped weights can be read again and again.
static bool is_hopeless(const struct judging *j, const struct plan *plan) {
    const struct plan_machine *machine = j->fit.machine;
    for (size_t i = 0; i < plan->devices; i++) {
        const struct plan_part *part = &plan->device[i];
        uint64_t driver =
            machine->device[i].overhead_bytes == PLAN_UNKNOWN ? part->overhead / 2 : part->overhead;
        if (machine->device[i].capacity_bytes != PLAN_UNKNOWN &&
            plan_total(part) - part->overhead + driver > machine->device[i].capacity_bytes)
            return true;
    }
    return machine->ram_bytes != PLAN_UNKNOWN &&
           anonymous(j, &plan->host) > machine->ram_bytes + j->asked->swap_bytes;
}

static bool fits_as_written(struct judging *j, struct plan *plan) {
    if (fit_plan(&j->fit, plan))
        return true;
    if (is_hopeless(j, plan))
        return false;
    char text[sizeof plan->reason + 128];
    bool host = str_starts(plan->reason, PLAN_HOST_NAME);
    snprintf(text, sizeof text, "a tight fit: %s%s", plan->reason,
             host ? "; weights without room are read from the disk again and again, which is slow"
                  : "");
    note(j, text);
    return true;
}

// What the user left open, and what the engine would have fitted itself: offloading that nobody
// fixed, a context that nobody asked for.
static bool resolve(struct judging *j, struct plan *plan, struct err *err) {
    struct fit *fit = &j->fit;
    bool open = fit->ctx_free || fit->kv_free || fit->offload_free;
    if (!open && fit_plan(fit, plan))
        return true;
    struct fit trial = *fit;
    trial.offload_free |= !j->placed;
    trial.ctx_free |= !j->ctx_told;
    bool may_vary = trial.offload_free || trial.ctx_free || trial.kv_free;
    struct plan varied;
    if (may_vary && fit_choose(&trial, &varied)) {
        *fit = trial;
        *plan = varied;
        return true;
    }
    if (!open && fits_as_written(j, plan))
        return true;
    fit_plan(fit, plan);
    char nearest[160] = "", text[sizeof err->text];
    fit_nearest(fit, nearest, sizeof nearest);
    snprintf(text, sizeof text, "it does not fit: %s%s%s", plan->reason,
             *nearest ? ". What would: " : "", nearest);
    return err_set(err, ERR_LIMIT, "%s", text);
}

static bool decide_again(void *arg, struct fit *fit, struct plan *plan, struct err *err) {
    struct judging again = *(const struct judging *)arg;
    again.fit = *fit;
    bool ok = resolve(&again, plan, err);
    *fit = again.fit;
    return ok;
}

// `asked`: the fit before anything was decided. The fit and the plan change when one is chosen.
static bool choose_draft(struct judging *j, const struct fit *asked, struct decision *out,
                         struct err *err) {
    if (!j->asked->preset->draft)
        return true;
    struct fit decided = j->fit;
    struct plan plan = out->plan;
    struct draft_search search = {j->asked->preset,  &j->asked->files->drafts,
                                  j->asked->dialect, asked,
                                  &decided,          &plan,
                                  decide_again,      j};
    return draft_choice_make(&search, &out->draft, &j->fit, &out->plan, err);
}

static void note_guard(void *arg, bool is_error, const char *text) {
    struct judging *j = arg;
    if (!is_error)
        note(j, text);
}

static void keep_error(void *arg, bool is_error, const char *text) {
    struct err *err = arg;
    if (is_error && err->code == ERR_NONE)
        err_set(err, ERR_INVALID, "%s", text);
}

// States that the engine keeps to go back to: 32 a slot unless told otherwise, which for a large
// recurrent model comes to gigabytes. They may take a quarter of the host memory that is left. The
// engine drops the oldest first when they are too many, and that is the one that all conversations
// go back to: so fewer of them stand further apart.
static void limit_checkpoints(struct judging *j, struct decision *out) {
    enum { USUAL = 32, LEAST = 8, SPACING = 8192, RECENT = 5 };
    const struct plan_settings *s = &j->fit.settings;
    const struct preset *preset = j->asked->preset;
    uint64_t one = plan_checkpoint_bytes(j->fit.model, s), ram = j->fit.machine->ram_bytes;
    uint64_t taken = anonymous(j, &out->plan.host), slots = s->parallel ? s->parallel : 1;
    if (one == 0 || ram == PLAN_UNKNOWN || preset_plan_get(preset, "ctx-checkpoints"))
        return;
    uint64_t count = ram > taken ? (ram - taken) / 4 / (one * slots) : 0;
    if (count >= USUAL)
        return;
    count = count < LEAST ? LEAST : count;
    uint32_t spacing = out->plan.ctx_slot / (uint32_t)(count - RECENT);
    decide_number(out, "ctx-checkpoints", (uint32_t)count);
    if (spacing > SPACING && !preset_plan_get(preset, "checkpoint-min-step"))
        decide_number(out, "checkpoint-min-step", spacing);
    char text[160];
    snprintf(text, sizeof text,
             "%u states of %.0f MiB to go back to for each slot (ctx-checkpoints), not %d, for "
             "want of host memory",
             (unsigned)count, (double)one / MIB, USUAL);
    note(j, text);
}

// Only what differs from the preset, so that a command line stays what its user wrote.
static void write_down(const struct judging *j, struct decision *out) {
    const struct plan_settings *s = &j->fit.settings;
    uint32_t all = j->fit.model->layers + 1;
    char type[16];
    // With layers and context both told, the engine's own fit pass has nothing left to do.
    if (!j->ctx_told || s->ctx != j->written.ctx)
        decide_number(out, "ctx-size", out->plan.ctx_total);
    if (j->fit.kv_free) {
        plan_type_name(s->k, type);
        decision_add(out, "cache-type-k", type);
        plan_type_name(s->v, type);
        decision_add(out, "cache-type-v", type);
    }
    if (j->fit.machine->devices == 0)
        return;
    if (s->ncmoe != j->written.ncmoe || (j->fit.offload_free && j->fit.model->experts))
        decide_number(out, "n-cpu-moe", s->ncmoe);
    if (!j->layers_told)
        decide_number(out, "n-gpu-layers", s->ngl > all ? all : s->ngl);
}

static bool begin(struct judging *j, struct decision *out, struct err *err) {
    const struct decision_asked *asked = j->asked;
    const struct preset *preset = asked->preset;
    const char *draft, *projector;
    j->fit = (struct fit){.model = asked->files->file[MODEL_FILE_MODEL].model,
                          .draft = asked->files->file[MODEL_FILE_DRAFT].model,
                          .projector = asked->files->file[MODEL_FILE_PROJECTOR].projector,
                          .machine = &out->machine};
    if (!preset_plan_settings(preset, &j->fit.settings, &draft, &projector, err))
        return false;
    preset_plan_freedom(preset, &j->fit);
    const struct dialect *dialect = asked->dialect;
    j->fit.settings.engine_build = dialect->family == DIALECT_MAINLINE ? dialect->build : 0;
    j->written = j->fit.settings;
    const char *layers = preset_plan_get(preset, "gpu-layers");
    j->layers_told = j->fit.layers_fixed = layers && strcmp(layers, "auto") != 0;
    j->placed = j->layers_told || preset_plan_is_placed(preset);
    j->paged = preset_plan_pages_weights(preset);
    j->ctx_told = preset_plan_get(preset, "ctx-size") && j->written.ctx != 0;
    out->machine = asked->machine;
    j->exact = preset_plan_devices(preset, &out->machine) && preset_plan_is_exact(preset) &&
               (j->fit.settings.draft != PLAN_DRAFT_MODEL || j->fit.draft) &&
               (!projector || j->fit.projector);
    return true;
}

static bool forgets(const struct model *model, const struct preset *preset) {
    struct plan_settings settings;
    const char *draft, *projector;
    if (!model || !preset_plan_settings(preset, &settings, &draft, &projector, NULL))
        return false;
    for (uint32_t i = 0; i < model->layers; i++)
        if (model->layer[i].recurrent || (model->layer[i].sliding && !settings.swa_full))
            return true;
    return false;
}

bool decision_make(const struct decision_asked *asked, void (*tell)(void *arg, const char *text),
                   void *arg, struct decision *out, struct err *err) {
    const struct model_file *file = &asked->files->file[MODEL_FILE_MODEL];
    struct judging j = {.asked = asked, .note = tell, .arg = arg};
    *out = (struct decision){.dialect = asked->dialect};
    draft_choice_unplanned(asked->preset, &out->draft); // until it is planned
    out->forgets = forgets(file->model, asked->preset);
    if (file->err.code != ERR_NONE && file->err.code != ERR_NOTFOUND) {
        *err = file->err;
        return false;
    }
    if (file->err.code == ERR_NOTFOUND)
        note(&j, file->err.text);
    if (!file->model || !asked->preset->plan)
        return true; // the engine knows, or tells what is wrong with it
    if (!begin(&j, out, err))
        return false;
    struct err guard = {0};
    plan_check(j.fit.model, &j.fit.settings, keep_error, &guard);
    if (guard.code != ERR_NONE) {
        *err = guard;
        return false;
    }
    bool open = j.fit.ctx_free || j.fit.kv_free || j.fit.offload_free;
    if (!j.exact && open)
        return err_set(err, ERR_INVALID,
                       "max and auto need a plan, and there is none together with %s; write "
                       "numbers for ctx, kv and n-cpu-moe",
                       preset_plan_obstacle(asked->preset));
    // Of what is not understood the plan only knows that it is less.
    fit_plan(&j.fit, &out->plan);
    if (!j.exact || (out->plan.estimated && !open))
        return true;
    struct fit as_asked = j.fit;
    bool ok = resolve(&j, &out->plan, err) && choose_draft(&j, &as_asked, out, err);
    if (ok) {
        plan_check(j.fit.model, &j.fit.settings, note_guard, &j);
        out->planned = true;
        write_down(&j, out);
        limit_checkpoints(&j, out);
    }
    out->chosen = j.fit.settings;
    return ok;
}
