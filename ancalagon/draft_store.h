// What was learned about drafts, by preset, model, draft and engine build: the gain that was
// measured, how many guesses are right in use, and whether it was given up. In drafts.json of the
// state folder, written by the server and by the commands that measure.
#pragma once

#include "base/err.h"
#include "engine/dialect.h"

#include <stdbool.h>

struct draft_key {
    const char *preset, *model; // name; path
    const char *draft;          // path, or DRAFT_STORE_HEAD
    const char *engine;         // draft_store_engine
};

#define DRAFT_STORE_HEAD "mtp" // the model's own multi-token head

struct draft_record {
    double measured_gain;   // decoding speed with over without; 0: not measured
    double measured_tokens; // a step gave then; 0: unknown
    unsigned measured_n;    // tokens guessed at once then; 0: unknown
    double acceptance;      // chance of one guess to be right, as seen in use; negative: unknown
    bool off;               // it did not pay
    char why[160];          // ... because
};

// Of a build: its number, else what it says of itself.
void draft_store_engine(const struct dialect *dialect, char *text, size_t size);

// False, and an empty record, when nothing is known.
bool draft_store_get(const struct draft_key *key, struct draft_record *out);
// Replaces what is there for this key; the other entries stay.
bool draft_store_put(const struct draft_key *key, const struct draft_record *record,
                     struct err *err);
