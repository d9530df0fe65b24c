// A four-cornered region of a picture, flattened: for every pixel of the result its place in the
// picture by the projective map of the corners, and a bicubic mean of the 4 x 4 pixels around it.
#include "vision/warp.h"

#include <math.h>

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

// Keys' cubic convolution ("Cubic Convolution Interpolation for Digital Image Processing", 1981):
// the weights of four pixels for a place that is `x` behind the second.
static void cubic_weights(float *w, float x) {
    const float a = -0.75f;
    w[0] = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a;
    w[1] = ((a + 2) * x - (a + 3)) * x * x + 1;
    w[2] = ((a + 2) * (1 - x) - (a + 3)) * (1 - x) * (1 - x) + 1;
    w[3] = 1 - w[0] - w[1] - w[2];
}

static int clamp(int value, int max) { return value < 0 ? 0 : value > max ? max : value; }

static void cubic_pixel(uint8_t *to, const struct image *in, float x, float y) {
    float left = floorf(x), top = floorf(y), wx[4], wy[4];
    cubic_weights(wx, x - left);
    cubic_weights(wy, y - top);
    size_t columns[4];
    for (int i = 0; i < 4; i++)
        columns[i] = (size_t)clamp((int)left - 1 + i, in->width - 1) * 3;
    float sum[3] = {0};
    for (int j = 0; j < 4; j++) {
        const uint8_t *row =
            in->pixels + (size_t)clamp((int)top - 1 + j, in->height - 1) * (size_t)in->width * 3;
        for (int c = 0; c < 3; c++)
            sum[c] += wy[j] * (wx[0] * row[columns[0] + c] + wx[1] * row[columns[1] + c] +
                               wx[2] * row[columns[2] + c] + wx[3] * row[columns[3] + c]);
    }
    for (int c = 0; c < 3; c++)
        to[c] = (uint8_t)lrintf(fmaxf(0, fminf(255, sum[c])));
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

void warp_quad(struct image *out, const struct image *in, const struct quad *quad) {
    if (is_plain(in, quad)) {
        warp_crop(out, in, quad_box(quad));
        return;
    }
    int width, height;
    warp_quad_size(quad, &width, &height);
    image_init(out, width, height);
    struct projection map = project(quad, width, height);
    const double *m = map.m;
    uint8_t *to = out->pixels;
    // Far outside is as good as just outside, where the edge is repeated.
    double max_x = in->width + 4.0, max_y = in->height + 4.0;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, to += 3) {
            double d = m[6] * x + m[7] * y + 1, scale = d != 0 ? 1 / d : 0;
            double fx = fmax(-4, fmin(max_x, (m[0] * x + m[1] * y + m[2]) * scale));
            double fy = fmax(-4, fmin(max_y, (m[3] * x + m[4] * y + m[5]) * scale));
            cubic_pixel(to, in, (float)fx, (float)fy);
        }
}
