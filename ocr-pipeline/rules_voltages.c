// Primary and secondary voltage. The primary is the highest tap, in volts however it is printed
// ("13800/13200/12600", "13.800", "13,8 kV"); the secondary keeps both of its numbers.
#include "rules_private.h"

#include "voltage.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool primary_fits(const struct domains *domains, enum unit unit, struct part part) {
    struct taps taps;
    taps_find(domains, part, &taps);
    return taps.count > 0 && unit != UNIT_A && unit != UNIT_PERCENT;
}

bool secondary_fits(const struct domains *domains, enum unit unit, struct part part) {
    struct low low;
    struct taps taps;
    if (unit == UNIT_A || unit == UNIT_PERCENT)
        return false;
    taps_find(domains, part, &taps);
    return low_find(domains, part, &low) || low_find_odd(part, &low) ||
           (taps.count == 0 && low_find_single(part, &low) &&
            domain_has(domains, DOMAIN_SECONDARY, low.text));
}

bool voltages_fits(const struct domains *domains, enum unit unit, struct part part) {
    return primary_fits(domains, unit, part) || secondary_fits(domains, unit, part);
}

// The highest; where the first is a usual primary, what is no usual tap was read wrong.
static const struct tap *highest(const struct domains *domains, const struct taps *taps) {
    const struct tap *best = NULL;
    bool usual = taps->count > 0 && volts_listed(domains, taps->taps[0].volts);
    for (size_t i = 0; i < taps->count; i++)
        if ((!usual || volts_listed(domains, taps->taps[i].volts)) &&
            (!best || taps->taps[i].volts > best->volts))
            best = &taps->taps[i];
    return best;
}

static bool tap_value(const struct domains *domains, struct part part, char *out, size_t size) {
    struct taps taps;
    taps_find(domains, part, &taps);
    if (taps.count > 0)
        snprintf(out, size, "%d", taps.taps[0].volts);
    return taps.count > 0;
}

static bool low_value(const struct domains *domains, struct part part, char *out, size_t size) {
    struct low low;
    if (!low_find(domains, part, &low) && !low_find_odd(part, &low) && !low_find_single(part, &low))
        return false;
    snprintf(out, size, "%s", low.text);
    return true;
}

static const struct listed PRIMARY = {FIELD_TENSAO_PRIMARIA, DOMAIN_PRIMARY, tap_value};
static const struct listed SECONDARY = {FIELD_TENSAO_SECUNDARIA, DOMAIN_SECONDARY, low_value};

static bool has_taps_beside(const struct domains *domains, const struct taps *taps,
                            const struct tap *tap) {
    for (size_t i = 0; i < taps->count; i++)
        if (&taps->taps[i] != tap && taps->taps[i].volts < tap->volts &&
            taps->taps[i].volts > tap->volts * .8 && volts_listed(domains, taps->taps[i].volts))
            return true;
    return false;
}

// A label's value, the number of phases perhaps; positions have a heading or none.
static bool is_answer(const struct rules *rules, size_t piece) {
    for (size_t i = 0; i < rules->pair_count; i++) {
        const struct pair *pair = &rules->pairs[i];
        if (pair->kind != PAIR_NONE && pair->value == piece &&
            rules_piece(rules, pair)->hit.concept != CONCEPT_CONNECTION)
            return true;
    }
    return false;
}

static float height_of(const struct quad *quad) {
    const struct point *c = quad->corners;
    return hypotf(c[3].x - c[0].x, c[3].y - c[0].y);
}

// "2  13200" as the highest: the row of the first tap was not read.
static bool is_later_row(const struct rules *rules, size_t line, struct part part) {
    struct quad quad = part_upright(part, &rules->sheet.lines[line]);
    float height = height_of(&quad);
    for (size_t i = 0; i < rules->sheet.count; i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        char digit = piece->part.folded->text[piece->part.begin];
        if (piece->part.end != piece->part.begin + 1 || digit < '2' || digit > '9' ||
            piece->height > 2 * height || is_answer(rules, i))
            continue;
        struct offset to = sheet_offset(&rules->sheet, piece->line, &piece->quad, line, &quad);
        if (to.overlap_y > .5f && to.right > 0 && to.right < 14 * piece->height)
            return true;
    }
    return false;
}

// "5-8", "13-16": the terminals that a tap links.
static bool is_link(struct part part) {
    const char *text = part.folded->text;
    size_t at = part.begin, before = 0, after = 0;
    for (; at < part.end && is_digit(text[at]); at++)
        before++;
    for (at++; at < part.end && is_digit(text[at]); at++)
        after++;
    return at == part.end && before >= 1 && before <= 2 && after >= 1 && after <= 2 &&
           text[part.begin + before] == '-';
}

