// Fuse links as plates write them: "5H", "0,5 H", "EF5H", "10-K", "40EF", "LAM".
#pragma once

#include "normalise.h"

#include <stdbool.h>
#include <stddef.h>

struct fuse {
    char text[16];     // as the lists write it: "0,5H"
    size_t begin, end; // in the folded text
    unsigned swaps;    // letters read as digits
    bool guessed;      // the letter of the curve is not one; the text has it as it was read
};

// The first fuse link of a part. `typed`: a label says that there is one, so that "SH" is 5H.
bool fuse_find(struct part part, bool typed, struct fuse *fuse);
