#include "draft_choice.h"

#include "base/path.h"
#include "base/str.h"
#include "draft_store.h"
#include "engine/args.h"
#include "engine/spell.h"
#include "reader.h"

#include <stdio.h>
#include <string.h>

// ---- which words this build has for it ----

static bool knows_type(const struct dialect *dialect, const char *word) {
    const struct help_flag *flag = dialect_flag(dialect, "--spec-type");
    return flag && (args_has(&flag->values, word) || strstr(flag->text, word));
}

static bool speaks_head(const struct dialect *dialect) {
    return knows_type(dialect, "draft-mtp") ||
           (dialect->family == DIALECT_IK && knows_type(dialect, "mtp"));
}

static bool speaks_model(const struct dialect *dialect) {
    return dialect_flag(dialect, "--model-draft") || dialect_flag(dialect, "--spec-draft-model") ||
           dialect_flag(dialect, "-md");
}

size_t draft_choice_settings(const struct draft_choice *choice, const struct dialect *dialect,
                             struct setting *out) {
    size_t count = 0;
    if (choice->kind == DRAFT_NONE)
        return 0;
    if (choice->kind == DRAFT_HEAD)
        out[count++] = (struct setting){"spec-type", "draft-mtp"};
    else
        out[count++] = (struct setting){"model-draft", choice->path};
    // Builds that know the word do not speculate without it, whatever draft they are given.
    if (choice->kind == DRAFT_MODEL && knows_type(dialect, "draft-simple"))
        out[count++] = (struct setting){"spec-type", "draft-simple"};
    if (choice->n)
        out[count++] = (struct setting){"draft-max", choice->n_text};
    return count;
}

// ---- one of them ----

struct trial {
    struct draft_choice choice;
    struct fit fit; // fit.draft: opened, the trial's own
    struct plan plan;
    bool fits, crowds; // crowds: more of the model is on the CPU than without it
};

// What is told of a draft: its file, or "its own multi-token head".
static const char *called(const struct draft_choice *choice) {
    return choice->kind == DRAFT_HEAD ? "its own multi-token head" : path_name(choice->path);
}

static double acceptance_of(const struct draft_record *record, const struct model *draft) {
    return record->acceptance >= 0 ? record->acceptance : draft_acceptance_usual(draft);
}

// The user's word, else what was measured, else the best by prediction.
static void set_n(const struct draft_search *search, struct trial *t,
                  const struct draft_record *record) {
    const char *fixed = preset_get(search->preset, "draft-max");
    if (!fixed)
        fixed = preset_get(search->preset, "spec-draft-n-max");
    double acceptance = acceptance_of(record, t->fit.draft);
    int64_t n = record->measured_gain > 0 ? record->measured_n : 0;
    if ((fixed && str_to_int(fixed, 1, 1024, &n)) || n > 0) {
        t->choice.n = (unsigned)n;
        t->choice.gain = draft_gain(&t->choice.costs, acceptance, t->choice.n);
    } else {
        t->choice.n = draft_best_n(&t->choice.costs, acceptance, &t->choice.gain);
    }
    t->choice.tokens = draft_tokens(acceptance, t->choice.n);
    snprintf(t->choice.n_text, sizeof t->choice.n_text, "%u", t->choice.n);
}

// Predicts, then plans with it: what it takes from the model is in the prediction.
static void try_draft(const struct draft_search *search, struct trial *t,
                      const struct draft_record *record) {
    struct draft_costs *costs = &t->choice.costs;
    struct err err = {0};
    const struct fit *base = search->decided;
    draft_costs_predict(base->model, t->fit.draft, &base->settings, base->machine, costs);
    double alone = costs->target_ms[1];
    set_n(search, t, record);
    t->fit.settings.draft = t->choice.kind == DRAFT_HEAD ? PLAN_DRAFT_MTP : PLAN_DRAFT_MODEL;
    t->fit.settings.draft_tokens = t->choice.n;
    t->fits = search->decide(search->arg, &t->fit, &t->plan, &err) &&
              (uint64_t)t->plan.ctx_total * 4 >= (uint64_t)search->plan->ctx_total * 3;
    if (!t->fits) {
        snprintf(t->choice.why, sizeof t->choice.why, "%.100s does not fit beside the model",
                 called(&t->choice));
        return;
    }
    t->crowds =
        t->fit.settings.ncmoe != base->settings.ncmoe || t->fit.settings.ngl != base->settings.ngl;
    draft_costs_predict(base->model, t->fit.draft, &t->fit.settings, base->machine, costs);
    costs->target_ms[1] = alone; // without a draft it would run as decided
    unsigned n = t->choice.n;
    t->choice.gain = draft_gain(costs, acceptance_of(record, t->fit.draft), n);
    if (record->measured_gain > 0) {
        t->choice.gain = record->measured_gain;
        t->choice.measured = true;
        if (record->measured_tokens > 0)
            t->choice.tokens = record->measured_tokens;
    }
    snprintf(t->choice.why, sizeof t->choice.why, "%s %.2f x with %u tokens of %.100s",
             t->choice.measured ? "measured" : "predicted", t->choice.gain, n, called(&t->choice));
}

// Is the trial one to use? If not, why says it all.
static bool is_worth(struct trial *t, const struct draft_record *record) {
    if (!t->fits)
        return false;
    if (record->off) {
        snprintf(t->choice.why, sizeof t->choice.why, "%.60s was given up: %.120s",
                 called(&t->choice), record->why);
        return false;
    }
    if (t->choice.gain >= DRAFT_WORTH)
        return true;
    char text[sizeof t->choice.why];
    if (t->crowds)
        snprintf(text, sizeof text,
                 "no room for %.100s without moving the model's layers to the CPU",
                 called(&t->choice));
    else
        snprintf(text, sizeof text, "%.150s, not worth it below %.2f x", t->choice.why,
                 DRAFT_WORTH);
    memcpy(t->choice.why, text, sizeof text);
    return false;
}

