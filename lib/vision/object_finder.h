// Finds objects with a network of the YOLO family (and DETR-like heads): every output layout is
// told from shapes and metadata, classes are known by name. Blocking; several threads may find.
#pragma once

#include "vision/geometry.h"
#include "vision/image.h"
#include "vision/onnx.h"

#include <stddef.h>

struct object_finder;

struct object_finder_options {
    const char *path;
    const char *names; // comma-separated, in the file's order; NULL: the file's metadata
    unsigned threads;  // 0: 2
    float confidence;  // 0.25
    float overlap;     // boxes of one class that overlap more are one; 0.45
};
struct found_object {
    struct box box;   // pixels of the picture
    const char *name; // belongs to the finder
    float confidence;
};
enum { FOUND_MAX = 300 };

// ERR_INVALID with the shapes when the layout cannot be told for sure.
struct object_finder *object_finder_create(struct onnx *onnx,
                                           const struct object_finder_options *options,
                                           struct err *err);
void object_finder_destroy(struct object_finder *finder);
const char *object_finder_layout(const struct object_finder *finder); // for people: "v8, 2 classes"
int object_finder_side(const struct object_finder *finder); // the longer one of what it looks at
// Best first; count at most FOUND_MAX.
bool object_finder_find(struct object_finder *finder, const struct image *image,
                        struct found_object *found, size_t *count, struct err *err);
