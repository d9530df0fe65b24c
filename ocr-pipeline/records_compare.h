// A plate beside its record: field by field, and the power of a bank as a whole.
#pragma once

#include "plate.h"
#include "records.h"

enum match {
    MATCH_UNKNOWN, // one side says nothing
    MATCH_SAME,
    MATCH_NEAR, // power within the tolerance, a date of the same year where one has no month
    MATCH_DIFFERENT
};
const char *match_name(enum match match); // "same"

struct comparison {
    enum match fields[FIELD_COUNT];
    // Two or more distinct images of transformers' plates are a bank of transformers, which the
    // records know as one power: the plate's is taken times the number of units.
    bool banco_trafo;
    unsigned units; // 1 when it is no bank
    double kva;     // of all units by the plate; 0: not known
};
#define RECORDS_TOLERANCE .05 // of power

// Differences become reasons of the plate ("records_differ"); its values stay as they were read.
void records_compare(const struct record *record, double tolerance, struct plate *plate,
                     struct comparison *comparison);
// "key: {match, record}" a field, "banco_trafo", "units", "kva_total".
json_t *comparison_json(const struct record *record, const struct comparison *comparison);
