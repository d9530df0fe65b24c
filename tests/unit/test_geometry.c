#include "vision/geometry.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void near(float a, float b) {
    if (fabsf(a - b) > 1e-3f)
        fail_msg("%g is not %g", (double)a, (double)b);
}

static void same_box(struct box a, struct box b) {
    near(a.x0, b.x0);
    near(a.y0, b.y0);
    near(a.x1, b.x1);
    near(a.y1, b.y1);
}

static void same_quad(const struct quad *a, const struct quad *b) {
    for (size_t i = 0; i < 4; i++) {
        near(a->corners[i].x, b->corners[i].x);
        near(a->corners[i].y, b->corners[i].y);
    }
}

static void test_boxes(void **state) {
    static const struct {
        struct box a, b;
        float overlap;
    } rows[] = {
        {{0, 0, 10, 10}, {0, 0, 10, 10}, 1},  {{0, 0, 10, 10}, {5, 0, 15, 10}, 1 / 3.f},
        {{0, 0, 10, 10}, {10, 0, 20, 10}, 0}, {{0, 0, 10, 10}, {2, 2, 4, 4}, .04f},
        {{0, 0, 0, 0}, {0, 0, 0, 0}, 0},      {{5, 5, 1, 1}, {0, 0, 10, 10}, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        near(box_overlap(rows[i].a, rows[i].b), rows[i].overlap);
        near(box_overlap(rows[i].b, rows[i].a), rows[i].overlap);
    }
    same_box(box_pad((struct box){10, 20, 30, 60}, .1f, 100, 100), (struct box){8, 16, 32, 64});
    same_box(box_pad((struct box){0, 2, 98, 100}, .1f, 100, 100), (struct box){0, 0, 100, 100});
    near(box_area((struct box){3, 3, 1, 9}), 0);
}

static void test_min_rect(void **state) {
    static const struct {
        struct point points[8];
        size_t count;
        float width, height;
        struct quad quad;
    } rows[] = {
        {{{5, 7}}, 1, 0, 0, {{{5, 7}, {5, 7}, {5, 7}, {5, 7}}}},
        {{{2, 3}, {8, 3}}, 2, 6, 0, {{{2, 3}, {8, 3}, {8, 3}, {2, 3}}}},
        {{{0, 0}, {10, 0}, {10, 4}, {0, 4}, {5, 2}},
         5,
         10,
         4,
         {{{0, 0}, {10, 0}, {10, 4}, {0, 4}}}},
        // On its side by 3-4-5: sides 10 and 5.
        {{{0, 0}, {8, 6}, {5, 10}, {-3, 4}, {2, 5}},
         5,
         10,
         5,
         {{{0, 0}, {8, 6}, {5, 10}, {-3, 4}}}},
        // The same, leaning the other way.
        {{{0, 6}, {8, 0}, {11, 4}, {3, 10}}, 4, 10, 5, {{{0, 6}, {8, 0}, {11, 4}, {3, 10}}}},
        // A point in a side changes nothing.
        {{{0, 0}, {4, 0}, {10, 0}, {10, 4}, {0, 4}, {0, 2}},
         6,
         10,
         4,
         {{{0, 0}, {10, 0}, {10, 4}, {0, 4}}}},
        {{{3, 3}, {3, 3}, {3, 3}}, 3, 0, 0, {{{3, 3}, {3, 3}, {3, 3}, {3, 3}}}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct point points[8], room[9];
        float width, height;
        for (size_t k = 0; k < rows[i].count; k++) // the order must not matter
            points[k] = rows[i].points[(k * 3 + i) % rows[i].count];
        if (rows[i].count % 3 == 0)
            for (size_t k = 0; k < rows[i].count; k++)
                points[k] = rows[i].points[rows[i].count - 1 - k];
        struct quad quad = points_min_rect(points, rows[i].count, room, &width, &height);
        near(width, rows[i].width);
        near(height, rows[i].height);
        if (rows[i].height > 0 || rows[i].count == 1)
            same_quad(&quad, &rows[i].quad);
    }
}

// Whatever the direction, the rectangle around a turned rectangle is that rectangle.
static void test_every_direction(void **state) {
    for (int degrees = 0; degrees < 360; degrees += 7) {
        float c = cosf((float)degrees * (float)M_PI / 180);
        float s = sinf((float)degrees * (float)M_PI / 180);
        struct point points[4], room[5];
        const float at[4][2] = {{0, 0}, {200, 0}, {200, 30}, {0, 30}};
        for (size_t i = 0; i < 4; i++)
            points[i] = (struct point){500 + at[i][0] * c - at[i][1] * s,
                                       500 + at[i][0] * s + at[i][1] * c};
        float width, height;
        points_min_rect(points, 4, room, &width, &height);
        if (fabsf(fmaxf(width, height) - 200) > .05f || fabsf(fminf(width, height) - 30) > .05f)
            fail_msg("%d degrees: %g x %g", degrees, (double)width, (double)height);
    }
}

static void test_order(void **state) {
    static const struct quad wanted = {{{1, 2}, {9, 1}, {10, 5}, {2, 6}}};
    for (size_t turn = 0; turn < 4; turn++)
        for (int mirror = 0; mirror < 2; mirror++) {
            struct quad shuffled;
            for (size_t i = 0; i < 4; i++)
                shuffled.corners[i] = wanted.corners[(mirror ? 4 - i + turn : i + turn) % 4];
            struct quad quad = quad_in_order(&shuffled);
            same_quad(&quad, &wanted);
        }
}

static void test_turn(void **state) {
    const struct quad quad = {{{10, 20}, {30, 20}, {30, 25}, {10, 25}}};
    struct quad once = quad_turn(&quad, 1, 100, 50);
    same_quad(&once, &(struct quad){{{20, 90}, {20, 70}, {25, 70}, {25, 90}}});
    struct quad back = quad_turn(&once, 3, 50, 100);
    same_quad(&back, &quad);
    struct quad twice = quad_turn(&quad, 2, 100, 50);
    same_quad(&twice, &(struct quad){{{90, 30}, {70, 30}, {70, 25}, {90, 25}}});
    same_box(quad_box(&once), (struct box){20, 70, 25, 90});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_boxes),
        cmocka_unit_test(test_min_rect),
        cmocka_unit_test(test_every_direction),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
