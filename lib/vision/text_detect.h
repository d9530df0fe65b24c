// Where is text: PP-OCR's detector gives for every pixel how likely it is text (differentiable
// binarisation, Liao et al. 2019, arXiv 1911.08947); regions of likely pixels become rectangles.
#pragma once

#include "vision/text_reader_private.h"
#include "vision/warp.h"

struct text_region {
    struct quad quad; // whole pixels of the picture
    float score;      // mean likelihood inside
    bool faint;       // text_faint_find's
};
enum { TEXT_REGIONS_MAX = 1000 };
struct text_regions {
    struct text_region *items;
    size_t count; // at most TEXT_REGIONS_MAX; there is room for so many
};

// map: height x width likelihoods; regions in a picture of picture_width x picture_height, which
// the map covers. In no order.
void text_regions_find(struct text_regions *out, const float *map, int width, int height,
                       int picture_width, int picture_height,
                       const struct text_reader_options *options);
// Adds what may be a lone digit or a short value, too faint for a region of its own; a few dozen at
// most.
void text_faint_find(struct text_regions *regions, const float *map, int width, int height,
                     int picture_width, int picture_height);
void text_regions_fini(struct text_regions *regions);

// The size at which the network sees a picture: multiples of 32, the shorter side at least
// side_min.
void text_detect_size(int width, int height, int side_min, int *out_width, int *out_height);

// Adds to *network_ms what the network took.
bool text_detect(struct text_reader *reader, const struct image *picture, struct text_regions *out,
                 double *network_ms, struct err *err);
