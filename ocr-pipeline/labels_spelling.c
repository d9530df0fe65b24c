#include "labels_private.h"

#include <stdio.h>
#include <string.h>

// A long spelling may be read with faults; "MARCO" is no "MARCA".
static unsigned most_edits(size_t length) { return length <= SHORT ? 0 : length < 12 ? 1 : 2; }

// "ELO0,5H", "ANO2005": three letters that no serial number begins with.
static bool may_stick(const struct spelling *spelling) {
    enum concept concept = spelling->concept;
    return spelling->length >= 3 && (concept == CONCEPT_POWER || concept == CONCEPT_FUSE ||
                                     concept == CONCEPT_DATE || concept == CONCEPT_INSULATION);
}

// "AT13.800V", "BT220/127", "T.S11900/11400": a voltage follows at once; "N/S5512": no number
// begins like that.
static bool sticks_to(const struct spelling *spelling, const struct folded *folded, size_t at,
                      bool stroke) {
    size_t digits = 0;
    while (at + digits < folded->length && is_digit(folded->text[at + digits]))
        digits++;
    char next = at + digits < folded->length ? folded->text[at + digits] : ' ';
    switch (spelling->concept) {
    case CONCEPT_SERIAL: return stroke && digits > 2;
    case CONCEPT_PRIMARY: return digits == 4 || digits == 5 || (digits < 3 && strchr(".,", next));
    case CONCEPT_SECONDARY: return digits == 3 && strchr("/-V", next);
    case CONCEPT_VOLTAGES: return digits == 4 || digits == 5;
    default: return false;
    }
}

// A digit that was read for a letter.
static bool looks_like(char digit, char letter) {
    char digit_bone[2], letter_bone[2];
    return is_digit(digit) && is_letter(letter) &&
           skeleton_of(&digit, 1, digit_bone, NULL, sizeof digit_bone) == 1 &&
           skeleton_of(&letter, 1, letter_bone, NULL, sizeof letter_bone) == 1 &&
           digit_bone[0] == letter_bone[0];
}

// Short ones: as they are, a stop or stroke between letters at most ("A.T.", "N/S", "N. SER.").
static bool short_at(const struct spelling *spelling, const struct folded *folded, size_t at,
                     size_t *end) {
    bool stroke = false;
    unsigned swaps = 0; // "EL0", "F4BR."; "05" is no "O.S."
    if (at > 0 && is_letter(folded->text[at - 1]))
        return false;
    for (size_t i = 0; i < spelling->length; i++) {
        if (i > 0 && at < folded->length && strchr("./", folded->text[at])) {
            stroke |= folded->text[at] == '/';
            at += 1 + (folded->text[at] == '.' && folded->text[at + 1] == ' ');
        }
        if (at >= folded->length)
            return false;
        char c = folded->text[at++], wanted = spelling->letters[i];
        if (c != wanted && (!looks_like(c, wanted) || 3 * ++swaps > spelling->length))
            return false;
    }
    *end = at;
    // "MT-58947" is a serial number, "ELO-2H" and "N/S-5512" are labels with their values.
    bool goes_on = at + 1 < folded->length && folded->text[at] == '-' &&
                   is_digit(folded->text[at + 1]) && !may_stick(spelling) &&
                   !(stroke && spelling->concept == CONCEPT_SERIAL);
    bool month = spelling->concept == CONCEPT_DATE && spelling->length >= 3 &&
                 at + 4 < folded->length && is_month(folded->text + at) && // "DATAJUN/01"
                 strchr("/- .", folded->text[at + 3]);
    bool stuck = at < folded->length && is_digit(folded->text[at]) &&
                 is_letter(folded->text[at - 1]) &&
                 (may_stick(spelling) || sticks_to(spelling, folded, at, stroke));
    return !goes_on && (at >= folded->length || stuck || month || !is_word_char(folded->text[at]));
}

// "SÉRIETR-44120": the value of a label that it stuck to.
static bool is_number_ahead(const struct folded *folded, size_t at) {
    for (size_t i = at; i < folded->length && i < at + 4 && folded->text[i] != ' '; i++)
        if (is_digit(folded->text[i]))
            return true;
    return false;
}

