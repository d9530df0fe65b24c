// What a detector saw in a photo, held against the texts that were read there: a plate of a
// transformer has many texts that speak of it, a sign of a pole has a number. Where the two
// disagree the texts are believed.
#pragma once

#include "filter.h"
#include "vision/image.h"
#include "vision/object_finder.h"

#include <stddef.h>

enum { SIGHTS_MAX = 24 }; // of one photo; the surest
#define SIGHT_SURE 0.5f   // of a score: needs no text to bear it out

struct sight {
    enum pole_context what; // never CONTEXT_UNKNOWN
    struct box box;         // pixels of the photo
    float score;            // 0..1
};
struct sights {
    struct sight list[SIGHTS_MAX]; // the surest first
    size_t count;
};

const char *sight_class(enum pole_context what); // "placa_transformador"; NULL: unknown

// `x`, `y`: pixels of the photo a pixel of the image. Classes of other names are not kept.
bool sights_find(struct sights *out, struct object_finder *finder, const struct image *image,
                 float x, float y, struct err *err);
// The surest of a kind; NULL: none.
const struct sight *sights_best(const struct sights *sights, enum pole_context what);
// Decides anew what each is, by the texts in it and their classes; where these say nothing it stays
// what the detector took it for, if that was sure. What neither is sure of was not seen.
void sights_settle(struct sights *sights, const struct text_line *lines,
                   const enum text_class *classes, size_t count);
// Are (nearly) all of the plate's texts in its box? Then it may say where the plate ends.
bool sight_holds_plate(const struct sight *sight, const struct text_line *lines,
                       const enum text_class *classes, size_t count);
