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
struct box quad_box(const struct quad *quad);                           // upright box around it

// The smallest rectangle around points (convex hull, rotating calipers), in reading order of
// corners; points are reordered in place. `count` >= 1.
struct quad points_min_rect(struct point *points, size_t count, float *width, float *height);
