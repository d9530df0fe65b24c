#include "eval_answers.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "format/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 1 << 30 };

// --- One photo

static const json_t *field_of(const json_t *report, enum field field) {
    return json_object_get(json_object_get(report, "fields"), field_key(field));
}

void answer_value(const json_t *report, enum field field, char *out, size_t size) {
    const json_t *value = json_object_get(field_of(report, field), "value");
    struct buf text;
    out[0] = '\0';
    if (json_is_string(value))
        snprintf(out, size, "%s", json_string_value(value));
    else if (json_is_true(value))
        snprintf(out, size, "true");
    if (!json_is_number(value))
        return;
    buf_init(&text, 64);
    json_write(&text, value);
    snprintf(out, size, "%s", buf_text(&text));
    buf_fini(&text);
}

static enum outcome judge_field(const struct truth_photo *truth, const json_t *report,
                                enum field field, bool failed) {
    char found[128];
    if (!truth->judged[field])
        return OUTCOME_UNJUDGED;
    answer_value(report, field, found, sizeof found);
    if (!truth->values[field][0])
        return failed ? OUTCOME_NONE : found[0] ? OUTCOME_INVENTED : OUTCOME_EMPTY;
    if (!found[0])
        return OUTCOME_MISSED;
    return truth_is(field, truth->values[field], found) ? OUTCOME_RIGHT : OUTCOME_WRONG;
}

void answer_judge(struct eval_photo *out, const struct truth_photo *truth, const json_t *report) {
    *out = (struct eval_photo){.failed = json_object_get(report, "error") != NULL};
    out->reviewed = out->failed || json_get_bool(report, "_needs_review", false);
    out->seconds =
        json_number_value(json_object_get(json_object_get(report, "timings_ms"), "total")) / 1000;
    for (int i = 0; i < FIELD_COUNT; i++) {
        const json_t *reasons = json_object_get(field_of(report, (enum field)i), "reasons");
        out->outcomes[i] = judge_field(truth, report, (enum field)i, out->failed);
        out->doubted[i] = json_array_size(reasons) > 0;
    }
}

// --- The file

struct named {
    const char *file;
    size_t index;
};

static int by_file(const void *a, const void *b) {
    return strcmp(((const struct named *)a)->file, ((const struct named *)b)->file);
}

static struct named *sort_photos(const struct truth *truth) {
    struct named *named = mem_alloc(truth->count * sizeof *named);
    for (size_t i = 0; i < truth->count; i++)
        named[i] = (struct named){truth->photos[i].file, i};
    qsort(named, truth->count, sizeof *named, by_file);
    return named;
}

static bool take_line(struct answers *answers, const struct truth *truth, const struct named *named,
                      struct answer_line line, struct err *err) {
    json_t *report = json_parse(answers->bytes + line.at, line.length, 0, 0, err);
    struct named key = {json_get_text(report, "file", ""), 0};
    const struct named *found = bsearch(&key, named, truth->count, sizeof *named, by_file);
    if (report && found) {
        answers->lines[found->index] = line;
        answer_judge(&answers->photos[found->index], &truth->photos[found->index], report);
    }
    bool good = report != NULL;
    json_decref(report);
    return good;
}

static bool take_all(struct answers *answers, size_t length, const struct truth *truth,
                     struct err *err) {
    struct named *named = sort_photos(truth);
    bool good = true;
    const char *end;
    for (size_t at = 0; good && (end = memchr(answers->bytes + at, '\n', length - at));
         at = (size_t)(end - answers->bytes) + 1)
        good = take_line(answers, truth, named,
                         (struct answer_line){at, (size_t)(end - answers->bytes) - at}, err);
    mem_free(named);
    for (size_t i = 0; good && i < truth->count; i++)
        if (!answers->lines[i].length)
            good =
                err_set(err, ERR_NOTFOUND, "there is no result of %.200s", truth->photos[i].file);
    return good;
}

struct answers *answers_load(const char *path, const struct truth *truth, struct err *err) {
    struct answers *answers = mem_alloc(sizeof *answers);
    size_t length;
    answers->photos = mem_alloc(truth->count * sizeof *answers->photos);
    answers->lines = mem_alloc(truth->count * sizeof *answers->lines);
    answers->bytes = path_read_file(path, FILE_MAX, &length, err);
    if (answers->bytes && take_all(answers, length, truth, err))
        return answers;
    if (answers->bytes)
        err_context(err, "%s", path);
    answers_destroy(answers);
    return NULL;
}

void answers_destroy(struct answers *answers) {
    if (!answers)
        return;
    mem_free(answers->photos);
    mem_free(answers->lines);
    mem_free(answers->bytes);
    mem_free(answers);
}

json_t *answers_report(const struct answers *answers, size_t photo) {
    return json_parse(answers->bytes + answers->lines[photo].at, answers->lines[photo].length, 0, 0,
                      NULL);
}
