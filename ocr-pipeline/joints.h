// Values that were read in parts because their stroke stands apart: "220" "/ 127", "77120 /"
// "2011". Put together before anything else is made of them.
#pragma once

#include "vision/text_reader.h"

#include <stddef.h>

struct joints {
    struct text_line *lines; // those that were put together are its own, the rest the caller's
    size_t count;
    struct text_line *own;
    size_t own_count;
};

// The caller's lines must outlive it; at most `most` of them are looked at.
void joints_init(struct joints *joints, const struct text_line *lines, size_t count, size_t most);
void joints_fini(struct joints *joints);
