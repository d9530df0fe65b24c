#define _GNU_SOURCE
#include "tune_subject.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "base/system.h"
#include "engine/settings.h"
#include "format/ini.h"
#include "format/ini_edit.h"
#include "plan/draft.h"
#include "preset_overlay.h"
#include "preset_plan.h"
#include "survey.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- the preset, as its user wrote it ----

static void ignore_problem(void *arg, unsigned line, const char *text) { // config_parse tells it
    (void)arg;
    (void)line;
    (void)text;
}

// Without a file there are still the models that lie in the folders.
static bool read_file(struct tune_subject *subject, const char *given, bool may_be_absent,
                      struct err *err) {
    char resolved[PATH_MAX]; // a link stays one
    if (may_be_absent && access(given, F_OK) != 0 && errno == ENOENT) {
        subject->path = mem_strdup(given);
        subject->bytes = mem_strdup("");
        return true;
    }
    subject->bytes = path_read_file(given, INI_MAX_BYTES, &subject->length, err);
    if (!subject->bytes)
        return false;
    if (!realpath(given, resolved))
        return err_errno(err, "cannot find %s", given);
    subject->path = mem_strdup(resolved);
    return true;
}

static bool parse_without_ours(struct tune_subject *subject, const char *given, const char *section,
                               struct err *err) {
    struct buf text;
    buf_init(&text, INI_MAX_BYTES);
    ini_edit_strip(subject->bytes, subject->length, section, TUNE_MARK, &text,
                   &subject->tuned_before);
    subject->ini = ini_parse(buf_bytes(&text), text.length, ignore_problem, NULL, err);
    subject->config = config_parse(buf_bytes(&text), text.length, given, err);
    buf_fini(&text);
    if (!subject->ini || !subject->config)
        return false;
    if (subject->config->scan)
        config_scan_models(subject->config);
    subject->preset = config_find(subject->config, section);
    if (!subject->preset || subject->config->errors_count)
        return err_set(err, ERR_INVALID, "%s has mistakes; see: ancalagon check-config", given);
    return true;
}

static bool read_config(struct tune_subject *subject, const char *config_path, const char *name,
                        struct err *err) {
    char *standard = config_path ? NULL : path_config("presets.ini");
    const char *given = config_path ? config_path : standard;
    // By any of its names: only the file knows which section an alias means.
    struct config *whole = config_inspect(config_path, err);
    const struct preset *named = whole ? config_want(whole, name, err) : NULL;
    bool ok = named && read_file(subject, given, standard != NULL, err) &&
              parse_without_ours(subject, given, named->name, err);
    config_destroy(whole);
    mem_free(standard);
    return ok;
}

// Does the preset's own section say anything of this setting, by any of its names? What stands
// there is its user's, also a word like "auto"; a word under [*] is only a default.
static bool is_own(const struct tune_subject *subject, const char *name) {
    const struct ini *ini = subject->ini;
    bool cache_type = str_starts(name, "cache-type-");
    for (size_t i = 0; i < ini->count; i++)
        for (size_t k = 0; k < ini->sections[i].count; k++) {
            char key[64];
            const char *written = ini->sections[i].entries[k].key;
            if (strcmp(ini->sections[i].name, subject->preset->name) != 0 ||
                strlen(written) >= sizeof key)
                continue;
            for (size_t c = 0; c <= strlen(written); c++)
                key[c] = written[c] == '_' ? '-' : written[c];
            const struct setting_rule *rule = setting_rule_find(key);
            if (strcmp(rule ? rule->name : key, name) == 0 ||
                (cache_type && strcmp(key, "kv") == 0))
                return true;
        }
    return false;
}

static bool is_auto(const char *value) { return value && strcmp(value, "auto") == 0; }

static bool is_fixed(const struct tune_subject *subject, const char *name) {
    const char *value = preset_plan_get(subject->preset, name);
    return value && (!is_auto(value) || is_own(subject, name));
}

// ---- what the planner needs ----

// The settings that the server would run: the preset's, with what it left open decided.
static bool base_settings(struct tune_subject *subject, const char **draft, const char **mmproj,
                          struct preset *decided, struct err *err) {
    struct overlay overlays[DECISION_SETTINGS_MAX];
    const struct decision *decision = &subject->decision;
    for (size_t i = 0; i < decision->count; i++)
        overlays[i] = (struct overlay){decision->settings[i].flag, decision->settings[i].value};
    return preset_overlay(subject->preset, NULL, overlays, decision->count, decided, err) &&
           preset_plan_settings(decided, &subject->tf.fit.settings, draft, mmproj, err);
}

