// From a recogniser's likelihoods to characters: connectionist temporal classification read
// greedily (Graves et al. 2006): of every step the likeliest class, repetitions once, "nothing"
// dropped.
#pragma once

#include "vision/dictionary.h"
#include "vision/text_reader.h"

// What a line's steps say: one row of likelihoods, one a class, for each step, or only for those
// that are kept; the others say nothing.
struct text_steps {
    const float *likelihoods;
    const float *kept; // for each step 1 or 0; NULL: all are
    size_t count;
};
// step_share: of the line's width that a step covers. Fills text, chars, char_count and confidence
// of the line.
void text_ctc_read(struct text_line *line, const struct text_steps *steps,
                   const struct dictionary *dictionary, float step_share);
