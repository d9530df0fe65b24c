#include "sight.h"

#include "base/mem.h"
#include "plate.h"
#include "vision/warp.h"

#include <string.h>

enum { PLATE_TEXTS = 3, SIGN_TEXTS = 3 }; // at least, of a plate; at most, of a sign
static const float HELD = .7f;            // of the plate's texts are in a box that is the plate's
static const float SLACK = .04f;          // of its sides, by which a box may be too small

static const char *const CLASSES[] = {NULL, CLASS_TRANSFORMER, CLASS_IDENTIFICATION};

const char *sight_class(enum pole_context what) { return CLASSES[what]; }

static enum pole_context what_is(const char *name) {
    for (size_t i = CONTEXT_TRANSFORMER; i <= CONTEXT_POLE; i++)
        if (strcmp(name, CLASSES[i]) == 0)
            return (enum pole_context)i;
    return CONTEXT_UNKNOWN;
}

static void take(struct sights *out, const struct found_object *found, float x, float y) {
    enum pole_context what = what_is(found->name);
    const struct box *box = &found->box;
    if (what == CONTEXT_UNKNOWN || out->count == SIGHTS_MAX)
        return;
    out->list[out->count++] = (struct sight){
        what, {box->x0 * x, box->y0 * y, box->x1 * x, box->y1 * y}, found->confidence};
}

bool sights_find(struct sights *out, struct object_finder *finder, const struct image *image,
                 float x, float y, struct err *err) {
    struct found_object *found = mem_alloc(FOUND_MAX * sizeof *found);
    struct image room;
    size_t count = 0;
    // A network that looks at 320 pixels would be given some of 1600, picked: averaged to twice its
    // side first, all of them count.
    const struct image *seen = warp_fit(image, 2 * object_finder_side(finder), &room);
    x *= (float)image->width / (float)seen->width;
    y *= (float)image->height / (float)seen->height;
    *out = (struct sights){.count = 0};
    bool good = object_finder_find(finder, seen, found, &count, err);
    for (size_t i = 0; good && i < count; i++)
        take(out, &found[i], x, y);
    image_fini(&room);
    mem_free(found);
    return good;
}

const struct sight *sights_best(const struct sights *sights, enum pole_context what) {
    for (size_t i = 0; i < sights->count; i++)
        if (sights->list[i].what == what)
            return &sights->list[i];
    return NULL;
}

static bool is_in(const struct text_line *line, struct box box) {
    struct box own = quad_box(&line->quad);
    float x = (own.x0 + own.x1) / 2, y = (own.y0 + own.y1) / 2;
    float wide = SLACK * box_width(box), tall = SLACK * box_height(box);
    return x >= box.x0 - wide && x <= box.x1 + wide && y >= box.y0 - tall && y <= box.y1 + tall;
}

struct holds { // texts in a box
    size_t all, plate, pole;
};

static struct holds texts_in(struct box box, const struct text_line *lines,
                             const enum text_class *classes, size_t count) {
    struct holds holds = {0};
    for (size_t i = 0; i < count; i++) {
        bool in = is_in(&lines[i], box);
        holds.all += in;
        holds.plate += in && classes[i] == TEXT_NAMEPLATE;
        holds.pole += in && classes[i] == TEXT_POLE;
    }
    return holds;
}

// What the texts in a box say that it is; UNKNOWN: they do not say.
static enum pole_context told_by(const struct holds *holds) {
    if (holds->plate >= PLATE_TEXTS)
        return CONTEXT_TRANSFORMER;
    return holds->pole > 0 && holds->plate == 0 && holds->all <= SIGN_TEXTS ? CONTEXT_POLE
                                                                            : CONTEXT_UNKNOWN;
}

void sights_settle(struct sights *sights, const struct text_line *lines,
                   const enum text_class *classes, size_t count) {
    struct sights kept = {.count = 0};
    for (size_t i = 0; i < sights->count; i++) {
        struct sight sight = sights->list[i];
        struct holds holds = texts_in(sight.box, lines, classes, count);
        enum pole_context told = told_by(&holds);
        sight.what = told == CONTEXT_UNKNOWN ? sight.what : told;
        if (sight.score >= SIGHT_SURE ||
            (told != CONTEXT_UNKNOWN && !sights_best(&kept, sight.what)))
            kept.list[kept.count++] = sight;
    }
    *sights = kept;
}

bool sight_holds_plate(const struct sight *sight, const struct text_line *lines,
                       const enum text_class *classes, size_t count) {
    size_t plate = 0, held = 0;
    for (size_t i = 0; i < count; i++) {
        if (classes[i] != TEXT_NAMEPLATE)
            continue;
        plate++;
        held += is_in(&lines[i], sight->box);
    }
    return plate >= PLATE_TEXTS && (float)held >= HELD * (float)plate;
}
