#include "vision/text_orient.h"

#include "base/mem.h"
#include "vision/text_recognize.h"

bool text_orient(struct text_reader *reader, const struct image *line, float *upside_down,
                 double *network_ms, struct err *err) {
    *upside_down = 0;
    if (!reader->orient)
        return true;
    int width = reader->orient_width, height = reader->orient_height;
    float *planes = text_line_planes(line, height, width);
    struct tensors tensors;
    double began = text_now_ms();
    bool good =
        network_run(reader->orient, planes, (int64_t[]){1, 3, height, width}, 4, &tensors, err);
    *network_ms += text_now_ms() - began;
    mem_free(planes);
    if (!good)
        return false;
    if (!tensors.values[0] || tensors.shapes[0].rank != 2 || tensors.shapes[0].dims[1] != 2)
        good = err_set(err, ERR_INVALID, "%s does not tell upright from upside down",
                       network_path(reader->orient));
    else
        *upside_down = tensors.values[0][1];
    tensors_fini(&tensors);
    return good;
}
