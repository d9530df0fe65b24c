// What an OpenAI-compatible server says: its answer taken apart, its errors told apart. Answers are
// of anybody's making; sizes are bounded by whoever fetched them.
#pragma once

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

// The text of a chat completion, without what a model thought ("<think>...</think>") and without a
// fence around it ("```json"); the caller's (mem_free). NULL with ERR_GARBLED: no chat completion,
// no text, or text that was cut off; ERR_HANG, ERR_UNAVAILABLE: an error with a good status.
char *model_answer_text(const char *body, size_t length, struct err *err);
// The first object or list of a text, whatever a model wrote around it; the caller's. NULL: none.
json_t *model_answer_json(const char *text);
// An answer with a bad status: ERR_HANG when the GPU is the reason, else ERR_UNAVAILABLE.
void model_answer_error(unsigned status, const char *body, size_t length, struct err *err);
// A list of models has this one; "qwen2.5" is "qwen2.5:latest", too.
bool model_answer_lists(const char *body, size_t length, const char *model);
