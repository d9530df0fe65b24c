// What an evaluation found, as people and programs are told: tables, JSON, a page with pictures.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/progress.h"
#include "eval_answers.h"
#include "eval_score.h"
#include "eval_truth.h"
#include "vision/image.h"

#include <jansson.h>
#include <stddef.h>

enum { EVAL_CONFIGS_MAX = 16 };

struct eval_config {
    const char *name, *path; // path NULL: the default
    struct answers *answers;
    struct score score;
};
struct eval {
    const char *dataset; // the folder
    const struct truth *truth;
    struct eval_config configs[EVAL_CONFIGS_MAX];
    size_t count;
};

void eval_markdown(const struct eval *eval, struct buf *out);
json_t *eval_json(const struct eval *eval);
// One file that needs no other. Photos are decoded again for what was missed on them; one that
// cannot be (it is gone, or no picture) has no crop.
bool eval_page(const struct eval *eval, size_t photo_bytes, const struct image_limits *limits,
               struct progress *progress, struct buf *out, struct err *err);

// The tables of both, in their order.
struct table;
void eval_tables(const struct eval *eval, void (*on_table)(void *arg, const struct table *table),
                 void *arg);
// What stands above the tables; the caller's.
char *eval_title(const struct eval *eval);
extern const char *const EVAL_NOTES; // and below them
// Is there a configuration that has this field of this photo not right?
bool eval_is_missed(const struct eval *eval, size_t photo, enum field field);
