// Engine speed, from the "timings" object that llama-server puts at the end of an answer, or, when
// its caller asks for them, into every event of a stream: then each counts from the answer's
// beginning.
#pragma once

#include "metrics.h"

#include <stddef.h>

// Of one answer, as last told.
struct timings {
    double prompt_n, prompt_ms, cache_n, predicted_n, predicted_ms, draft_n, draft_accepted;
};

// Looks for whole "timings" objects in these bytes and adds what is new since `last`.
void timings_learn(struct metrics *metrics, struct timings *last, const char *bytes, size_t length);
