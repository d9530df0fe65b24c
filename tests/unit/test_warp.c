// Scaling and cutting. The sums of warp_resize and warp_quad are of what OpenCV 5.0 gives for the
// same noise: cv2.resize(noise, (width, height)), and cv2.warpPerspective with INTER_CUBIC and
// BORDER_REPLICATE.
#include "vision/letterbox.h"
#include "vision/warp.h"
#include "vision_support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t sum_of(const struct image *image) {
    uint64_t sum = 0xcbf29ce484222325; // FNV-1a
    for (size_t i = 0; i < (size_t)image->width * (size_t)image->height * 3; i++)
        sum = (sum ^ image->pixels[i]) * 0x100000001b3;
    return sum;
}

// Every pixel says where it is.
static void numbered(struct image *out, int width, int height) {
    image_init(out, width, height);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            set_pixel(out, x, y, (uint32_t)(x << 8 | y));
}

static void test_resize_as_opencv(void **state) {
    static const struct {
        int in_width, in_height, width, height;
        uint64_t sum;
    } rows[] = {
        {97, 61, 48, 31, 0x7c496a171c73a2f4},   {97, 61, 194, 122, 0xad434f8ac566cfce},
        {120, 80, 60, 40, 0x4c372ae480771ede},  {120, 80, 120, 48, 0xc936466c6a22ed4c},
        {64, 48, 33, 17, 0x4c5841cd0461ec2a},   {30, 20, 64, 96, 0x4578caff885861b3},
        {200, 10, 320, 48, 0x75b1a8cc09377539}, {5, 3, 1, 1, 0xbac10b18ebd38c34},
        {1, 1, 7, 5, 0xaf44f714a9a7e84c},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct image in, out;
        image_init(&in, rows[i].in_width, rows[i].in_height);
        fill_noise(&in);
        warp_resize(&out, &in, rows[i].width, rows[i].height);
        if (sum_of(&out) != rows[i].sum)
            fail_msg("%d x %d to %d x %d: %016llx", in.width, in.height, out.width, out.height,
                     (unsigned long long)sum_of(&out));
        image_fini(&in);
        image_fini(&out);
    }
}

static void test_quad_as_opencv(void **state) {
    static const struct {
        struct quad quad;
        int width, height;
        uint8_t pixels[8][3]; // of the row in the middle, from the left, `width` / 8 apart
    } rows[] = {
        {{{{10.0f, 5.0f}, {80.0f, 9.0f}, {78.0f, 30.0f}, {8.0f, 27.0f}}},
         70,
         22,
         {{204, 35, 45},
          {103, 210, 41},
          {57, 193, 212},
          {119, 130, 143},
          {78, 176, 160},
          {125, 10, 110},
          {148, 221, 46},
          {202, 80, 49}}},
        {{{{20.5f, 10.25f}, {60.75f, 12.0f}, {61.0f, 40.0f}, {19.0f, 38.0f}}},
         42,
         28,
         {{36, 216, 128},
          {83, 220, 203},
          {122, 183, 215},
          {150, 100, 103},
          {74, 99, 192},
          {63, 9, 83},
          {220, 35, 20},
          {241, 80, 120}}},
        {{{{0.0f, 0.0f}, {96.0f, 3.0f}, {96.0f, 60.0f}, {2.0f, 57.0f}}},
         96,
         57,
         {{145, 36, 115},
          {148, 113, 25},
          {34, 90, 103},
          {126, 96, 118},
          {165, 89, 74},
          {164, 54, 149},
          {58, 117, 96},
          {11, 178, 110}}},
        {{{{40.0f, 55.0f}, {10.0f, 50.0f}, {14.0f, 20.0f}, {44.0f, 24.0f}}},
         30,
         31,
         {{185, 122, 49},
          {114, 71, 145},
          {175, 135, 69},
          {68, 212, 154},
          {130, 194, 73},
          {157, 139, 148},
          {156, 105, 147},
          {165, 80, 9}}},
        {{{{70.0f, 2.0f}, {94.0f, 40.0f}, {80.0f, 50.0f}, {55.0f, 12.0f}}},
         45,
         18,
         {{3, 157, 172},
          {110, 202, 171},
          {156, 200, 137},
          {48, 172, 31},
          {242, 141, 196},
          {125, 38, 154},
          {133, 164, 184},
          {168, 44, 106}}},
    };
    struct image in, out;
    image_init(&in, 97, 61);
    fill_noise(&in);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        warp_quad(&out, &in, &rows[i].quad);
        assert_int_equal(out.width, rows[i].width);
        assert_int_equal(out.height, rows[i].height);
        for (int k = 0; k < 8; k++) {
            const uint8_t *p =
                out.pixels +
                ((size_t)(out.height / 2) * (size_t)out.width + (size_t)(k * out.width / 8)) * 3;
            for (int c = 0; c < 3; c++)
                if (abs(p[c] - rows[i].pixels[k][c]) > 1)
                    fail_msg("quad %zu, pixel %d: %d %d %d, not %d %d %d", i, k, p[0], p[1], p[2],
                             rows[i].pixels[k][0], rows[i].pixels[k][1], rows[i].pixels[k][2]);
        }
        image_fini(&out);
    }
    image_fini(&in);
}

