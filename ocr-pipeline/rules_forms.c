// What a number that no label speaks for may be by its form and place.
#include "rules_private.h"

#include "identity.h"
#include "voltage.h"

#include <stdlib.h>
#include <string.h>

// A number so much larger than the rest is a pole's, in heights of text.
#define POLE_HEIGHT 1.9f
// How far the five taps of a column reach below its heading, in heights of text.
#define VOLTS_REACH 10

// One of the taps, one of which is known, or a voltage of the lists.
static bool is_tap(const struct rules *rules, const char *text) {
    long volts = strtol(text, NULL, 10);
    if (strlen(text) > 6)
        return false;
    bool torn = strlen(text) == 4 && volts_listed(rules->domains, (int)volts * 10); // "1380"
    if (torn || domain_has(rules->domains, DOMAIN_PRIMARY, text) ||
        domain_has(rules->domains, DOMAIN_TAP, text))
        return true;
    // "18800" is no tap, but what a tap was read as; of "3200" the first digit was not.
    if ((strlen(text) == 5 && volts > 5000 && volts < 37000 && volts % 100 == 0) ||
        (strlen(text) == 4 && volts % 100 == 0))
        return true;
    for (size_t i = 0; i < rules->count; i++) {
        long primary = strtol(rules->candidates[i].text, NULL, 10);
        if (rules->candidates[i].field == FIELD_TENSAO_PRIMARIA && volts % 10 == 0 &&
            volts * 100 >= primary * 70 && volts * 100 <= primary * 106)
            return true;
    }
    return false;
}

// "75001-C": drawings have their letter behind; of "D21443-A" the first is their label's.
static bool is_drawing(const char *text) {
    size_t length = strlen(text);
    if (length >= 8 && text[length - 2] == '-' && is_letter(text[length - 1])) // "D201-00397-B"
        return true;
    text += is_letter(text[0]);
    size_t digits = strspn(text, "0123456789");
    return digits >= 4 && text[digits] == '-' && is_letter(text[digits + 1]) && !text[digits + 2];
}

// "NBR 5440/2014", whose first word was read as something else.
static bool is_norm(const char *text) {
    return !strncmp(text, "5440/", 5) || !strcmp(text, "5440") || !strncmp(text, "5356", 4);
}

// In the column under "VOLTS": a tap, whatever was made of it ("1280").
static bool is_in_volts(const struct rules *rules, const struct piece *piece) {
    for (size_t i = 0; i < rules->sheet.count; i++) {
        const struct piece *label = &rules->sheet.pieces[i];
        if (label->hit.concept != CONCEPT_VOLTAGES || !piece_is_label(label))
            continue;
        struct offset to =
            sheet_offset(&rules->sheet, label->line, &label->quad, piece->line, &piece->quad);
        if (to.overlap_x > .6f && to.overlap_y < .5f && to.below > -.5f * label->height &&
            to.below < VOLTS_REACH * label->height)
            return true;
    }
    return false;
}

// "50/55C": a rise of temperature, the sign of whose degrees was not read.
static bool is_rise(const char *text) {
    return strlen(text) == 6 && text[2] == '/' && text[5] == 'C';
}

bool rules_number_form(const struct rules *rules, const struct piece *piece, struct part part,
                       struct identity *identity) {
    if (piece_is_label(piece) || piece->height > POLE_HEIGHT * rules->sheet.height ||
        part_is_empty(part) || !identity_find(part, 4, 2, identity) || identity->joined ||
        identity->part.begin != part.begin || identity->part.end != part.end)
        return false;
    long value = identity->digits == 4 ? strtol(identity->text, NULL, 10) : 0;
    bool brief = identity->digits == 4 && identity->letters == 0 &&
                 (identity->text[4] || (value >= 1950 && value <= 2099));
    bool short_number = identity->letters == 0 && identity->digits <= 5 && !identity->text[5];
    if (short_number && is_in_volts(rules, piece))
        return false;
    return !brief && !strchr(identity->text, '.') && !is_tap(rules, identity->text) &&
           !is_drawing(identity->text) && !is_norm(identity->text) && !is_rise(identity->text);
}

bool rules_is_free_or_norms(const struct rules *rules, size_t line, struct part part) {
    return sheet_is_free(&rules->sheet, line, part) ||
           sheet_taken(&rules->sheet, line, part.begin) == CONCEPT_NUMBER;
}
