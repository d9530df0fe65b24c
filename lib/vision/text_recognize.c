#include "vision/text_recognize.h"

#include "base/mem.h"
#include "vision/text_ctc.h"

#include <math.h>

static const struct warp_norm line_norm = {{.5f, .5f, .5f}, {.5f, .5f, .5f}, .bgr = true};

int text_line_width(const struct image *line, int height) {
    return (int)ceil(height * ((double)line->width / line->height));
}

float *text_line_planes(const struct image *line, int height, int width) {
    int own = text_line_width(line, height);
    struct image scaled;
    warp_resize(&scaled, line, own < 1 ? 1 : own < width ? own : width, height);
    float *planes = mem_alloc((size_t)width * (size_t)height * 3 * sizeof *planes);
    warp_planes(planes, (size_t)width, (size_t)width * (size_t)height, &scaled, &line_norm);
    image_fini(&scaled);
    return planes;
}

bool text_recognize(struct text_reader *reader, const struct image *picture, int width,
                    struct text_line *line, double *network_ms, struct err *err) {
    int height = reader->line_height;
    int own = text_line_width(picture, height);
    struct network_line plan = network_line_of(reader->recognize, own < width ? own : width, width);
    float *planes = text_line_planes(picture, height, plan.computed);
    struct tensors tensors;
    double began = text_now_ms();
    bool good = network_run_line(reader->recognize, planes, height, &plan, &tensors, err);
    *network_ms += text_now_ms() - began;
    mem_free(planes);
    if (!good)
        return false;
    const struct tensor_shape *shape = &tensors.shapes[0];
    if (!tensors.values[0] || shape->rank != 3 || shape->dims[0] != 1 ||
        shape->dims[2] != (int64_t)reader->dictionary.count)
        good = err_set(err, ERR_INVALID, "%s does not give steps of %zu classes",
                       network_path(reader->recognize), reader->dictionary.count);
    else {
        size_t steps = (size_t)shape->dims[1];
        float share = (float)width / (float)plan.own;
        text_ctc_read(line, tensors.values[0], steps, &reader->dictionary,
                      steps ? share / (float)steps : 0);
    }
    tensors_fini(&tensors);
    return good;
}
