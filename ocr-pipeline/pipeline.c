#include "pipeline.h"

#include "audit.h"
#include "base/mem.h"
#include "base/str.h"
#include "domains.h"
#include "event/loop.h"
#include "rules.h"
#include "vision/object_finder.h"
#include "vision/warp.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PLATE_LINES_LEAST = 3 }; // fewer texts are no plate
enum { CUT_FIELDS_LEAST = 3 };  // what was cut out says less: it was no plate
#define CUT_SHARE_MOST                                                                             \
    0.45f // of the photo's longer side; a larger plate is read as well in the whole
#define CUT_GAIN_LEAST 1.3f // pixels of the photo a pixel of what was decoded
#define PLATE_OVERLAP 0.45f // boxes of one plate; more are several

struct pipeline {
    const struct config *config;
    struct image_limits limits;
    struct onnx *onnx;
    struct text_reader *reader;
    struct object_finder *finder; // NULL: texts alone tell where the plate is
    char *detector;               // what it is, for people
    struct domains *domains;
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
    if (!pipeline->finder) {
        err_context(err, "the plate detector ([plate] model)");
        return false;
    }
    pipeline->detector =
        mem_printf("%s (%s)", config->plate_model, object_finder_layout(pipeline->finder));
    return true;
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
        open_finder(pipeline, err))
        return pipeline;
    pipeline_destroy(pipeline);
    return NULL;
}

void pipeline_destroy(struct pipeline *pipeline) {
    if (!pipeline)
        return;
    object_finder_destroy(pipeline->finder);
    mem_free(pipeline->detector);
    text_reader_destroy(pipeline->reader);
    onnx_close(pipeline->onnx);
    domains_destroy(pipeline->domains);
    mem_free(pipeline);
}

