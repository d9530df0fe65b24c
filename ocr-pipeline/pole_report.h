// What the photos of one pole say together, beside what the records say of it: as it is told, for
// one request and for the poles of a job.
#pragma once

#include "pipeline.h"
#include "records.h"

#include <jansson.h>

// What the records said, or why not.
struct record_answer {
    bool known;
    struct record record;
    char code[32], text[504]; // they were not asked: "RECORDS_UNREACHABLE"; code "": they were
};

// Blocking. NULLs among the readings are photos that could not be read; records NULL: there are
// none, and nothing is known.
void pole_ask_records(struct records *records, const char *pole,
                      const struct reading *const *readings, size_t count,
                      struct record_answer *answer);
// As it is kept with a photo of a job; NULL: nothing to keep.
json_t *record_answer_json(const struct record_answer *answer);
// Of several photos' answers the one that says most.
void record_answer_add(struct record_answer *answer, const json_t *json);

// The photos' plates as one, audited as a whole.
void pole_plate(const struct pipeline *pipeline, const struct reading *const *readings,
                size_t count, struct plate *plate);
// {poste, fields, _needs_review, review_reasons, registros, registros_erro}; the caller's.
json_t *pole_report(const struct pipeline *pipeline, double tolerance, const char *pole,
                    const struct reading *const *readings, size_t count,
                    const struct record_answer *answer);