bool is_month(const char letters[3]) {
    static const char MONTHS[] = "JAN FEV MAR ABR MAI JUN JUL AGO SET OUT NOV DEZ ";
    char word[5];
    snprintf(word, sizeof word, "%.3s ", letters);
    return strstr(MONTHS, word) != NULL;
}

// "MÊS/ANO: ABR" is no "MÊS/ANO FABR.": the month is the value's.
static bool ends_with_month(const char *text, size_t end) {
    return end >= 4 && !is_word_char(text[end - 4]) && is_month(text + end - 3);
}

// "Nº FAB. - R23557" is no "Nº FABR.": its last letter is the value's first.
static bool is_values(const char *text, size_t before, size_t last) {
    bool parted = false;
    for (size_t i = before; i < last; i++)
        parted |= strchr(" =:-", text[i]) != NULL;
    return parted && is_digit(text[last + 1]);
}

// "112,5 KVASÉRIE: 24109": the next column's label stuck to a unit.
static bool is_behind_unit(const char *text, size_t at) {
    return at > 3 && !strncmp(text + at - 3, "KVA", 3) &&
           (is_digit(text[at - 4]) || text[at - 4] == ' ');
}

static bool long_at(const struct spelling *spelling, const struct skeleton *skeleton, size_t start,
                    size_t *end, unsigned *edits) {
    const char *text = skeleton->folded->text;
    size_t first = skeleton->at[start], taken = 0;
    bool word = first == 0 || !is_letter(text[first - 1]) || is_behind_unit(text, first);
    bool long_enough = spelling->length > SHORT;
    unsigned most = word ? most_edits(spelling->length) : 0;
    if (!word && !long_enough)
        return false;
    // A first letter may be wrong in long ones, or not have been read at all ("ATRIMONIO").
    if (spelling->letters[0] != skeleton->bones[start] && spelling->length < 8 &&
        (!long_enough || spelling->letters[1] != skeleton->bones[start]))
        return false;
    // Without its "Nº" it is another one: "TRAFO" is a maker, "DE FABRICACAO" a date's.
    if (spelling->sign && skeleton->bones[start] == spelling->letters[spelling->sign])
        return false;
    *edits = edit_prefix(spelling->letters, spelling->length, skeleton->bones + start,
                         skeleton->count - start, most, &taken);
    if (*edits > most || taken == 0)
        return false;
    if (spelling->apart && skeleton->bones[start + taken - 1] != 'N') // "TRAFO" is a maker
        return false;
    size_t last = skeleton->at[start + taken - 1];
    char after = last + 1 < skeleton->folded->length ? text[last + 1] : ' ';
    // A label ends with a letter or a ring; a digit there would be the value's.
    if (!is_letter(text[last]) && text[last] != 'o' && (is_digit(after) || *edits > 0))
        return false;
    // "SÉRIA31720": the letter that the number stuck to may be its own.
    if (*edits > 0 && is_digit(after) &&
        skeleton->bones[start + taken - 1] != spelling->letters[spelling->length - 1])
        return false;
    *end = last + 1;
    size_t before = taken > 1 ? skeleton->at[start + taken - 2] : last;
    if ((*edits > 0 && (last > before + 1 || ends_with_month(text, *end))) ||
        is_values(text, before, last))
        return false;
    size_t next = skip_blanks(text, *end, skeleton->folded->length);
    if ((spelling->whole && is_letter(text[next]) && !is_number_ahead(skeleton->folded, next)) ||
        (spelling->whole && is_letter(after)) || (spelling->apart && is_word_char(after)))
        return false;
    return !is_letter(after) ||
           (*edits == 0 && (long_enough || is_number_ahead(skeleton->folded, last + 1)));
}

bool spelling_at(const struct spelling *spelling, const struct skeleton *skeleton, size_t start,
                 size_t *end, unsigned *edits) {
    *edits = 0;
    if (spelling->length >= SHORT)
        return long_at(spelling, skeleton, start, end, edits);
    return short_at(spelling, skeleton->folded, skeleton->at[start], end);
}
