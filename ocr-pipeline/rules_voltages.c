// Primary and secondary voltage. The primary is the highest tap, in volts however it is printed
// ("13800/13200/12600", "13.800", "13,8 kV"); the secondary keeps both of its numbers.
#include "rules_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAPS_MAX = 12, PRIMARY_LEAST = 5000, PRIMARY_MOST = 37000 };

struct tap {
    int volts;
    struct part part;
    unsigned swaps;
    bool kilo;  // in kV
    bool split; // cut out of digits whose strokes were not read
};
struct taps {
    struct tap taps[TAPS_MAX];
    size_t count;
};

static bool is_listed(const struct domains *domains, int volts) {
    char text[16];
    snprintf(text, sizeof text, "%d", volts);
    return domain_has(domains, DOMAIN_PRIMARY, text) || domain_has(domains, DOMAIN_TAP, text);
}

static void add_tap(struct taps *taps, struct tap tap) {
    if (taps->count < TAPS_MAX)
        taps->taps[taps->count++] = tap;
}

// "13.8", "13,800", "7,967": kilovolts with a fraction. "13800": volts. "23 kV".
static int primary_volts(const struct number *number) {
    size_t whole = strlen(number->whole), fraction = strlen(number->fraction);
    double value = number_value(number);
    if (number->sign)
        return whole <= 2 && fraction <= 3 ? (int)lround(value * 1000) : 0;
    if (whole == 4 || whole == 5)
        return (int)value;
    return whole <= 2 && number->unit == UNIT_KV ? (int)value * 1000 : 0;
}

static int digits_value(const char *text, size_t count) {
    char digits[8];
    snprintf(digits, sizeof digits, "%.*s", (int)count, text);
    return (int)strtol(digits, NULL, 10);
}

// "138001320012600": taps of one length with nothing between them, or a stroke read as 1 or 7. All
// must be known, each lower than the one before.
static bool split_taps(const struct domains *domains, const struct number *number, size_t each,
                       size_t between, struct taps *taps, struct part part) {
    size_t length = strlen(number->whole), step = each + between;
    if (length < 2 * each + between || (length + between) % step != 0)
        return false;
    int last = PRIMARY_MOST;
    size_t before = taps->count;
    for (size_t at = 0; at < length; at += step) {
        int volts = digits_value(number->whole + at, each);
        bool stroke = between == 0 || at == 0 || strchr("17", number->whole[at - 1]);
        if (!stroke || volts >= last || !is_listed(domains, volts)) {
            taps->count = before;
            return false;
        }
        add_tap(taps, (struct tap){.volts = volts, .part = part, .split = true});
        last = volts;
    }
    return true;
}

// The taps of a part, as they stand.
static void find_taps(const struct domains *domains, struct part part, struct taps *taps) {
    struct number number;
    taps->count = 0;
    for (size_t at = part.begin; number_next(&part, &at, &number);) {
        struct part own = {part.folded, number.begin, number.end};
        int volts = primary_volts(&number);
        bool foreign = number.unit != UNIT_NONE && number.unit != UNIT_V &&
                       number.unit != UNIT_KV && number.unit != UNIT_OTHER;
        if (volts >= PRIMARY_LEAST && volts <= PRIMARY_MOST && !foreign)
            add_tap(taps, (struct tap){volts, own, number.swaps, number.unit == UNIT_KV, false});
        else if (strlen(number.whole) > 7)
            for (size_t each = 4; each <= 5; each++)
                if (split_taps(domains, &number, each, 0, taps, own) ||
                    split_taps(domains, &number, each, 1, taps, own))
                    break;
    }
}

// The highest; where the first is a usual primary, what is no usual tap was read wrong.
static const struct tap *highest(const struct domains *domains, const struct taps *taps) {
    const struct tap *best = NULL;
    bool usual = taps->count > 0 && is_listed(domains, taps->taps[0].volts);
    for (size_t i = 0; i < taps->count; i++)
        if ((!usual || is_listed(domains, taps->taps[i].volts)) &&
            (!best || taps->taps[i].volts > best->volts))
            best = &taps->taps[i];
    return best;
}

// The secondary: a pair of numbers, or one, each of three digits.
struct low {
    char text[24];
    struct part part;
    unsigned swaps;
    bool split, pair;
};

