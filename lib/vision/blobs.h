// Groups of touching pixels in a map of marks, as points around them: enough for their hull.
#pragma once

#include "vision/geometry.h"

#include <stddef.h>
#include <stdint.h>

struct blobs {
    struct point *points;
    size_t *starts; // of group i: points[starts[i]] .. points[starts[i + 1] - 1]
    size_t count;
};

// marks: height x width, 0 or 1. Groups of marked pixels (touching at corners counts), each with
// its outermost pixels; then the holes inside them, each with the marked pixels around it, as
// OpenCV's findContours lists both. Whatever the map, the work is linear in its size.
void blobs_find(struct blobs *out, const uint8_t *marks, int width, int height);
void blobs_fini(struct blobs *blobs);