static bool add_type(struct tune_fit *tf, const struct gguf_type_info *type) {
    for (size_t i = 0; i < tf->kv_count; i++)
        if (tf->kv[i] == type)
            return true;
    if (tf->kv_count == TUNE_KV_MAX)
        return false;
    tf->kv[tf->kv_count++] = type;
    return true;
}

// Types that lose nothing anyone notices; the user's own list may go further.
static bool cache_types(struct tune_subject *subject, const char *list, struct err *err) {
    struct tune_fit *tf = &subject->tf;
    bool told = is_fixed(subject, "cache-type-k") || is_fixed(subject, "cache-type-v");
    if (told)
        return !list || err_set(err, ERR_INVALID,
                                "the preset sets kv itself; take it out to let "
                                "tune choose");
    bool open = is_auto(preset_plan_get(subject->preset, "cache-type-k"));
    const char *words = list ? list : open ? "f16,q8_0,q4_0" : "f16,q8_0";
    add_type(tf, tf->fit.settings.k);
    while (*words) {
        char word[16];
        size_t length = strcspn(words, ", ");
        snprintf(word, sizeof word, "%.*s", (int)(length < 15 ? length : 15), words);
        const struct gguf_type_info *type = gguf_type_named(word);
        if (length && !type)
            return err_set(err, ERR_INVALID, "\"%s\" is no cache type: f16, q8_0, q4_0 ...", word);
        if (length && !add_type(tf, type))
            return err_set(err, ERR_INVALID, "at most %d cache types", TUNE_KV_MAX);
        words += length + strspn(words + length, ", ");
    }
    return true;
}

static void keep_fixed(struct tune_subject *subject) {
    const struct preset *preset = subject->preset;
    const struct dialect *dialect = subject->decision.dialect;
    struct tune_fit *tf = &subject->tf;
    bool cpu_only = subject->machine.devices == 0;
    bool dense = subject->model && !subject->model->experts;
    bool some_layers = subject->model && is_fixed(subject, "gpu-layers") &&
                       (dense || tf->fit.settings.ngl <= subject->model->layers);
    tf->keep_offload = !subject->model || some_layers || is_fixed(subject, "n-cpu-moe") ||
                       preset_plan_get(preset, "cpu-moe") || preset_plan_get(preset, "n-cpu-ffn") ||
                       preset_plan_get(preset, "override-tensor") || preset_plan_get(preset, "rpc");
    tf->offload_follows =
        is_own(subject, "n-cpu-moe") && is_auto(preset_plan_get(preset, "n-cpu-moe"));
    tf->keep_threads = is_fixed(subject, "threads");
    tf->keep_ubatch = is_fixed(subject, "ubatch-size");
    tf->keep_draft_n = is_fixed(subject, "draft-max");
    const char *flash = preset_plan_get(preset, "flash-attn");
    tf->vary_flash = (!flash ? cpu_only : is_auto(flash) && !is_own(subject, "flash-attn")) &&
                     dialect_flag(dialect, "--flash-attn");
    tf->vary_repack = cpu_only && !preset_get(preset, "repack") &&
                      !preset_get(preset, "no-repack") && dialect_flag(dialect, "--no-repack");
    if (is_fixed(subject, "batch-size"))
        tf->ubatch_max =
            tf->fit.settings.batch < tf->depth_tokens ? tf->fit.settings.batch : tf->depth_tokens;
}

// ---- drafts ----

static double predicted_gain(const struct tune_subject *subject, const struct model *draft) {
    struct draft_costs costs;
    draft_costs_predict(subject->model, draft, &subject->tf.fit.settings, &subject->machine,
                        &costs);
    return draft_gain(&costs, draft_acceptance_usual(draft), 3);
}

static double best_gain(const struct tune_subject *subject, const struct model *draft) {
    struct draft_costs costs;
    double gain = 0;
    draft_costs_predict(subject->model, draft, &subject->tf.fit.settings, &subject->machine,
                        &costs);
    draft_best_n(&costs, draft_acceptance_usual(draft), &gain);
    return gain;
}

// Those beside the model that should pay, the smallest first.
static void find_drafts(struct tune_subject *subject) {
    const struct preset *preset = subject->preset;
    struct tune_fit *tf = &subject->tf;
    const char *slash = strrchr(preset->model, '/');
    if (!subject->model || !slash || subject->decision.draft.kind != DRAFT_NONE || preset->draft ||
        preset_plan_get(preset, "model-draft") || preset_plan_get(preset, "spec-type"))
        return;
    char *folders[] = {mem_strndup(preset->model, (size_t)(slash - preset->model)), NULL};
    draft_files_read(&subject->drafts, "auto", folders, subject->model);
    mem_free(folders[0]);
    for (size_t i = 0; i < subject->drafts.count && tf->draft_count < TUNE_DRAFTS_MAX; i++) {
        const struct model *draft = subject->drafts.model[i];
        if (best_gain(subject, draft) < DRAFT_WORTH)
            continue;
        tf->draft[tf->draft_count].model = draft;
        tf->draft[tf->draft_count++].gain = predicted_gain(subject, draft);
    }
}

