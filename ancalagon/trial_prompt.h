// Prompts of an exact number of tokens that no cache has seen. The tokens come from the engine's
// own tokenizer, out of varied prose made here: random token numbers would make every draft
// useless, and a repeated sentence would make it look wonderful.
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trial_prompt {
    int32_t *pool; // tokens of the prose
    size_t count;
    int32_t first;      // the model's beginning token; -1: it has none
    int32_t last_start; // with which the previous prompt began
    uint64_t random;
};

void trial_prompt_init(struct trial_prompt *prompt, uint64_t seed);
void trial_prompt_fini(struct trial_prompt *prompt);

// The body of a POST /tokenize whose answer is worth at least `tokens`. The caller's (mem_free).
char *trial_prompt_ask(struct trial_prompt *prompt, size_t tokens);
// Takes that answer: {"tokens": [..]}. False when it is something else, or too few.
bool trial_prompt_learn(struct trial_prompt *prompt, const json_t *answer, size_t tokens,
                        struct err *err);
// The answer to {"content": "", "add_special": true}.
void trial_prompt_learn_first(struct trial_prompt *prompt, const json_t *answer);

// Appends "[1,4711,..]", exactly so many; the first ones differ from those of every earlier prompt.
bool trial_prompt_write(struct trial_prompt *prompt, size_t tokens, struct buf *out);
