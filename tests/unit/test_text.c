// The rooms of the text reader that need no network: groups of pixels, regions of hand-made maps,
// likelihoods to characters, dictionaries, reading order, the sheet.
#include "vision/blobs.h"
#include "vision/crew.h"
#include "vision/dictionary.h"
#include "vision/text_ctc.h"
#include "vision/text_detect.h"
#include "vision/text_order.h"
#include "vision/text_sheet.h"
#include "vision_support.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

// Drawn with # on anything else; all rows as long as the first.
static uint8_t *drawn(const char *const *rows, int *width, int *height) {
    *width = (int)strlen(rows[0]);
    for (*height = 0; rows[*height]; ++*height)
        ;
    uint8_t *marks = mem_alloc((size_t)*width * (size_t)*height);
    for (int y = 0; y < *height; y++)
        for (int x = 0; x < *width; x++)
            marks[y * *width + x] = rows[y][x] == '#';
    return marks;
}

static struct box bounds(const struct blobs *blobs, size_t group) {
    struct box box = {1e9f, 1e9f, -1e9f, -1e9f};
    for (size_t i = blobs->starts[group]; i < blobs->starts[group + 1]; i++) {
        box.x0 = fminf(box.x0, blobs->points[i].x);
        box.y0 = fminf(box.y0, blobs->points[i].y);
        box.x1 = fmaxf(box.x1, blobs->points[i].x);
        box.y1 = fmaxf(box.y1, blobs->points[i].y);
    }
    return box;
}

static void test_blobs(void **state) {
    static const struct {
        const char *rows[8];
        size_t count;
        struct box boxes[4];
    } maps[] = {
        {{"....", "...."}, 0, {{0}}},
        {{"#...", "...#"}, 2, {{0, 0, 0, 0}, {3, 1, 3, 1}}},
        {{"#...", ".#..", "..##"}, 1, {{0, 0, 3, 2}}}, // corners touch
        {{"####", "####"}, 1, {{0, 0, 3, 1}}},         // all of it
        {{"#.#", "#.#", "###"}, 1, {{0, 0, 2, 2}}},    // joined at the end; no hole
        {{"..#", ".#.", "#.."}, 1, {{0, 0, 2, 2}}},
        // A ring and its hole: the hole's own rim.
        {{"######", "#....#", "#....#", "######"}, 2, {{0, 0, 5, 3}, {0, 0, 5, 3}}},
        // A hole of which only the rim counts, not the far corners of the block.
        {{"#######", "#######", "###.###", "#######", "#######"}, 2, {{0, 0, 6, 4}, {2, 1, 4, 3}}},
        // An island in a lake in a land.
        {{"#######", "#.....#", "#..#..#", "#.....#", "#######"},
         3,
         {{0, 0, 6, 4}, {3, 2, 3, 2}, {0, 0, 6, 4}}},
        // Holes that meet at a corner are two, because what is around them meets there too.
        {{"#####", "#.###", "##.##", "#####"}, 3, {{0, 0, 4, 3}, {0, 0, 2, 2}, {1, 1, 3, 3}}},
    };
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        int width, height;
        uint8_t *marks = drawn(maps[i].rows, &width, &height);
        struct blobs blobs;
        blobs_find(&blobs, marks, width, height);
        if (blobs.count != maps[i].count)
            fail_msg("map %zu: %zu groups, not %zu", i, blobs.count, maps[i].count);
        for (size_t k = 0; k < blobs.count; k++) {
            struct box box = bounds(&blobs, k), wanted = maps[i].boxes[k];
            if (box.x0 != wanted.x0 || box.y0 != wanted.y0 || box.x1 != wanted.x1 ||
                box.y1 != wanted.y1)
                fail_msg("map %zu, group %zu: %g %g %g %g", i, k, (double)box.x0, (double)box.y0,
                         (double)box.x1, (double)box.y1);
        }
        blobs_fini(&blobs);
        mem_free(marks);
    }
}

