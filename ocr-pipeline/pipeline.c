#include "pipeline.h"

#include "audit.h"
#include "base/mem.h"
#include "domains.h"
#include "event/loop.h"
#include "rules.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PLATE_LINES_LEAST = 3 }; // fewer texts are no plate

struct pipeline {
    const struct config *config;
    struct image_limits limits;
    struct onnx *onnx;
    struct text_reader *reader;
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
        (pipeline->onnx = onnx_open(config->runtime, err)) && open_reader(pipeline, err))
        return pipeline;
    pipeline_destroy(pipeline);
    return NULL;
}

void pipeline_destroy(struct pipeline *pipeline) {
    if (!pipeline)
        return;
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

static void scale_quad(struct quad *quad, float x, float y) {
    for (size_t i = 0; i < 4; i++) {
        quad->corners[i].x *= x;
        quad->corners[i].y *= y;
    }
}

// From the size that was read to that of the photo.
static void scale_page(struct text_page *page, float x, float y) {
    bool lies = page->turned % 2 != 0;
    for (size_t i = 0; i < page->count; i++) {
        scale_quad(&page->lines[i].quad, x, y);
        scale_quad(&page->lines[i].upright, lies ? y : x, lies ? x : y);
    }
}

static bool read_text(struct pipeline *pipeline, const struct image *image, struct reading *reading,
                      struct err *err) {
    double start = now_ms();
    if (!text_reader_read(pipeline->reader, image, &reading->page, err))
        return false;
    reading->timings.read_ms = now_ms() - start;
    reading->timings.network_ms += reading->page.network_ms;
    return true;
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
    snprintf(seen->class_name, sizeof seen->class_name, "placa_transformador");
}

static void understand(const struct pipeline *pipeline, struct reading *reading) {
    const struct text_page *page = &reading->page;
    double start = now_ms();
    reading->classes = mem_alloc((page->count + 1) * sizeof *reading->classes);
    struct text_line *lines = mem_alloc((page->count + 1) * sizeof *lines);
    filter_classify(page->lines, page->count, NULL, pipeline->domains, reading->classes);
    size_t count = filter_keep(page->lines, reading->classes, page->count, TEXT_NAMEPLATE, lines);
    see_plate(pipeline, reading, lines, count);
    rules_read(&reading->plate, lines, count, pipeline->domains);
    audit_plate(&reading->plate, lines, count, IDENTIFICATION_UNKNOWN, &pipeline->audit,
                pipeline->domains);
    mem_free(lines);
    reading->timings.rules_ms = now_ms() - start;
}

bool pipeline_read(struct pipeline *pipeline, const void *bytes, size_t length, const char *name,
                   struct reading *reading, struct err *err) {
    struct image image;
    double start = now_ms();
    *reading = (struct reading){0};
    if (!image_decode(&image, bytes, length, name, (int)pipeline->config->side_pixels,
                      &pipeline->limits, err))
        return false;
    bool good = image_measure(bytes, length, name, &reading->width, &reading->height, err);
    reading->timings.decode_ms = now_ms() - start;
    good = good && read_text(pipeline, &image, reading, err);
    if (good) {
        scale_page(&reading->page, (float)reading->width / (float)image.width,
                   (float)reading->height / (float)image.height);
        understand(pipeline, reading);
    }
    reading->timings.total_ms = now_ms() - start;
    image_fini(&image);
    if (!good)
        reading_fini(reading);
    return good;
}

void reading_fini(struct reading *reading) {
    mem_free(reading->classes);
    text_page_fini(&reading->page);
    *reading = (struct reading){0};
}
