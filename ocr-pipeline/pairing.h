// Which value belongs to which label: the nearest box right of the label that shares half of its
// height, else the nearest below it; above it, where a plate has its labels under its values. The
// order in which lines were read says nothing: a reader merges columns. A label that stands in
// between ends the search, and labels of everything that is no field take their values too, so that
// nobody else gets them.
#pragma once

#include "sheet.h"

enum pair_kind { PAIR_NONE, PAIR_INLINE, PAIR_RIGHT, PAIR_BELOW /* or above */ };

struct pair {
    size_t label;        // piece
    size_t value;        // piece; only when kind is not NONE, or blocked
    struct part part;    // of the value's piece
    enum pair_kind kind; // NONE: the label has no value
    float weight;        // how sure it is, 0..1
    bool blocked;        // kind NONE: something close beside it did not fit: `value`
};

// Does the text read as a value of that concept? `unit` is the label's.
typedef bool pair_fits_fn(void *arg, enum concept concept, enum unit unit, struct part part);

// One pair a label, in the order of pieces; the caller frees them (mem_free).
struct pair *pairs_find(const struct sheet *sheet, pair_fits_fn *fits, void *arg, size_t *count);
