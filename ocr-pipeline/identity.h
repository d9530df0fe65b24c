// Numbers that identify: runs of letters, digits and the signs that they have inside, and what a
// registration looks like.
#pragma once

#include "domains.h"
#include "normalise.h"

#include <stdbool.h>
#include <stddef.h>

struct identity {
    struct part part;
    char text[32]; // without blanks
    size_t letters, digits;
    bool joined;   // over a blank
    bool repaired; // a dash was put in or in the place of another sign ("592742.5"), or digits left
};

// The first of a part that can be one, with what belongs to it; no voltages, no date, no CNPJ.
bool identity_find(struct part part, size_t least_digits, size_t most_letters,
                   struct identity *identity);

// INMETRO's: NNNNNN/YYYY, the year no later than this one.
bool registration_is(const char *text, const struct domains *domains);
// The first in full, whatever stands around it: "REGS 006146/2013", "E9OETRO018319/2013".
bool registration_find(struct part part, const struct domains *domains, struct identity *identity);
// A utility's long number: NNNNNNN-NNNNNN-N, whatever stands around it: "ONO-0566717-652875-0",
// "0432155-815811-525%".
bool tag_find_long(struct part part, struct identity *identity);
// Digits and a stroke: a letter there is a look-alike ("OI0770/2013"); of "0118292013" the stroke
// was not read, of "000937|2013" as another. True when it was changed.
bool registration_repair(struct identity *identity, const struct domains *domains);
