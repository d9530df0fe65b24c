#include "vision/object_finder.h"

#include "base/mem.h"
#include "base/str.h"
#include "vision/letterbox.h"
#include "vision/object_layout.h"
#include "vision/object_names.h"

#include <stdlib.h>
#include <string.h>

enum { SIDE_DEFAULT = 640, SIDE_MAX = 4096, CELL = 32 };

struct object_finder {
    struct network *network;
    struct object_names names;
    struct object_layout layout;
    const char *final; // what the metadata says of "end2end"; the network's
    int width, height; // of the frame
    float confidence, overlap;
    char *label;
};

static bool read_names(struct object_finder *finder, const char *given, struct err *err) {
    if (given)
        return object_names_split(&finder->names, given, err);
    const char *text = network_metadata(finder->network, "names");
    if (!text)
        return err_set(err, ERR_INVALID, "%s does not name its classes; give them as names",
                       network_path(finder->network));
    if (object_names_parse(&finder->names, text, err))
        return true;
    err_context(err, "%s", network_path(finder->network));
    return false;
}

// "640" or "[480, 640]" (height, width), as exports note what they were trained with.
static void read_size(const char *text, int *width, int *height) {
    *width = *height = SIDE_DEFAULT;
    if (!text)
        return;
    long sides[2] = {0, 0};
    const char *at = text + strcspn(text, "0123456789");
    char *end;
    for (size_t i = 0; i < 2 && *at; i++) {
        sides[i] = strtol(at, &end, 10);
        at = end + strcspn(end, "0123456789");
    }
    if (!sides[1])
        sides[1] = sides[0];
    if (sides[0] >= CELL && sides[0] <= SIDE_MAX && sides[1] >= CELL && sides[1] <= SIDE_MAX) {
        *height = (int)(sides[0] + CELL - 1) / CELL * CELL;
        *width = (int)(sides[1] + CELL - 1) / CELL * CELL;
    }
}

static bool choose_frame(struct object_finder *finder, struct err *err) {
    struct tensor_shape shape = network_input_shape(finder->network);
    if (shape.rank != 4 || (shape.dims[1] != 3 && shape.dims[1] != -1))
        return err_set(err, ERR_INVALID,
                       "%s does not take colour pictures (1 x 3 x height x width)",
                       network_path(finder->network));
    finder->final = network_metadata(finder->network, "end2end");
    read_size(network_metadata(finder->network, "imgsz"), &finder->width, &finder->height);
    if (shape.dims[2] > 0)
        finder->height = (int)(shape.dims[2] < SIDE_MAX ? shape.dims[2] : SIDE_MAX);
    if (shape.dims[3] > 0)
        finder->width = (int)(shape.dims[3] < SIDE_MAX ? shape.dims[3] : SIDE_MAX);
    return true;
}

static bool run_planes(const struct object_finder *finder, const float *planes, struct tensors *run,
                       struct err *err) {
    return network_run(finder->network, planes, (int64_t[]){1, 3, finder->height, finder->width}, 4,
                       run, err);
}

static float *new_planes(const struct object_finder *finder) {
    return mem_alloc((size_t)finder->width * (size_t)finder->height * 3 * sizeof(float));
}

static bool tell(const struct object_finder *finder, const struct tensors *run,
                 struct object_layout *layout, struct err *err) {
    return object_layout_tell(layout, finder->network, run, finder->names.count, finder->width,
                              finder->height, finder->final, err);
}

// Shapes in a file may be open; those of a run are not.
static bool try_out(struct object_finder *finder, struct err *err) {
    float *planes = new_planes(finder);
    struct tensors run;
    bool good = run_planes(finder, planes, &run, err);
    mem_free(planes);
    if (!good)
        return false;
    good = tell(finder, &run, &finder->layout, err);
    tensors_fini(&run);
    if (good)
        finder->label =
            mem_printf("%s, %zu class%s, %d x %d", object_layout_name(finder->layout.kind),
                       finder->names.count, finder->names.count == 1 ? "" : "es", finder->width,
                       finder->height);
    return good;
}

struct object_finder *object_finder_create(struct onnx *onnx,
                                           const struct object_finder_options *options,
                                           struct err *err) {
    struct object_finder *finder = mem_alloc(sizeof *finder);
    finder->confidence = options->confidence > 0 ? options->confidence : .25f;
    finder->overlap = options->overlap > 0 ? options->overlap : .45f;
    finder->network = network_load(
        onnx, options->path,
        &(struct network_options){.threads = options->threads ? options->threads : 2}, err);
    if (!finder->network || !read_names(finder, options->names, err) ||
        !choose_frame(finder, err) || !try_out(finder, err)) {
        object_finder_destroy(finder);
        return NULL;
    }
    return finder;
}

void object_finder_destroy(struct object_finder *finder) {
    if (!finder)
        return;
    network_destroy(finder->network);
    object_names_fini(&finder->names);
    mem_free(finder->label);
    mem_free(finder);
}

const char *object_finder_layout(const struct object_finder *finder) { return finder->label; }

int object_finder_side(const struct object_finder *finder) {
    return finder->width > finder->height ? finder->width : finder->height;
}

// The boxes of a run in the picture's pixels, best first.
static size_t collect(const struct object_finder *finder, const struct object_layout *layout,
                      const struct tensors *run, const struct letterbox *frame,
                      struct found_object *found) {
    struct object_candidate *candidates = mem_alloc((layout->boxes + 1) * sizeof *candidates);
    size_t count = object_layout_read(layout, run, finder->width, finder->height,
                                      finder->confidence, candidates),
           kept = 0;
    bool thin = layout->kind == OBJECT_LAYOUT_FINAL || layout->kind == OBJECT_LAYOUT_DETR;
    count = object_candidates_thin(candidates, count, thin ? 1 : finder->overlap, FOUND_MAX);
    for (size_t i = 0; i < count; i++) {
        struct box box = letterbox_undo(frame, candidates[i].box);
        if (box_area(box) > 0)
            found[kept++] = (struct found_object){box, finder->names.names[candidates[i].class],
                                                  candidates[i].confidence};
    }
    mem_free(candidates);
    return kept;
}

bool object_finder_find(struct object_finder *finder, const struct image *image,
                        struct found_object *found, size_t *count, struct err *err) {
    *count = 0;
    if (image->width < 1 || image->height < 1)
        return err_set(err, ERR_INVALID, "an empty picture");
    // DETR's boxes are shares of the frame, and it was trained on stretched pictures.
    struct letterbox frame =
        (finder->layout.kind == OBJECT_LAYOUT_DETR ? letterbox_stretch : letterbox_fit)(
            finder->width, finder->height, image->width, image->height);
    float *planes = new_planes(finder);
    letterbox_planes(&frame, image, planes);
    struct tensors run;
    bool good = run_planes(finder, planes, &run, err);
    mem_free(planes);
    if (!good)
        return false;
    // Told anew: a file may give other shapes with every picture.
    struct object_layout layout;
    good = tell(finder, &run, &layout, err);
    if (good)
        *count = collect(finder, &layout, &run, &frame, found);
    tensors_fini(&run);
    return good;
}
