// From a recogniser's likelihoods to characters: connectionist temporal classification read
// greedily (Graves et al. 2006): of every step the likeliest class, repetitions once, "nothing"
// dropped.
#pragma once

#include "vision/dictionary.h"
#include "vision/text_reader.h"

// steps x classes likelihoods. step_share: of the line's width that a step covers. Fills text,
// chars, char_count and confidence of the line.
void text_ctc_read(struct text_line *line, const float *likelihoods, size_t steps,
                   const struct dictionary *dictionary, float step_share);
