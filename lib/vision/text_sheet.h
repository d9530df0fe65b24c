// The picture as the reader works on it: brought within bounds, and with room above and below when
// it is a single line.
#pragma once

#include "vision/text_reader.h"

struct text_sheet {
    const struct image *picture; // the caller's, or own
    struct image own;
    int top;                // rows that were added above
    float scale_x, scale_y; // from the sheet to the caller's picture
};

void text_sheet_init(struct text_sheet *sheet, const struct image *picture, int side_max);
void text_sheet_fini(struct text_sheet *sheet);
struct quad text_sheet_quad(const struct text_sheet *sheet, const struct quad *quad,
                            const struct image *picture); // in the caller's pixels
