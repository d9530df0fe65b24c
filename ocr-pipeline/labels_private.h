// What the parts of labels.h share: a spelling, and a line while labels are looked for in it.
#pragma once

#include "labels.h"

enum { SPELLING_MAX = 48, SHORT = 5 };

struct spelling {
    char letters[SPELLING_MAX]; // as a skeleton; of a short one as they are
    size_t length;
    enum concept concept;
    size_t sign; // letters of the "Nº" that it begins with
    bool whole;  // ends with "Nº": never where a word goes on ("FABRICAÇÃO NOV/05")
    bool apart;  // ends with the N of a "Nº": nothing follows at once ("SÉRIE: N4214")
};
struct labels {
    struct spelling *spellings;
    size_t count, capacity;
};

// A line as a skeleton, and where in its text each letter came from.
struct skeleton {
    const struct folded *folded;
    char bones[FOLDED_MAX + 1];
    uint16_t at[FOLDED_MAX + 1];
    size_t count;
};

// A spelling that stands at a letter of the skeleton: where it ends in the text, and how many
// characters were not as in the table.
bool spelling_at(const struct spelling *spelling, const struct skeleton *skeleton, size_t start,
                 size_t *end, unsigned *edits);

// The first letters of a month, in Portuguese.
bool is_month(const char letters[3]);

static inline bool is_word_char(char c) { return is_letter(c) || is_digit(c) || c == 'o'; }

static inline size_t skip_blanks(const char *text, size_t at, size_t stop) {
    while (at < stop && text[at] == ' ')
        at++;
    return at;
}
