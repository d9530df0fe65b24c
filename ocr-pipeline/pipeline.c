#include "pipeline.h"

#include "audit.h"
#include "base/mem.h"
#include "base/str.h"
#include "domains.h"
#include "event/loop.h"
#include "models.h"
#include "rules.h"
#include "vision/object_finder.h"
#include "vision/warp.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PLATE_LINES_LEAST = 3 }; // fewer texts are no plate
#define CUT_SCORE_LEAST 0.5f    // a detector that is less sure does not decide what is read
#define PLATE_OVERLAP 0.45f     // boxes of one plate; more are several

struct pipeline {
    const struct config *config;
    struct image_limits limits;
    struct onnx *onnx;
    struct text_reader *reader;
    struct object_finder *finder; // NULL: photos are read as a whole
    struct domains *domains;
    struct models *models;
    struct audit_options audit;
};

static double now_ms(void) { return (double)loop_now_us() / 1000; }

// --- Opening

// A network that is not there is the one mistake that everybody makes first.
static bool is_there(const char *path, const char *what, struct err *err) {
    return access(path, R_OK) == 0 ||
           err_set(err, ERR_NOTFOUND,
                   "there is no %s at %s; fetch it with: tools/get-ocr%s (or name yours in [read])",
                   what, path, strstr(path, "/fast-") ? " --fast" : "");
}

static bool open_reader(struct pipeline *pipeline, struct err *err) {
    const struct config *config = pipeline->config;
    struct text_reader_options options = text_reader_defaults;
    options.detect = config->detect;
    options.orient = config->orient;
    options.recognize = config->recognize;
    options.dictionary = config->dictionary;
    options.threads = config->threads;
    options.box_threshold = config->box_confidence;
    options.line_confidence = config->line_confidence;
    if (!is_there(config->detect, "text detector", err) ||
        !is_there(config->orient, "orientation classifier", err) ||
        !is_there(config->recognize, "text recogniser", err))
        return false;
    pipeline->reader = text_reader_create(pipeline->onnx, &options, err);
    return pipeline->reader != NULL;
}

static bool open_finder(struct pipeline *pipeline, struct err *err) {
    const struct config *config = pipeline->config;
    struct object_finder_options options = {.path = config->plate_model,
                                            .names = config->plate_names,
                                            .threads = config->threads,
                                            .confidence = config->plate_confidence,
                                            .overlap = PLATE_OVERLAP};
    if (!config->plate_model)
        return true;
    if (access(config->plate_model, R_OK) != 0)
        return err_set(err, ERR_NOTFOUND, "there is no plate detector at %s ([plate] model)",
                       config->plate_model);
    pipeline->finder = object_finder_create(pipeline->onnx, &options, err);
    return pipeline->finder != NULL;
}

static bool open_domains(struct pipeline *pipeline, struct err *err) {
    const struct config *config = pipeline->config;
    pipeline->domains = domains_create();
    if (!config->ini || domains_extend(pipeline->domains, config->ini, err))
        return true;
    err_context(err, "%s", config->path);
    return false;
}

struct pipeline *pipeline_create(const struct config *config, struct err *err) {
    struct pipeline *pipeline = mem_alloc(sizeof *pipeline);
    pipeline->config = config;
    pipeline->limits = config_image_limits(config);
    pipeline->audit = config->audit;
    if (open_domains(pipeline, err) && image_system_init(1, err) &&
        (pipeline->onnx = onnx_open(config->runtime, err)) && open_reader(pipeline, err) &&
        open_finder(pipeline, err) &&
        (pipeline->models = models_open(config, pipeline->domains, err)))
        return pipeline;
    pipeline_destroy(pipeline);
    return NULL;
}

void pipeline_destroy(struct pipeline *pipeline) {
    if (!pipeline)
        return;
    models_close(pipeline->models);
    object_finder_destroy(pipeline->finder);
    text_reader_destroy(pipeline->reader);
    onnx_close(pipeline->onnx);
    domains_destroy(pipeline->domains);
    mem_free(pipeline);
}

// --- One photo

const char *plate_fallback_name(enum plate_fallback fallback) {
    switch (fallback) {
    case FALLBACK_NONE: return NULL;
    case FALLBACK_TEXT_DENSITY: return "text_density";
    case FALLBACK_WHOLE_PHOTO: break;
    }
    return "whole_photo";
}

// From the part that was read to the photo.
static void move_quad(struct quad *quad, float x, float y, struct point to) {
    for (size_t i = 0; i < 4; i++) {
        quad->corners[i].x = quad->corners[i].x * x + to.x;
        quad->corners[i].y = quad->corners[i].y * y + to.y;
    }
}