// Patterns with as many groups, holes and joins as there can be.
static void test_hostile_maps(void **state) {
    enum { SIDE = 300 };
    uint8_t *marks = mem_alloc(SIDE * SIDE);
    float *map = mem_alloc(SIDE * SIDE * sizeof *map);
    for (int pattern = 0; pattern < 7; pattern++) {
        uint32_t random = 1;
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                random = random * 1664525 + 1013904223;
                const bool on[] = {(x + y) % 2,
                                   x % 2 == 0,
                                   x % 2 && y % 2,
                                   random >> 31,
                                   x % 4 != 0 && y % 4 != 0,
                                   !(x % 3 == 1 && y % 3 == 1),
                                   (x ^ y) & 8};
                marks[y * SIDE + x] = on[pattern];
                map[y * SIDE + x] = on[pattern] ? .9f : pattern == 3 ? NAN : .1f;
            }
        struct blobs blobs;
        blobs_find(&blobs, marks, SIDE, SIDE);
        assert_true(blobs.count >= 1);
        assert_true(blobs.starts[blobs.count] <= (size_t)SIDE * SIDE * 6);
        blobs_fini(&blobs);
        struct text_regions regions;
        text_regions_find(&regions, map, SIDE, SIDE, 1000, 1000, &text_reader_defaults);
        text_faint_find(&regions, map, SIDE, SIDE, 1000, 1000);
        assert_true(regions.count <= 1000);
        for (size_t i = 0; i < regions.count; i++)
            for (size_t k = 0; k < 4; k++) {
                struct point p = regions.items[i].quad.corners[k];
                assert_true(p.x >= 0 && p.x <= 999 && p.y >= 0 && p.y <= 999);
            }
        text_regions_fini(&regions);
    }
    mem_free(marks);
    mem_free(map);
}

// A map of `value` in a turned rectangle, low elsewhere.
static float *map_of(int width, int height, float cx, float cy, float w, float h, float degrees,
                     float value) {
    float *map = mem_alloc((size_t)width * (size_t)height * sizeof *map);
    float c = cosf(degrees * (float)M_PI / 180), s = sinf(degrees * (float)M_PI / 180);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            float dx = (float)x - cx, dy = (float)y - cy;
            bool in = fabsf(dx * c + dy * s) <= w / 2 && fabsf(dy * c - dx * s) <= h / 2;
            map[y * width + x] = in ? value : .05f;
        }
    return map;
}

static float side_of(const struct quad *quad, size_t i) {
    struct point a = quad->corners[i], b = quad->corners[(i + 1) % 4];
    return hypotf(b.x - a.x, b.y - a.y);
}

// A region grows by area x 1.6 / perimeter on every side, is where the text was, and no larger.
static void test_regions(void **state) {
    for (int degrees = -30; degrees <= 30; degrees += 15) {
        const float w = 100, h = 20;
        float *map = map_of(320, 224, 160, 112, w, h, (float)degrees, .8f);
        struct text_regions regions;
        text_regions_find(&regions, map, 320, 224, 640, 448, &text_reader_defaults);
        assert_int_equal(regions.count, 1);
        const struct quad *quad = &regions.items[0].quad;
        float grow = (w * h * 1.6f) / (2 * (w + h));
        if (fabsf(side_of(quad, 0) - 2 * (w + 2 * grow)) > 8 ||
            fabsf(side_of(quad, 1) - 2 * (h + 2 * grow)) > 8)
            fail_msg("%d degrees: %g x %g", degrees, (double)side_of(quad, 0),
                     (double)side_of(quad, 1));
        struct box box = quad_box(quad);
        assert_true(fabsf((box.x0 + box.x1) / 2 - 320) < 4);
        assert_true(fabsf((box.y0 + box.y1) / 2 - 224) < 4);
        assert_true(regions.items[0].score > .6f && regions.items[0].score <= .8f);
        // From the left to the right, whichever way it leans.
        assert_true(quad->corners[0].x < quad->corners[1].x);
        text_regions_fini(&regions);
        mem_free(map);
    }
}

