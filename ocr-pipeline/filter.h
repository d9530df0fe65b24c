// What a photo's texts belong to. A photo of a pole shows more than the plate: the pole's number, a
// meter, a telecom company's tag, warnings, an inspector's sticker; their numbers and dates look
// like fields. Lines are grouped by where they stand, groups are judged by what they say, and only
// the plate's reach the rules. For the texts of a pole it is the other way round.
#pragma once

#include "domains.h"
#include "vision/geometry.h"
#include "vision/text_reader.h"

#include <stddef.h>

enum text_class {
    TEXT_NAMEPLATE, // the transformer's plate
    TEXT_METER,
    TEXT_POLE, // engraved in or painted on the pole, or on a sign of its own: its number
    TEXT_TELECOM,
    TEXT_OTHER, // warnings, inspections, advertising
};
const char *text_class_name(enum text_class text_class); // "nameplate"

// What the detector saw (pole_id_context): steers what is taken for what.
enum pole_context {
    CONTEXT_UNKNOWN,     // no detector, or it saw nothing
    CONTEXT_TRANSFORMER, // placa_transformador
    CONTEXT_POLE,        // placa_identificacao
};

struct filter_context {
    enum pole_context seen;
    struct box plate; // in pixels of the lines; empty (x1 == x0): not known
};

// One class a line. `context` NULL: nothing is known.
void filter_classify(const struct text_line *lines, size_t count,
                     const struct filter_context *context, const struct domains *domains,
                     enum text_class *classes);
// Copies the lines of one class, in their order; they still point into the caller's. How many.
size_t filter_keep(const struct text_line *lines, const enum text_class *classes, size_t count,
                   enum text_class wanted, struct text_line *out);