// The page turned upright is for what stands beside what: its own corner stays where it is.
static void move_page(struct text_page *page, float x, float y, struct point to) {
    bool lies = page->turned % 2 != 0;
    for (size_t i = 0; i < page->count; i++) {
        move_quad(&page->lines[i].quad, x, y, to);
        move_quad(&page->lines[i].upright, lies ? y : x, lies ? x : y, (struct point){0, 0});
    }
}

// `scale`: pixels of the photo a pixel of the image.
static bool read_part(struct pipeline *pipeline, const struct image *image, struct box part,
                      float scale_x, float scale_y, struct reading *reading, struct err *err) {
    double start = now_ms();
    struct image crop = {0}, small = {0};
    int side = (int)pipeline->config->side_pixels;
    warp_crop(&crop, image, part);
    int longer = crop.width > crop.height ? crop.width : crop.height;
    const struct image *sheet = &crop;
    if (longer > side) {
        warp_shrink(&small, &crop, (int)((long long)crop.width * side / longer),
                    (int)((long long)crop.height * side / longer));
        sheet = &small;
    }
    bool good = text_reader_read(pipeline->reader, sheet, &reading->page, err);
    if (good) {
        move_page(&reading->page, scale_x * (float)crop.width / (float)sheet->width,
                  scale_y * (float)crop.height / (float)sheet->height,
                  (struct point){part.x0 * scale_x, part.y0 * scale_y});
        reading->timings.network_ms += reading->page.network_ms;
    }
    image_fini(&crop);
    image_fini(&small);
    reading->timings.read_ms += now_ms() - start;
    return good;
}

// The surest plate of a transformer, else the surest sign of a pole.
static bool find_plate(struct pipeline *pipeline, const struct image *image,
                       struct reading *reading, struct err *err) {
    struct found_object *found = mem_alloc(FOUND_MAX * sizeof *found);
    struct plate_seen *seen = &reading->seen;
    size_t count = 0;
    double start = now_ms();
    bool good = object_finder_find(pipeline->finder, image, found, &count, err);
    for (size_t i = 0; good && i < count; i++) {
        bool transformer = strcmp(found[i].name, CLASS_TRANSFORMER) == 0;
        bool identification = strcmp(found[i].name, CLASS_IDENTIFICATION) == 0;
        reading->identification |= identification;
        if (reading->context == CONTEXT_TRANSFORMER ||
            (!transformer && (reading->context != CONTEXT_UNKNOWN || !identification)))
            continue;
        reading->context = transformer ? CONTEXT_TRANSFORMER : CONTEXT_POLE;
        snprintf(seen->class_name, sizeof seen->class_name, "%s", found[i].name);
        seen->score = found[i].confidence;
        seen->box =
            box_pad(found[i].box, pipeline->config->plate_padding, image->width, image->height);
    }
    reading->looked = good;
    reading->timings.plate_ms = now_ms() - start;
    mem_free(found);
    return good;
}

static struct box around(const struct text_line *lines, size_t count) {
    struct box all = quad_box(&lines[0].quad);
    for (size_t i = 1; i < count; i++) {
        struct box box = quad_box(&lines[i].quad);
        all.x0 = box.x0 < all.x0 ? box.x0 : all.x0;
        all.y0 = box.y0 < all.y0 ? box.y0 : all.y0;
        all.x1 = box.x1 > all.x1 ? box.x1 : all.x1;
        all.y1 = box.y1 > all.y1 ? box.y1 : all.y1;
    }
    return all;
}

// No detector saw the plate: it is where the texts of one are.
static void see_plate(const struct pipeline *pipeline, struct reading *reading,
                      const struct text_line *lines, size_t count) {
    struct plate_seen *seen = &reading->seen;
    if (seen->class_name[0])
        return;
    seen->fallback = FALLBACK_WHOLE_PHOTO;
    if (count < PLATE_LINES_LEAST)
        return;
    seen->fallback = FALLBACK_TEXT_DENSITY;
    seen->box = box_pad(around(lines, count), pipeline->config->plate_padding, reading->width,
                        reading->height);
    snprintf(seen->class_name, sizeof seen->class_name, "%s", CLASS_TRANSFORMER);
}

// What models are shown of a photo: the plate, or all of it where none was seen, or only the sign
// of the pole.
static struct view view_of(const struct image *image, const struct recall *recall,
                           const struct reading *reading) {
    struct box box = reading->seen.box;
    bool seen = reading->seen.class_name[0] && reading->context != CONTEXT_POLE && box.x1 > box.x0;
    return (struct view){
        .photo = image,
        .part = seen ? box : (struct box){0, 0, (float)image->width, (float)image->height},
        .turned = reading->page.turned,
        .recall = recall,
    };
}

