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

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PLATE_LINES_LEAST = 3 }; // fewer texts are no plate
enum { CUT_FIELDS_LEAST = 3 };  // what was cut out says less: it was no plate
#define CUT_SHARE_MOST 0.45f    // of the photo's side: a larger plate is read as well in the whole
#define CUT_GAIN_LEAST 1.3f     // pixels of the photo a pixel of what was decoded
#define PLATE_OVERLAP 0.45f     // boxes of one plate; more are several

struct pipeline {
    const struct config *config;
    struct image_limits limits;
    struct onnx *onnx;
    struct text_reader *reader;
    struct object_finder *finder; // NULL: texts alone tell where the plate is
    char *detector;               // what it is, for people
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
    options.follow_page = true;
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

// `scale`: pixels of the photo a pixel of the image; `quarters`: that it is turned by to be read.
static bool read_part(struct pipeline *pipeline, const struct image *image, struct box part,
                      float scale_x, float scale_y, unsigned quarters, struct reading *reading,
                      struct err *err) {
    double start = now_ms();
    struct image crop, small;
    warp_crop(&crop, image, part);
    const struct image *sheet = warp_fit(&crop, (int)pipeline->config->side_pixels, &small);
    bool good = text_reader_read_turned(pipeline->reader, sheet, quarters, &reading->page, err);
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

struct photo {
    const void *bytes;
    size_t length;
    const char *name;          // for errors
    const struct image *image; // as it was decoded: no larger than it is read, but for models
    enum pipeline_area area;
    const struct recall *recall;
};

// The texts of a plate.
struct texts {
    struct text_line *lines;
    size_t count;
};

static void apply_rules(const struct pipeline *pipeline, struct reading *reading,
                        struct texts *texts) {
    const struct text_page *page = &reading->page;
    double start = now_ms();
    reading->classes = mem_alloc((page->count + 1) * sizeof *reading->classes);
    texts->lines = mem_alloc((page->count + 1) * sizeof *texts->lines);
    texts->count = sort_texts(pipeline, reading, texts->lines);
    rules_read(&reading->plate, texts->lines, texts->count, pipeline->domains);
    reading->timings.rules_ms += now_ms() - start;
}

// A plate that is small in a photo of more pixels than are read is worth to be read by itself.
static bool wants_cut(const struct pipeline *pipeline, const struct reading *reading) {
    const struct sight *plate = sights_best(&reading->sights, CONTEXT_TRANSFORMER);
    float longer = (float)(reading->width > reading->height ? reading->width : reading->height);
    return plate && plate->score >= SIGHT_SURE &&
           longer >= CUT_GAIN_LEAST * (float)pipeline->config->side_pixels &&
           fmaxf(box_width(plate->box), box_height(plate->box)) < CUT_SHARE_MOST * longer;
}

static bool read_cut(struct pipeline *pipeline, const struct photo *photo, struct reading *reading,
                     struct err *err) {
    struct image whole = {0};
    const struct image *image = photo->image;
    double start = now_ms();
    if (image->width < reading->width) {
        if (!image_decode(&whole, photo->bytes, photo->length, photo->name, 0, &pipeline->limits,
                          err))
            return false;
        image = &whole;
    }
    reading->timings.decode_ms += now_ms() - start;
    struct box box = sights_best(&reading->sights, CONTEXT_TRANSFORMER)->box;
    box = box_pad(box, pipeline->config->plate_padding, image->width, image->height);
    bool good = read_part(pipeline, image, box, 1, 1, 0, reading, err);
    image_fini(&whole);
    return good;
}

static bool read_whole(struct pipeline *pipeline, const struct image *image, unsigned quarters,
                       struct reading *reading, struct err *err) {
    struct box whole = {0, 0, (float)image->width, (float)image->height};
    return read_part(pipeline, image, whole, (float)reading->width / (float)image->width,
                     (float)reading->height / (float)image->height, quarters, reading, err);
}

static size_t fields_known(const struct plate *plate) {
    size_t known = 0;
    for (size_t i = 0; i < FIELD_COUNT; i++)
        known += plate->values[i].text[0] != '\0';
    return known;
}

// As before anything was read. `seen`: by the detector, before texts had their say.
static void start_over(struct reading *reading, const struct sights *seen) {
    reading->classes = NULL;
    reading->page = (struct text_page){0};
    reading->plate = (struct plate){.reason_count = 0};
    reading->context = CONTEXT_UNKNOWN;
    reading->sights = *seen;
}

// What was cut out was no plate: nothing of it counts.
static void forget(struct reading *reading, struct texts *texts, const struct sights *seen) {
    mem_free(texts->lines);
    mem_free(reading->classes);
    text_page_fini(&reading->page);
    *texts = (struct texts){0};
    start_over(reading, seen);
}

// Of a photo that lies on its side the detector misses short and blurred texts that it sees once
// the photo is turned upright, so those values count; what only the first look found is mostly
// misread. Where that is more than the upright look found, the photo is a bad one, and each adds to
// the other. The texts told stay those of the first, as the reference reads them, unless they were
// no plate's.
static void prefer_upright(struct reading *reading, struct texts *texts, struct reading *upright,
                           struct texts *upright_texts) {
    struct reading lying = *reading;
    struct texts lying_texts = *texts;
    if (upright->context != CONTEXT_TRANSFORMER ||
        fields_known(&upright->plate) < fields_known(&lying.plate)) {
        plate_add_look(&reading->plate, &upright->plate);
        return;
    }
    if (lying.context == CONTEXT_TRANSFORMER) {
        reading->plate = upright->plate;
        return;
    }
    *reading = *upright;
    *texts = *upright_texts;
    *upright = lying;
    *upright_texts = lying_texts;
}

// What a cut does not say, or leaves in doubt, the whole photo may: small text is read better in
// the one, blurred text in the other. Either way the photo is turned as the first look found it.
static bool look_again(struct pipeline *pipeline, const struct photo *photo,
                       const struct sights *seen, bool was_cut, struct reading *reading,
                       struct texts *texts, struct err *err) {
    struct reading again = *reading;
    struct texts again_texts = {0};
    start_over(&again, seen);
    bool good = read_whole(pipeline, photo->image, reading->page.turned, &again, err);
    if (good) {
        apply_rules(pipeline, &again, &again_texts);
        reading->timings = again.timings;
        if (was_cut)
            plate_add_look(&reading->plate, &again.plate);
        else
            prefer_upright(reading, texts, &again, &again_texts);
    }
    mem_free(again_texts.lines);
    reading_fini(&again);
    return good;
}

static bool leaves_doubt(const struct plate *plate) {
    return plate_needs_review(plate) || audit_misses(plate);
}

// What every plate says, or what has its label, was not read: the rest would be read no better.
// Phases are a lone digit, the first to be missed where a photo lies on its side.
static bool misses_values(const struct plate *plate) {
    bool misses = audit_misses(plate) || !plate->values[FIELD_FASES].text[0];
    for (int i = 0; i < FIELD_COUNT; i++)
        misses = misses || (!plate->values[i].text[0] && plate_reason(plate, (enum field)i));
    return misses;
}

static bool read_texts(struct pipeline *pipeline, const struct photo *photo,
                       struct reading *reading, struct texts *texts, struct err *err) {
    bool for_plate = photo->area == AREA_PLATE, cut = for_plate && wants_cut(pipeline, reading);
    struct sights seen = reading->sights;
    if (cut) {
        if (!read_cut(pipeline, photo, reading, err))
            return false;
        apply_rules(pipeline, reading, texts);
        cut = fields_known(&reading->plate) >= CUT_FIELDS_LEAST;
        if (!cut)
            forget(reading, texts, &seen);
    }
    if (!cut) {
        if (!read_whole(pipeline, photo->image, 0, reading, err))
            return false;
        apply_rules(pipeline, reading, texts);
    }
    bool lies = reading->page.turned % 2 != 0;
    bool wanted = cut ? leaves_doubt(&reading->plate) : lies && misses_values(&reading->plate);
    return !for_plate || !wanted || look_again(pipeline, photo, &seen, cut, reading, texts, err);
}

// What models are shown of a photo: the plate, with some room around what the detector saw, or all
// of it where none was seen.
static struct view view_of(const struct pipeline *pipeline, const struct photo *photo,
                           const struct reading *reading, const struct sight *sight) {
    const struct image *image = photo->image;
    struct box whole = {0, 0, (float)image->width, (float)image->height};
    struct view view = {image, whole, reading->page.turned, photo->recall};
    if (sight)
        view.part =
            box_pad(sight->box, pipeline->config->plate_padding, image->width, image->height);
    else if (reading->seen.fallback == FALLBACK_TEXT_DENSITY)
        view.part = reading->seen.box;
    return view;
}

// A plate that the detector is sure of, before anything was read.
static const struct sight *sure_plate(const struct reading *reading) {
    const struct sight *plate = sights_best(&reading->sights, CONTEXT_TRANSFORMER);
    return plate && plate->score >= SIGHT_SURE ? plate : NULL;
}

// True with stages.read as it was: the texts are still to be read.
static bool read_by_model(struct pipeline *pipeline, const struct photo *photo,
                          struct reading *reading, struct texts *texts, struct err *err) {
    struct view view = view_of(pipeline, photo, reading, sure_plate(reading));
    if (!models_read(pipeline->models, &view, &reading->page, &reading->stages, err))
        return false;
    if (reading->stages.read == READ_VLM)
        apply_rules(pipeline, reading, texts);
    return true;
}

static bool conclude(const struct pipeline *pipeline, const struct photo *photo,
                     struct reading *reading, const struct texts *texts, struct err *err) {
    bool is_plate = reading->context == CONTEXT_TRANSFORMER;
    struct sight seen = {.what = reading->context, .box = reading->seen.box};
    struct view view = view_of(pipeline, photo, reading,
                               is_plate && reading->seen.fallback == FALLBACK_NONE ? &seen : NULL);
    if (photo->area == AREA_PLATE &&
        !models_refine(pipeline->models, &view, texts->lines, texts->count, &reading->plate,
                       &reading->stages, err))
        return false;
    bool alone = pipeline->audit.identified == IDENTIFIED_BY_PHOTOS;
    audit_plate(&reading->plate, alone ? identification_of(reading) : IDENTIFICATION_UNKNOWN,
                &pipeline->audit, pipeline->domains);
    return true;
}

static bool read_photo(struct pipeline *pipeline, const struct photo *photo,
                       struct reading *reading, struct err *err) {
    struct texts texts = {0};
    bool by_model = photo->area == AREA_PLATE && models_read_alone(pipeline->models);
    bool good = look(pipeline, photo->image, reading, err) &&
                (!by_model || read_by_model(pipeline, photo, reading, &texts, err)) &&
                (texts.lines || read_texts(pipeline, photo, reading, &texts, err)) &&
                conclude(pipeline, photo, reading, &texts, err);
    mem_free(texts.lines);
    return good;
}

// Models that see are shown the photo in its full size.
bool pipeline_read_for(struct pipeline *pipeline, const void *bytes, size_t length,
                       const char *name, enum pipeline_area area, const struct recall *recall,
                       struct reading *reading, struct err *err) {
    struct image image;
    struct photo photo = {bytes, length, name, &image, area, recall};
    double start = now_ms();
    int side = models_see(pipeline->models) ? 0 : (int)pipeline->config->side_pixels;
    *reading = (struct reading){0};
    snprintf(reading->image_id, sizeof reading->image_id, "%016llx%08zx",
             (unsigned long long)str_hash_bytes(bytes, length), length);
    if (!image_decode(&image, bytes, length, name, side, &pipeline->limits, err))
        return false;
    bool good = image_measure(bytes, length, name, &reading->width, &reading->height, err);
    reading->timings.decode_ms = now_ms() - start;
    good = good && read_photo(pipeline, &photo, reading, err);
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
    bool together = pipeline->audit.identified == IDENTIFIED_BY_POLES;
    audit_plate(plate, together ? identification : IDENTIFICATION_UNKNOWN, &pipeline->audit,
                pipeline->domains);
}

void reading_fini(struct reading *reading) {
    mem_free(reading->classes);
    text_page_fini(&reading->page);
    *reading = (struct reading){0};
}
