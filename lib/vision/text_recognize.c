#include "vision/text_recognize.h"

#include "base/mem.h"
#include "vision/onnx_edit.h"
#include "vision/text_ctc.h"

#include <math.h>
#include <string.h>

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

// False where the network gave something else than steps of classes.
static bool take_steps(const struct text_reader *reader, const struct tensors *tensors,
                       struct text_steps *steps) {
    const struct tensor_shape *shape = &tensors->shapes[0], *kept = &tensors->shapes[1];
    bool some = tensors->count == 2 && kept->rank == 1 &&
                !strcmp(network_output_name(reader->recognize, 1), ONNX_CLASSES_KEPT);
    if (shape->rank != 3 || shape->dims[0] != 1 ||
        shape->dims[2] != (int64_t)reader->dictionary.count ||
        (!tensors->values[0] && shape->dims[1] > 0))
        return false;
    *steps = (struct text_steps){.likelihoods = tensors->values[0],
                                 .kept = some ? tensors->values[1] : NULL,
                                 .count = (size_t)(some ? kept->dims[0] : shape->dims[1])};
    return true;
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
    struct text_steps steps;
    if (!take_steps(reader, &tensors, &steps))
        good = err_set(err, ERR_INVALID, "%s does not give steps of %zu classes",
                       network_path(reader->recognize), reader->dictionary.count);
    else {
        float share = (float)width / (float)plan.own;
        text_ctc_read(line, &steps, &reader->dictionary,
                      steps.count ? share / (float)steps.count : 0);
    }
    tensors_fini(&tensors);
    return good;
}
