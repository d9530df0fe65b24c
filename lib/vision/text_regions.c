// From a map of likelihoods to rectangles: pixels above a threshold, in groups; the smallest
// rectangle around each; kept when the likelihood inside is high enough; grown, because the network
// was trained to mark the inner part of a text only. The numbers are RapidOCR's, so that the same
// regions come out.
#include "base/mem.h"
#include "vision/blobs.h"
#include "vision/text_detect.h"

#include <math.h>

enum { SIDE_MIN = 3 };

// Marks what is above the threshold, grown by one pixel to the right and down (a dilation by 2 x
// 2), which closes hairline gaps between letters.
static uint8_t *mark_likely(const float *map, int width, int height, float threshold) {
    size_t w = (size_t)width, pixels = w * (size_t)height;
    uint8_t *marks = mem_alloc(pixels);
    for (size_t i = 0; i < pixels; i++)
        marks[i] = map[i] > threshold;
    for (int y = height - 1; y >= 0; y--) {
        uint8_t *row = marks + (size_t)y * w;
        for (size_t x = w - 1; x > 0; x--)
            row[x] |= row[x - 1];
        if (y > 0) {
            const uint8_t *above = row - w;
            row[0] |= above[0];
            for (size_t x = 1; x < w; x++)
                row[x] |= above[x] | above[x - 1];
        }
    }
    return marks;
}

struct span {
    int from, to;
};

// Widens the rows' spans by a line between whole pixels: Bresenham's, from the left, as the
// reference draws it.
static void widen(struct span *rows, int first, int last, struct point a, struct point b) {
    struct point from = a.x <= b.x ? a : b, to = a.x <= b.x ? b : a;
    int x = (int)from.x, y = (int)from.y, down = to.y >= from.y ? 1 : -1;
    int along = (int)(to.x - from.x), across = (int)fabsf(to.y - from.y);
    bool steep = across > along;
    int major = steep ? across : along, minor = steep ? along : across;
    int left = major - 2 * minor; // until the next step of the minor side
    for (int i = 0; i <= major; i++) {
        if (y >= first && y <= last) {
            struct span *row = &rows[y - first];
            row->from = x < row->from ? x : row->from;
            row->to = x > row->to ? x : row->to;
        }
        bool both = left < 0;
        left += (both ? 2 * major : 0) - 2 * minor;
        x += !steep || both;
        y += steep || both ? down : 0;
    }
}

// Drawing and Clipper, which the reference uses, count in whole numbers.
static struct quad without_fractions(const struct quad *quad) {
    struct quad whole;
    for (size_t i = 0; i < 4; i++)
        whole.corners[i] = (struct point){truncf(quad->corners[i].x), truncf(quad->corners[i].y)};
    return whole;
}

// The mean of the map inside the quad, edges included; corners at whole pixels.
static float mean_inside(const float *map, int width, int height, const struct quad *quad) {
    struct quad whole = without_fractions(quad);
    struct box box = quad_box(&whole);
    int y0 = (int)fmaxf(0, box.y0), y1 = (int)fminf((float)height - 1, box.y1);
    if (y1 < y0)
        return 0;
    struct span *rows = mem_alloc((size_t)(y1 - y0 + 1) * sizeof *rows);
    for (int y = y0; y <= y1; y++)
        rows[y - y0] = (struct span){width, -1};
    for (size_t i = 0; i < 4; i++)
        widen(rows, y0, y1, whole.corners[i], whole.corners[(i + 1) % 4]);
    double sum = 0;
    size_t count = 0;
    for (int y = y0; y <= y1; y++) {
        struct span span = rows[y - y0];
        const float *row = map + (size_t)y * (size_t)width;
        for (int x = span.from > 0 ? span.from : 0; x <= span.to && x < width; x++, count++)
            sum += (double)row[x];
    }
    mem_free(rows);
    return count ? (float)(sum / (double)count) : 0;
}

static double side(const struct quad *quad, size_t i) {
    struct point a = quad->corners[i], b = quad->corners[(i + 1) % 4];
    return hypot((double)b.x - (double)a.x, (double)b.y - (double)a.y);
}

// How far a region grows: area x ratio / perimeter (DB's formula 10).
static double growth(const struct quad *quad, double ratio) {
    const struct point *p = quad->corners;
    double twice = 0, around = 0;
    for (size_t i = 0; i < 4; i++) {
        size_t next = (i + 1) % 4;
        twice += (double)p[i].x * (double)p[next].y - (double)p[next].x * (double)p[i].y;
        around += side(quad, i);
    }
    return around > 0 ? fabs(twice) / 2 * ratio / around : 0;
}

enum { ARC_POINTS_MAX = 256 };

struct normal {
    double x, y;
};