// Regions that no camera sees: outside, turned inside out, of no area.
static void test_quads_of_any_kind(void **state) {
    static const struct quad quads[] = {
        {{{5, 5}, {5, 5}, {5, 5}, {5, 5}}},
        {{{0, 0}, {50, 0}, {50, 0}, {0, 0}}},
        {{{-500, -500}, {500, -500}, {500, 500}, {-500, 500}}},
        {{{90, 50}, {10, 50}, {10, 10}, {90, 10}}},
        {{{0, 0}, {90, 60}, {90, 0}, {0, 60}}}, // edges that cross
        {{{1e6f, 1e6f}, {1e6f + 20, 1e6f}, {1e6f + 20, 1e6f + 20}, {1e6f, 1e6f + 20}}},
        {{{10, 10}, {40, 10}, {11, 11}, {10, 40}}}, // the horizon runs through it
    };
    struct image in, out;
    image_init(&in, 97, 61);
    fill_noise(&in);
    for (size_t i = 0; i < sizeof quads / sizeof *quads; i++) {
        warp_quad(&out, &in, &quads[i]);
        assert_true(out.width >= 1 && out.height >= 1);
        image_fini(&out);
    }
    image_fini(&in);
}

static void test_plain_quad(void **state) {
    struct image in, cut, out;
    numbered(&in, 60, 40);
    warp_quad(&out, &in, &(struct quad){{{10, 5}, {50, 5}, {50, 25}, {10, 25}}});
    warp_crop(&cut, &in, (struct box){10, 5, 50, 25});
    assert_int_equal(out.width, 40);
    assert_int_equal(out.height, 20);
    assert_memory_equal(out.pixels, cut.pixels, 40 * 20 * 3);
    assert_int_equal(pixel_of(&out, 3, 4), 13 << 8 | 9);
    image_fini(&cut);
    image_fini(&out);
    image_fini(&in);
}

static void test_crop(void **state) {
    static const struct {
        struct box box;
        int x, y, width, height;
    } rows[] = {
        {{0, 0, 60, 40}, 0, 0, 60, 40},     {{1.5f, 2.5f, 9.2f, 8.1f}, 1, 2, 9, 7},
        {{-10, -10, 5, 5}, 0, 0, 5, 5},     {{55, 35, 500, 500}, 55, 35, 5, 5},
        {{10, 10, 10, 10}, 10, 10, 1, 1},   {{200, 200, 300, 300}, 59, 39, 1, 1},
        {{-20, -20, -10, -10}, 0, 0, 1, 1}, {{NAN, 0, 10, 10}, 59, 0, 1, 10},
    };
    struct image in, out;
    numbered(&in, 60, 40);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        warp_crop(&out, &in, rows[i].box);
        assert_int_equal(out.width, rows[i].width);
        assert_int_equal(out.height, rows[i].height);
        assert_int_equal(pixel_of(&out, 0, 0), rows[i].x << 8 | rows[i].y);
        image_fini(&out);
    }
    image_fini(&in);
}