// Its terminals have others above them in their column: those are the first tap's.
static bool is_below_link(const struct rules *rules, size_t line, struct part part) {
    const struct sheet *sheet = &rules->sheet;
    struct quad quad = part_upright(part, &sheet->lines[line]);
    const struct piece *own = NULL;
    for (size_t i = 0; i < sheet->count && !own; i++) {
        const struct piece *piece = &sheet->pieces[i];
        struct offset to = sheet_offset(sheet, line, &quad, piece->line, &piece->quad);
        if (is_link(piece->part) && to.overlap_y > .5f && to.right > 0 &&
            to.right < 14 * piece->height)
            own = piece;
    }
    for (size_t i = 0; i < sheet->count && own; i++) {
        const struct piece *piece = &sheet->pieces[i];
        struct offset to = sheet_offset(sheet, piece->line, &piece->quad, own->line, &own->quad);
        if (is_link(piece->part) && to.overlap_x > .3f && to.overlap_y < .5f && to.below > 0 &&
            to.below < 4 * own->height)
            return true;
    }
    return false;
}

// "U123100-22000": what stands before it was a tap, too.
static bool is_later_in_line(struct part part) {
    const char *text = part.folded->text;
    size_t at = part.begin, digits = 0;
    bool stroke = false;
    for (; at > 0 && strchr(" /-|", text[at - 1]); at--)
        stroke |= text[at - 1] != ' ';
    while (digits < at && is_digit(text[at - 1 - digits]))
        digits++;
    return stroke && digits >= 3;
}

static struct candidate *offer_taps(struct rules *rules, size_t line, const struct taps *taps,
                                    float weight) {
    const struct tap *tap = highest(rules->domains, taps);
    char text[16];
    if (!tap)
        return NULL;
    snprintf(text, sizeof text, "%d", tap->volts);
    if (tap->swaps)
        weight *= WEIGHT_SWAPPED;
    if (tap->split)
        weight *= WEIGHT_SWAPPED;
    for (size_t i = 0; i < taps->count; i++)
        sheet_take(&rules->sheet, line, taps->taps[i].part, CONCEPT_PRIMARY);
    struct candidate *candidate =
        rules_offer_listed(rules, &PRIMARY, text, line, tap->part, weight);
    if (is_later_row(rules, line, tap->part) || is_below_link(rules, line, tap->part) ||
        part_is_cut(tap->part, tap->part.begin))
        candidate_doubt(candidate, "repaired", "the first tap was not read");
    return candidate;
}

static struct candidate *offer_low(struct rules *rules, size_t line, const struct low *low,
                                   float weight) {
    if (low->swaps)
        weight *= WEIGHT_SWAPPED;
    if (low->split)
        weight *= WEIGHT_SWAPPED;
    sheet_take(&rules->sheet, line, low->part, CONCEPT_SECONDARY);
    return rules_offer_listed(rules, &SECONDARY, low->text, line, low->part, weight);
}

// "1919-19053-18187": a digit of the first tap was lost, so the highest is not what is left.
static bool is_torn(struct part part, const struct taps *taps) {
    struct number number;
    size_t at = part.begin;
    return taps->count > 0 && number_next(&part, &at, &number) &&
           number.begin < taps->taps[0].part.begin && strlen(number.whole) >= 3;
}

// Where a secondary of one number may stand: "7960 - 220", and nowhere beside taps alone.
static struct part after_taps(struct part part, const struct taps *taps, bool both) {
    if (taps->count > 0)
        part.begin = both ? taps->taps[taps->count - 1].part.end : part.end;
    while (taps->count > 0 && part.begin < part.end &&
           strchr(" /-V", part.folded->text[part.begin]))
        part.begin++;
    return part;
}

// "220" "127": the stroke between two boxes was not read.
static bool has_low_beside(const struct rules *rules, const struct piece *value) {
    for (size_t i = 0; i < rules->sheet.count; i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        struct number number;
        if (piece == value || piece_is_label(piece) || piece->line == value->line ||
            !number_at(&piece->part, piece->part.begin, false, &number) ||
            !is_low(low_volts(&number)) || number.unit_end != piece->part.end)
            continue;
        struct offset to =
            sheet_offset(&rules->sheet, value->line, &value->quad, piece->line, &piece->quad);
        if (to.overlap_y > .5f && fabsf(to.middle) < 14 * value->height)
            return true;
    }
    return false;
}