// Outward from the side from a to b of a quad whose corners run clockwise.
static struct normal normal_of(struct point a, struct point b) {
    double dx = (double)b.x - (double)a.x, dy = (double)b.y - (double)a.y;
    double inverse = dx != 0 || dy != 0 ? 1 / sqrt(dx * dx + dy * dy) : 0;
    return (struct normal){dy * inverse, -dx * inverse};
}

static size_t add_point(struct point *out, size_t count, struct point corner, struct normal normal,
                        double distance) {
    if (count < ARC_POINTS_MAX)
        out[count++] = (struct point){(float)round((double)corner.x + normal.x * distance),
                                      (float)round((double)corner.y + normal.y * distance)};
    return count;
}

// Points on the circle around a corner, from one outward normal to the next, at whole pixels. As
// Clipper does: chords leave the circle by a quarter of a pixel at most, the last one is shorter.
static size_t add_arc(struct point *out, struct point corner, double distance, struct normal from,
                      struct normal to) {
    double sine = from.x * to.y - to.x * from.y, cosine = from.x * to.x + from.y * to.y;
    if (fabs(sine * distance) < 1 && cosine > 0)
        return add_point(out, 0, corner, from, distance);
    double whole = M_PI / acos(1 - fmin(.25, distance * .25) / distance);
    whole = fmin(whole, distance * M_PI);
    double turn = 2 * M_PI / whole, turn_sine = sin(turn), turn_cosine = cos(turn);
    int steps = (int)round(fabs(atan2(sine, cosine)) / turn);
    size_t count = 0;
    for (int i = 0; i < (steps > 1 ? steps : 1); i++) {
        count = add_point(out, count, corner, from, distance);
        from = (struct normal){from.x * turn_cosine - from.y * turn_sine,
                               from.x * turn_sine + from.y * turn_cosine};
    }
    return add_point(out, count, corner, to, distance);
}

// The smallest rectangle around the quad, corners at whole pixels, with everything within
// `distance`.
static struct quad grow(const struct quad *quad, double distance, float *width, float *height) {
    struct point points[4 * ARC_POINTS_MAX], room[4 * ARC_POINTS_MAX + 1];
    struct quad whole = without_fractions(quad);
    struct normal normals[4];
    size_t count = 0;
    for (size_t i = 0; i < 4; i++)
        normals[i] = normal_of(whole.corners[i], whole.corners[(i + 1) % 4]);
    for (size_t i = 0; i < 4; i++)
        count +=
            add_arc(points + count, whole.corners[i], distance, normals[(i + 3) % 4], normals[i]);
    return points_min_rect(points, count, room, width, height);
}

static float clip(float value, int max) { return fmaxf(0, fminf((float)max, value)); }

// From the map to the picture, rounded to whole pixels inside it.
static bool to_picture(struct quad *quad, int map_width, int map_height, int width, int height) {
    for (size_t i = 0; i < 4; i++) {
        struct point *p = &quad->corners[i];
        p->x = clip(rintf(p->x / (float)map_width * (float)width), width - 1);
        p->y = clip(rintf(p->y / (float)map_height * (float)height), height - 1);
    }
    *quad = quad_in_order(quad);
    return (int)side(quad, 0) > SIDE_MIN && (int)side(quad, 3) > SIDE_MIN;
}

void text_regions_find(struct text_regions *out, const float *map, int width, int height,
                       int picture_width, int picture_height,
                       const struct text_reader_options *options) {
    uint8_t *marks = mark_likely(map, width, height, options->pixel_threshold);
    struct blobs blobs;
    blobs_find(&blobs, marks, width, height);
    mem_free(marks);
    *out = (struct text_regions){0};
    size_t largest = 0;
    for (size_t i = 0; i < blobs.count; i++)
        if (blobs.starts[i + 1] - blobs.starts[i] > largest)
            largest = blobs.starts[i + 1] - blobs.starts[i];
    struct point *room = mem_alloc((largest + 1) * sizeof *room);
    out->items = mem_alloc(TEXT_REGIONS_MAX * sizeof *out->items);
    for (size_t i = 0; i < blobs.count && out->count < TEXT_REGIONS_MAX; i++) {
        size_t count = blobs.starts[i + 1] - blobs.starts[i];
        float w, h;
        struct quad quad = points_min_rect(blobs.points + blobs.starts[i], count, room, &w, &h);
        if (fminf(w, h) < SIDE_MIN)
            continue;
        float score = mean_inside(map, width, height, &quad);
        if (score < options->box_threshold)
            continue;
        quad = grow(&quad, growth(&quad, options->unclip), &w, &h);
        if (fminf(w, h) >= SIDE_MIN + 2 &&
            to_picture(&quad, width, height, picture_width, picture_height))
            out->items[out->count++] = (struct text_region){quad, score, false};
    }
    mem_free(room);
    blobs_fini(&blobs);
}

void text_regions_fini(struct text_regions *regions) {
    mem_free(regions->items);
    *regions = (struct text_regions){0};
}
