// Rated power: kVA, of a closed list. Painted, engraved or printed, with a comma or without.
#include "rules_private.h"

#include <stdio.h>
#include <string.h>

static bool is_comma_apart(const char *text, size_t end, size_t next) {
    end += text[end] == '.' || text[end] == ',';
    return end + 1 == next && text[end] == ' ';
}

// "112 5 kVA", "112. 5 kVA": a comma that was not read, or stands apart. The parts as one number,
// when the list knows it.
static bool join_fraction(const struct domains *domains, const struct part *part,
                          const struct number *number, struct number *before) {
    size_t at = part->begin;
    struct number one;
    bool found = false;
    while (number_next(part, &at, &one) && one.begin < number->begin) {
        *before = one;
        found = true;
    }
    if (!found || before->sign || number->sign || strlen(number->whole) != 1 ||
        !is_comma_apart(part->folded->text, before->end, number->begin))
        return false;
    char joined[48];
    snprintf(joined, sizeof joined, "%s.%s", before->whole, number->whole);
    if (!domain_has(domains, DOMAIN_KVA, joined))
        return false;
    snprintf(before->fraction, sizeof before->fraction, "%.1s", number->whole);
    before->sign = ',';
    before->end = number->end;
    before->swaps += number->swaps;
    return true;
}

// "112,5 kA", "225 kV", "37,5 kIA": beside the label of a power, a letter of the unit that was not
// read, or as another.
static bool is_torn_unit(const char *text) {
    text += *text == ' ';
    if (text[0] != 'K' || !is_letter(text[1]))
        return false;
    return !is_letter(text[2]) ? strchr("AV", text[1]) != NULL
                               : text[2] == 'A' && !is_letter(text[3]);
}

// "EM VA: 15": what is left of a label that was not read right.
static bool is_after_words(struct part part, size_t at) {
    for (size_t i = part.begin; i < at; i++)
        if (is_digit(part.folded->text[i]))
            return false;
    return at - part.begin <= 8;
}

// The number of a part that is a power: with its unit, or, beside a label, without any.
static bool find_power(const struct domains *domains, struct part part, enum unit unit,
                       bool labelled, struct number *number, bool *joined) {
    size_t at = part.begin;
    while (number_next(&part, &at, number)) {
        bool own = number->unit == UNIT_KVA;
        bool torn = (number->unit == UNIT_OTHER || number->unit == UNIT_KV) &&
                    is_torn_unit(part.folded->text + number->end);
        bool bare = labelled && (number->unit == UNIT_NONE || torn) &&
                    (unit == UNIT_NONE || unit == UNIT_KVA) && is_after_words(part, number->begin);
        if (!own && !bare)
            continue;
        struct number before;
        *joined = own && join_fraction(domains, &part, number, &before);
        if (*joined)
            *number = before;
        return true;
    }
    return false;
}

static void power_text(const struct number *number, char *out, size_t size) {
    number_text(number_value(number), out, size);
}

// "1.0 KVA": a speck that was read as a stop, of a power that the list has without.
static bool has_speck(const struct domains *domains, const struct number *number, char *text,
                      size_t size) {
    char whole[32];
    snprintf(whole, sizeof whole, "%.15s%.15s", number->whole, number->fraction);
    if (number->sign != '.' || domain_has(domains, DOMAIN_KVA, text) ||
        !domain_has(domains, DOMAIN_KVA, whole))
        return false;
    snprintf(text, size, "%s", whole);
    return true;
}

// "(50 KVA": a bracket that nothing closes may be a 1.
static bool is_after_bracket(const struct folded *folded, size_t at) {
    return at > 0 && folded->text[at - 1] == '(' && !strchr(folded->text + at, ')');
}

bool power_fits(const struct domains *domains, enum unit unit, struct part part) {
    struct number number;
    bool joined;
    char text[32];
    if (!find_power(domains, part, unit, true, &number, &joined))
        return false;
    if (number.unit == UNIT_KVA)
        return true;
    power_text(&number, text, sizeof text);
    return domain_has(domains, DOMAIN_KVA, text) || domain_near(domains, DOMAIN_KVA, text);
}

static bool power_value(const struct domains *domains, struct part part, char *out, size_t size) {
    struct number number;
    bool joined;
    if (!find_power(domains, part, UNIT_NONE, true, &number, &joined))
        return false;
    power_text(&number, out, size);
    return true;
}

static const struct listed POWER = {FIELD_POTENCIA_KVA, DOMAIN_KVA, power_value};

