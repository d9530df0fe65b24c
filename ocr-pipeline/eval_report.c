#include "eval_report.h"

#include "base/mem.h"
#include "eval_table.h"
#include "format/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const EVAL_NOTES =
    "accuracy: right, or rightly empty, of all that the truth tells. precision: right, of what was\n"
    "answered. coverage: answered, of what the plates say. review: photos that a person must look\n"
    "at (of a field: that say so of it). In brackets 95 % intervals: Wilson's; of all fields\n"
    "together, and of seconds, by resampling photos. p: McNemar's exact test of the cases where\n"
    "just one of the two is right; corrected: Holm's, for as many fields. Fields of one photo are not\n"
    "independent: for all fields together, a p near 0.05 says little; look at the one of photos.";

char *eval_title(const struct eval *eval) {
    return mem_printf("%s: %zu photos, %zu configuration%s", eval->dataset, eval->truth->count,
                      eval->count, eval->count == 1 ? "" : "s");
}

bool eval_is_missed(const struct eval *eval, size_t photo, enum field field) {
    for (size_t i = 0; i < eval->count; i++)
        if (outcome_is_miss(eval->configs[i].answers->photos[photo].outcomes[field]))
            return true;
    return false;
}

// --- Tables

static void rate_cell(struct table *table, const struct rate *rate) {
    if (!rate->of)
        table_cell(table, "-");
    else
        table_cell(table, "%.1f %% (%.1f-%.1f)", 100 * rate->value, 100 * rate->low,
                   100 * rate->high);
}

static void p_cell(struct table *table, double p) {
    table_cell(table, p < .0001 ? "< 0.0001" : "%.4f", p);
}

static const struct {
    const char *name;
    size_t member;
} RATES[] = {
    {"accuracy, all fields", offsetof(struct score, all.accuracy)},
    {"precision, all fields", offsetof(struct score, all.precision)},
    {"coverage, all fields", offsetof(struct score, all.coverage)},
    {"right, of what the plates say", offsetof(struct score, all.recall)},
    {"photos with all fields right", offsetof(struct score, whole)},
    {"review", offsetof(struct score, all.review)},
    {"wrong values in photos to be looked at", offsetof(struct score, told)},
    {"photos to be looked at, of those all right", offsetof(struct score, for_naught)},
};
enum { RATE_COUNT = sizeof RATES / sizeof *RATES };

static const struct rate *rate_at(const struct score *score, size_t index) {
    return (const struct rate *)((const char *)score + RATES[index].member);
}

static void seconds_rows(const struct eval *eval, struct table *table) {
    table_cell(table, "seconds a photo");
    for (size_t i = 0; i < eval->count; i++) {
        const struct mean *mean = &eval->configs[i].score.seconds;
        if (mean->count)
            table_cell(table, "%.2f (%.2f-%.2f)", mean->value, mean->low, mean->high);
        else
            table_cell(table, "-");
    }
    table_cell(table, "median; 95 %% are below");
    for (size_t i = 0; i < eval->count; i++) {
        const struct score *score = &eval->configs[i].score;
        if (score->seconds.count)
            table_cell(table, "%.2f; %.2f", score->seconds_median, score->seconds_p95);
        else
            table_cell(table, "-");
    }
    table_cell(table, "could not be read");
    for (size_t i = 0; i < eval->count; i++)
        table_cell(table, "%zu", eval->configs[i].score.failed);
}

static void make_overview(const struct eval *eval, struct table *table) {
    table_init(table, "Overview", eval->count + 1);
    table_cell(table, " ");
    for (size_t i = 0; i < eval->count; i++)
        table_cell(table, "%s", eval->configs[i].name);
    for (size_t j = 0; j < RATE_COUNT; j++) {
        table_cell(table, "%s", RATES[j].name);
        for (size_t i = 0; i < eval->count; i++)
            rate_cell(table, rate_at(&eval->configs[i].score, j));
    }
    seconds_rows(eval, table);
}

static void field_row(struct table *table, const char *name, const struct field_score *score) {
    table_cell(table, "%s", name);
    rate_cell(table, &score->accuracy);
    rate_cell(table, &score->precision);
    rate_cell(table, &score->coverage);
    rate_cell(table, &score->review);
    static const enum outcome SHOWN[] = {OUTCOME_RIGHT, OUTCOME_WRONG, OUTCOME_MISSED,
                                         OUTCOME_INVENTED};
    for (size_t i = 0; i < sizeof SHOWN / sizeof *SHOWN; i++)
        table_cell(table, "%zu", score->counts[SHOWN[i]]);
}