static bool has_corners(const struct quad *quad, const float corners[8]) {
    bool same = true;
    for (size_t i = 0; i < 4; i++)
        same = same && quad->corners[i].x == corners[2 * i] &&
               quad->corners[i].y == corners[2 * i + 1];
    return same;
}

// What RapidOCR 3.10.0 (DBPostProcess, with OpenCV 5.0.0 and pyclipper 1.4.0) makes of a map of
// leaning rectangles with weak rims, two of them at the map's edge: the same corners, the same
// means.
static void test_regions_of_the_reference(void **state) {
    static const struct {
        int cx, cy, w, h, c, s; // half the sides; c, s: the direction, times 25
    } drawn[] = {
        {60, 40, 40, 9, 25, 0},     {200, 50, 60, 12, 24, 7},  {70, 120, 50, 7, 20, -15},
        {190, 140, 36, 10, 15, 20}, {290, 150, 9, 40, 24, -7}, {120, 200, 70, 6, 24, 1},
        {270, 50, 8, 5, 7, 24}, // within the second one
    };
    static const struct {
        float score, corners[8];
    } wanted[] = {
        {.52323f, {69, 359, 383, 373, 381, 441, 67, 427}},
        {.59575f, {475, 210, 556, 185, 599, 390, 531, 415}},
        {.61571f, {337, 169, 450, 332, 376, 391, 262, 228}},
        {.56317f, {18, 284, 203, 136, 245, 196, 60, 344}},
        {.67262f, {15, 38, 212, 38, 212, 124, 15, 124}},
        {.68460f, {250, 0, 530, 87, 500, 200, 220, 113}},
    };
    enum { WIDTH = 320, HEIGHT = 224, COUNT = sizeof wanted / sizeof *wanted };
    float *map = mem_alloc((size_t)WIDTH * HEIGHT * sizeof *map);
    for (size_t i = 0; i < sizeof drawn / sizeof *drawn; i++)
        for (int at = 0; at < WIDTH * HEIGHT; at++) {
            int dx = at % WIDTH - drawn[i].cx, dy = at / WIDTH - drawn[i].cy;
            int along = abs(dx * drawn[i].c + dy * drawn[i].s);
            int across = abs(dy * drawn[i].c - dx * drawn[i].s);
            if (along <= drawn[i].w * 25 && across <= drawn[i].h * 25 && map[at] < .9f)
                map[at] =
                    along <= (drawn[i].w - 3) * 25 && across <= (drawn[i].h - 3) * 25 ? .9f : .4f;
        }
    struct text_regions regions;
    text_regions_find(&regions, map, WIDTH, HEIGHT, 600, 448, &text_reader_defaults);
    assert_int_equal(regions.count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        size_t k = 0;
        while (k < COUNT && !has_corners(&regions.items[k].quad, wanted[i].corners))
            k++;
        if (k == COUNT)
            fail_msg("region %zu is not there", i);
        assert_true(fabsf(regions.items[k].score - wanted[i].score) < 1e-4f);
    }
    text_regions_fini(&regions);
    mem_free(map);
}

static void test_region_thresholds(void **state) {
    static const struct {
        float w, h, value;
        size_t count;
    } rows[] = {
        {100, 20, .8f, 1},  {100, 20, .29f, 0}, // no pixel is likely
        {100, 20, .45f, 0},                     // not likely enough on the whole
        {100, 20, .52f, 0},                     // the rim that was added to it counts too
        {100, 20, .6f, 1},  {1, 1, .99f, 0},    // a speck
        {30, .9f, .99f, 0},                     // a hairline
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        float *map = map_of(320, 224, 160, 112, rows[i].w, rows[i].h, 0, rows[i].value);
        struct text_regions regions;
        text_regions_find(&regions, map, 320, 224, 320, 224, &text_reader_defaults);
        if (regions.count != rows[i].count)
            fail_msg("row %zu: %zu regions", i, regions.count);
        text_regions_fini(&regions);
        mem_free(map);
    }
}