static int low_volts(const struct number *number) {
    double value = number_value(number);
    if (number->sign && number->whole[0] == '0' && !number->whole[1]) // "0,22 kV"
        return (int)lround(value * 1000);
    return !number->sign && strlen(number->whole) == 3 ? (int)value : 0;
}

static bool is_low(int volts) { return volts >= 100 && volts <= 480; }

static void put_pair(struct low *low, int a, int b) {
    snprintf(low->text, sizeof low->text, "%d/%d", a > b ? a : b, a > b ? b : a);
    low->pair = true;
}

// What may stand between the two numbers: a stroke and what it is misread as.
static bool is_joint(const struct part *part, size_t from, size_t to) {
    bool stroke = false;
    for (size_t i = from; i < to; i++) {
        char c = part->folded->text[i];
        if (!strchr(" /-|\\IYVK", c))
            return false;
        stroke |= strchr("/-|\\IY", c) != NULL; // "220Y127"
    }
    return stroke && to - from <= 5;
}

// "220127", "2201127": the stroke was not read, or as a 1 or 7.
static bool split_pair(const struct domains *domains, const struct number *number,
                       struct low *low) {
    size_t length = strlen(number->whole);
    if (number->sign || (length != 6 && length != 7) ||
        (length == 7 && !strchr("17", number->whole[3])))
        return false;
    put_pair(low, digits_value(number->whole, 3), digits_value(number->whole + length - 3, 3));
    low->split = true;
    return domain_has(domains, DOMAIN_SECONDARY, low->text);
}

static bool find_low(const struct domains *domains, struct part part, struct low *low) {
    struct number number, before = {0};
    *low = (struct low){.part = part};
    for (size_t at = part.begin; number_next(&part, &at, &number); before = number) {
        int volts = low_volts(&number), first = low_volts(&before);
        low->part = (struct part){part.folded, number.begin, number.end};
        low->swaps = number.swaps;
        if (is_low(volts) && is_low(first) && is_joint(&part, before.end, number.begin)) {
            put_pair(low, first, volts);
            low->part.begin = before.begin;
            low->swaps += before.swaps;
            return true;
        }
        if (split_pair(domains, &number, low))
            return true;
        *low = (struct low){.part = part};
    }
    return false;
}

// "880/220": a pair all the same, though no usual one; never one of its halves.
static bool find_odd_pair(struct part part, struct low *low) {
    struct number number, before = {0};
    *low = (struct low){.part = part};
    for (size_t at = part.begin; number_next(&part, &at, &number); before = number) {
        bool three =
            strlen(number.whole) == 3 && strlen(before.whole) == 3 && !number.sign && !before.sign;
        if (!three || !is_joint(&part, before.end, number.begin))
            continue;
        snprintf(low->text, sizeof low->text, "%s/%s", before.whole, number.whole);
        low->part = (struct part){part.folded, before.begin, number.end};
        low->swaps = number.swaps + before.swaps;
        low->pair = true;
        return true;
    }
    return false;
}

static bool stands_alone(struct part part, const struct number *number) {
    const char *text = part.folded->text;
    return (number->begin == part.begin || !strchr("/|\\Y", text[number->begin - 1])) &&
           (number->end >= part.end || !strchr("/|\\Y", text[number->end]));
}

// A secondary of one number: "220 V". Only beside a label.
static bool find_single(struct part part, struct low *low) {
    struct number number;
    size_t at = part.begin;
    *low = (struct low){.part = part};
    while (number_next(&part, &at, &number)) {
        bool foreign = number.unit != UNIT_NONE && number.unit != UNIT_V && number.unit != UNIT_KV;
        if (!is_low(low_volts(&number)) || foreign || !stands_alone(part, &number))
            continue;
        snprintf(low->text, sizeof low->text, "%d", low_volts(&number));
        low->part = (struct part){part.folded, number.begin, number.end};
        low->swaps = number.swaps;
        return true;
    }
    return false;
}

bool primary_fits(const struct domains *domains, enum unit unit, struct part part) {
    struct taps taps;
    find_taps(domains, part, &taps);
    return taps.count > 0 && unit != UNIT_A && unit != UNIT_PERCENT;
}

bool secondary_fits(const struct domains *domains, enum unit unit, struct part part) {
    struct low low;
    struct taps taps;
    if (unit == UNIT_A || unit == UNIT_PERCENT)
        return false;
    find_taps(domains, part, &taps);
    return find_low(domains, part, &low) || find_odd_pair(part, &low) ||
           (taps.count == 0 && find_single(part, &low));
}

