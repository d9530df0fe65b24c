// Engine speed, from the "timings" object that llama-server puts at the end of an answer.
#pragma once

#include "metrics.h"

#include <stddef.h>

// Looks for a whole "timings" object in these bytes and adds what it says to the counters.
void timings_learn(struct metrics *metrics, const char *bytes, size_t length);