static void make_fields(const struct eval *eval, const struct eval_config *config,
                        struct table *table) {
    static const char *const HEAD[] = {"field", "accuracy", "precision", "coverage", "review",
                                       "right", "wrong",    "missed",    "invented"};
    table_init(table, config->name, sizeof HEAD / sizeof *HEAD);
    for (size_t i = 0; i < sizeof HEAD / sizeof *HEAD; i++)
        table_cell(table, "%s", HEAD[i]);
    for (int i = 0; i < FIELD_COUNT; i++)
        if (eval->truth->judged[i])
            field_row(table, field_key((enum field)i), &config->score.fields[i]);
    field_row(table, "all", &config->score.all);
}

static void contrast_row(struct table *table, const char *name, const struct contrast *contrast,
                         bool many) {
    table_cell(table, "%s", name);
    table_cell(table, "%zu", contrast->only_a);
    table_cell(table, "%zu", contrast->only_b);
    p_cell(table, contrast->p);
    if (many)
        p_cell(table, contrast->p_holm);
    else
        table_cell(table, " ");
}

static void make_contrasts(const struct eval *eval, const struct comparison *comparison,
                           const char *title, const char *a, const char *b, struct table *table) {
    table_init(table, title, 5);
    table_cell(table, "right in one only");
    table_cell(table, "%s", a);
    table_cell(table, "%s", b);
    table_cell(table, "p");
    table_cell(table, "p, corrected");
    for (int i = 0; i < FIELD_COUNT; i++)
        if (eval->truth->judged[i])
            contrast_row(table, field_key((enum field)i), &comparison->fields[i], true);
    contrast_row(table, "all fields", &comparison->all, false);
    contrast_row(table, "photos", &comparison->whole, false);
}

// Calls back for every two configurations.
static void each_pair(const struct eval *eval,
                      void (*on_pair)(void *arg, const struct eval_config *a,
                                      const struct eval_config *b,
                                      const struct comparison *comparison),
                      void *arg) {
    struct comparison comparison;
    for (size_t i = 0; i < eval->count; i++)
        for (size_t j = i + 1; j < eval->count; j++) {
            score_compare(&comparison, eval->configs[i].answers->photos,
                          eval->configs[j].answers->photos, eval->truth->count);
            on_pair(arg, &eval->configs[i], &eval->configs[j], &comparison);
        }
}

struct walk {
    const struct eval *eval;
    void (*on_table)(void *arg, const struct table *table);
    void *arg;
};

static void on_pair_table(void *arg, const struct eval_config *a, const struct eval_config *b,
                          const struct comparison *comparison) {
    const struct walk *walk = arg;
    struct table table;
    char *title = mem_printf("%s against %s", a->name, b->name);
    make_contrasts(walk->eval, comparison, title, a->name, b->name, &table);
    walk->on_table(walk->arg, &table);
    table_fini(&table);
    mem_free(title);
}

void eval_tables(const struct eval *eval, void (*on_table)(void *arg, const struct table *table),
                 void *arg) {
    struct walk walk = {eval, on_table, arg};
    struct table table;
    make_overview(eval, &table);
    on_table(arg, &table);
    table_fini(&table);
    each_pair(eval, on_pair_table, &walk); // first what decides
    for (size_t i = 0; i < eval->count; i++) {
        make_fields(eval, &eval->configs[i], &table);
        on_table(arg, &table);
        table_fini(&table);
    }
}

static void on_markdown_table(void *arg, const struct table *table) { table_markdown(table, arg); }

void eval_markdown(const struct eval *eval, struct buf *out) {
    char *title = eval_title(eval);
    buf_printf(out, "# %s\n", title);
    eval_tables(eval, on_markdown_table, out);
    buf_printf(out, "\n%s\n", EVAL_NOTES);
    mem_free(title);
}

// --- JSON

static json_t *rate_json(const struct rate *rate) {
    return json_build("{s:I, s:I, s:f, s:f, s:f}", "hits", (json_int_t)rate->hits, "of",
                      (json_int_t)rate->of, "value", rate->value, "low", rate->low, "high",
                      rate->high);
}

static json_t *field_score_json(const struct field_score *score) {
    json_t *out = json_build("{s:o, s:o, s:o, s:o, s:o}", "accuracy", rate_json(&score->accuracy),
                             "precision", rate_json(&score->precision), "coverage",
                             rate_json(&score->coverage), "recall", rate_json(&score->recall),
                             "review", rate_json(&score->review));
    for (int i = 0; i < OUTCOME_COUNT; i++)
        json_set(out, outcome_name((enum outcome)i), json_integer((json_int_t)score->counts[i]));
    return out;
}