static void test_turn_and_mirror(void **state) {
    struct image in, out, back;
    numbered(&in, 7, 4);
    for (unsigned quarters = 0; quarters < 5; quarters++) {
        warp_turn(&out, &in, quarters);
        assert_int_equal(out.width, quarters % 2 ? 4 : 7);
        for (int y = 0; y < 4; y++)
            for (int x = 0; x < 7; x++) {
                const int to[4][2] = {{x, y}, {y, 6 - x}, {6 - x, 3 - y}, {3 - y, x}};
                assert_int_equal(pixel_of(&out, to[quarters % 4][0], to[quarters % 4][1]),
                                 x << 8 | y);
            }
        warp_turn(&back, &out, 4 - quarters % 4);
        assert_memory_equal(back.pixels, in.pixels, 7 * 4 * 3);
        image_fini(&back);
        image_fini(&out);
    }
    warp_mirror(&in);
    assert_int_equal(pixel_of(&in, 0, 2), 6 << 8 | 2);
    assert_int_equal(pixel_of(&in, 3, 2), 3 << 8 | 2);
    image_fini(&in);
}

static void test_shrink(void **state) {
    struct image in, out;
    image_init(&in, 90, 60);
    fill_noise(&in);
    double sum = 0;
    for (size_t i = 0; i < 90 * 60 * 3; i++)
        sum += in.pixels[i];
    static const int sizes[][2] = {{90, 60}, {45, 30}, {30, 7}, {17, 60}, {1, 1}, {89, 59}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        warp_shrink(&out, &in, sizes[i][0], sizes[i][1]);
        assert_int_equal(out.width, sizes[i][0]);
        assert_int_equal(out.height, sizes[i][1]);
        double mean = 0;
        size_t count = (size_t)out.width * (size_t)out.height * 3;
        for (size_t k = 0; k < count; k++)
            mean += out.pixels[k] / (double)count;
        assert_true(fabs(mean - sum / (90 * 60 * 3)) < .6); // areas keep the mean
        image_fini(&out);
    }
    warp_shrink(&out, &in, 200, 30); // a side does not grow
    assert_int_equal(out.width, 90);
    image_fini(&out);
    image_fini(&in);
    image_init(&in, 4, 2);
    for (int x = 0; x < 4; x++)
        for (int y = 0; y < 2; y++)
            set_pixel(&in, x, y, x < 2 ? 0x102030 : 0x0000ff);
    warp_shrink(&out, &in, 2, 1);
    assert_int_equal(pixel_of(&out, 0, 0), 0x102030);
    assert_int_equal(pixel_of(&out, 1, 0), 0x0000ff);
    image_fini(&out);
    image_fini(&in);
}