// A sure line of 100 x 20 at 160, 60, and a smudge besides.
static size_t faint_beside(float cx, float cy, float w, float h, float value, struct box *box) {
    float *map = map_of(320, 224, 160, 60, 100, 20, 0, .9f);
    for (int y = 0; y < 224; y++)
        for (int x = 0; x < 320; x++)
            if (fabsf((float)x - cx) <= w / 2 && fabsf((float)y - cy) <= h / 2)
                map[y * 320 + x] = value;
    struct text_regions regions;
    text_regions_find(&regions, map, 320, 224, 640, 448, &text_reader_defaults);
    assert_int_equal(regions.count, 1);
    text_faint_find(&regions, map, 320, 224, 640, 448);
    size_t faint = 0;
    for (size_t i = 0; i < regions.count; i++)
        if (regions.items[i].faint) {
            *box = quad_box(&regions.items[i].quad);
            faint++;
        }
    text_regions_fini(&regions);
    mem_free(map);
    return faint;
}

static void test_faint(void **state) {
    static const struct {
        float cx, cy, w, h, value;
        size_t count;
    } rows[] = {
        {160, 110, 12, 16, .28f, 1},  // beside the line
        {160, 110, 12, 16, .15f, 0},  // nearly nothing
        {160, 110, 12, 3, .28f, 0},   // a dash
        {160, 180, 20, 90, .28f, 0},  // an edge of something
        {160, 110, 130, 16, .28f, 0}, // as long as a word: the detector knows words
        {160, 62, 12, 16, .9f, 0},    // the line itself
        {319, 110, 4, 16, .28f, 0},   // would stick out of the picture
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct box box;
        if (faint_beside(rows[i].cx, rows[i].cy, rows[i].w, rows[i].h, rows[i].value, &box) !=
            rows[i].count)
            fail_msg("row %zu", i);
        if (!rows[i].count)
            continue;
        // In pixels of the picture: around the smudge, as high as the line with what it grew.
        float grown = 2 * (20 + 2 * (100 * 20 * 1.6f) / (2 * (100 + 20)));
        assert_true(fabsf((box.x0 + box.x1) / 2 - 2 * rows[i].cx) < 4);
        assert_true(fabsf((box.y0 + box.y1) / 2 - 2 * rows[i].cy) < 4);
        assert_true(fabsf(box_height(box) - grown) < 8);
        assert_true(box_width(box) > 2 * rows[i].w && box_width(box) < 1.5f * grown);
    }
    // Nothing to measure by.
    float *map = map_of(320, 224, 160, 110, 12, 16, 0, .28f);
    struct text_regions regions;
    text_regions_find(&regions, map, 320, 224, 640, 448, &text_reader_defaults);
    text_faint_find(&regions, map, 320, 224, 640, 448);
    assert_int_equal(regions.count, 0);
    text_regions_fini(&regions);
    mem_free(map);
}

static void test_regions_at_the_edge(void **state) {
    float *map = map_of(320, 224, 0, 0, 200, 40, 0, .9f);
    struct text_regions regions;
    text_regions_find(&regions, map, 320, 224, 320, 224, &text_reader_defaults);
    assert_int_equal(regions.count, 1);
    struct box box = quad_box(&regions.items[0].quad);
    assert_true(box.x0 == 0 && box.y0 == 0 && box.x1 > 100 && box.x1 < 140);
    text_regions_fini(&regions);
    for (size_t i = 0; i < 320 * 224; i++)
        map[i] = 1;
    text_regions_find(&regions, map, 320, 224, 320, 224, &text_reader_defaults);
    assert_int_equal(regions.count, 1);
    box = quad_box(&regions.items[0].quad);
    assert_true(box.x0 == 0 && box.y0 == 0 && box.x1 == 319 && box.y1 == 223);
    text_regions_fini(&regions);
    mem_free(map);
}

