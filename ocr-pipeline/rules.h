// From lines of text to the eleven fields, by rules that anybody can read: labels are paired with
// values by geometry, values belong to closed domains (domains.h). No network, no model, no I/O.
#pragma once

#include "plate.h"
#include "vision/text_reader.h"

struct domains; // makers, kVA, voltages, fuses: domains.h

// Fills plate->values and the reasons that reading alone can give (ambiguous value, value out of
// its domain by one character, two different values for one field). `lines` are those that the
// filter let through (filter.h), in pixels of the photo.
void rules_read(struct plate *plate, const struct text_line *lines, size_t count,
                const struct domains *domains);