static struct candidate *offer(struct rules *rules, size_t line, struct part part, enum unit unit,
                               bool labelled, float weight) {
    struct number number;
    bool joined;
    char text[32];
    if (!find_power(rules->domains, part, unit, labelled, &number, &joined))
        return NULL;
    struct part at = {part.folded, number.begin, number.end};
    power_text(&number, text, sizeof text);
    bool speck = has_speck(rules->domains, &number, text, sizeof text);
    if (number.swaps)
        weight *= WEIGHT_SWAPPED;
    struct candidate *candidate = rules_offer_listed(rules, &POWER, text, line, at, weight);
    if (candidate)
        candidate->labelled = labelled;
    if (number.unit == UNIT_NONE && unit == UNIT_NONE && strcmp(text, "60") == 0)
        candidate_doubt(candidate, "ambiguous", "60 without kVA may be the frequency");
    if (is_after_bracket(part.folded, number.begin))
        candidate_doubt(candidate, "repaired", "the bracket before \"%s\" may be a digit", text);
    if (speck)
        candidate_doubt(candidate, "repaired", "the stop in \"%s\" was taken for a speck",
                        candidate ? candidate->raw : "");
    if (joined)
        candidate_doubt(candidate, "split_number", "\"%s\" was taken for one number",
                        candidate ? candidate->raw : "");
    at.end = number.unit_end > at.end ? number.unit_end : at.end;
    sheet_take(&rules->sheet, line, at, CONCEPT_POWER);
    return candidate;
}

// "NVA 225", "TENCA (AVA). 25": past a label whose last letters are a unit's.
static struct part without_unit(struct part part) {
    const char *text = part.folded->text;
    size_t at = part.begin, letters = part.begin;
    for (; at < part.end && !is_digit(text[at]); at++)
        letters = is_letter(text[at]) ? at + 1 : letters;
    bool unit = letters >= part.begin + 2 && !strncmp(text + letters - 2, "VA", 2);
    part.begin = unit ? letters : part.begin;
    return part_trim(part);
}

// A number of the list that is a part, but for a unit that was not read right ("25/V/A").
static bool is_power(const struct rules *rules, struct part part, struct number *number, char *text,
                     size_t size) {
    if (!number_at(&part, part.begin, false, number) || number->swaps ||
        number->end < part.begin + 2)
        return false;
    size_t rest = part.end - number->end;
    power_text(number, text, size);
    // "112,5 kV": no class of insulation.
    bool torn = is_torn_unit(part.folded->text + number->end) &&
                (number->unit == UNIT_OTHER || (number->unit == UNIT_KV && number->sign));
    if (number->unit != UNIT_NONE && !torn)
        return false;
    return domain_has(rules->domains, DOMAIN_KVA, text) && rest <= 5 &&
           strspn(part.folded->text + number->end, "KVA/.| ") >= rest;
}

// When nothing says a power, neither its label nor its unit were read: a number of the list that is
// a line of its own, or the last word of one. Positions of taps are numbers of one digit, too, so
// those are left alone.
static void read_open(struct rules *rules, bool worded) {
    for (size_t i = 0; i < rules->sheet.count && !rules_has(rules, FIELD_POTENCIA_KVA); i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        struct part part = without_unit(part_after_leaders(piece->part));
        struct number number;
        char text[32];
        part = worded ? part_trim(part_last_word(part)) : part;
        if (piece_is_label(piece) || !is_power(rules, part, &number, text, sizeof text) ||
            !sheet_is_free(&rules->sheet, piece->line, part))
            continue;
        struct candidate *candidate =
            rules_offer(rules, FIELD_POTENCIA_KVA, text, piece->line, part, WEIGHT_PATTERN);
        if (strcmp(text, "112.5") != 0) // nothing else on a plate is that
            candidate_doubt(candidate, "unlabelled", "neither label nor unit say what \"%s\" is",
                            text);
    }
}

// "POTEICARWA: 1125", "375": a comma that was not read, of a number that little else on a plate is.
static void read_without_comma(struct rules *rules) {
    for (size_t i = 0; i < rules->sheet.count && !rules_has(rules, FIELD_POTENCIA_KVA); i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        struct part part = part_after_leaders(piece->part);
        const char *text = part.folded->text + part.begin;
        size_t length = part.end - part.begin;
        bool large = length == 4 && !strncmp(text, "1125", 4);
        bool small = length == 3 && !strncmp(text, "375", 3);
        if (piece_is_label(piece) || (!large && !small) ||
            !sheet_is_free(&rules->sheet, piece->line, part))
            continue;
        struct candidate *candidate =
            rules_offer(rules, FIELD_POTENCIA_KVA, large ? "112.5" : "37.5", piece->line, part,
                        WEIGHT_SUGGESTED);
        candidate_doubt(candidate, "repaired", "read as \"%s\"", candidate ? candidate->raw : "");
        sheet_take(&rules->sheet, piece->line, part, CONCEPT_POWER);
    }
}

void rules_open_power(struct rules *rules) {
    read_open(rules, false);
    read_open(rules, true);
    read_without_comma(rules);
}

void rules_power(struct rules *rules) {
    const struct pair *pair;
    for (size_t at = 0; (pair = rules_next_value(rules, CONCEPT_POWER, &at));)
        offer(rules, rules_line(rules, pair), pair->part, rules_piece(rules, pair)->hit.unit, true,
              pair->weight);
    // A number with kVA behind it is a power wherever it stands.
    for (size_t i = 0; i < rules->sheet.count; i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        if (piece_is_label(piece))
            continue;
        struct number number;
        for (size_t at = piece->part.begin; number_next(&piece->part, &at, &number);)
            if (number.unit == UNIT_KVA &&
                sheet_taken(&rules->sheet, piece->line, number.begin) != CONCEPT_POWER) {
                offer(rules, piece->line, piece->part, UNIT_NONE, false, WEIGHT_UNIT);
                break;
            }
    }
}
