// The part of a photo that a miss is about, as a small JPEG.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "plate.h"
#include "vision/geometry.h"
#include "vision/image.h"

#include <jansson.h>

// In pixels of the photo at its full size: where the value was read that was answered; else the
// text that says what is true; else the plate; empty: nothing is known of where.
struct box crop_place(const json_t *report, enum field field, const char *truth);
// `box` with some of what is around it, or all of an empty one; `scale`: from its pixels to the
// image's. Appended.
bool crop_encode(const struct image *image, struct box box, float scale, struct buf *jpeg,
                 struct err *err);
