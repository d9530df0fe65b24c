// What reading a Gemini request and shaping its answer have in common.
#pragma once

#include <jansson.h>
#include <stdbool.h>

// Of the same name in proto JSON: "inlineData", "inline_data".
bool gemini_same_name(const char *a, const char *b);
// NULL: not there, or null.
const json_t *gemini_member(const json_t *object, const char *name);
