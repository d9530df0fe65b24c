// Linear scaling as OpenCV does it for bytes (modules/imgproc/src/resize.cpp): weights of 11 bits,
// rows first, then the two rows that an output row lies between, the sum shortened in two steps.
// The networks see what they saw in training, and texts come out as the reference's.
#include "base/mem.h"
#include "vision/warp.h"

#include <math.h>
#include <string.h>

enum { WEIGHT_ONE = 2048, SHORTEN = 4 };

struct linear_tap {
    int first, second; // inputs
    short weight[2];
};

// Across, a place before the first pixel's middle is the first pixel; down, it is a mean of that
// pixel with itself, which the arithmetic below rounds otherwise.
static struct linear_tap *linear_taps(int in, int out, bool across) {
    struct linear_tap *taps = mem_alloc((size_t)out * sizeof *taps);
    double scale = 1 / ((double)out / in); // so, not in / out: the last bit counts
    for (int i = 0; i < out; i++) {
        float at = (float)((i + 0.5) * scale - 0.5);
        int first = (int)floorf(at);
        at -= (float)first;
        if (across && (first < 0 || first >= in - 1)) {
            first = first < 0 ? 0 : in - 1;
            at = 0;
        }
        taps[i] = (struct linear_tap){
            first < 0 ? 0 : first,
            first + 1 < in ? first + 1 : in - 1,
            {(short)lrintf((1 - at) * WEIGHT_ONE), (short)lrintf(at * WEIGHT_ONE)}};
    }
    return taps;
}

// A row scaled across, shortened to 15 bits: products of halves are what vectors have.
static void across_row(short *to, const uint8_t *from, const struct linear_tap *taps, int width) {
    for (int x = 0; x < width; x++, to += 3) {
        const uint8_t *a = from + (size_t)taps[x].first * 3;
        const uint8_t *b = from + (size_t)taps[x].second * 3;
        int wa = taps[x].weight[0], wb = taps[x].weight[1];
        to[0] = (short)((a[0] * wa + b[0] * wb) >> SHORTEN);
        to[1] = (short)((a[1] * wa + b[1] * wb) >> SHORTEN);
        to[2] = (short)((a[2] * wa + b[2] * wb) >> SHORTEN);
    }
}

static void down_row(uint8_t *restrict to, const short *restrict above, const short *restrict below,
                     const short *weight, size_t count) {
    short wa = weight[0], wb = weight[1];
    for (size_t i = 0; i < count; i++) {
        short a = (short)(wa * above[i] >> 16), b = (short)(wb * below[i] >> 16);
        to[i] = (uint8_t)((short)(a + b + 2) >> 2);
    }
}

// Half the size in both directions: OpenCV averages four pixels there.
static void halve(uint8_t *rows, const struct image *in, int from, int to) {
    size_t width = (size_t)in->width;
    for (int y = from; y < to; y++) {
        const uint8_t *a = in->pixels + (size_t)y * 2 * width * 3;
        const uint8_t *b = a + width * 3;
        for (size_t x = 0; x < width / 2; x++, a += 6, b += 6, rows += 3)
            for (int c = 0; c < 3; c++)
                rows[c] = (uint8_t)((a[c] + a[c + 3] + b[c] + b[c + 3] + 2) >> 2);
    }
}

// Rows scaled across, by their number in the input; two are enough, as the output goes down.
struct row_pair {
    int number[2];
    short *row[2];
};

static const short *scaled_row(struct row_pair *rows, const struct image *in, int number, int keep,
                               const struct linear_tap *taps, int width) {
    for (int i = 0; i < 2; i++)
        if (rows->number[i] == number)
            return rows->row[i];
    int slot = rows->number[0] == keep ? 1 : 0;
    const uint8_t *pixels = in->pixels + (size_t)number * (size_t)in->width * 3;
    if (width == in->width)
        for (size_t i = 0; i < (size_t)width * 3; i++)
            rows->row[slot][i] = (short)(pixels[i] * (WEIGHT_ONE >> SHORTEN));
    else
        across_row(rows->row[slot], pixels, taps, width);
    rows->number[slot] = number;
    return rows->row[slot];
}

void warp_resize_rows(uint8_t *rows, const struct image *in, int width, int height, int from,
                      int to) {
    size_t row = (size_t)width * 3;
    if (width == in->width && height == in->height) {
        memcpy(rows, in->pixels + (size_t)from * row, row * (size_t)(to - from));
        return;
    }
    if (width * 2 == in->width && height * 2 == in->height) {
        halve(rows, in, from, to);
        return;
    }
    struct linear_tap *across = linear_taps(in->width, width, true);
    struct linear_tap *down = linear_taps(in->height, height, false);
    short *room = mem_alloc(2 * row * sizeof *room);
    struct row_pair pair = {{-1, -1}, {room, room + row}};
    for (int y = from; y < to; y++, rows += row) {
        const short *above = scaled_row(&pair, in, down[y].first, down[y].second, across, width);
        const short *below = scaled_row(&pair, in, down[y].second, down[y].first, across, width);
        down_row(rows, above, below, down[y].weight, row);
    }
    mem_free(room);
    mem_free(across);
    mem_free(down);
}

void warp_resize(struct image *out, const struct image *in, int width, int height) {
    image_init(out, width, height);
    warp_resize_rows(out->pixels, in, width, height, 0, height);
}