// The preset's own draft: only its length is open.
static void own_draft(struct tune_subject *subject) {
    struct tune_fit *tf = &subject->tf;
    if (subject->preset->draft || tf->fit.settings.draft == PLAN_DRAFT_NONE)
        return; // draft = ... chooses its length too
    tf->draft_present = true;
    tf->draft_count = 1;
    tf->draft[0].model = subject->own_draft;
}

// ---- the whole ----

static uint32_t slot_ctx(const struct tune_subject *subject) { // 0: not known
    return subject->decision.planned ? subject->decision.plan.ctx_slot : 0;
}

static bool has_room(const struct tune_subject *subject, const struct tune_wishes *wishes,
                     struct err *err) {
    uint32_t ctx = slot_ctx(subject);
    return !ctx || wishes->least_ctx <= ctx ||
           err_set(err, ERR_INVALID,
                   "a prompt of %u tokens and %u more do not fit into the preset's context of %u "
                   "for each request",
                   wishes->depth_tokens, wishes->least_ctx - wishes->depth_tokens, ctx);
}

static unsigned depth_of(const struct tune_subject *subject, const struct tune_wishes *wishes) {
    uint32_t ctx = slot_ctx(subject);
    unsigned depth = wishes->depth_tokens ? wishes->depth_tokens : 2048;
    if (wishes->least_ctx)
        return depth;
    return ctx && depth > ctx - ctx / 4 ? ctx - ctx / 4 : depth;
}

static bool open_models(struct tune_subject *subject, const struct tune_wishes *wishes,
                        struct err *err) {
    struct tune_fit *tf = &subject->tf;
    const char *draft = NULL, *mmproj = NULL;
    struct preset decided = {0};
    struct err ignored;
    if (!base_settings(subject, &draft, &mmproj, &decided, err)) {
        preset_fini(&decided);
        return false;
    }
    if (subject->decision.planned)
        subject->model = model_open(subject->preset->model, &ignored);
    if (tf->fit.settings.draft == PLAN_DRAFT_MODEL && draft)
        subject->own_draft = model_open(draft, &ignored);
    if (mmproj)
        subject->projector = gguf_open(mmproj, &ignored);
    preset_fini(&decided);
    if (subject->decision.planned)
        tf->fit.settings = subject->decision.chosen;
    if (subject->decision.draft.kind == DRAFT_MODEL && !subject->own_draft)
        subject->own_draft = model_open(subject->decision.draft.path, &ignored);
    subject->has_spec_type = dialect_flag(subject->decision.dialect, "--spec-type") != NULL;
    subject->machine = subject->decision.machine;
    subject->machine.ram_bytes = PLAN_UNKNOWN; // the decision of each trial judges it
    tf->fit.model = subject->model;
    tf->fit.draft = subject->own_draft;
    tf->fit.projector = subject->projector;
    tf->fit.machine = &subject->machine;
    if (tf->fit.settings.ctx == 0)
        tf->fit.settings.ctx = subject->decision.plan.ctx_total;
    tf->fit.settings.engine_build = subject->decision.dialect->build;
    tf->depth_tokens = depth_of(subject, wishes);
    system_cores(&tf->cores_physical, &tf->cores_logical);
    keep_fixed(subject);
    if (!cache_types(subject, wishes->kv, err))
        return false;
    if (!wishes->no_draft)
        find_drafts(subject);
    own_draft(subject);
    return true;
}

bool tune_subject_open(struct tune_subject *subject, const char *config_path, const char *preset,
                       const struct tune_wishes *wishes, struct err *err) {
    *subject = (struct tune_subject){0};
    return read_config(subject, config_path, preset, err) &&
           survey_decide(subject->config, subject->preset, false, NULL, NULL, &subject->decision,
                         err) &&
           has_room(subject, wishes, err) && open_models(subject, wishes, err) &&
           tune_fit_space(&subject->tf, &subject->space, err);
}

void tune_subject_close(struct tune_subject *subject) {
    tune_fit_fini(&subject->tf);
    draft_files_fini(&subject->drafts);
    model_close(subject->own_draft);
    model_close(subject->model);
    gguf_close(subject->projector);
    config_destroy(subject->config);
    ini_destroy(subject->ini);
    mem_free(subject->path);
    mem_free(subject->bytes);
}

// ---- a choice, written down ----