static void record_of(const struct draft_search *search, const struct draft_choice *choice,
                      struct draft_record *out) {
    struct draft_key key = {search->preset->name, search->preset->model,
                            choice->kind == DRAFT_HEAD ? DRAFT_STORE_HEAD : choice->path,
                            choice->engine};
    draft_store_get(&key, out);
}

static void begin_trial(const struct draft_search *search, struct trial *t, int kind,
                        const struct model *draft) {
    *t = (struct trial){.fit = *search->asked};
    t->choice.kind = kind;
    t->fit.draft = draft;
    draft_store_engine(search->dialect, t->choice.engine, sizeof t->choice.engine);
    if (draft)
        snprintf(t->choice.path, sizeof t->choice.path, "%s", draft->path);
}

// ---- the choice ----

static void take(struct trial *t, struct draft_choice *out, struct fit *fit, struct plan *plan) {
    *out = t->choice;
    *fit = t->fit;
    *plan = t->plan;
}

static bool choose_named(const struct draft_search *search, struct draft_choice *out,
                         struct fit *fit, struct plan *plan, struct err *err) {
    const char *path = search->preset->draft;
    struct trial t;
    struct draft_record record;
    if (!speaks_model(search->dialect))
        return err_set(err, ERR_INVALID, "draft: this build of llama-server takes no draft model");
    if (search->files->count == 0) {
        if (search->files->err.code == ERR_NONE)
            return err_set(err, ERR_INVALID, "draft = %s: it was not read", path);
        *err = search->files->err;
        err_context(err, "draft");
        return false;
    }
    if (strlen(path) >= sizeof t.choice.path)
        return err_set(err, ERR_LIMIT, "draft = %.60s...: too long a path", path);
    begin_trial(search, &t, DRAFT_MODEL, search->files->model[0]);
    record_of(search, &t.choice, &record);
    try_draft(search, &t, &record);
    if (!t.fits)
        return err_set(err, ERR_LIMIT, "draft = %s does not fit beside the model", path);
    t.choice.fixed = true;
    take(&t, out, fit, plan);
    return true;
}

static bool try_head(const struct draft_search *search, struct trial *t) {
    struct draft_record record;
    begin_trial(search, t, DRAFT_HEAD, NULL);
    if (search->asked->model->layers_mtp == 0 || !speaks_head(search->dialect))
        return false;
    record_of(search, &t->choice, &record);
    try_draft(search, t, &record);
    return is_worth(t, &record);
}

// The smallest one that goes with the model, fits and is worth it. `why`: of the smallest, when
// none.
static bool try_models(const struct draft_search *search, struct trial *t, char *why, size_t size) {
    for (size_t i = 0; i < search->files->count; i++) {
        const struct model *draft = search->files->model[i];
        struct draft_record record;
        if (strlen(draft->path) >= sizeof t->choice.path ||
            !reader_can(search->dialect, model_family(draft, NULL)))
            continue;
        begin_trial(search, t, DRAFT_MODEL, draft);
        record_of(search, &t->choice, &record);
        try_draft(search, t, &record);
        if (is_worth(t, &record))
            return true;
        if (!*why)
            snprintf(why, size, "%s", t->choice.why);
    }
    return false;
}

static void choose_itself(const struct draft_search *search, struct draft_choice *out,
                          struct fit *fit, struct plan *plan) {
    struct trial head, model;
    char why[sizeof out->why] = "";
    bool has_head = try_head(search, &head);
    if (!has_head)
        snprintf(why, sizeof why, "%s", head.choice.why);
    bool has_model = speaks_model(search->dialect) && try_models(search, &model, why, sizeof why);
    if (has_model && (!has_head || model.choice.gain > head.choice.gain)) {
        take(&model, out, fit, plan);
        return;
    }
    if (has_head) {
        take(&head, out, fit, plan);
        return;
    }
    snprintf(out->why, sizeof out->why, "%s",
             *why ? why : "no smaller model with its vocabulary in the models folders");
}

bool draft_choice_make(const struct draft_search *search, struct draft_choice *out, struct fit *fit,
                       struct plan *plan, struct err *err) {
    *out = (struct draft_choice){.kind = DRAFT_NONE};
    if (strcmp(search->preset->draft, "auto") != 0)
        return choose_named(search, out, fit, plan, err);
    choose_itself(search, out, fit, plan);
    return true;
}

void draft_choice_unplanned(const struct preset *preset, struct draft_choice *out) {
    *out = (struct draft_choice){.kind = DRAFT_NONE};
    if (!preset->draft)
        return;
    if (strcmp(preset->draft, "auto") == 0 || strlen(preset->draft) >= sizeof out->path) {
        snprintf(out->why, sizeof out->why, "nothing is reckoned for this preset");
        return;
    }
    out->kind = DRAFT_MODEL;
    out->fixed = true;
    snprintf(out->path, sizeof out->path, "%s", preset->draft);
}

double draft_choice_gain_seen(const struct draft_choice *choice, double generated, double drafted,
                              double accepted) {
    if (!choice->measured || choice->tokens <= 0)
        return draft_gain_seen(&choice->costs, generated, drafted, accepted);
    // A step costs what it cost when it was measured; it gives more or less tokens now.
    double steps = generated - accepted < 1 ? 1 : generated - accepted;
    return choice->gain * (generated / steps) / choice->tokens;
}
