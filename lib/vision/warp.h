// What networks need of pictures: scaling, turning, cutting out, and turning pixels into floats.
#pragma once

#include "vision/geometry.h"
#include "vision/image.h"

// Scaled to exactly this size. Linear as OpenCV's INTER_LINEAR does it (no prefilter), which the
// reference implementations of the networks were trained and compared with.
void warp_resize(struct image *out, const struct image *in, int width, int height);
// Scaled down by averaging over areas: for people and for the first look, not for the networks.
void warp_shrink(struct image *out, const struct image *in, int width, int height);
void warp_crop(struct image *out, const struct image *in, struct box box);
// Quarter turns counter-clockwise, 0..3.
void warp_turn(struct image *out, const struct image *in, unsigned quarters);
// The region flattened to width x height of its own longer sides: bicubic, edges repeated.
void warp_quad(struct image *out, const struct image *in, const struct quad *quad);

struct warp_norm { // value = (pixel / 255 - mean) / std, in the order of the network's channels
    float mean[3], std[3];
    bool bgr;
};
// Planes of floats, 3 x rows x row_floats, the picture at the left; the rest is left as it is.
void warp_planes(float *planes, size_t row_floats, const struct image *in,
                 const struct warp_norm *norm);
