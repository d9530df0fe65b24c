#include "vision/letterbox.h"

#include "vision/warp.h"

#include <math.h>

#define GREY (114 / 255.f)

struct letterbox letterbox_fit(int width, int height, int picture_width, int picture_height) {
    double scale = fmin((double)width / picture_width, (double)height / picture_height);
    int w = (int)fmax(1, rint(picture_width * scale));
    int h = (int)fmax(1, rint(picture_height * scale));
    // Of an odd rest the smaller half comes first.
    int left = (int)rint((width - w) / 2.0 - 0.1), top = (int)rint((height - h) / 2.0 - 0.1);
    return (struct letterbox){width,
                              height,
                              (float)scale,
                              (float)scale,
                              left > 0 ? left : 0,
                              top > 0 ? top : 0,
                              picture_width,
                              picture_height};
}

struct letterbox letterbox_stretch(int width, int height, int picture_width, int picture_height) {
    return (struct letterbox){.width = width,
                              .height = height,
                              .scale_x = (float)width / (float)picture_width,
                              .scale_y = (float)height / (float)picture_height,
                              .picture_width = picture_width,
                              .picture_height = picture_height};
}

void letterbox_planes(const struct letterbox *frame, const struct image *picture, float *planes) {
    static const struct warp_norm plain = {{0, 0, 0}, {1, 1, 1}, .bgr = false};
    int w = (int)fmaxf(1, rintf((float)frame->picture_width * frame->scale_x));
    int h = (int)fmaxf(1, rintf((float)frame->picture_height * frame->scale_y));
    struct image scaled;
    warp_resize(&scaled, picture, w < frame->width ? w : frame->width,
                h < frame->height ? h : frame->height);
    size_t plane = (size_t)frame->width * (size_t)frame->height;
    for (size_t i = 0; i < 3 * plane; i++)
        planes[i] = GREY;
    warp_planes(planes + (size_t)frame->top * (size_t)frame->width + frame->left,
                (size_t)frame->width, plane, &scaled, &plain);
    image_fini(&scaled);
}

struct box letterbox_undo(const struct letterbox *frame, struct box box) {
    float w = (float)frame->picture_width, h = (float)frame->picture_height;
    float left = (float)frame->left, top = (float)frame->top;
    return (struct box){fmaxf(0, fminf(w, (box.x0 - left) / frame->scale_x)),
                        fmaxf(0, fminf(h, (box.y0 - top) / frame->scale_y)),
                        fmaxf(0, fminf(w, (box.x1 - left) / frame->scale_x)),
                        fmaxf(0, fminf(h, (box.y1 - top) / frame->scale_y))};
}
