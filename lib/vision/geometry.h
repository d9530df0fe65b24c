// Points, boxes and four-cornered regions in pixels of an upright picture: x to the right, y down,
// the centre of the first pixel at (0, 0) for warps, its corner for boxes.
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct point {
    float x, y;
};
struct box { // x0 <= x < x1
    float x0, y0, x1, y1;
};
struct quad { // top left, top right, bottom right, bottom left, as the text reads
    struct point corners[4];
};

float box_width(struct box box);
float box_height(struct box box);
float box_area(struct box box);
float box_overlap(struct box a, struct box b); // intersection over union, 0..1
struct box box_pad(struct box box, float share, int width, int height); // of its sides; clipped

float quad_height(const struct quad *quad);   // the mean of its left and right side
struct box quad_box(const struct quad *quad); // upright box around it
// Where a region of a width x height picture is after quarter turns counter-clockwise; the corners
// stay those of the text.
struct quad quad_turn(const struct quad *quad, unsigned quarters, int width, int height);
// The corners sorted as for text that runs to the right: of the two leftmost the upper one first.
struct quad quad_in_order(const struct quad *quad);

// The smallest rectangle around points, corners in order; points are reordered in place. `count`
// >= 1; `room` has room for count + 1.
struct quad points_min_rect(struct point *points, size_t count, struct point *room, float *width,
                            float *height);
// The same for the corners of a convex polygon, one after the other.
struct quad hull_min_rect(const struct point *hull, size_t count, float *width, float *height);
