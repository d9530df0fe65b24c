// The stages that models do, as the settings want them: who reads the plate, and who says which
// text is which field. A model that fails is an error, or where the settings allow it the photo
// goes on without it and the reading says so.
#pragma once

#include "claims.h"
#include "config.h"
#include "domains.h"
#include "gpu_gate.h"
#include "plate.h"
#include "vision/image.h"
#include "vision/text_reader.h"

#include <jansson.h>

struct models;

// What was done by whom, and what went wrong on the way.
struct stages {
    enum read_by read;
    enum reason_by reason;
    struct err read_err, reason_err; // of the model that was done without; code NONE: of none
    double vlm_ms, llm_ms;           // with the time in the queue
};
// {"read": "ocr", "reason": "rules", "fallback": [{"stage", "code", "text"}]}
json_t *stages_json(const struct stages *stages);

// `config` and `domains` are borrowed. Without models in the settings it has none, which is fine.
struct models *models_open(const struct config *config, const struct domains *domains,
                           struct err *err);
void models_close(struct models *models); // NULL is fine
void models_recall(struct models *models, struct recall *recall);

bool models_see(const struct models *models);        // a model reads photos
bool models_read_alone(const struct models *models); // and nobody else does

// A photo with its plate.
struct view {
    const struct image *photo; // upright, in its full size
    struct box part;           // of the plate, or all of it
    unsigned turned;           // quarters until the plate reads
    const struct recall *recall;
};

// In place of the reader: `page` is filled when stages->read says so; else the reader must read.
bool models_read(struct models *models, const struct view *view, struct text_page *page,
                 struct stages *stages, struct err *err);
// After the rules: `plate` is what they made of `lines`, and becomes what all of them say.
bool models_refine(struct models *models, const struct view *view, const struct text_line *lines,
                   size_t count, struct plate *plate, struct stages *stages, struct err *err);

// It is no fault of the photo's.
bool models_are_to_blame(const struct err *err);
// The same, and trying again later may help: the server is gone, hangs, or others keep the GPU.
bool models_are_away(const struct err *err);
// The first that the photo was read without for that reason; NULL: none.
const struct err *stages_missing(const struct stages *stages);
// For `doctor`: whether each model that is configured is there and does its work; `tell` once each.
void models_check(struct models *models,
                  void (*tell)(void *arg, const char *section, const struct err *err), void *arg);
