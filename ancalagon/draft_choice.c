#include "draft_choice.h"

#include "base/mem.h"
#include "draft_store.h"
#include "engine/args.h"
#include "engine/spell.h"
#include "reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

// Headers of large folders take their time, and the server waits: what was not looked at in this
// time is looked at the next time, since what was seen is remembered.
enum { LOOK_MS = 250, REMEMBERED_MAX = 1024 };

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

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

// ---- candidates ----

struct candidate {
    char *path;
    uint64_t bytes;
};

struct candidates {
    struct candidate *items;
    size_t count;
};

static int by_size(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    return strcmp(x->path, y->path);
}

// A pass over a draft must be far cheaper than one over the model.
static void collect(const struct draft_search *search, struct candidates *out) {
    uint64_t limit = gguf_file_bytes(search->asked->model->gguf) / 2;
    *out = (struct candidates){NULL, 0};
    for (char **dir = search->config->models_dirs; *dir; dir++) {
        char **files = config_model_files(*dir);
        for (char **file = files; *file; file++) {
            struct stat st;
            if (stat(*file, &st) != 0 || (uint64_t)st.st_size >= limit)
                continue;
            out->items = mem_resize(out->items, (out->count + 1) * sizeof *out->items);
            out->items[out->count++] = (struct candidate){mem_strdup(*file), (uint64_t)st.st_size};
        }
        config_free_files(files);
    }
    if (out->count)
        qsort(out->items, out->count, sizeof *out->items, by_size);
}

static void forget_candidates(struct candidates *list) {
    for (size_t i = 0; i < list->count; i++)
        mem_free(list->items[i].path);
    mem_free(list->items);
}

// Pairs that are known not to go together, by what the files were when they were read.
struct pair {
    uint64_t target, draft;
};
static struct {
    struct pair pairs[REMEMBERED_MAX];
    size_t count;
} refused;

static uint64_t identity(const char *path) {
    struct stat st;
    char text[96] = "";
    if (stat(path, &st) == 0)
        snprintf(text, sizeof text, "%llu %llu %lld %lld", (unsigned long long)st.st_dev,
                 (unsigned long long)st.st_ino, (long long)st.st_size, (long long)st.st_mtime);
    return str_hash(text);
}

static bool was_refused(struct pair pair) {
    for (size_t i = 0; i < refused.count && i < REMEMBERED_MAX; i++)
        if (refused.pairs[i].target == pair.target && refused.pairs[i].draft == pair.draft)
            return true;
    return false;
}

static void remember_refused(struct pair pair) {
    refused.pairs[refused.count++ % REMEMBERED_MAX] = pair;
}

// NULL: it cannot speculate for the target; `why` then says why not.
static struct model *open_draft(const struct draft_search *search, const char *path, char *why,
                                size_t size) {
    struct err err = {0};
    struct model *draft = model_open(path, &err);
    if (!draft) {
        snprintf(why, size, "%.250s", err.text);
        return NULL;
    }
    bool ok = false;
    if (model_kind_of(draft->gguf) != MODEL_KIND_TEXT)
        snprintf(why, size, "it does not generate text");
    else if (!reader_can(search->dialect, model_family(draft, NULL)))
        snprintf(why, size, "this engine does not read it");
    else
        ok = draft_compatible(search->asked->model->gguf, draft->gguf, why, size);
    if (ok)
        return draft;
    model_close(draft);
    return NULL;
}

// ---- one of them ----

struct trial {
    struct draft_choice choice;
    struct fit fit; // fit.draft: opened, the trial's own
    struct plan plan;
    bool fits, crowds; // crowds: more of the model is on the CPU than without it
};

static const char *file_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// What is told of a draft: its file, or "its own multi-token head".
static const char *called(const struct draft_choice *choice) {
    return choice->kind == DRAFT_HEAD ? "its own multi-token head" : file_name(choice->path);
}

static double acceptance_of(const struct draft_record *record, const struct model *draft) {
    return record->acceptance >= 0 ? record->acceptance : draft_acceptance_usual(draft);
}

static void set_n(const struct draft_search *search, struct trial *t,
                  const struct draft_record *record) {
    const char *fixed = preset_get(search->preset, "draft-max");
    if (!fixed)
        fixed = preset_get(search->preset, "spec-draft-n-max");
    double acceptance = acceptance_of(record, t->fit.draft);
    int64_t n;
    if (fixed && str_to_int(fixed, 1, DRAFT_TOKENS_MAX, &n)) {
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
                        const char *path) {
    *t = (struct trial){.fit = *search->asked};
    t->choice.kind = kind;
    draft_store_engine(search->dialect, t->choice.engine, sizeof t->choice.engine);
    if (path)
        snprintf(t->choice.path, sizeof t->choice.path, "%s", path);
}

static void end_trial(struct trial *t) {
    model_close((struct model *)t->fit.draft);
    t->fit.draft = NULL;
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
    char why[300];
    struct trial t;
    struct draft_record record;
    begin_trial(search, &t, DRAFT_MODEL, path);
    if (strlen(path) >= sizeof t.choice.path)
        return err_set(err, ERR_LIMIT, "draft = %.60s...: too long a path", path);
    if (!speaks_model(search->dialect))
        return err_set(err, ERR_INVALID, "draft: this build of llama-server takes no draft model");
    t.fit.draft = open_draft(search, path, why, sizeof why);
    if (!t.fit.draft)
        return err_set(err, ERR_INVALID, "draft = %s does not go with %s: %s", path,
                       file_name(search->preset->model), why);
    record_of(search, &t.choice, &record);
    try_draft(search, &t, &record);
    if (!t.fits) {
        end_trial(&t);
        return err_set(err, ERR_INVALID, "draft = %s does not fit beside the model", path);
    }
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

// The smallest one that goes with the model, fits and is worth it. `why`: of the best that was not.
static bool try_models(const struct draft_search *search, struct trial *t, char *why, size_t size) {
    struct candidates list;
    uint64_t self = identity(search->preset->model);
    int64_t until = now_ms() + LOOK_MS;
    bool found = false;
    collect(search, &list);
    for (size_t i = 0; !found && i < list.count && now_ms() < until; i++) {
        struct pair pair = {self, identity(list.items[i].path)};
        struct draft_record record;
        char reason[300];
        if (pair.draft == self || was_refused(pair) ||
            strlen(list.items[i].path) >= sizeof t->choice.path)
            continue;
        begin_trial(search, t, DRAFT_MODEL, list.items[i].path);
        t->fit.draft = open_draft(search, list.items[i].path, reason, sizeof reason);
        if (!t->fit.draft) {
            remember_refused(pair);
            continue;
        }
        record_of(search, &t->choice, &record);
        try_draft(search, t, &record);
        found = is_worth(t, &record);
        if (found)
            break;
        if (!*why)
            snprintf(why, size, "%s", t->choice.why);
        end_trial(t);
    }
    forget_candidates(&list);
    return found;
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
    if (has_model)
        end_trial(&model);
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
