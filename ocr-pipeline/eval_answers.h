// What one configuration answered to the photos of a dataset: its file of results (results.h), held
// against the truth.
#pragma once

#include "eval_score.h"
#include "eval_truth.h"

#include <jansson.h>
#include <stddef.h>

struct answers {
    struct eval_photo *photos; // in the order of the truth
    struct answer_line {
        size_t at, length;
    } * lines;   // of each photo
    char *bytes; // of the file
};

// ERR_NOTFOUND: a photo of the truth has no result. Results of other photos are left alone.
struct answers *answers_load(const char *path, const struct truth *truth, struct err *err);
void answers_destroy(struct answers *answers); // NULL is fine
// What was said of a photo (report.h), all of it; the caller's.
json_t *answers_report(const struct answers *answers, size_t photo);

// One report against one photo's truth.
void answer_judge(struct eval_photo *out, const struct truth_photo *truth, const json_t *report);
// The value of a field as text, as plate.h has it; "": none.
void answer_value(const json_t *report, enum field field, char *out, size_t size);