static void read_pair(struct rules *rules, const struct pair *pair, bool high, bool low) {
    size_t line = rules_line(rules, pair);
    struct taps taps;
    struct low found;
    struct candidate *candidate = NULL;
    taps_find(rules->domains, pair->part, &taps);
    if (high && (candidate = offer_taps(rules, line, &taps, pair->weight)))
        candidate->labelled = true;
    if (candidate && !low && is_torn(pair->part, &taps))
        candidate_doubt(candidate, "repaired", "the first tap was not read right");
    if (low &&
        (low_find(rules->domains, pair->part, &found) || low_find_odd(pair->part, &found) ||
         low_find_single(after_taps(pair->part, &taps, high), &found)) &&
        (candidate = offer_low(rules, line, &found, pair->weight))) {
        candidate->labelled = true;
        if (!found.pair && !found.split && has_low_beside(rules, &rules->sheet.pieces[pair->value]))
            candidate_doubt(candidate, "split_number", "there is another voltage beside \"%s\"",
                            candidate->raw);
    }
}

static void read_concept(struct rules *rules, enum concept concept, bool high, bool low) {
    const struct pair *pair;
    for (size_t at = 0; (pair = rules_next_value(rules, concept, &at));)
        read_pair(rules, pair, high, low);
}

// Numbers of a column of taps have no label of their own; positions and links beside them do.
static bool is_open(const struct rules *rules, size_t line, struct part part) {
    for (size_t i = part.begin; i < part.end; i++) {
        enum concept taken = sheet_taken(&rules->sheet, line, i);
        if (taken != CONCEPT_NONE && taken != CONCEPT_CONNECTION)
            return false;
    }
    return true;
}

// The highest primary beside a label, `surely` without any doubt; 0: there is none.
static int labelled_volts(const struct rules *rules, bool surely) {
    int most = 0;
    for (size_t i = 0; i < rules->count; i++) {
        const struct candidate *one = &rules->candidates[i];
        int volts = (int)strtol(one->text, NULL, 10);
        if (one->field == FIELD_TENSAO_PRIMARIA && one->labelled && volts > most &&
            !(surely && one->code[0]))
            most = volts;
    }
    return most;
}

// 24.2 and 25 kV are classes of insulation, unless they are all there is.
static void drop_classes(struct taps *taps, size_t *lines) {
    size_t kept = 0;
    for (size_t i = 0; i < taps->count; i++) {
        const struct tap *tap = &taps->taps[i];
        if (tap->kilo && (tap->volts == 24200 || tap->volts == 25000) && taps->count > 1)
            continue;
        lines[kept] = lines[i];
        taps->taps[kept++] = taps->taps[i];
    }
    taps->count = kept ? kept : taps->count;
}

// What distribution systems run at: a column begins with it.
static bool is_nominal(int volts) {
    static const int VOLTS[] = {7960, 7967, 13800, 19919, 23100, 34500};
    for (size_t i = 0; i < sizeof VOLTS / sizeof *VOLTS; i++)
        if (VOLTS[i] == volts)
            return true;
    return false;
}

// Everywhere else: known taps, and how many different ones there are.
static void read_open_taps(struct rules *rules) {
    struct taps all = {0}, taps;
    size_t lines[TAPS_MAX] = {0};
    for (size_t i = 0; i < rules->sheet.count; i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        if (piece_is_label(piece))
            continue;
        taps_find(rules->domains, piece->part, &taps);
        for (size_t k = 0; k < taps.count && all.count < TAPS_MAX; k++)
            if (is_open(rules, piece->line, taps.taps[k].part) &&
                volts_listed(rules->domains, taps.taps[k].volts)) {
                lines[all.count] = piece->line;
                taps_add(&all, taps.taps[k]);
            }
    }
    drop_classes(&all, lines);
    const struct tap *tap = highest(rules->domains, &all);
    if (!tap)
        return;
    bool steps = has_taps_beside(rules->domains, &all, tap);
    char text[16];
    snprintf(text, sizeof text, "%d", tap->volts);
    struct candidate *candidate =
        rules_offer_listed(rules, &PRIMARY, text, lines[tap - all.taps], tap->part,
                           steps ? WEIGHT_UNIT : WEIGHT_PATTERN);
    size_t line = lines[tap - all.taps];
    if (is_later_row(rules, line, tap->part) || is_below_link(rules, line, tap->part) ||
        is_later_in_line(tap->part) || part_is_cut(tap->part, tap->part.begin))
        candidate_doubt(candidate, "repaired", "the first tap was not read");
    // Columns have three taps or five: of two lines one may be missing, and it may be the first.
    if (all.count == 2 && lines[0] != lines[1] && all.taps[0].volts != all.taps[1].volts &&
        !is_nominal(tap->volts))
        candidate_doubt(candidate, "repaired", "there are two taps, a third may stand above");
    int labelled = labelled_volts(rules, false);
    if (candidate && steps && labelled && tap->volts > labelled) {
        candidate->labelled = true; // the label gave the nominal voltage, the table the highest
        candidate->weight = 1.1f;
    }
    // 24.2 kV is a class of insulation as well; a number alone may be anything.
    if (!steps && (!tap->kilo || tap->volts == 24200 || tap->volts == 25000))
        candidate_doubt(candidate, "unlabelled", "no label says what \"%s\" is",
                        candidate ? candidate->raw : "");
}

