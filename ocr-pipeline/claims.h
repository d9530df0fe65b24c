// What a model says of a plate, held against what was read: its values go through the very rules
// that read plates (rules.h), so that a list, a date or a voltage is judged the same whoever says
// it; and each must stand in the text that the reader read. Where rules and model differ the
// better supported value stays, and a person looks.
//
//   code              what it says
//   models_disagree   the rules and a model read different values
//   model_only        the rules did not find it, a model did, and it stands in the text
//   ungrounded        a model said it, and it does not stand in the text
#pragma once

#include "domains.h"
#include "plate.h"
#include "vision/text_reader.h"

#include <jansson.h>

struct claim {
    struct value value;      // text "": says nothing
    char code[32], why[160]; // the rules' doubt about it; "": none
};

struct claims {
    enum source source; // SOURCE_VLM, SOURCE_LLM
    struct claim claims[FIELD_COUNT];
};

// An object with keys of plate.h, values of any type: as printed ("13,8 kV") or as plate.h has them
// (13800). What is no value of its field, or says that there is none ("N/A"), is left out. How many
// of the keys were there.
size_t claims_from_json(struct claims *claims, enum source source, const json_t *object,
                        const struct domains *domains);
// "POTENCIA (kVA): 75": what such an object says of one field, as a plate would; the caller's.
// NULL: nothing.
char *claim_line(enum field field, const json_t *json);
// The values of a plate that another reader's text gave (rules_read), but those in doubt.
void claims_from_plate(struct claims *claims, enum source source, const struct plate *plate);

// Does the text have it? NEAR: but for one character, or what stands there is in doubt.
enum ground { GROUND_NONE, GROUND_NEAR, GROUND_WHOLE };
// `at`, where it stands: raw, box and confidence of it; filled when it is not NONE.
enum ground claim_ground(enum field field, const struct value *value, const struct text_line *lines,
                         size_t count, const struct domains *domains, struct value *at);

// Into what the rules made of `lines`. `leads`: the model's values go first where the text has them
// as well as the rules', and what it leaves out is left out.
void claims_merge(struct plate *plate, const struct claims *claims, bool leads,
                  const struct text_line *lines, size_t count, const struct domains *domains);