static void test_detect_size(void **state) {
    static const struct {
        int width, height, out_width, out_height;
    } rows[] = {
        {1600, 1200, 1600, 1216},                           // 37.5 cells are 38
        {1600, 1216, 1600, 1216}, {1600, 1264, 1600, 1280}, // 39.5 are 40
        {640, 480, 992, 736},     {736, 736, 736, 736},     {100, 50, 1472, 736},
        {2000, 10, 4096, 32},     {1, 1, 736, 736},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int width, height;
        text_detect_size(rows[i].width, rows[i].height, 736, &width, &height);
        if (width != rows[i].out_width || height != rows[i].out_height)
            fail_msg("%d x %d: %d x %d", rows[i].width, rows[i].height, width, height);
    }
}

static void test_ctc(void **state) {
    struct dictionary dictionary;
    struct err err = {0};
    assert_true(dictionary_parse(&dictionary, "A\nB\nç\n", 7, 5, "it", &err)); // and the blank
    enum { CLASSES = 5, STEPS = 9 };
    // A A - A B ç(second B) - blank -
    static const float likelihoods[STEPS][CLASSES] = {
        {.1f, .8f, .1f, 0, 0}, {.0f, .9f, .1f, 0, 0}, {.9f, .1f, 0, 0, 0},
        {.3f, .6f, .1f, 0, 0}, {.1f, .2f, .7f, 0, 0}, {0, 0, .3f, .7f, 0},
        {1, 0, 0, 0, 0},       {.4f, 0, 0, 0, .6f},   {1, 0, 0, 0, 0},
    };
    struct text_line line = {0};
    text_ctc_read(&line, &(struct text_steps){likelihoods[0], NULL, STEPS}, &dictionary, .125f);
    assert_string_equal(line.text, "AABç ");
    assert_int_equal(line.char_count, 5);
    assert_true(fabsf(line.confidence - (.8f + .6f + .7f + .7f + .6f) / 5) < 1e-6f);
    assert_true(fabsf(line.chars[0].confidence - .8f) < 1e-6f); // of its first step
    assert_string_equal(line.chars[0].second, "B");
    assert_string_equal(line.chars[2].second, "A");
    assert_string_equal(line.chars[3].text, "ç");
    assert_string_equal(line.chars[3].second, "B");
    assert_true(fabsf(line.chars[3].second_confidence - .3f) < 1e-6f);
    assert_string_equal(line.chars[4].second, ""); // nothing else
    assert_true(line.chars[0].x0 == 0 && line.chars[0].x1 == .25f);
    assert_true(line.chars[4].x0 == .875f && line.chars[4].x1 == 1);
    mem_free(line.text);
    mem_free(line.chars);
    struct text_line empty = {0};
    text_ctc_read(&empty, &(struct text_steps){likelihoods[2], NULL, 1}, &dictionary, 1);
    assert_string_equal(empty.text, "");
    assert_true(empty.confidence == 0);
    mem_free(empty.text);
    mem_free(empty.chars);
    text_ctc_read(&empty, &(struct text_steps){likelihoods[0], NULL, 0}, &dictionary, 1);
    assert_string_equal(empty.text, "");
    mem_free(empty.text);
    mem_free(empty.chars);
    dictionary_fini(&dictionary);
}

// Only some of the steps have likelihoods: the others say nothing.
static void test_ctc_kept(void **state) {
    struct dictionary dictionary;
    enum { CLASSES = 5, STEPS = 6 };
    assert_true(dictionary_parse(&dictionary, "A\nB\nç\n", 7, CLASSES, "it", NULL));
    static const float likelihoods[][CLASSES] = {
        {.1f, .8f, .1f, 0, 0}, {.3f, .6f, .1f, 0, 0}, {.1f, .2f, .7f, 0, 0}};
    static const float kept[STEPS] = {0, 1, 0, 1, 1, 0}, none[STEPS];
    struct text_line line = {0};
    text_ctc_read(&line, &(struct text_steps){likelihoods[0], kept, STEPS}, &dictionary, .125f);
    assert_string_equal(line.text, "AAB");
    assert_true(fabsf(line.chars[1].confidence - .6f) < 1e-6f);
    assert_true(line.chars[0].x0 == .125f && line.chars[0].x1 == .25f);
    assert_true(line.chars[2].x0 == .5f && line.chars[2].x1 == .625f);
    mem_free(line.text);
    mem_free(line.chars);
    text_ctc_read(&line, &(struct text_steps){NULL, none, STEPS}, &dictionary, .125f);
    assert_string_equal(line.text, "");
    mem_free(line.text);
    mem_free(line.chars);
    dictionary_fini(&dictionary);
}