const char *pipeline_detector(const struct pipeline *pipeline) {
    return pipeline->detector ? pipeline->detector : "none: a plate is where its texts are";
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

static bool look(struct pipeline *pipeline, const struct image *image, struct reading *reading,
                 struct err *err) {
    double start = now_ms();
    if (!pipeline->finder)
        return true;
    reading->looked = sights_find(&reading->sights, pipeline->finder, image,
                                  (float)reading->width / (float)image->width,
                                  (float)reading->height / (float)image->height, err);
    reading->timings.plate_ms = now_ms() - start;
    return reading->looked;
}

// What the detector saw of what the texts say. Where they disagree the texts are believed: NULL.
// `count`: texts of a plate.
static const struct sight *agreed(const struct reading *reading, size_t count) {
    const struct sights *sights = &reading->sights;
    const struct text_page *page = &reading->page;
    const struct sight *plate = sights_best(sights, CONTEXT_TRANSFORMER);
    if (count < PLATE_LINES_LEAST)
        return plate ? plate : sights_best(sights, CONTEXT_POLE);
    for (size_t i = 0; i < sights->count; i++)
        if (sights->list[i].what == CONTEXT_TRANSFORMER &&
            sight_holds_plate(&sights->list[i], page->lines, reading->classes, page->count))
            return &sights->list[i];
    return NULL;
}

static void see_plate(const struct pipeline *pipeline, struct reading *reading,
                      const struct sight *sight, const struct text_line *lines, size_t count) {
    struct plate_seen *seen = &reading->seen;
    *seen = (struct plate_seen){.fallback = FALLBACK_WHOLE_PHOTO};
    if (sight) {
        *seen = (struct plate_seen){.box = sight->box, .score = sight->score};
        reading->context = sight->what;
    } else if (count >= PLATE_LINES_LEAST) {
        seen->fallback = FALLBACK_TEXT_DENSITY;
        seen->box = box_pad(around(lines, count), pipeline->config->plate_padding, reading->width,
                            reading->height);
        reading->context = CONTEXT_TRANSFORMER;
    }
    if (reading->context != CONTEXT_UNKNOWN)
        snprintf(seen->class_name, sizeof seen->class_name, "%s", sight_class(reading->context));
}

// The texts are classed by what they say; then again within the box that bears them out.
static size_t sort_texts(const struct pipeline *pipeline, struct reading *reading,
                         struct text_line *lines) {
    const struct text_page *page = &reading->page;
    enum text_class *classes = reading->classes;
    filter_classify(page->lines, page->count, NULL, pipeline->domains, classes);
    sights_settle(&reading->sights, page->lines, classes, page->count);
    reading->identification = sights_best(&reading->sights, CONTEXT_POLE) != NULL;
    size_t count = filter_keep(page->lines, classes, page->count, TEXT_NAMEPLATE, lines);
    const struct sight *sight = agreed(reading, count);
    if (sight && sight->score >= SIGHT_SURE) {
        struct filter_context context = {sight->what, sight->box};
        filter_classify(page->lines, page->count, &context, pipeline->domains, classes);
        count = filter_keep(page->lines, classes, page->count, TEXT_NAMEPLATE, lines);
    }
    see_plate(pipeline, reading, sight, lines, count);
    return count;
}

static enum identification identification_of(const struct reading *reading) {
    return !reading->looked          ? IDENTIFICATION_UNKNOWN
           : reading->identification ? IDENTIFICATION_SEEN
                                     : IDENTIFICATION_MISSING;
}

static void understand(const struct pipeline *pipeline, struct reading *reading) {
    const struct text_page *page = &reading->page;
    double start = now_ms();
    reading->classes = mem_alloc((page->count + 1) * sizeof *reading->classes);
    struct text_line *lines = mem_alloc((page->count + 1) * sizeof *lines);
    size_t count = sort_texts(pipeline, reading, lines);
    rules_read(&reading->plate, lines, count, pipeline->domains);
    bool alone = pipeline->audit.identified == IDENTIFIED_BY_PHOTOS;
    audit_plate(&reading->plate, lines, count,
                alone ? identification_of(reading) : IDENTIFICATION_UNKNOWN, &pipeline->audit,
                pipeline->domains);
    mem_free(lines);
    reading->timings.rules_ms += now_ms() - start;
}

// A plate that is small in a photo of more pixels than are read is worth a second decoding.
static bool wants_cut(const struct reading *reading, const struct image *image) {
    const struct sight *plate = sights_best(&reading->sights, CONTEXT_TRANSFORMER);
    if (!plate || plate->score < SIGHT_SURE ||
        (float)reading->width < CUT_GAIN_LEAST * (float)image->width)
        return false;
    int longer = reading->width > reading->height ? reading->width : reading->height;
    return fmaxf(box_width(plate->box), box_height(plate->box)) < CUT_SHARE_MOST * (float)longer;
}

struct photo {
    const void *bytes;
    size_t length;
    const char *name; // for errors
};

static bool read_cut(struct pipeline *pipeline, const struct photo *photo, struct reading *reading,
                     struct err *err) {
    struct image image;
    double start = now_ms();
    if (!image_decode(&image, photo->bytes, photo->length, photo->name, 0, &pipeline->limits, err))
        return false;
    reading->timings.decode_ms += now_ms() - start;
    struct box box = sights_best(&reading->sights, CONTEXT_TRANSFORMER)->box;
    box = box_pad(box, pipeline->config->plate_padding, image.width, image.height);
    bool good = read_part(pipeline, &image, box, 1, 1, reading, err);
    image_fini(&image);
    if (good)
        understand(pipeline, reading);
    return good;
}

static bool read_whole(struct pipeline *pipeline, const struct image *image,
                       struct reading *reading, struct err *err) {
    struct box whole = {0, 0, (float)image->width, (float)image->height};
    if (!read_part(pipeline, image, whole, (float)reading->width / (float)image->width,
                   (float)reading->height / (float)image->height, reading, err))
        return false;
    understand(pipeline, reading);
    return true;
}

static size_t fields_known(const struct plate *plate) {
    size_t known = 0;
    for (size_t i = 0; i < FIELD_COUNT; i++)
        known += plate->values[i].text[0] != '\0';
    return known;
}

// What was cut out was no plate: nothing of it counts.
static void forget(struct reading *reading) {
    mem_free(reading->classes);
    text_page_fini(&reading->page);
    reading->classes = NULL;
    reading->page = (struct text_page){0};
    reading->plate = (struct plate){.reason_count = 0};
    reading->context = CONTEXT_UNKNOWN;
}

static bool read_image(struct pipeline *pipeline, const struct photo *photo,
                       const struct image *image, enum pipeline_area area, struct reading *reading,
                       struct err *err) {
    if (!look(pipeline, image, reading, err))
        return false;
    if (area == AREA_PLATE && wants_cut(reading, image)) {
        if (!read_cut(pipeline, photo, reading, err))
            return false;
        if (fields_known(&reading->plate) >= CUT_FIELDS_LEAST)
            return true;
        forget(reading);
    }
    return read_whole(pipeline, image, reading, err);
}

bool pipeline_read(struct pipeline *pipeline, const void *bytes, size_t length, const char *name,
                   enum pipeline_area area, struct reading *reading, struct err *err) {
    struct photo photo = {bytes, length, name};
    struct image image;
    double start = now_ms();
    *reading = (struct reading){0};
    snprintf(reading->image_id, sizeof reading->image_id, "%016llx%08zx",
             (unsigned long long)str_hash_bytes(bytes, length), length);
    if (!image_decode(&image, bytes, length, name, (int)pipeline->config->side_pixels,
                      &pipeline->limits, err))
        return false;
    bool good = image_measure(bytes, length, name, &reading->width, &reading->height, err);
    reading->timings.decode_ms = now_ms() - start;
    good = good && read_image(pipeline, &photo, &image, area, reading, err);
    reading->timings.total_ms = now_ms() - start;
    image_fini(&image);
    if (!good)
        reading_fini(reading);
    return good;
}

void pipeline_audit_pole(const struct pipeline *pipeline, struct plate *plate,
                         enum identification identification) {
    bool together = pipeline->audit.identified == IDENTIFIED_BY_POLES;
    audit_plate(plate, NULL, 0, together ? identification : IDENTIFICATION_UNKNOWN,
                &pipeline->audit, pipeline->domains);
}

void reading_fini(struct reading *reading) {
    mem_free(reading->classes);
    text_page_fini(&reading->page);
    *reading = (struct reading){0};
}
