// What the rooms of the text reader share. text_reader.c makes it, text_page.c runs it.
#pragma once

#include "vision/dictionary.h"
#include "vision/text_reader.h"

struct text_reader {
    struct text_reader_options options;          // the paths in it are the caller's and not kept
    struct network *detect, *orient, *recognize; // orient may be NULL
    struct dictionary dictionary;
    int orient_width, orient_height;
    int line_height;
    bool many_sizes; // the detector takes pictures of any size (multiples of 32)
};

double text_now_ms(void); // of a clock that only goes on
