// One photo through all stages: decode, find the plate, read its text. What a stage needs is
// opened once; then several threads may read photos at the same time. Blocking, no I/O but opening.
#pragma once

#include "base/err.h"
#include "config.h"
#include "vision/text_reader.h"

#include <stddef.h>
#include <stdint.h>

struct pipeline;

// Networks are loaded: a second or so. `config` is borrowed. Errors say what is missing and how to
// get it.
struct pipeline *pipeline_create(const struct config *config, struct err *err);
void pipeline_destroy(struct pipeline *pipeline); // NULL is fine

struct timings { // milliseconds; network_ms: of the others, inside the networks
    double decode_ms, plate_ms, read_ms, network_ms, total_ms;
};

// What one photo gave. Everything is in pixels of the upright photo at its full size.
struct reading {
    int width, height;
    struct text_page page;
    struct timings timings;
};

// `name` is for errors, which are image.h's (ERR_INVALID: not a picture; ERR_LIMIT) or of a network
// that failed (ERR_SYSTEM). What fails leaves `reading` empty.
bool pipeline_read(struct pipeline *pipeline, const void *bytes, size_t length, const char *name,
                   struct reading *reading, struct err *err);
void reading_fini(struct reading *reading); // an empty one is fine
