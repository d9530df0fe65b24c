#include "vision/warp.h"

#include "base/mem.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static uint8_t *row_of(const struct image *image, int y) {
    return image->pixels + (size_t)y * (size_t)image->width * 3;
}

void warp_crop(struct image *out, const struct image *in, struct box box) {
    int x0 = (int)fmaxf(0, fminf(floorf(box.x0), (float)in->width - 1));
    int y0 = (int)fmaxf(0, fminf(floorf(box.y0), (float)in->height - 1));
    int x1 = (int)fmaxf((float)x0 + 1, fminf(ceilf(box.x1), (float)in->width));
    int y1 = (int)fmaxf((float)y0 + 1, fminf(ceilf(box.y1), (float)in->height));
    image_init(out, x1 - x0, y1 - y0);
    for (int y = y0; y < y1; y++)
        memcpy(row_of(out, y - y0), row_of(in, y) + (size_t)x0 * 3, (size_t)out->width * 3);
}

void warp_turn(struct image *out, const struct image *in, unsigned quarters) {
    int w = in->width, h = in->height;
    quarters %= 4;
    image_init(out, quarters % 2 ? h : w, quarters % 2 ? w : h);
    if (quarters == 0) {
        memcpy(out->pixels, in->pixels, (size_t)w * (size_t)h * 3);
        return;
    }
    // Where the first pixel of a row goes, and how far it is from there to the next one's place.
    ptrdiff_t stride = (ptrdiff_t)out->width * 3;
    for (int y = 0; y < h; y++) {
        const uint8_t *from = row_of(in, y);
        ptrdiff_t start = quarters == 1   ? (w - 1) * stride + y * 3
                          : quarters == 2 ? (h - 1 - y) * stride + (w - 1) * 3
                                          : (h - 1 - y) * 3;
        ptrdiff_t step = quarters == 1 ? -stride : quarters == 2 ? -3 : stride;
        uint8_t *to = out->pixels + start;
        for (int x = 0; x < w; x++, from += 3) {
            uint8_t *pixel = to + x * step;
            pixel[0] = from[0];
            pixel[1] = from[1];
            pixel[2] = from[2];
        }
    }
}

void warp_mirror(struct image *image) {
    for (int y = 0; y < image->height; y++) {
        uint8_t *left = row_of(image, y), *right = left + ((size_t)image->width - 1) * 3;
        for (; left < right; left += 3, right -= 3)
            for (int c = 0; c < 3; c++) {
                uint8_t swap = left[c];
                left[c] = right[c];
                right[c] = swap;
            }
    }
}

// What one output pixel takes of a row of inputs: `count` from `first`, with weights that add to 1.
struct area_tap {
    int first, count;
    const float *weights;
};

// Areas of the input below the pixels of the output; *room takes all weights.
static struct area_tap *area_taps(int in, int out, float **room) {
    double scale = (double)in / out;
    struct area_tap *taps = mem_alloc((size_t)out * sizeof *taps);
    float *weights = *room = mem_alloc(((size_t)in + (size_t)out * 2) * sizeof *weights);
    for (int i = 0; i < out; i++) {
        double from = i * scale, to = fmin((i + 1) * scale, in);
        int first = (int)from, last = (int)fmin(ceil(to), in);
        taps[i] = (struct area_tap){first, last - first, weights};
        for (int k = first; k < last; k++)
            *weights++ = (float)((fmin(k + 1, to) - fmax(k, from)) / (to - from));
    }
    return taps;
}

static void shrink_row(float *sums, const uint8_t *from, const struct area_tap *taps, int width,
                       float weight) {
    for (int x = 0; x < width; x++, sums += 3) {
        const uint8_t *pixel = from + (size_t)taps[x].first * 3;
        float r = 0, g = 0, b = 0;
        for (int k = 0; k < taps[x].count; k++, pixel += 3) {
            r += taps[x].weights[k] * pixel[0];
            g += taps[x].weights[k] * pixel[1];
            b += taps[x].weights[k] * pixel[2];
        }
        sums[0] += r * weight;
        sums[1] += g * weight;
        sums[2] += b * weight;
    }
}

void warp_shrink(struct image *out, const struct image *in, int width, int height) {
    width = width < in->width ? width : in->width;
    height = height < in->height ? height : in->height;
    assert(width > 0 && height > 0);
    image_init(out, width, height);
    float *across_room, *down_room;
    struct area_tap *across = area_taps(in->width, width, &across_room);
    struct area_tap *down = area_taps(in->height, height, &down_room);
    size_t row = (size_t)width * 3;
    float *sums = mem_alloc(row * sizeof *sums);
    for (int y = 0; y < height; y++) {
        memset(sums, 0, row * sizeof *sums);
        for (int k = 0; k < down[y].count; k++)
            shrink_row(sums, row_of(in, down[y].first + k), across, width, down[y].weights[k]);
        uint8_t *to = row_of(out, y);
        for (size_t i = 0; i < row; i++)
            to[i] = (uint8_t)fminf(sums[i] + 0.5f, 255);
    }
    mem_free(sums);
    mem_free(across);
    mem_free(down);
    mem_free(across_room);
    mem_free(down_room);
}

const struct image *warp_fit(const struct image *in, int side, struct image *room) {
    int longer = in->width > in->height ? in->width : in->height;
    *room = (struct image){0};
    if (longer <= side)
        return in;
    int width = (int)((long long)in->width * side / longer);
    int height = (int)((long long)in->height * side / longer);
    warp_shrink(room, in, width > 0 ? width : 1, height > 0 ? height : 1);
    return room;
}

void warp_planes(float *planes, size_t row_floats, size_t plane_floats, const struct image *in,
                 const struct warp_norm *norm) {
    float table[3][256];
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++)
            table[c][v] =
                (float)((((double)v / 255) - (double)norm->mean[c]) / (double)norm->std[c]);
    int first = norm->bgr ? 2 : 0, last = 2 - first;
    for (int y = 0; y < in->height; y++) {
        const uint8_t *from = row_of(in, y);
        float *to = planes + (size_t)y * row_floats;
        for (int x = 0; x < in->width; x++, from += 3) {
            to[x] = table[0][from[first]];
            to[plane_floats + (size_t)x] = table[1][from[1]];
            to[2 * plane_floats + (size_t)x] = table[2][from[last]];
        }
    }
}

void warp_byte_planes(uint8_t *planes, size_t plane, const uint8_t *pixels, size_t count,
                      bool bgr) {
    uint8_t *first = planes + (bgr ? 2 * plane : 0), *last = planes + (bgr ? 0 : 2 * plane);
    for (size_t i = 0; i < count; i++, pixels += 3) {
        first[i] = pixels[0];
        planes[plane + i] = pixels[1];
        last[i] = pixels[2];
    }
}
