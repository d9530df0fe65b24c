// Lone digits and other short values. The detector learned to find words: a single `1` between two
// fields is a smudge of low likelihood to it, below what makes a region. Smudges of a few letters'
// size beside surer text are cut out as that text is: its height, its direction.
#include "base/mem.h"
#include "vision/blobs.h"
#include "vision/text_detect.h"

#include <math.h>

#define LIKELY 0.1f  // a pixel belongs to a smudge above
#define LONGEST 2.2f // a smudge, in heights of text
#define PEAK 0.2f    // its likeliest one at least
enum { FAINT_MAX = 24, AWAY = 15 };

// A line of text to measure by, in pixels of the picture.
struct scale {
    struct point right; // unit vector along it
    float height;
};

static float length_of(struct point a, struct point b) { return hypotf(b.x - a.x, b.y - a.y); }

static struct point middle_of(struct box box) {
    return (struct point){(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2};
}

// That of the nearest region that is clearly wider than high, at most AWAY heights off.
static bool find_scale(const struct text_regions *regions, size_t count, struct point at,
                       struct scale *out) {
    float best = INFINITY;
    for (size_t i = 0; i < count; i++) {
        const struct point *p = regions->items[i].quad.corners;
        float width = length_of(p[0], p[1]), height = length_of(p[0], p[3]);
        if (width < 2 * height)
            continue;
        struct box box = quad_box(&regions->items[i].quad);
        float x = fmaxf(box.x0, fminf(box.x1, at.x)), y = fmaxf(box.y0, fminf(box.y1, at.y));
        float away = length_of((struct point){x, y}, at);
        if (away < best && away < AWAY * height) {
            best = away;
            *out = (struct scale){{(p[1].x - p[0].x) / width, (p[1].y - p[0].y) / width}, height};
        }
    }
    return best < INFINITY;
}

static bool is_taken(const struct text_regions *regions, struct box box) {
    for (size_t i = 0; i < regions->count; i++) {
        struct box other = quad_box(&regions->items[i].quad);
        if (box.x0 < other.x1 && other.x0 < box.x1 && box.y0 < other.y1 && other.y0 < box.y1)
            return true;
    }
    return false;
}

static struct box box_around(const struct point *points, size_t count) {
    struct box box = {INFINITY, INFINITY, -INFINITY, -INFINITY};
    for (size_t i = 0; i < count; i++) {
        box.x0 = fminf(box.x0, points[i].x);
        box.y0 = fminf(box.y0, points[i].y);
        box.x1 = fmaxf(box.x1, points[i].x + 1);
        box.y1 = fmaxf(box.y1, points[i].y + 1);
    }
    return box;
}

static float peak_in(const float *map, int width, struct box box) {
    float peak = 0;
    for (int y = (int)box.y0; y < (int)box.y1; y++)
        for (int x = (int)box.x0; x < (int)box.x1; x++)
            peak = fmaxf(peak, map[(size_t)y * (size_t)width + (size_t)x]);
    return peak;
}

// A region of the text's height around a smudge; false when it sticks out of the picture.
static bool lay_region(struct quad *out, struct box smudge, const struct scale *scale, int width,
                       int height) {
    struct point at = middle_of(smudge), right = scale->right;
    float h = scale->height / 2;
    float w = fmaxf(.9f * scale->height, box_width(smudge) + .6f * scale->height) / 2;
    static const float signs[4][2] = {{-1, -1}, {1, -1}, {1, 1}, {-1, 1}};
    for (size_t i = 0; i < 4; i++) {
        float along = signs[i][0] * w, down = signs[i][1] * h;
        struct point p = {rintf(at.x + right.x * along - right.y * down),
                          rintf(at.y + right.y * along + right.x * down)};
        if (p.x < 0 || p.y < 0 || p.x >= (float)width || p.y >= (float)height)
            return false;
        out->corners[i] = p;
    }
    return true;
}

// What the region around a smudge is; false when it is none.
static bool try_smudge(const struct text_regions *regions, size_t sure, struct box smudge,
                       int width, int height, struct quad *out) {
    struct scale scale = {0};
    if (is_taken(regions, smudge) || !find_scale(regions, sure, middle_of(smudge), &scale))
        return false;
    float h = scale.height;
    return box_width(smudge) <= LONGEST * h && box_height(smudge) <= 1.2f * h &&
           box_height(smudge) >= .25f * h && lay_region(out, smudge, &scale, width, height);
}

void text_faint_find(struct text_regions *regions, const float *map, int width, int height,
                     int picture_width, int picture_height) {
    size_t pixels = (size_t)width * (size_t)height, sure = regions->count;
    uint8_t *marks = mem_alloc(pixels);
    struct blobs blobs;
    for (size_t i = 0; i < pixels; i++)
        marks[i] = map[i] > LIKELY;
    blobs_find(&blobs, marks, width, height);
    mem_free(marks);
    float scale_x = (float)picture_width / (float)width;
    float scale_y = (float)picture_height / (float)height;
    size_t most = sure + FAINT_MAX < TEXT_REGIONS_MAX ? sure + FAINT_MAX : TEXT_REGIONS_MAX;
    for (size_t i = 0; i < blobs.count && regions->count < most; i++) {
        struct box box =
            box_around(blobs.points + blobs.starts[i], blobs.starts[i + 1] - blobs.starts[i]);
        struct box there = {box.x0 * scale_x, box.y0 * scale_y, box.x1 * scale_x, box.y1 * scale_y};
        struct quad quad;
        if (peak_in(map, width, box) >= PEAK &&
            try_smudge(regions, sure, there, picture_width, picture_height, &quad))
            regions->items[regions->count++] = (struct text_region){quad, 0, true};
    }
    blobs_fini(&blobs);
}
