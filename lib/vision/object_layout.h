// What a detector's outputs mean. Exports of the same family differ in the order of dimensions, in
// an "is there anything" score, and in whether boxes of one object were already made one; nothing
// in the file says so for sure. The shapes that a run really has, the number of classes and the
// number of cells of the input's grid do.
#pragma once

#include "vision/geometry.h"
#include "vision/onnx.h"

enum object_layout_kind {
    OBJECT_LAYOUT_COLUMNS,    // 1 x (4 + classes) x boxes: YOLOv8, v11
    OBJECT_LAYOUT_ROWS,       // 1 x boxes x (4 + classes): the same transposed
    OBJECT_LAYOUT_OBJECTNESS, // 1 x boxes x (5 + classes): YOLOv5, v7
    OBJECT_LAYOUT_FINAL,      // 1 x boxes x 6, x0 y0 x1 y1 confidence class: YOLOv10, 26
    OBJECT_LAYOUT_DETR,       // logits 1 x boxes x classes, centres and sizes 0..1 1 x boxes x 4
};

struct object_layout {
    enum object_layout_kind kind;
    size_t classes, boxes;
    size_t columns;   // of the only output's dimension that is not `boxes`
    size_t scores_at; // DETR: which output has the scores
    size_t boxes_at;  // and which the boxes
};

struct object_candidate {
    struct box box; // pixels of the frame
    float confidence;
    size_t class;
};

// width, height: of the frame that the run had. final: the metadata's "end2end", when it has one.
// ERR_INVALID with the shapes when more than one reading is possible, or none.
bool object_layout_tell(struct object_layout *out, const struct network *network,
                        const struct tensors *run, size_t classes, int width, int height,
                        const char *final, struct err *err);
const char *object_layout_name(enum object_layout_kind kind); // "v8"

// Boxes with a class of at least this confidence; room for layout->boxes. Returns how many.
size_t object_layout_read(const struct object_layout *layout, const struct tensors *run, int width,
                          int height, float confidence, struct object_candidate *out);

// Of boxes of one class that overlap more than `overlap` the most confident stays; best first, at
// most `max`. Returns how many are left.
size_t object_candidates_thin(struct object_candidate *candidates, size_t count, float overlap,
                              size_t max);