bool voltages_fits(const struct domains *domains, enum unit unit, struct part part) {
    return primary_fits(domains, unit, part) || secondary_fits(domains, unit, part);
}

static bool tap_value(const struct domains *domains, struct part part, char *out, size_t size) {
    struct taps taps;
    find_taps(domains, part, &taps);
    if (taps.count > 0)
        snprintf(out, size, "%d", taps.taps[0].volts);
    return taps.count > 0;
}

static bool low_value(const struct domains *domains, struct part part, char *out, size_t size) {
    struct low low;
    if (!find_low(domains, part, &low) && !find_odd_pair(part, &low) && !find_single(part, &low))
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
            taps->taps[i].volts > tap->volts * .8 && is_listed(domains, taps->taps[i].volts))
            return true;
    return false;
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
    return rules_offer_listed(rules, &PRIMARY, text, line, tap->part, weight);
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
    find_taps(rules->domains, pair->part, &taps);
    if (high && (candidate = offer_taps(rules, line, &taps, pair->weight)))
        candidate->labelled = true;
    if (candidate && !low && is_torn(pair->part, &taps))
        candidate_doubt(candidate, "repaired", "the first tap was not read right");
    if (low &&
        (find_low(rules->domains, pair->part, &found) || find_odd_pair(pair->part, &found) ||
         find_single(after_taps(pair->part, &taps, high), &found)) &&
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

// The highest primary beside a label; past all taps when there is none.
static int labelled_volts(const struct rules *rules) {
    int most = 0;
    for (size_t i = 0; i < rules->count; i++) {
        const struct candidate *one = &rules->candidates[i];
        int volts = (int)strtol(one->text, NULL, 10);
        if (one->field == FIELD_TENSAO_PRIMARIA && one->labelled && volts > most)
            most = volts;
    }
    return most ? most : PRIMARY_MOST;
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

// Everywhere else: known taps, and how many different ones there are.
static void read_open_taps(struct rules *rules) {
    struct taps all = {0}, taps;
    size_t lines[TAPS_MAX];
    for (size_t i = 0; i < rules->sheet.count; i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        if (piece_is_label(piece))
            continue;
        find_taps(rules->domains, piece->part, &taps);
        for (size_t k = 0; k < taps.count && all.count < TAPS_MAX; k++)
            if (is_open(rules, piece->line, taps.taps[k].part) &&
                is_listed(rules->domains, taps.taps[k].volts)) {
                lines[all.count] = piece->line;
                add_tap(&all, taps.taps[k]);
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
    if (candidate && steps && tap->volts > labelled_volts(rules)) {
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
        if (piece_is_label(piece) || !find_low(rules->domains, piece->part, &low) || low.split ||
            !domain_has(rules->domains, DOMAIN_SECONDARY, low.text) ||
            !sheet_is_free(&rules->sheet, piece->line, low.part))
            continue;
        struct candidate *candidate = offer_low(rules, piece->line, &low, WEIGHT_PATTERN);
        size_t end;
        if (unit_at(low.part.folded->text, low.part.end, low.part.folded->length, &end) != UNIT_V)
            candidate_doubt(candidate, "unlabelled", "no label says what \"%s\" is",
                            candidate ? candidate->raw : "");
    }
}

// Of taps that go together the highest is the primary, however surely the others were read.
static void drop_lower_taps(struct rules *rules) {
    int most = 0;
    for (size_t i = 0; i < rules->count; i++) {
        const struct candidate *one = &rules->candidates[i];
        int volts = (int)strtol(one->text, NULL, 10);
        if (one->field == FIELD_TENSAO_PRIMARIA && one->labelled && !one->code[0] && volts > most)
            most = volts;
    }
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

// "220 V" as a line of its own, when nothing else says a secondary.
static void read_open_singles(struct rules *rules) {
    for (size_t i = 0; i < rules->sheet.count; i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        struct part part = part_trim(piece->part);
        struct number number;
        struct low low;
        if (piece_is_label(piece) || !number_at(&part, part.begin, false, &number) ||
            number.unit != UNIT_V || number.unit_end != part.end || !find_single(part, &low) ||
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
}
