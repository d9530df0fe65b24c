#include "vision/object_layout.h"

#include "base/buf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *object_layout_name(enum object_layout_kind kind) {
    static const char *const names[] = {"v8", "v8, transposed", "v5", "end to end", "DETR"};
    return names[kind];
}

// One box a cell (or three) of the grids that the network lays over its input.
static bool is_grid(size_t boxes, int width, int height, size_t boxes_a_cell) {
    static const int strides[][5] = {{8, 16, 32}, {16, 32}, {8, 16, 32, 64}, {4, 8, 16, 32}};
    for (size_t i = 0; i < sizeof strides / sizeof *strides; i++) {
        size_t cells = 0;
        for (const int *stride = strides[i]; *stride; stride++)
            cells += (size_t)((width + *stride - 1) / *stride) *
                     (size_t)((height + *stride - 1) / *stride);
        if (boxes == cells * boxes_a_cell)
            return true;
    }
    return false;
}

static void add_shapes(struct buf *text, const struct network *network, const struct tensors *run) {
    for (size_t i = 0; i < run->count; i++) {
        buf_printf(text, "%s%s [", i ? ", " : "", network_output_name(network, i));
        for (size_t d = 0; d < run->shapes[i].rank; d++)
            buf_printf(text, "%s%lld", d ? ", " : "", (long long)run->shapes[i].dims[d]);
        buf_printf(text, "]");
    }
}

static bool refuse(const struct network *network, const struct tensors *run, size_t classes,
                   const char *why, struct err *err) {
    struct buf shapes;
    buf_init(&shapes, 300);
    add_shapes(&shapes, network, run);
    err_set(err, ERR_INVALID, "%s: outputs %s with %zu named classes %s", network_path(network),
            buf_text(&shapes), classes, why);
    buf_fini(&shapes);
    return false;
}

// Rank 3 with a batch of one.
static bool is_table(const struct tensors *run, size_t index) {
    return run->values[index] && run->shapes[index].rank == 3 && run->shapes[index].dims[0] == 1;
}

static bool tell_detr(struct object_layout *out, const struct network *network,
                      const struct tensors *run, size_t classes) {
    if (run->count != 2 || !is_table(run, 0) || !is_table(run, 1))
        return false;
    // With four classes both look alike; then the name must tell.
    size_t boxes_at = run->shapes[0].dims[2] == 4 ? 0 : 1;
    if (run->shapes[0].dims[2] == 4 && run->shapes[1].dims[2] == 4)
        boxes_at = strstr(network_output_name(network, 0), "box") ? 0 : 1;
    const int64_t *boxes = run->shapes[boxes_at].dims, *scores = run->shapes[1 - boxes_at].dims;
    if (boxes[2] != 4 || boxes[1] != scores[1] || (size_t)scores[2] != classes)
        return false;
    *out = (struct object_layout){OBJECT_LAYOUT_DETR, classes, (size_t)boxes[1], 4,
                                  1 - boxes_at,       boxes_at};
    return true;
}

// Masks of a segmentation export: 32 numbers a box, which we leave.
static size_t mask_columns(const struct tensors *run) {
    if (run->count == 2 && run->shapes[1].rank == 4 && run->shapes[1].dims[1] == 32)
        return 32;
    return 0;
}

static bool is_true(const char *text) {
    return text && (!strcmp(text, "True") || !strcmp(text, "true") || !strcmp(text, "1"));
}

bool object_layout_tell(struct object_layout *out, const struct network *network,
                        const struct tensors *run, size_t classes, int width, int height,
                        const char *final, struct err *err) {
    if (tell_detr(out, network, run, classes))
        return true;
    size_t masks = mask_columns(run);
    if (run->count != 1 + (masks > 0) || !is_table(run, 0))
        return refuse(network, run, classes, "are no table of boxes", err);
    size_t a = (size_t)run->shapes[0].dims[1], b = (size_t)run->shapes[0].dims[2];
    size_t columns = 4 + classes + masks;
    struct object_layout readings[5];
    size_t count = 0;
    if (b == 6 + masks && (is_true(final) || (!final && !is_grid(a, width, height, 1) &&
                                              !is_grid(a, width, height, 3) && a <= 1000)))
        readings[count++] = (struct object_layout){OBJECT_LAYOUT_FINAL, classes, a, b, 0, 0};
    if (!is_true(final)) {
        if (a == columns && is_grid(b, width, height, 1))
            readings[count++] = (struct object_layout){OBJECT_LAYOUT_COLUMNS, classes, b, a, 0, 0};
        if (b == columns && is_grid(a, width, height, 1))
            readings[count++] = (struct object_layout){OBJECT_LAYOUT_ROWS, classes, a, b, 0, 0};
        if (b == columns + 1 && is_grid(a, width, height, 3))
            readings[count++] =
                (struct object_layout){OBJECT_LAYOUT_OBJECTNESS, classes, a, b, 0, 0};
    }
    if (count == 1) {
        *out = readings[0];
        return true;
    }
    if (count > 1)
        return refuse(network, run, classes, "can be read in more than one way", err);
    if (b == columns + 1 && is_grid(a, width, height, 1))
        return refuse(network, run, classes, "look like YOLOX's raw grid, which is not read", err);
    return refuse(network, run, classes,
                  "fit no layout that is known; are the names those of this file?", err);
}

