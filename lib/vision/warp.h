// What networks need of pictures: scaling, turning, cutting out, and turning pixels into floats.
// `out` is initialised here; it must not be the input.
#pragma once

#include "vision/geometry.h"
#include "vision/image.h"

// Scaled to exactly this size, linear without a filter before it, in the fixed-point arithmetic of
// OpenCV's INTER_LINEAR for bytes, which the networks were trained and are compared with: equal to
// it bit by bit (tests/unit/test_warp.c).
void warp_resize(struct image *out, const struct image *in, int width, int height);
// Of that only the rows `from` .. `to` - 1, for several threads beside each other.
void warp_resize_rows(uint8_t *rows, const struct image *in, int width, int height, int from,
                      int to);
// Scaled down by averaging over areas: for people and for the first look, not for the networks.
// A side that would grow stays as it is.
void warp_shrink(struct image *out, const struct image *in, int width, int height);
// The picture with its longer side at most `side`: `in`, or in `room` a smaller one. Either way
// `room` is for image_fini.
const struct image *warp_fit(const struct image *in, int side, struct image *room);
void warp_crop(struct image *out, const struct image *in, struct box box); // clipped, >= 1 x 1
// Quarter turns counter-clockwise, 0..3.
void warp_turn(struct image *out, const struct image *in, unsigned quarters);
void warp_mirror(struct image *image); // left and right change places

// The size of a region flattened: its longer sides, at least 1.
void warp_quad_size(const struct quad *quad, int *width, int *height);
// The region flattened to that size: bicubic (a = -0.75), edges repeated, as OpenCV's
// warpPerspective with INTER_CUBIC and BORDER_REPLICATE does it, but for a rounding now and then.
void warp_quad(struct image *out, const struct image *in, const struct quad *quad);

struct warp_norm { // value = (pixel / 255 - mean) / std, in the order of the network's channels
    float mean[3], std[3];
    bool bgr;
};
// Three planes of floats, one `plane_floats` behind the other, rows of `row_floats`; the picture
// goes to where `planes` points, what is around it is left as it is.
void warp_planes(float *planes, size_t row_floats, size_t plane_floats, const struct image *in,
                 const struct warp_norm *norm);

// Pixels as bytes in three planes, `plane` bytes one behind the other.
void warp_byte_planes(uint8_t *planes, size_t plane, const uint8_t *pixels, size_t count, bool bgr);
