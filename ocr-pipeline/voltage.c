#include "voltage.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool volts_listed(const struct domains *domains, int volts) {
    char text[16];
    snprintf(text, sizeof text, "%d", volts);
    return domain_has(domains, DOMAIN_PRIMARY, text) || domain_has(domains, DOMAIN_TAP, text);
}

void taps_add(struct taps *taps, struct tap tap) {
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
        if (!stroke || volts >= last || !volts_listed(domains, volts)) {
            taps->count = before;
            return false;
        }
        taps_add(taps, (struct tap){.volts = volts, .part = part, .split = true});
        last = volts;
    }
    return true;
}

// "34 5 kV": a comma that was not read; 0: none.
static int volts_of_two(const struct domains *domains, struct part part,
                        const struct number *before, const struct number *number) {
    bool apart = number->begin == before->end + 1 && part.folded->text[before->end] == ' ';
    if (!apart || number->unit != UNIT_KV || number->sign || before->sign ||
        strlen(before->whole) > 2 || strlen(number->whole) != 1)
        return 0;
    int volts = digits_value(before->whole, 2) * 1000 + digits_value(number->whole, 1) * 100;
    return volts_listed(domains, volts) ? volts : 0;
}

// The taps of a part, as they stand.
void taps_find(const struct domains *domains, struct part part, struct taps *taps) {
    struct number number, before = {0};
    taps->count = 0;
    for (size_t at = part.begin; number_next(&part, &at, &number); before = number) {
        struct part own = {part.folded, number.begin, number.end};
        int volts = primary_volts(&number), both = volts_of_two(domains, part, &before, &number);
        if (both) {
            own.begin = before.begin;
            taps_add(taps, (struct tap){both, own, number.swaps + before.swaps, true, true});
            continue;
        }
        bool foreign = number.unit != UNIT_NONE && number.unit != UNIT_V &&
                       number.unit != UNIT_KV && number.unit != UNIT_OTHER;
        if (volts >= PRIMARY_LEAST && volts <= PRIMARY_MOST && !foreign)
            taps_add(taps, (struct tap){volts, own, number.swaps, number.unit == UNIT_KV, false});
        else if (strlen(number.whole) > 7)
            for (size_t each = 4; each <= 5; each++)
                if (split_taps(domains, &number, each, 0, taps, own) ||
                    split_taps(domains, &number, each, 1, taps, own))
                    break;
    }
}

int low_volts(const struct number *number) {
    double value = number_value(number);
    if (number->sign && number->whole[0] == '0' && !number->whole[1]) // "0,22 kV"
        return (int)lround(value * 1000);
    return !number->sign && strlen(number->whole) == 3 ? (int)value : 0;
}

bool is_low(int volts) { return volts >= 100 && volts <= 480; }

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

bool low_find(const struct domains *domains, struct part part, struct low *low) {
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
bool low_find_odd(struct part part, struct low *low) {
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
    return !part_is_cut(part, number->begin) &&
           (number->begin == part.begin || !strchr("/|\\Y", text[number->begin - 1])) &&
           (number->end >= part.end || !strchr("/|\\Y", text[number->end]));
}

// A secondary of one number: "220 V". Only beside a label.
bool low_find_single(struct part part, struct low *low) {
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
