// The words that announce values: those of the eleven fields in their many spellings, and those of
// everything else on a plate, so that a mass or an impedance is known for what it is and is no
// field. Found in text with missing blanks and misread letters.
#pragma once

#include "normalise.h"

#include <stdbool.h>
#include <stddef.h>

enum concept {
    CONCEPT_NONE,
    // Fields.
    CONCEPT_POWER,
    CONCEPT_MAKER,
    CONCEPT_SERIAL,
    CONCEPT_DATE,
    CONCEPT_MONTH, // of a date whose year stands elsewhere
    CONCEPT_FUSE,
    CONCEPT_PRIMARY,
    CONCEPT_SECONDARY,
    CONCEPT_VOLTAGES, // both, or a column of taps: "TENSÃO NOMINAL", "VOLTS"
    CONCEPT_PHASES,
    CONCEPT_SELF_PROTECTED,
    CONCEPT_TAG,
    CONCEPT_REGISTRATION,
    CONCEPT_FIELDS, // how many there are
    // What else plates and their neighbours say: never a field.
    CONCEPT_FREQUENCY = CONCEPT_FIELDS,
    CONCEPT_IMPEDANCE,
    CONCEPT_MASS,
    CONCEPT_OIL,
    CONCEPT_INSULATION, // NBI, class
    CONCEPT_RISE,
    CONCEPT_LOSSES,
    CONCEPT_CURRENT,
    CONCEPT_CONNECTION,
    CONCEPT_NUMBER, // drawing, norm, order, type: a number that is no serial
    CONCEPT_CNPJ,
    CONCEPT_OTHER_DATE, // tested, repaired, guaranteed until
    CONCEPT_WORDS,      // material, cooling, polarity: mostly no number
    CONCEPT_PHRASE,     // "fabricado no Brasil": says it all, has no value
    CONCEPT_COUNT
};

// What follows a label in brackets, or a number.
enum unit {
    UNIT_NONE,
    UNIT_KVA,
    UNIT_KV,
    UNIT_V,
    UNIT_A,
    UNIT_HZ,
    UNIT_PERCENT,
    UNIT_KG,
    UNIT_LITRE,
    UNIT_WATT,
    UNIT_CELSIUS,
    UNIT_OTHER, // metres, dB, ohms: nobody's here
};

// One spelling. Blanks and signs do not count; 'o' is a ring that may be missing.
struct label_data {
    const char *text;
    enum concept concept;
};
extern const struct label_data LABEL_DATA[], LABEL_ENGLISH[];
extern const size_t LABEL_DATA_COUNT, LABEL_ENGLISH_COUNT;

struct labels;
struct labels *labels_create(void); // the built-in ones
void labels_destroy(struct labels *labels);
// `text` as people write it, accents and all. False when it has fewer than two letters.
bool labels_add(struct labels *labels, const char *text, enum concept concept);

struct label_hit {
    size_t begin, end; // in the folded text, with the unit and "Nº" that belong to it
    enum concept concept;
    enum unit unit;   // "(kVA)"
    unsigned edits;   // characters that were not as in the table
    unsigned letters; // length of the spelling
    bool guessed;     // labels_guess: likely, not sure
};
enum { LABEL_HITS_MAX = 16 };
// The labels of a line, from the left; they do not overlap.
size_t labels_find(const struct labels *labels, const struct folded *folded,
                   struct label_hit hits[LABEL_HITS_MAX]);

// The label that a text without one begins with, when most of its letters were read right and no
// other comes near: for what small print in bad light is likely to say. Whoever uses it says so.
bool labels_guess(const struct labels *labels, struct part part, struct label_hit *hit);

// The unit that begins at `at` (blanks before it are skipped), and where it ends; UNIT_NONE leaves
// `end` alone. It must not run on into a word.
enum unit unit_at(const char *text, size_t at, size_t stop, size_t *end);