static bool understand(const struct pipeline *pipeline, const struct image *image,
                       enum pipeline_area area, const struct recall *recall,
                       struct reading *reading, struct err *err) {
    const struct text_page *page = &reading->page;
    double start = now_ms();
    reading->classes = mem_alloc((page->count + 1) * sizeof *reading->classes);
    struct text_line *lines = mem_alloc((page->count + 1) * sizeof *lines);
    struct filter_context context = {reading->context, reading->seen.box};
    filter_classify(page->lines, page->count, reading->looked ? &context : NULL, pipeline->domains,
                    reading->classes);
    size_t count = filter_keep(page->lines, reading->classes, page->count, TEXT_NAMEPLATE, lines);
    see_plate(pipeline, reading, lines, count);
    rules_read(&reading->plate, lines, count, pipeline->domains);
    reading->timings.rules_ms = now_ms() - start;
    struct view view = view_of(image, recall, reading);
    bool good = area != AREA_PLATE || models_refine(pipeline->models, &view, lines, count,
                                                    &reading->plate, &reading->stages, err);
    audit_plate(&reading->plate, lines, count, IDENTIFICATION_UNKNOWN, &pipeline->audit,
                pipeline->domains);
    mem_free(lines);
    return good;
}

static bool read_image(struct pipeline *pipeline, const struct image *image,
                       enum pipeline_area area, const struct recall *recall,
                       struct reading *reading, struct err *err) {
    struct box whole = {0, 0, (float)image->width, (float)image->height};
    float x = (float)reading->width / (float)image->width;
    float y = (float)reading->height / (float)image->height;
    if (pipeline->finder && !find_plate(pipeline, image, reading, err))
        return false;
    bool cut = area == AREA_PLATE && reading->context == CONTEXT_TRANSFORMER &&
               reading->seen.score >= CUT_SCORE_LEAST;
    struct view view = view_of(image, recall, reading);
    if (area == AREA_PLATE && models_read_alone(pipeline->models) &&
        !models_read(pipeline->models, &view, &reading->page, &reading->stages, err))
        return false;
    if (reading->stages.read == READ_VLM)
        return true;
    if (!read_part(pipeline, image, cut ? reading->seen.box : whole, x, y, reading, err))
        return false;
    if (!cut || reading->page.count >= PLATE_LINES_LEAST)
        return true;
    text_page_fini(&reading->page); // what was taken for a plate says nothing
    reading->page = (struct text_page){0};
    reading->seen = (struct plate_seen){.class_name = ""};
    reading->context = CONTEXT_UNKNOWN;
    return read_part(pipeline, image, whole, x, y, reading, err);
}

// For a plate to be cut out the photo is decoded at its full size.
bool pipeline_read_for(struct pipeline *pipeline, const void *bytes, size_t length,
                       const char *name, enum pipeline_area area, const struct recall *recall,
                       struct reading *reading, struct err *err) {
    struct image image;
    double start = now_ms();
    bool full = pipeline->finder || models_see(pipeline->models);
    int side = full ? 0 : (int)pipeline->config->side_pixels;
    *reading = (struct reading){0};
    snprintf(reading->image_id, sizeof reading->image_id, "%016llx%08zx",
             (unsigned long long)str_hash_bytes(bytes, length), length);
    if (!image_decode(&image, bytes, length, name, side, &pipeline->limits, err))
        return false;
    bool good = image_measure(bytes, length, name, &reading->width, &reading->height, err);
    reading->timings.decode_ms = now_ms() - start;
    good = good && read_image(pipeline, &image, area, recall, reading, err) &&
           understand(pipeline, &image, area, recall, reading, err);
    reading->timings.total_ms = now_ms() - start;
    image_fini(&image);
    if (!good)
        reading_fini(reading);
    return good;
}

bool pipeline_read(struct pipeline *pipeline, const void *bytes, size_t length, const char *name,
                   enum pipeline_area area, struct reading *reading, struct err *err) {
    return pipeline_read_for(pipeline, bytes, length, name, area, NULL, reading, err);
}

void pipeline_recall(struct pipeline *pipeline, struct recall *recall) {
    models_recall(pipeline->models, recall);
}

struct models *pipeline_models(struct pipeline *pipeline) {
    return pipeline->models;
}

void pipeline_audit_pole(const struct pipeline *pipeline, struct plate *plate,
                         enum identification identification) {
    audit_plate(plate, NULL, 0, identification, &pipeline->audit, pipeline->domains);
}

void reading_fini(struct reading *reading) {
    mem_free(reading->classes);
    text_page_fini(&reading->page);
    *reading = (struct reading){0};
}
