#include "vision/text_order.h"

#include <math.h>
#include <stdlib.h>

static float middle_of(const struct text_line *line) {
    struct box box = quad_box(&line->upright);
    return (box.y0 + box.y1) / 2;
}

// Of a slanting line the box is higher than the text.
static float height_of(const struct text_line *line) {
    const struct point *p = line->upright.corners;
    return fminf(hypotf(p[3].x - p[0].x, p[3].y - p[0].y),
                 hypotf(p[2].x - p[1].x, p[2].y - p[1].y));
}

static int by_middle(const void *a, const void *b) {
    float ya = middle_of(a), yb = middle_of(b);
    return (ya > yb) - (ya < yb);
}

static int by_left(const void *a, const void *b) {
    float xa = quad_box(&((const struct text_line *)a)->upright).x0;
    float xb = quad_box(&((const struct text_line *)b)->upright).x0;
    return (xa > xb) - (xa < xb);
}

void text_order(struct text_line *lines, size_t count) {
    if (!count)
        return;
    qsort(lines, count, sizeof *lines, by_middle);
    for (size_t from = 0, to; from < count; from = to) {
        // The row goes on from line to line, because rows of a photo slant; but not past the first.
        for (to = from + 1; to < count; to++) {
            float height = fminf(height_of(&lines[to - 1]), height_of(&lines[to]));
            if (middle_of(&lines[to]) - middle_of(&lines[to - 1]) > height / 2 ||
                middle_of(&lines[to]) - middle_of(&lines[from]) > 1.5f * height)
                break;
        }
        qsort(lines + from, to - from, sizeof *lines, by_left);
    }
}
