// What one photo gave, or why it gave nothing, as it is told: an object of JSON. The keys are
// for programs and do not change (docs/ocr-pipeline.1.md).
#pragma once

#include "pipeline.h"

#include <jansson.h>

// {file, image_id, fields, _needs_review, review_reasons, texts, plate,
// plates, pole_id_context, timings_ms}; the caller's.
json_t *report_json(const char *file, const struct reading *reading);
json_t *report_text_json(const struct reading *reading, size_t index); // one of its texts
// As much of a reading as its pole needs, from such an object: image, plate and what was seen.
void report_reading(const json_t *report, struct reading *reading);
// {file, error: {code, text}}
json_t *report_error_json(const char *file, const struct err *err);
// "FILE_MISSING", "INVALID_IMAGE", "TOO_LARGE": stable.
const char *report_code(const struct err *err);