__attribute__((format(printf, 4, 5))) static void change(struct tune_change *out, size_t *count,
                                                         const char *key, const char *format, ...) {
    va_list args;
    va_start(args, format);
    snprintf(out[*count].key, sizeof out->key, "%s", key);
    vsnprintf(out[*count].value, sizeof out->value, format, args);
    va_end(args);
    (*count)++;
}

static bool moved(const struct tune_subject *subject, const struct tune_choice *choice, int axis) {
    const struct tune_list *list = &subject->space.axis[axis];
    return list->count > 0 && choice->value[axis] != list->values[0];
}

// With other settings the server would choose other layers for an open offload than were measured.
static bool pins_offload(const struct tune_subject *subject, const struct tune_choice *choice) {
    static const int MEMORY[] = {TUNE_OFFLOAD, TUNE_UBATCH, TUNE_KV,
                                 TUNE_FLASH,   TUNE_DRAFT,  TUNE_DRAFT_N};
    bool any = false;
    for (size_t i = 0; i < sizeof MEMORY / sizeof *MEMORY; i++)
        any |= moved(subject, choice, MEMORY[i]);
    return any && subject->space.axis[TUNE_OFFLOAD].count > 1;
}

static void cache_changes(const struct tune_subject *subject, int index, struct tune_change *out,
                          size_t *count) {
    char type[16];
    plan_type_name(subject->tf.kv[index], type);
    if (!preset_get(subject->preset, "cache-type-k")) {
        change(out, count, "kv", "%s", type);
        return;
    }
    change(out, count, "cache-type-k", "%s", type);
    change(out, count, "cache-type-v", "%s", type);
}

static void draft_changes(const struct tune_subject *subject, const struct tune_choice *choice,
                          struct tune_change *out, size_t *count) {
    int which = choice->value[TUNE_DRAFT];
    if (!subject->tf.draft_present && which > 0) {
        change(out, count, "model-draft", "%s", subject->tf.draft[which - 1].model->path);
        if (subject->has_spec_type)
            change(out, count, "spec-type", "draft-simple");
    }
    if (choice->value[TUNE_DRAFT_N] > 0 && !subject->tf.keep_draft_n)
        change(out, count, "draft-max", "%d", choice->value[TUNE_DRAFT_N]);
}

size_t tune_changes(const struct tune_subject *subject, const struct tune_choice *choice,
                    struct tune_change *out) {
    const struct tune_fit *tf = &subject->tf;
    const int *v = choice->value;
    size_t count = 0;
    if (pins_offload(subject, choice) && tune_fit_by_layer(tf))
        change(out, &count, "n-gpu-layers", "%d",
               (int)subject->model->layers + 1 - v[TUNE_OFFLOAD]);
    else if (pins_offload(subject, choice))
        change(out, &count, "n-cpu-moe", "%d", v[TUNE_OFFLOAD]);
    if (moved(subject, choice, TUNE_THREADS))
        change(out, &count, "threads", "%d", v[TUNE_THREADS]);
    if (moved(subject, choice, TUNE_UBATCH)) {
        change(out, &count, "ubatch-size", "%d", v[TUNE_UBATCH]);
        if ((uint32_t)v[TUNE_UBATCH] > tf->fit.settings.batch)
            change(out, &count, "batch-size", "%d", v[TUNE_UBATCH]);
    }
    if (moved(subject, choice, TUNE_KV))
        cache_changes(subject, v[TUNE_KV], out, &count);
    if (moved(subject, choice, TUNE_FLASH))
        change(out, &count, "flash-attn", "%s", v[TUNE_FLASH] == 1 ? "on" : "off");
    if (moved(subject, choice, TUNE_REPACK))
        change(out, &count, "repack", "%s", v[TUNE_REPACK] == 1 ? "on" : "off");
    if (moved(subject, choice, TUNE_DRAFT) || moved(subject, choice, TUNE_DRAFT_N))
        draft_changes(subject, choice, out, &count);
    return count;
}

void tune_describe(const struct tune_subject *subject, const struct tune_choice *choice, char *text,
                   size_t size) {
    struct tune_change *changes = mem_alloc(TUNE_CHANGES_MAX * sizeof *changes);
    size_t count = tune_changes(subject, choice, changes), length = 0;
    snprintf(text, size, "as it is");
    for (size_t i = 0; i < count && length < size; i++) {
        if (strcmp(changes[i].key, "spec-type") == 0 || strcmp(changes[i].key, "batch-size") == 0 ||
            strcmp(changes[i].key, "cache-type-v") == 0)
            continue;
        length += (size_t)snprintf(text + length, size - length, "%s%s %s", length ? ", " : "",
                                   changes[i].key, path_name(changes[i].value));
    }
    mem_free(changes);
}