static void test_fit(void **state) {
    static const struct {
        int width, height, side, out_width, out_height;
    } cases[] = {
        {90, 60, 90, 90, 60}, {90, 60, 45, 45, 30}, {60, 90, 30, 20, 30}, {600, 2, 10, 10, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct image in, room;
        image_init(&in, cases[i].width, cases[i].height);
        const struct image *out = warp_fit(&in, cases[i].side, &room);
        assert_int_equal(out->width, cases[i].out_width);
        assert_int_equal(out->height, cases[i].out_height);
        assert_true(out == (cases[i].side < 90 ? &room : &in));
        image_fini(&room);
        image_fini(&in);
    }
}

static void test_planes(void **state) {
    struct image in;
    image_init(&in, 2, 1);
    set_pixel(&in, 0, 0, 0xff8000);
    set_pixel(&in, 1, 0, 0x0000ff);
    float planes[3 * 4] = {9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9};
    warp_planes(planes, 4, 4, &in, &(struct warp_norm){{.5f, .5f, .5f}, {.5f, .5f, .5f}, true});
    const float bgr[12] = {-1, 1, 9, 9, 128 / 127.5f - 1, -1, 9, 9, 1, -1, 9, 9};
    for (size_t i = 0; i < 12; i++)
        assert_true(fabsf(planes[i] - bgr[i]) < 1e-6f);
    warp_planes(planes, 4, 4, &in, &(struct warp_norm){{0, 0, 0}, {1, .5f, 1}, false});
    assert_true(planes[0] == 1 && planes[1] == 0 && planes[8] == 0 && planes[9] == 1);
    assert_true(fabsf(planes[4] - 2 * 128 / 255.f) < 1e-6f);
    image_fini(&in);
}

static void test_letterbox(void **state) {
    static const struct {
        int width, height, picture_width, picture_height, left, top;
        float scale;
    } rows[] = {
        {640, 640, 1280, 640, 0, 160, .5f},  {640, 640, 640, 1280, 160, 0, .5f},
        {640, 640, 640, 640, 0, 0, 1},       {320, 320, 80, 40, 0, 80, 4},
        {640, 480, 1000, 1000, 80, 0, .48f}, {32, 32, 30000, 1, 0, 15, 32 / 30000.f},
        {640, 640, 1280, 638, 0, 160, .5f}, // a rest of 321: 160 above, 161 below
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct letterbox frame = letterbox_fit(rows[i].width, rows[i].height, rows[i].picture_width,
                                               rows[i].picture_height);
        assert_int_equal(frame.left, rows[i].left);
        assert_int_equal(frame.top, rows[i].top);
        assert_true(fabsf(frame.scale_x - rows[i].scale) < 1e-6f);
        // The whole picture in the frame comes back as the whole picture.
        struct box box = {(float)frame.left, (float)frame.top,
                          (float)frame.left + rows[i].scale * (float)rows[i].picture_width,
                          (float)frame.top + rows[i].scale * (float)rows[i].picture_height};
        box = letterbox_undo(&frame, box);
        assert_true(fabsf(box.x0) < .1f && fabsf(box.y0) < .1f);
        assert_true(fabsf(box.x1 - (float)rows[i].picture_width) < 1);
        assert_true(fabsf(box.y1 - (float)rows[i].picture_height) < 1);
        box = letterbox_undo(&frame, (struct box){-1e6f, -1e6f, 1e6f, 1e6f});
        assert_true(box.x0 == 0 && box.x1 == (float)rows[i].picture_width);
    }
    struct image image;
    image_init(&image, 8, 4);
    memset(image.pixels, 255, 8 * 4 * 3);
    float planes[3 * 8 * 8];
    struct letterbox frame = letterbox_fit(8, 8, 8, 4);
    letterbox_planes(&frame, &image, planes);
    for (size_t i = 0; i < 3 * 64; i++) {
        bool inside = i % 64 / 8 >= 2 && i % 64 / 8 < 6;
        assert_true(fabsf(planes[i] - (inside ? 1 : 114 / 255.f)) < 1e-6f);
    }
    frame = letterbox_stretch(8, 8, 8, 4);
    letterbox_planes(&frame, &image, planes);
    for (size_t i = 0; i < 3 * 64; i++)
        assert_true(planes[i] == 1);
    struct box box = letterbox_undo(&frame, (struct box){0, 4, 8, 8});
    assert_true(box.y0 == 2 && box.y1 == 4 && box.x1 == 8);
    image_fini(&image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resize_as_opencv),
        cmocka_unit_test(test_quad_as_opencv),
        cmocka_unit_test(test_quads_of_any_kind),
        cmocka_unit_test(test_plain_quad),
        cmocka_unit_test(test_crop),
        cmocka_unit_test(test_turn_and_mirror),
        cmocka_unit_test(test_shrink),
        cmocka_unit_test(test_fit),
        cmocka_unit_test(test_planes),
        cmocka_unit_test(test_letterbox),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
