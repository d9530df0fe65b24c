// What may stand beside the labels of all that is no field. Values that only a field has are left
// for it: many a label that was guessed, or whose own value was not read, has one next to it.
#include "rules_private.h"

#include "date.h"
#include "fuse.h"
#include "voltage.h"

// "CLIENTE: 0328982-554594-2": words have no such values, though a customer's tag may be one.
static bool is_long_number(struct part part) {
    size_t digits = 0;
    for (size_t i = part.begin; i < part.end; i++)
        digits += is_digit(part.folded->text[i]);
    return digits >= 6 && digits * 2 > part.end - part.begin;
}

// "2016": a norm has its year behind its number.
static bool is_bare_year(struct part part) {
    struct date date;
    return part.end == part.begin + 4 && date_find(part, 2099, &date) && date.end == part.end &&
           date.begin == part.begin && date.swaps == 0;
}

// "804227-5": quantities have fewer digits.
static bool is_no_quantity(struct part part) {
    size_t run = 0, longest = 0;
    for (size_t i = part.begin; i < part.end; i++) {
        run = is_digit(part.folded->text[i]) ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest >= 6;
}

static bool ends_in_volts(struct part part, const struct low *low) {
    size_t end;
    return unit_at(part.folded->text, low->part.end, part.end, &end) == UNIT_V && end == part.end;
}

// "220/127 V", "34500/33500/32500": nothing else on a plate is that. "NBR 5440/2014 380/220 V" are
// two columns.
static bool is_voltages(const struct domains *domains, struct part part) {
    struct low low;
    struct taps taps;
    taps_find(domains, part, &taps);
    if (taps.count > 1)
        return taps.taps[0].part.begin == part.begin && volts_listed(domains, taps.taps[0].volts) &&
               volts_listed(domains, taps.taps[1].volts);
    return low_find(domains, part, &low) && domain_has(domains, DOMAIN_SECONDARY, low.text) &&
           (low.part.begin == part.begin || ends_in_volts(part, &low));
}

static bool is_fuse(const struct domains *domains, struct part part) {
    struct fuse fuse;
    return fuse_find(part, false, &fuse) && fuse.begin == part.begin && fuse.end == part.end &&
           domain_has(domains, DOMAIN_FUSE, fuse.text);
}

// "07/2012": no quantity, no material.
static bool is_month_and_year(struct part part) {
    struct date date;
    return date_find(part, 2099, &date) && date.month && !date.repaired &&
           date.begin == part.begin && date.end == part.end && part.end - part.begin >= 7;
}

// What stands beside a label of something else: its unit must not say that it is a field.
bool others_fits(const struct domains *domains, enum concept concept, struct part part) {
    static const unsigned MAY[CONCEPT_COUNT] = {
        [CONCEPT_FREQUENCY] = 1u << UNIT_HZ,  [CONCEPT_IMPEDANCE] = 1u << UNIT_PERCENT,
        [CONCEPT_MASS] = 1u << UNIT_KG,       [CONCEPT_OIL] = 1u << UNIT_LITRE | 1u << UNIT_KG,
        [CONCEPT_INSULATION] = 1u << UNIT_KV, [CONCEPT_RISE] = 1u << UNIT_CELSIUS,
        [CONCEPT_LOSSES] = 1u << UNIT_WATT,   [CONCEPT_CURRENT] = 1u << UNIT_A,
    };
    struct number number;
    size_t at = part.begin;
    if (concept == CONCEPT_PHRASE || (concept == CONCEPT_WORDS && is_long_number(part)))
        return false;
    if ((concept == CONCEPT_NUMBER && is_bare_year(part)) ||
        (concept == CONCEPT_CONNECTION && is_no_quantity(part)))
        return false;
    // A heading "LIGAÇÃO" has links below it; voltages beside it are another column's.
    bool words = concept == CONCEPT_CONNECTION || concept == CONCEPT_WORDS;
    if (is_voltages(domains, part) || ((MAY[concept] || words) && is_month_and_year(part)))
        return false;
    if (words && is_fuse(domains, part))
        return false;
    if (words && (voltages_fits(domains, UNIT_NONE, part) ||
                  (number_next(&part, &at, &number) && number.unit != UNIT_NONE &&
                   number.unit != UNIT_CELSIUS && number.unit != UNIT_OTHER)))
        return false;
    at = part.begin;
    if (!number_next(&part, &at, &number) || number.unit == UNIT_NONE || number.unit == UNIT_OTHER)
        return MAY[concept] == 0 || !is_no_quantity(part);
    if (number.unit == UNIT_KVA)
        return false;
    return MAY[concept] == 0 || (MAY[concept] & 1u << number.unit);
}
