// A four-cornered region of a picture, flattened: for every pixel of the result its place in the
// picture by the projective map of the corners, and a bicubic mean of the 4 x 4 pixels around it.
#include "base/mem.h"
#include "vision/warp.h"

#include <math.h>
#include <string.h>

enum { CELL = 4, CELL_ROW = 16 }; // what a mean is taken of: pixels, bytes of a row that are read

// (x, y) -> ((m0 x + m1 y + m2) / d, (m3 x + m4 y + m5) / d), d = m6 x + m7 y + 1.
struct projection {
    double m[8];
};

// The projection that takes the rectangle's corners (0, 0), (w, 0), (w, h), (0, h) to the quad's:
// Heckbert, "Fundamentals of Texture Mapping and Image Warping" (1989), section 2.2.3.
static struct projection project(const struct quad *quad, double w, double h) {
    const struct point *p = quad->corners;
    double dx1 = (double)p[1].x - p[2].x, dx2 = (double)p[3].x - p[2].x;
    double dx3 = (double)p[0].x - p[1].x + p[2].x - p[3].x;
    double dy1 = (double)p[1].y - p[2].y, dy2 = (double)p[3].y - p[2].y;
    double dy3 = (double)p[0].y - p[1].y + p[2].y - p[3].y;
    double det = dx1 * dy2 - dx2 * dy1, g = 0, k = 0;
    if (det != 0) {
        g = (dx3 * dy2 - dx2 * dy3) / det;
        k = (dx1 * dy3 - dx3 * dy1) / det;
    }
    return (struct projection){{(p[1].x - p[0].x + g * p[1].x) / w,
                                (p[3].x - p[0].x + k * p[3].x) / h, p[0].x,
                                (p[1].y - p[0].y + g * p[1].y) / w,
                                (p[3].y - p[0].y + k * p[3].y) / h, p[0].y, g / w, k / h}};
}

typedef float floats4 __attribute__((vector_size(16)));
typedef int32_t ints4 __attribute__((vector_size(16)));
typedef int16_t shorts8 __attribute__((vector_size(16)));
typedef uint8_t bytes16 __attribute__((vector_size(16)));

// Keys' cubic convolution ("Cubic Convolution Interpolation for Digital Image Processing", 1981):
// the weights of four pixels for a place that is `t` behind the second.
static floats4 cubic_weights(float t) {
    const float a = -0.75f;
    const floats4 c1 = {a, 0, -a, 0}, c2 = {-2 * a, -(a + 3), 2 * a + 3, a};
    const floats4 c3 = {a, a + 2, -(a + 2), -a}, c0 = {0, 1, 0, 0};
    return ((c3 * t + c2) * t + c1) * t + c0;
}

static int clamp(int value, int max) { return value < 0 ? 0 : value > max ? max : value; }

static int floor_of(float value) { // floorf is a call where SSE 4.1 is not taken for granted
    int whole = (int)value;
    return whole - ((float)whole > value);
}

// The cell whose first pixel is (left, top): rows of twelve bytes and four more, *stride bytes
// from one to the next. Where the picture ends it is put together in `room`.
static const uint8_t *cell_at(const struct image *in, int left, int top, uint8_t *room,
                              size_t *stride) {
    size_t row = (size_t)in->width * 3;
    *stride = row;
    if (left >= 0 && left + CELL + 1 < in->width && top >= 0 && top + CELL <= in->height)
        return in->pixels + (size_t)top * row + (size_t)left * 3;
    for (int j = 0; j < CELL; j++) {
        const uint8_t *from = in->pixels + (size_t)clamp(top + j, in->height - 1) * row;
        for (int i = 0; i < CELL; i++)
            memcpy(room + j * CELL_ROW + i * 3, from + (size_t)clamp(left + i, in->width - 1) * 3,
                   3);
    }
    *stride = CELL_ROW;
    return room;
}

