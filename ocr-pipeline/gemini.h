// Google's Gemini API as its clients speak it (generateContent and friends): what a request says,
// and answers and errors in its shape. Both spellings are read (inlineData and inline_data, proto
// JSON); camelCase is written. Facts: shared/facts/ocr.md §3, measured with two of Google's
// clients.
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { GEMINI_IMAGES_MAX = 30 };

// body.h: the strings that are photos.
bool gemini_is_image(const char *parent, const char *key);

struct gemini_image {
    size_t index;      // of the photo in the body
    const char *mime;  // as stated; borrowed from the tree, "" when it is not
    const char *label; // the text part before it, when it is short enough to be one; "" else
};

struct gemini_request {
    struct gemini_image images[GEMINI_IMAGES_MAX];
    size_t image_count;
    const json_t *schema; // responseSchema, borrowed from the tree; NULL: none
    size_t text_bytes;    // of all text parts
    bool json;            // responseMimeType is application/json, or there is a schema
};

// What is wrong with a request, as Google says it.
struct gemini_fault {
    unsigned status; // HTTP
    char field[160]; // "contents[0].parts[1].inlineData.data"; "": the request as a whole
    char text[320];
};

// `tree` is what body_end gave. False with the fault filled.
bool gemini_read(struct gemini_request *request, const json_t *tree, struct gemini_fault *fault);

// The object that a schema asks for, out of a plate's (plate_json): its properties are matched by
// name, in any spelling and in English too; each value in the type that is asked for (STRING,
// NUMBER, INTEGER, BOOLEAN, one of an enum, or null); what we do not know is null. A schema of an
// array gets a list of one; $ref and anyOf are followed. NULL schema: the plate as it is. The
// caller's.
json_t *gemini_shape(const json_t *schema, const json_t *plate);

struct gemini_usage {
    long long prompt_tokens, image_tokens, answer_tokens;
};
// One candidate with one text part; finish: "STOP".
json_t *gemini_answer(const char *text, const char *finish, const char *model, const char *id,
                      const struct gemini_usage *usage);
json_t *gemini_error(const struct gemini_fault *fault);
// reason: Google's word for machines ("GPU_HANG"), told in details (ErrorInfo); NULL: none.
json_t *gemini_error_with(const struct gemini_fault *fault, const char *reason);
const char *gemini_status(unsigned http); // 429: "RESOURCE_EXHAUSTED"