// More classes than lanes, the best in every place, ties to the first.
static void test_ctc_wide(void **state) {
    enum { CLASSES = 1037 };
    char text[(CLASSES - 2) * 2];
    for (size_t i = 0; i < CLASSES - 2; i++) {
        text[2 * i] = (char)('a' + i % 26);
        text[2 * i + 1] = '\n';
    }
    struct dictionary dictionary;
    assert_true(dictionary_parse(&dictionary, text, sizeof text, CLASSES, "it", NULL));
    float *likelihoods = mem_alloc(CLASSES * sizeof *likelihoods);
    for (size_t best = 1; best < CLASSES; best += 5) {
        for (size_t i = 0; i < CLASSES; i++)
            likelihoods[i] = -1;
        likelihoods[best] = .5f;
        if (best + 1 < CLASSES)
            likelihoods[best + 1] = .5f;
        struct text_line line = {0};
        text_ctc_read(&line, &(struct text_steps){likelihoods, NULL, 1}, &dictionary, 1);
        assert_int_equal(line.char_count, 1);
        assert_string_equal(line.chars[0].text, dictionary.chars[best]);
        mem_free(line.text);
        mem_free(line.chars);
    }
    mem_free(likelihoods);
    dictionary_fini(&dictionary);
}

static void test_dictionaries(void **state) {
    static const struct {
        const char *text;
        size_t classes, count; // 0: refused
    } rows[] = {
        {"a\nb\n", 4, 4},   {"a\nb", 4, 4},      {"a\r\nb\r\n", 4, 4}, {"a\nb\n \n", 4, 4},
        {"a\nb\n", 0, 4},   {"a\nb\n", 5, 0},    {"a\nb\n", 2, 0},     {"", 2, 2},
        {"a\n\nb\n", 5, 0}, {"1234567\n", 3, 3}, {"12345678\n", 3, 0}, {"😀\nç\n", 4, 4},
        {"\n", 3, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dictionary dictionary;
        struct err err = {0};
        bool good = dictionary_parse(&dictionary, rows[i].text, strlen(rows[i].text),
                                     rows[i].classes, "dict.txt", &err);
        if (good != (rows[i].count > 0))
            fail_msg("dictionary %zu: %s", i, good ? "was taken" : err.text);
        if (good) {
            assert_int_equal(dictionary.count, rows[i].count);
            assert_string_equal(dictionary.chars[0], "");
            assert_string_equal(dictionary.chars[dictionary.count - 1], " ");
            dictionary_fini(&dictionary);
        } else
            assert_non_null(strstr(err.text, "dict.txt"));
    }
}

static struct text_line line_at(float x, float y, float w, float h, float slope, const char *text) {
    return (struct text_line){
        .upright = {{{x, y}, {x + w, y + w * slope}, {x + w, y + w * slope + h}, {x, y + h}}},
        .text = (char *)text};
}

static void test_order(void **state) {
    struct text_line plate[] = {
        line_at(400, 108, 100, 30, 0, "2"), line_at(10, 200, 300, 20, 0, "4"),
        line_at(10, 100, 100, 30, 0, "1"),  line_at(10, 10, 500, 40, 0, "0"),
        line_at(600, 95, 50, 25, 0, "3"),   line_at(400, 230, 90, 20, 0, "5"),
    };
    text_order(plate, 6);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(plate[i].text[0], '0' + (int)i);
    // Rows that slant, but less from one to the next than half a line.
    struct text_line slant[] = {
        line_at(0, 100, 90, 20, .07f, "0"),   line_at(100, 107, 90, 20, .07f, "1"),
        line_at(200, 114, 90, 20, .07f, "2"), line_at(0, 135, 90, 20, .07f, "3"),
        line_at(100, 142, 90, 20, .07f, "4"),
    };
    text_order(slant, 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(slant[i].text[0], '0' + (int)i);
    text_order(NULL, 0);
}

static void test_sheet(void **state) {
    static const struct {
        int width, height, side_max, out_width, out_height, top;
    } rows[] = {
        {1600, 1200, 2000, 1600, 1200, 0}, {4000, 3000, 2000, 1984, 1504, 0},
        {20, 40, 2000, 32, 64, 0},         {900, 100, 2000, 900, 224, 62},
        {100, 30, 2000, 100, 60, 15},      {300, 5, 2000, 1792, 448, 208},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct image image;
        struct text_sheet sheet;
        image_init(&image, rows[i].width, rows[i].height);
        fill_noise(&image);
        text_sheet_init(&sheet, &image, rows[i].side_max);
        if (sheet.picture->width != rows[i].out_width ||
            sheet.picture->height != rows[i].out_height || sheet.top != rows[i].top)
            fail_msg("sheet %zu: %d x %d, %d above", i, sheet.picture->width, sheet.picture->height,
                     sheet.top);
        // The whole sheet is the whole picture.
        float w = (float)sheet.picture->width, h = (float)sheet.picture->height;
        struct quad whole = {{{0, 0}, {w, 0}, {w, h}, {0, h}}};
        whole = text_sheet_quad(&sheet, &whole, &image);
        struct box box = quad_box(&whole);
        assert_true(box.x0 == 0 && box.y0 == 0);
        assert_true(fabsf(box.x1 - (float)rows[i].width) < .01f);
        assert_true(fabsf(box.y1 - (float)rows[i].height) < .01f);
        text_sheet_fini(&sheet);
        image_fini(&image);
    }
}

struct tally {
    atomic_int done[100];
    atomic_int workers;
    int fail_at;
};

static bool count_job(void *context, size_t index, unsigned worker, struct err *err) {
    struct tally *tally = context;
    atomic_fetch_or(&tally->workers, 1 << worker);
    atomic_fetch_add(&tally->done[index], 1);
    return (int)index != tally->fail_at || err_set(err, ERR_SYSTEM, "job %zu", index);
}

static void test_crew(void **state) {
    for (unsigned threads = 0; threads <= 8; threads++) {
        struct tally tally = {.fail_at = -1};
        struct err err = {0};
        assert_true(crew_run(threads, 100, count_job, &tally, &err));
        for (size_t i = 0; i < 100; i++)
            assert_int_equal(atomic_load(&tally.done[i]), 1);
        assert_true(atomic_load(&tally.workers) < 1 << (threads ? threads : 1));
        struct tally bad = {.fail_at = 10};
        assert_false(crew_run(threads, 100, count_job, &bad, &err));
        assert_string_equal(err.text, "job 10");
        assert_true(crew_run(threads, 0, count_job, &bad, &err));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blobs),
        cmocka_unit_test(test_hostile_maps),
        cmocka_unit_test(test_regions),
        cmocka_unit_test(test_regions_of_the_reference),
        cmocka_unit_test(test_region_thresholds),
        cmocka_unit_test(test_faint),
        cmocka_unit_test(test_regions_at_the_edge),
        cmocka_unit_test(test_detect_size),
        cmocka_unit_test(test_ctc),
        cmocka_unit_test(test_ctc_kept),
        cmocka_unit_test(test_ctc_wide),
        cmocka_unit_test(test_dictionaries),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_sheet),
        cmocka_unit_test(test_crew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