static void read_open_pairs(struct rules *rules) {
    struct low low;
    for (size_t i = 0; i < rules->sheet.count; i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        if (piece_is_label(piece) || !low_find(rules->domains, piece->part, &low) ||
            !domain_has(rules->domains, DOMAIN_SECONDARY, low.text) ||
            !sheet_is_free(&rules->sheet, piece->line, low.part))
            continue;
        struct candidate *candidate = offer_low(rules, piece->line, &low, WEIGHT_PATTERN);
        size_t end;
        if (low.split)
            candidate_doubt(candidate, "split_number", "the stroke of \"%s\" was not read",
                            low.text);
        if (unit_at(low.part.folded->text, low.part.end, low.part.folded->length, &end) != UNIT_V)
            candidate_doubt(candidate, "unlabelled", "no label says what \"%s\" is",
                            candidate ? candidate->raw : "");
    }
}

// Of taps that go together the highest is the primary, however surely the others were read.
static void drop_lower_taps(struct rules *rules) {
    int most = labelled_volts(rules, true);
    size_t kept = 0;
    for (size_t i = 0; i < rules->count; i++) {
        const struct candidate *one = &rules->candidates[i];
        int volts = (int)strtol(one->text, NULL, 10);
        if (one->field == FIELD_TENSAO_PRIMARIA && volts < most && volts > most * .75)
            continue;
        rules->candidates[kept++] = *one;
    }
    rules->count = kept;
}

// "J1380/220.V", "2220/1277": a usual pair within digits that ran into it, when nothing else says a
// secondary.
static void read_hidden_pairs(struct rules *rules) {
    for (size_t i = 0; i < rules->sheet.count; i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        const char *text = piece->part.folded->text;
        for (size_t at = piece->part.begin; at + 7 <= piece->part.end; at++) {
            struct low low;
            struct part part = {piece->part.folded, at, at + 7};
            if (text[at + 3] != '/' || piece_is_label(piece) ||
                !low_find(rules->domains, part, &low) || low.swaps ||
                !domain_has(rules->domains, DOMAIN_SECONDARY, low.text) ||
                !sheet_is_free(&rules->sheet, piece->line, part))
                continue;
            candidate_doubt(offer_low(rules, piece->line, &low, WEIGHT_PATTERN), "repaired",
                            "digits stuck to \"%s\"", low.text);
        }
    }
}

// "220 V", "220y", "220 V NBA....95 kV": a low voltage that a part begins with.
static bool find_first(struct part part, struct low *low) {
    const char *text = part.folded->text;
    struct number number;
    if (!number_at(&part, part.begin, false, &number))
        return false;
    bool misread = number.end + 1 == part.end && text[number.end] == 'Y';
    bool whole = number.unit == UNIT_V &&
                 (number.unit_end == part.end ||
                  (text[number.unit_end] == ' ' && is_letter(text[number.unit_end + 1])));
    part.end = misread ? number.end : number.unit_end;
    return (misread || whole) && low_find_single(part, low);
}

// The same as a line of its own, when nothing else says a secondary.
static void read_open_singles(struct rules *rules) {
    for (size_t i = 0; i < rules->sheet.count; i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        struct part part = part_trim(piece->part);
        struct part behind = part_trim(part_after_leaders(part));
        struct low low;
        if (piece_is_label(piece) || !(find_first(part, &low) || find_first(behind, &low)) ||
            !domain_has(rules->domains, DOMAIN_SECONDARY, low.text) ||
            !sheet_is_free(&rules->sheet, piece->line, low.part))
            continue;
        struct candidate *candidate = offer_low(rules, piece->line, &low, WEIGHT_PATTERN);
        candidate_doubt(candidate, "unlabelled", "no label says what \"%s\" is", low.text);
    }
}

void rules_voltages(struct rules *rules) {
    read_concept(rules, CONCEPT_PRIMARY, true, false);
    read_concept(rules, CONCEPT_SECONDARY, false, true);
    read_concept(rules, CONCEPT_VOLTAGES, true, true);
    read_open_taps(rules);
    drop_lower_taps(rules);
    if (!rules_has(rules, FIELD_TENSAO_SECUNDARIA))
        read_open_pairs(rules);
    if (!rules_has(rules, FIELD_TENSAO_SECUNDARIA))
        read_open_singles(rules);
    if (!rules_has(rules, FIELD_TENSAO_SECUNDARIA))
        read_hidden_pairs(rules);
}
