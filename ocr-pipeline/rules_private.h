// What the families of rules share: the sheet, its pairs, and the candidates that they offer. A
// family reads its own labels first, then what nobody's label took; rules.c chooses.
#pragma once

#include "domains.h"
#include "number.h"
#include "pairing.h"
#include "plate.h"
#include "rules.h"
#include "sheet.h"

enum { CANDIDATES_MAX = 96 };

struct candidate {
    enum field field;
    char text[64], raw[96];
    float confidence; // of the characters
    float doubt;      // of the most doubtful of them
    float weight;     // of pairing and domain
    struct box box;
    size_t line;
    struct part part;
    bool labelled;
    char code[32], why[160]; // a doubt that a person must settle; "" none
};

struct rules {
    struct sheet sheet;
    struct pair *pairs;
    size_t pair_count;
    const struct domains *domains;
    struct plate *plate;
    struct candidate candidates[CANDIDATES_MAX];
    size_t count;
};

// How sure a way of finding a value is.
#define WEIGHT_SWAPPED .9f   // a look-alike letter was read as a digit, and the list agrees
#define WEIGHT_UNIT .85f     // no label, but its unit stands beside it
#define WEIGHT_GUESSED .75f  // its label was guessed
#define WEIGHT_PATTERN .7f   // no label: it only looks like one
#define WEIGHT_SUGGESTED .5f // one character away from the list

// NULL when there is no room (a page full of numbers); the least sure make room for surer ones.
struct candidate *rules_offer(struct rules *rules, enum field field, const char *text, size_t line,
                              struct part part, float weight);
void candidate_doubt(struct candidate *candidate, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4))); // the first doubt stays; candidate may be NULL
// What a family makes of a part: the value as its list spells it.
typedef bool family_value_fn(const struct domains *domains, struct part part, char *out,
                             size_t size);
struct listed {
    enum field field;
    enum domain domain;
    family_value_fn *value;
};
// Offers a value of a closed list: as it is; as the one that a character's second choice makes of
// it; as the one that is one character away (with a doubt); or out of the list (with a doubt). A
// listed value is in doubt where a second choice makes another one of it.
struct candidate *rules_offer_listed(struct rules *rules, const struct listed *listed,
                                     const char *text, size_t line, struct part part, float weight);

// The pairs of a concept, one after the other; *at begins with 0. NULL: no more.
const struct pair *rules_next_pair(const struct rules *rules, enum concept concept, size_t *at);
// The same, those with a value only.
const struct pair *rules_next_value(const struct rules *rules, enum concept concept, size_t *at);
const struct piece *rules_piece(const struct rules *rules, const struct pair *pair);
// Takes and offers: the line of a pair's value.
size_t rules_line(const struct rules *rules, const struct pair *pair);
// Words that stand in the text of any line, as a skeleton ("TRIFASICO"), at most `edits` away.
// NULL part: not wanted.
bool rules_find_word(const struct rules *rules, const char *word, unsigned edits, size_t *line,
                     struct part *part);
bool rules_has(const struct rules *rules, enum field field);

typedef bool family_fits_fn(const struct domains *domains, enum unit unit, struct part part);
family_fits_fn power_fits, primary_fits, secondary_fits, voltages_fits, date_fits, month_fits,
    fuse_fits, serial_fits, tag_fits, registration_fits, maker_fits, phases_fits, protected_fits;
bool others_fits(const struct domains *domains, enum concept concept, struct part part);

void rules_power(struct rules *rules);
void rules_open_power(struct rules *rules); // without label and unit; after all others
void rules_voltages(struct rules *rules);
void rules_date(struct rules *rules);
void rules_fuse(struct rules *rules);
void rules_numbers(struct rules *rules);      // serial, asset tag, registration
void rules_open_numbers(struct rules *rules); // the same without labels; after all others
// A number that fills a part of a line, in letters of the plate's size: no year, no tap, no link of
// terminals ("13-16"), no drawing or norm.
struct identity;
bool rules_number_form(const struct rules *rules, const struct piece *piece, struct part part,
                       struct identity *identity);
// Nobody's, or behind a norm's number, whose label takes all there is: "ABNT NBR 5356 015797/2013".
bool rules_is_free_or_norms(const struct rules *rules, size_t line, struct part part);
void rules_maker(struct rules *rules);
void rules_phases(struct rules *rules);      // and self-protection; after the voltages
void rules_open_phases(struct rules *rules); // where neither label nor word was read; last
