// One photo through all stages: decode, find the plate, read its text, filter, rules, audit. What a
// stage needs is opened once; then several threads may read photos at the same time. Blocking, no
// I/O but opening.
#pragma once

#include "audit.h"
#include "base/err.h"
#include "config.h"
#include "filter.h"
#include "models.h"
#include "plate.h"
#include "sight.h"
#include "vision/text_reader.h"

#include <stddef.h>
#include <stdint.h>

struct pipeline;

// Networks are loaded: a second or so. `config` is borrowed. Errors say what is missing and how to
// get it.
struct pipeline *pipeline_create(const struct config *config, struct err *err);
void pipeline_destroy(struct pipeline *pipeline);               // NULL is fine
const char *pipeline_detector(const struct pipeline *pipeline); // of plates; for people

struct timings { // milliseconds; network_ms: of the others, inside the networks
    double decode_ms, plate_ms, read_ms, rules_ms, network_ms, total_ms;
};

// Where the plate is, and by what it was found.
enum plate_fallback {
    FALLBACK_NONE,         // the detector saw it
    FALLBACK_TEXT_DENSITY, // the texts that belong together and speak as a plate does
    FALLBACK_WHOLE_PHOTO,  // nothing looked like one
};
const char *plate_fallback_name(enum plate_fallback fallback); // "text_density"; NULL: none

struct plate_seen {
    char class_name[48]; // "placa_transformador"; "": none
    struct box box;      // empty: not known
    float score;         // of the detector; 0: it did not say
    enum plate_fallback fallback;
};

// What one photo gave. Everything is in pixels of the upright photo at its full size.
struct reading {
    char image_id[33]; // the same for the same bytes
    int width, height;
    struct text_page page;
    enum text_class *classes; // of each line
    struct sights sights;     // all that the detector saw, as the texts bear it out
    bool looked;              // a detector did
    bool identification;      // and saw the pole's own sign
    struct plate_seen seen;
    enum pole_context context; // whose texts they are (pole_id_context); a plate before a sign
    struct plate plate;
    struct stages stages; // what models did of it
    struct timings timings;
};

enum pipeline_area {
    AREA_PLATE, // the plate is what matters: one that is small in the photo is cut out of it
    AREA_WHOLE, // for what stands beside it
};

// `name` is for errors, which are image.h's (ERR_INVALID: not a picture; ERR_LIMIT), of a network
// that failed (ERR_SYSTEM) or of a model's server (model_server.h). What fails leaves `reading`
// empty.
bool pipeline_read(struct pipeline *pipeline, const void *bytes, size_t length, const char *name,
                   enum pipeline_area area, struct reading *reading, struct err *err);
// The same for somebody who may leave meanwhile (pipeline_recall, from any thread).
bool pipeline_read_for(struct pipeline *pipeline, const void *bytes, size_t length,
                       const char *name, enum pipeline_area area, const struct recall *recall,
                       struct reading *reading, struct err *err);
// Nobody waits for that photo any more: it gives up its place before the GPU, and its models' time.
void pipeline_recall(struct pipeline *pipeline, struct recall *recall);
struct models *pipeline_models(struct pipeline *pipeline);
// What speaks against values of several photos, once they stand together.
void pipeline_audit_pole(const struct pipeline *pipeline, struct plate *plate,
                         enum identification identification);
void reading_fini(struct reading *reading); // an empty one is fine