static struct box around(float x, float y, float w, float h) {
    return (struct box){x - w / 2, y - h / 2, x + w / 2, y + h / 2};
}

static bool add(struct object_candidate *out, struct box box, float confidence, size_t class) {
    if (!isfinite(box.x0) || !isfinite(box.y0) || !isfinite(box.x1) || !isfinite(box.y1) ||
        !(box_area(box) > 0))
        return false;
    *out = (struct object_candidate){box, confidence > 1 ? 1 : confidence, class};
    return true;
}

// The best of scores that lie `step` apart.
static size_t best_class(const float *scores, size_t classes, size_t step, float *best) {
    size_t class = 0;
    for (size_t i = 1; i < classes; i++)
        if (scores[i * step] > scores[class * step])
            class = i;
    *best = scores[class * step];
    return class;
}

static size_t read_grid(const struct object_layout *layout, const float *values, float confidence,
                        struct object_candidate *out) {
    bool columns = layout->kind == OBJECT_LAYOUT_COLUMNS;
    // From one number of a box to the next, and from one box to the next.
    size_t step = columns ? layout->boxes : 1, row = columns ? 1 : layout->columns;
    size_t skip = layout->kind == OBJECT_LAYOUT_OBJECTNESS ? 5 : 4, count = 0;
    for (size_t i = 0; i < layout->boxes; i++) {
        const float *v = values + i * row;
        float score;
        size_t class = best_class(v + skip * step, layout->classes, step, &score);
        if (skip == 5)
            score *= v[4];
        if (score >= confidence)
            count +=
                add(&out[count], around(v[0], v[step], v[2 * step], v[3 * step]), score, class);
    }
    return count;
}

static size_t read_final(const struct object_layout *layout, const float *values, float confidence,
                         struct object_candidate *out) {
    size_t count = 0;
    for (size_t i = 0; i < layout->boxes; i++) {
        const float *v = values + i * layout->columns;
        if (v[4] >= confidence && v[5] >= 0 && v[5] < (float)layout->classes)
            count += add(&out[count], (struct box){v[0], v[1], v[2], v[3]}, v[4], (size_t)v[5]);
    }
    return count;
}

static size_t read_detr(const struct object_layout *layout, const struct tensors *run, int width,
                        int height, float confidence, struct object_candidate *out) {
    const float *logits = run->values[layout->scores_at], *boxes = run->values[layout->boxes_at];
    float w = (float)width, h = (float)height;
    size_t count = 0;
    for (size_t i = 0; i < layout->boxes; i++, logits += layout->classes, boxes += 4) {
        float logit;
        size_t class = best_class(logits, layout->classes, 1, &logit);
        float score = 1 / (1 + expf(-logit));
        if (score >= confidence)
            count +=
                add(&out[count], around(boxes[0] * w, boxes[1] * h, boxes[2] * w, boxes[3] * h),
                    score, class);
    }
    return count;
}

size_t object_layout_read(const struct object_layout *layout, const struct tensors *run, int width,
                          int height, float confidence, struct object_candidate *out) {
    switch (layout->kind) {
    case OBJECT_LAYOUT_FINAL: return read_final(layout, run->values[0], confidence, out);
    case OBJECT_LAYOUT_DETR: return read_detr(layout, run, width, height, confidence, out);
    default: return read_grid(layout, run->values[0], confidence, out);
    }
}

static int by_confidence(const void *a, const void *b) {
    float x = ((const struct object_candidate *)a)->confidence;
    float y = ((const struct object_candidate *)b)->confidence;
    return (x < y) - (x > y);
}

size_t object_candidates_thin(struct object_candidate *candidates, size_t count, float overlap,
                              size_t max) {
    size_t kept = 0;
    qsort(candidates, count, sizeof *candidates, by_confidence);
    for (size_t i = 0; i < count && kept < max; i++) {
        bool covered = false;
        for (size_t k = 0; k < kept && !covered; k++)
            covered = candidates[k].class == candidates[i].class &&
                      box_overlap(candidates[k].box, candidates[i].box) > overlap;
        if (!covered)
            candidates[kept++] = candidates[i];
    }
    return kept;
}
