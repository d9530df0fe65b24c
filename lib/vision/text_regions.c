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

// Widens [*from, *to] by where the edge a-b passes through the row, y - 0.5 .. y + 0.5.
static void widen(struct point a, struct point b, float y, float *from, float *to) {
    float low = fmaxf(y - .5f, fminf(a.y, b.y)), high = fminf(y + .5f, fmaxf(a.y, b.y));
    if (low > high)
        return;
    float x0 = a.x, x1 = b.x;
    if (a.y != b.y) {
        float slope = (b.x - a.x) / (b.y - a.y);
        x0 = a.x + (low - a.y) * slope;
        x1 = a.x + (high - a.y) * slope;
    }
    *from = fminf(*from, fminf(x0, x1));
    *to = fmaxf(*to, fmaxf(x0, x1));
}

// The mean of the map inside the quad, edges included; corners at whole pixels.
static float mean_inside(const float *map, int width, int height, const struct quad *quad) {
    struct quad whole;
    for (size_t i = 0; i < 4; i++)
        whole.corners[i] = (struct point){floorf(quad->corners[i].x), floorf(quad->corners[i].y)};
    struct box box = quad_box(&whole);
    int y0 = (int)fmaxf(0, box.y0), y1 = (int)fminf((float)height - 1, box.y1);
    double sum = 0;
    size_t count = 0;
    for (int y = y0; y <= y1; y++) {
        float from = INFINITY, to = -INFINITY;
        for (size_t i = 0; i < 4; i++)
            widen(whole.corners[i], whole.corners[(i + 1) % 4], (float)y, &from, &to);
        int x0 = (int)fmaxf(0, ceilf(from - .5f)),
            x1 = (int)fminf((float)width - 1, floorf(to + .5f));
        const float *row = map + (size_t)y * (size_t)width;
        for (int x = x0; x <= x1; x++, count++)
            sum += (double)row[x];
    }
    return count ? (float)(sum / (double)count) : 0;
}

static float side(const struct quad *quad, size_t i) {
    struct point a = quad->corners[i], b = quad->corners[(i + 1) % 4];
    return hypotf(b.x - a.x, b.y - a.y);
}

// How far a region grows: area x ratio / perimeter (DB's formula 10).
static float growth(const struct quad *quad, float ratio) {
    const struct point *p = quad->corners;
    float twice = 0, around = 0;
    for (size_t i = 0; i < 4; i++) {
        twice += p[i].x * p[(i + 1) % 4].y - p[(i + 1) % 4].x * p[i].y;
        around += side(quad, i);
    }
    return around > 0 ? fabsf(twice) / 2 * ratio / around : 0;
}

enum { ARC_POINTS_MAX = 256 };

// Points on the circle around a corner, from one outward normal to the next, at whole pixels.
static size_t add_arc(struct point *out, struct point corner, float distance, float from,
                      float to) {
    while (to < from)
        to += 2 * (float)M_PI;
    // Chords that leave the circle by a quarter of a pixel at most, as Clipper does.
    float step = distance > .25f ? 2 * acosf(1 - .25f / distance) : (float)M_PI / 2;
    size_t steps = (size_t)ceilf((to - from) / step);
    if (steps > ARC_POINTS_MAX - 1)
        steps = ARC_POINTS_MAX - 1;
    for (size_t i = 0; i <= steps; i++) {
        float angle = steps ? from + (to - from) * (float)i / (float)steps : from;
        out[i] = (struct point){rintf(corner.x + cosf(angle) * distance),
                                rintf(corner.y + sinf(angle) * distance)};
    }
    return steps + 1;
}

// The smallest rectangle around the quad with everything within `distance`. Corners lose their
// fractions first, because Clipper, which the reference uses, counts in whole numbers.
static struct quad grow(const struct quad *quad, float distance, float *width, float *height) {
    struct point points[4 * ARC_POINTS_MAX], room[4 * ARC_POINTS_MAX + 1];
    struct quad whole;
    float normals[4];
    size_t count = 0;
    for (size_t i = 0; i < 4; i++)
        whole.corners[i] = (struct point){truncf(quad->corners[i].x), truncf(quad->corners[i].y)};
    for (size_t i = 0; i < 4; i++) {
        struct point a = whole.corners[i], b = whole.corners[(i + 1) % 4];
        normals[i] = atan2f(a.x - b.x, b.y - a.y);
    }
    for (size_t i = 0; i < 4; i++)
        count +=
            add_arc(points + count, whole.corners[i], distance, normals[(i + 3) % 4], normals[i]);
    return points_min_rect(points, count, room, width, height);
}

static float clip(float value, int max) { return fmaxf(0, fminf((float)max, value)); }

// From the map to the picture, rounded to whole pixels inside it.
static bool to_picture(struct quad *quad, float scale_x, float scale_y, int width, int height) {
    for (size_t i = 0; i < 4; i++) {
        struct point *p = &quad->corners[i];
        p->x = clip(clip(rintf(p->x * scale_x), width), width - 1);
        p->y = clip(clip(rintf(p->y * scale_y), height), height - 1);
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
            to_picture(&quad, (float)picture_width / (float)width,
                       (float)picture_height / (float)height, picture_width, picture_height))
            out->items[out->count++] = (struct text_region){quad, score, false};
    }
    mem_free(room);
    blobs_fini(&blobs);
}

void text_regions_fini(struct text_regions *regions) {
    mem_free(regions->items);
    *regions = (struct text_regions){0};
}