static json_t *config_json(const struct eval *eval, const struct eval_config *config) {
    const struct score *score = &config->score;
    json_t *fields = json_object();
    for (int i = 0; i < FIELD_COUNT; i++)
        if (eval->truth->judged[i])
            json_set(fields, field_key((enum field)i), field_score_json(&score->fields[i]));
    json_t *seconds = json_build("{s:f, s:f, s:f, s:f, s:f}", "mean", score->seconds.value, "low",
                                 score->seconds.low, "high", score->seconds.high, "median",
                                 score->seconds_median, "p95", score->seconds_p95);
    json_t *out = json_build("{s:s, s:s, s:I, s:I, s:o, s:o, s:o}", "name", config->name, "config",
                             config->path, "photos", (json_int_t)score->photos, "failed",
                             (json_int_t)score->failed, "fields", fields, "all",
                             field_score_json(&score->all), "seconds", seconds);
    json_set(out, "photos_right", rate_json(&score->whole));
    json_set(out, "wrong_values_reviewed", rate_json(&score->told));
    json_set(out, "right_photos_reviewed", rate_json(&score->for_naught));
    return out;
}

static json_t *contrast_json(const struct contrast *contrast) {
    return json_build("{s:I, s:I, s:f, s:f}", "only_a", (json_int_t)contrast->only_a, "only_b",
                      (json_int_t)contrast->only_b, "p", contrast->p, "p_holm", contrast->p_holm);
}

struct pairs {
    const struct eval *eval;
    json_t *list;
};

static void on_pair_json(void *arg, const struct eval_config *a, const struct eval_config *b,
                         const struct comparison *comparison) {
    const struct pairs *pairs = arg;
    json_t *fields = json_object();
    for (int i = 0; i < FIELD_COUNT; i++)
        if (pairs->eval->truth->judged[i])
            json_set(fields, field_key((enum field)i), contrast_json(&comparison->fields[i]));
    json_array_append_new(pairs->list,
                          json_build("{s:s, s:s, s:o, s:o, s:o}", "a", a->name, "b", b->name,
                                     "fields", fields, "all", contrast_json(&comparison->all),
                                     "photos", contrast_json(&comparison->whole)));
}

static json_t *miss_json(const struct eval *eval, size_t photo, enum field field,
                         json_t *const *reports) {
    const struct truth_photo *truth = &eval->truth->photos[photo];
    json_t *answers = json_array();
    for (size_t i = 0; i < eval->count; i++) {
        const struct eval_photo *judged = &eval->configs[i].answers->photos[photo];
        char value[128];
        answer_value(reports[i], field, value, sizeof value);
        json_array_append_new(answers,
                              json_build("{s:s, s:s, s:s, s:b}", "configuration",
                                         eval->configs[i].name, "value", value[0] ? value : NULL,
                                         "outcome", outcome_name(judged->outcomes[field]),
                                         "needs_review", judged->reviewed));
    }
    const char *wanted = truth->values[field];
    return json_build("{s:s, s:s, s:s, s:o}", "file", truth->file, "field", field_key(field),
                      "truth", wanted[0] ? wanted : NULL, "answers", answers);
}

static void add_misses(const struct eval *eval, size_t photo, json_t *misses) {
    json_t *reports[EVAL_CONFIGS_MAX] = {NULL};
    for (int i = 0; i < FIELD_COUNT; i++) {
        if (!eval_is_missed(eval, photo, (enum field)i))
            continue;
        for (size_t j = 0; j < eval->count; j++)
            if (!reports[j])
                reports[j] = answers_report(eval->configs[j].answers, photo);
        json_array_append_new(misses, miss_json(eval, photo, (enum field)i, reports));
    }
    for (size_t j = 0; j < eval->count; j++)
        json_decref(reports[j]);
}

json_t *eval_json(const struct eval *eval) {
    json_t *configs = json_array(), *misses = json_array();
    struct pairs pairs = {eval, json_array()};
    for (size_t i = 0; i < eval->count; i++)
        json_array_append_new(configs, config_json(eval, &eval->configs[i]));
    each_pair(eval, on_pair_json, &pairs);
    for (size_t i = 0; i < eval->truth->count; i++)
        add_misses(eval, i, misses);
    return json_build("{s:s, s:I, s:o, s:o, s:o}", "dataset", eval->dataset, "photos",
                      (json_int_t)eval->truth->count, "configurations", configs, "comparisons",
                      pairs.list, "misses", misses);
}
