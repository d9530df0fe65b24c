// The text of a nameplate cut into pieces: labels, and what stands between them, each with its
// place along and across the lines. Plates hang askew and bend around tanks, so there is no grid:
// two pieces are compared along the direction that text has where they are.
#pragma once

#include "labels.h"
#include "normalise.h"

#include <stdbool.h>
#include <stddef.h>

struct piece {
    struct part part;
    size_t line;          // index in the sheet's lines
    struct label_hit hit; // concept NONE: not a label
    struct quad quad;     // upright
    float height;         // of the text, pixels
};

struct sheet {
    const struct text_line *lines;
    size_t line_count;
    struct folded *folds;     // one a line
    struct point *directions; // one a line: unit vector along the text around it
    struct piece *pieces;     // in the order of lines, in a line from the left
    size_t count, capacity;
    unsigned char *taken; // FOLDED_MAX + 1 a line: the concept that a byte belongs to
    float height;         // of most text, pixels
};

// `lines` stay the caller's and must outlive the sheet; at most LINES_MAX of them are looked at.
enum { LINES_MAX = 512 };
void sheet_init(struct sheet *sheet, const struct text_line *lines, size_t count,
                const struct labels *labels);
void sheet_fini(struct sheet *sheet);
// Part of sheet_init: labels whose words stand on two lines.
void sheet_join_labels(struct sheet *sheet, const struct labels *labels);

bool piece_is_label(const struct piece *piece);
const struct text_line *sheet_line(const struct sheet *sheet, const struct piece *piece);

// What a part belongs to; the first that takes a byte keeps it.
void sheet_take(struct sheet *sheet, size_t line, struct part part, enum concept concept);
enum concept sheet_taken(const struct sheet *sheet, size_t line, size_t at);
bool sheet_is_free(const struct sheet *sheet, size_t line, struct part part);

// How `b` lies to `a`, along and across the text between them, in pixels.
struct offset {
    float right;     // gap from a's end to b's begin; negative: they overlap
    float below;     // gap from a's bottom to b's top
    float overlap_y; // shared height, as a share of the lower one's; 0..1
    float overlap_x; // shared width, as a share of the narrower one's
    float left;      // b's begin minus a's begin
    float middle;    // b's middle minus a's, along
};
struct offset sheet_offset(const struct sheet *sheet, size_t a_line, const struct quad *a,
                           size_t b_line, const struct quad *b);
