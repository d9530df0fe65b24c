// What speaks against a plate's values, whoever read them: out of their domain, at odds with each
// other, or read with doubt (whether the text bears out what a model says: claims.h). Nothing is
// changed; each doubt is a reason to look (plate_add_reason), so that no wrong value passes in
// silence.
//
//   code                  what it says
//   out_of_domain         the value is none of the closed list
//   low_confidence        a character of it was read with doubt
//   no_value              power, serial number or a voltage, which every plate says, was not read
//   fuse_mismatch         the fuse does not go with power and voltage
//   phases_mismatch       number of phases, secondary, primary or power do not go together
//   date_mismatch         the serial number's or the registration's year is not the date's
//   no_identification     a maker was read, but no placa_identificacao was seen
#pragma once

#include "domains.h"
#include "plate.h"

// Where a maker without a placa_identificacao seen is a reason to look. A close photo of a plate
// hardly ever shows the pole's sign as well; the photos of a pole together should.
enum identified { IDENTIFIED_BY_POLES, IDENTIFIED_BY_PHOTOS, IDENTIFIED_NOWHERE };

struct audit_options {
    // Of a value's least sure character: of numbers that may be anything, and of values that a
    // list, or the calendar, has borne out.
    float characters_least, listed_least;
    float confidence_least;   // of a value as a whole
    const char *fuse_utility; // whose fuse table holds strictly; NULL: none, only gross misfits
    enum identified identified;
};
extern const struct audit_options audit_defaults;

// Was the pole's own sign seen? UNKNOWN: nobody looked.
enum identification { IDENTIFICATION_UNKNOWN, IDENTIFICATION_SEEN, IDENTIFICATION_MISSING };

// Power, serial number or a voltage is missing.
bool audit_misses(const struct plate *plate);

void audit_plate(struct plate *plate, enum identification identification,
                 const struct audit_options *options, const struct domains *domains);
