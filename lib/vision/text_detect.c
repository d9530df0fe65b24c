#include "vision/text_detect.h"

#include "base/mem.h"
#include "vision/crew.h"

#include <math.h>
#include <string.h>

enum { CELL = 32, LONGEST = 4096 }; // the network halves five times; what is longer is no photo
enum { BAND = 64 };                 // rows

// Scales a side by the ratio and rounds to whole cells, as the reference does.
static int whole_cells(int side, double ratio) {
    long cells = lrint((double)(int)(side * ratio) / CELL);
    return (int)(cells < 1 ? 1 : cells) * CELL;
}

void text_detect_size(int width, int height, int side_min, int *out_width, int *out_height) {
    int shorter = width < height ? width : height, longer = width < height ? height : width;
    double ratio = shorter < side_min ? (double)side_min / shorter : 1;
    ratio = fmin(ratio, (double)LONGEST / longer);
    *out_width = whole_cells(width, ratio);
    *out_height = whole_cells(height, ratio);
}

struct bands {
    const struct image *picture;
    uint8_t *planes;
    int width, height;
};

static bool band_job(void *context, size_t index, unsigned worker, struct err *err) {
    const struct bands *bands = context;
    int from = (int)index * BAND;
    int to = from + BAND < bands->height ? from + BAND : bands->height;
    size_t width = (size_t)bands->width, count = width * (size_t)(to - from);
    uint8_t *rows = mem_alloc(count * 3);
    warp_resize_rows(rows, bands->picture, bands->width, bands->height, from, to);
    warp_byte_planes(bands->planes + (size_t)from * width, width * (size_t)bands->height, rows,
                     count, true);
    mem_free(rows);
    return true;
}

// The picture in the network's size, 3 x height x width bytes, made by several threads: they have
// nothing else to do yet.
static uint8_t *detect_input(const struct text_reader *reader, const struct image *picture,
                             int width, int height, struct err *err) {
    struct bands bands = {picture, mem_alloc((size_t)width * (size_t)height * 3), width, height};
    crew_run(reader->options.threads, (size_t)(height + BAND - 1) / BAND, band_job, &bands, err);
    return bands.planes;
}

static void choose_size(const struct text_reader *reader, const struct image *picture, int *width,
                        int *height) {
    struct tensor_shape shape = network_input_shape(reader->detect);
    text_detect_size(picture->width, picture->height, reader->options.side_min, width, height);
    if (!reader->many_sizes) {
        *height = (int)shape.dims[2];
        *width = (int)shape.dims[3];
    }
}

bool text_detect(struct text_reader *reader, const struct image *picture, struct text_regions *out,
                 double *network_ms, struct err *err) {
    int width, height;
    *out = (struct text_regions){0};
    choose_size(reader, picture, &width, &height);
    uint8_t *planes = detect_input(reader, picture, width, height, err);
    struct tensors tensors;
    double began = text_now_ms();
    bool good = network_run_pixels(reader->detect, planes, height, width, &tensors, err);
    *network_ms += text_now_ms() - began;
    mem_free(planes);
    if (!good)
        return false;
    const struct tensor_shape *shape = &tensors.shapes[0];
    if (!tensors.values[0] || shape->rank != 4 || shape->dims[0] != 1 || shape->dims[1] != 1 ||
        shape->dims[2] != height || shape->dims[3] != width)
        good = err_set(err, ERR_INVALID, "%s does not give one map of the picture's size",
                       network_path(reader->detect));
    else {
        text_regions_find(out, tensors.values[0], width, height, picture->width, picture->height,
                          &reader->options);
        if (reader->options.faint)
            text_faint_find(out, tensors.values[0], width, height, picture->width, picture->height);
    }
    tensors_fini(&tensors);
    return good;
}