// Twelve bytes as numbers, widened by zeros between them (little-endian): gcc 12 makes vectors of
// that, but converts byte by byte what is written as a conversion.
static void add_row(floats4 sums[3], const uint8_t *bytes, float weight) {
    const bytes16 none = {0};
    bytes16 b;
    memcpy(&b, bytes, sizeof b);
    shorts8 low = (shorts8)__builtin_shufflevector(b, none, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5,
                                                   21, 6, 22, 7, 23);
    shorts8 high = (shorts8)__builtin_shufflevector(b, none, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28,
                                                    13, 29, 14, 30, 15, 31);
    const shorts8 zero = {0};
    ints4 first = (ints4)__builtin_shufflevector(low, zero, 0, 8, 1, 9, 2, 10, 3, 11);
    ints4 second = (ints4)__builtin_shufflevector(low, zero, 4, 12, 5, 13, 6, 14, 7, 15);
    ints4 third = (ints4)__builtin_shufflevector(high, zero, 0, 8, 1, 9, 2, 10, 3, 11);
    sums[0] += __builtin_convertvector(first, floats4) * weight;
    sums[1] += __builtin_convertvector(second, floats4) * weight;
    sums[2] += __builtin_convertvector(third, floats4) * weight;
}

static void cubic_pixel(uint8_t *to, const struct image *in, struct point at) {
    int left = floor_of(at.x), top = floor_of(at.y);
    floats4 wx = cubic_weights(at.x - (float)left), wy = cubic_weights(at.y - (float)top);
    floats4 sums[3] = {{0}};
    float down[12];
    uint8_t room[CELL * CELL_ROW];
    size_t stride;
    const uint8_t *cell = cell_at(in, left - 1, top - 1, room, &stride);
    for (int j = 0; j < CELL; j++, cell += stride)
        add_row(sums, cell, wy[j]);
    memcpy(down, sums, sizeof down);
    for (int c = 0; c < 3; c++) {
        float sum =
            wx[0] * down[c] + wx[1] * down[3 + c] + wx[2] * down[6 + c] + wx[3] * down[9 + c];
        sum = sum < 255 ? sum : 255;
        to[c] = (uint8_t)lrintf(sum > 0 ? sum : 0);
    }
}

void warp_quad_size(const struct quad *quad, int *width, int *height) {
    const struct point *p = quad->corners;
    float top = hypotf(p[0].x - p[1].x, p[0].y - p[1].y);
    float bottom = hypotf(p[2].x - p[3].x, p[2].y - p[3].y);
    float left = hypotf(p[0].x - p[3].x, p[0].y - p[3].y);
    float right = hypotf(p[1].x - p[2].x, p[1].y - p[2].y);
    *width = (int)fmaxf(1, fmaxf(top, bottom));
    *height = (int)fmaxf(1, fmaxf(left, right));
}

// An upright region with whole corners inside the picture needs no arithmetic. Most are.
static bool is_plain(const struct image *in, const struct quad *quad) {
    const struct point *p = quad->corners;
    return p[0].y == p[1].y && p[2].y == p[3].y && p[0].x == p[3].x && p[1].x == p[2].x &&
           p[0].x >= 0 && p[0].y >= 0 && p[1].x > p[0].x && p[3].y > p[0].y &&
           p[1].x <= (float)in->width && p[3].y <= (float)in->height && p[0].x == floorf(p[0].x) &&
           p[0].y == floorf(p[0].y) && p[2].x == floorf(p[2].x) && p[2].y == floorf(p[2].y);
}

// Where the pixels of the row come from. Far outside is as good as just outside, where the edge is
// repeated.
static void project_row(struct point *places, int width, const struct projection *map, int y,
                        const struct image *in) {
    const double *m = map->m, max_x = in->width + 4.0, max_y = in->height + 4.0;
    double x0 = m[1] * y + m[2], y0 = m[4] * y + m[5], d0 = m[7] * y + 1;
    for (int i = 0; i < width; i++) {
        double d = m[6] * i + d0, scale = d != 0 ? 1 / d : 0;
        double x = (m[0] * i + x0) * scale, at_y = (m[3] * i + y0) * scale;
        x = x > -4 ? x : -4;
        at_y = at_y > -4 ? at_y : -4;
        places[i].x = (float)(x < max_x ? x : max_x);
        places[i].y = (float)(at_y < max_y ? at_y : max_y);
    }
}

void warp_quad(struct image *out, const struct image *in, const struct quad *quad) {
    if (is_plain(in, quad)) {
        warp_crop(out, in, quad_box(quad));
        return;
    }
    int width, height;
    warp_quad_size(quad, &width, &height);
    image_init(out, width, height);
    struct projection map = project(quad, width, height);
    struct point *places = mem_alloc((size_t)width * sizeof *places);
    uint8_t *to = out->pixels;
    for (int y = 0; y < height; y++) {
        project_row(places, width, &map, y, in);
        for (int x = 0; x < width; x++, to += 3)
            cubic_pixel(to, in, places[x]);
    }
    mem_free(places);
}
