// Manufacturing date, YYYY-MM or YYYY. Only beside its label, or alone on the plate: dates of
// tests, repairs and guarantees have labels of their own, and norms carry years ("NBR 5440/2014").
#include "rules_private.h"

#include "date.h"

#include <stdio.h>
#include <string.h>

#define WEIGHT_BRIEF .8f // of what stands beside a label that does not say which date it is

bool date_fits(const struct domains *domains, enum unit unit, struct part part) {
    struct date date;
    int year, month;
    (void)unit;
    domains_today(domains, &year, &month);
    return date_find(part, year, &date);
}

// "08" beside "MÊS": a month alone; 0: none.
static int month_in(struct part part) {
    struct number number;
    size_t at = part.begin;
    if (!number_next(&part, &at, &number) || number.begin != part.begin || number.end != part.end ||
        number.sign || strlen(number.whole) > 2)
        return 0;
    double month = number_value(&number);
    return month >= 1 && month <= 12 ? (int)month : 0;
}

bool month_fits(const struct domains *domains, enum unit unit, struct part part) {
    (void)domains, (void)unit;
    return month_in(part) > 0;
}

static void date_text(const struct date *date, char *out, size_t size) {
    if (date->month)
        snprintf(out, size, "%04d-%02d", date->year, date->month);
    else
        snprintf(out, size, "%04d", date->year);
}

// "23/02/20": of a blurred 23/02/2014 the last digits are not seen.
static bool may_be_cut(struct part at, const struct date *date) {
    const char *year = at.folded->text + at.end - 2;
    return date->month && at.end >= at.begin + 3 && !is_digit(year[-1]) &&
           (!strncmp(year, "19", 2) || !strncmp(year, "20", 2));
}

static struct candidate *offer(struct rules *rules, size_t line, struct part part, float weight) {
    struct date date;
    char text[16];
    int year, month;
    domains_today(rules->domains, &year, &month);
    if (!date_find(part, year, &date))
        return NULL;
    struct part at = {part.folded, date.begin, date.end};
    if (!date_is_past(&date, year, month)) {
        char raw[40];
        part_raw(at, &rules->sheet.lines[line], raw, sizeof raw);
        plate_add_reason(rules->plate, FIELD_DATA_FABRICACAO, "date_implausible",
                         "\"%s\" is no date of the past", raw);
        return NULL;
    }
    date_text(&date, text, sizeof text);
    struct candidate *candidate = rules_offer(rules, FIELD_DATA_FABRICACAO, text, line, at,
                                              date.swaps ? weight * WEIGHT_SWAPPED : weight);
    if (date.repaired)
        candidate_doubt(candidate, "repaired", "a part of \"%s\" was not read right",
                        candidate ? candidate->raw : "");
    if (may_be_cut(at, &date))
        candidate_doubt(candidate, "ambiguous", "\"%s\" may be cut before the year's end",
                        candidate ? candidate->raw : "");
    sheet_take(&rules->sheet, line, at, CONCEPT_DATE);
    return candidate;
}

// "4-13" is a link of terminals: without a label the year has four digits, or the month a name.
static bool is_plain(struct part part) {
    size_t digits = 0;
    for (size_t i = part.begin; i < part.end; i++) {
        digits = is_digit(part.folded->text[i]) ? digits + 1 : 0;
        if (digits == 4 || is_letter(part.folded->text[i]))
            return true;
    }
    return false;
}

// "NBR 5440/2014 09/01/2004": day, month and year may stand behind a norm's number.
static bool is_free(const struct rules *rules, size_t line, struct part at) {
    return at.end - at.begin == 10 ? rules_is_free_or_norms(rules, line, at)
                                   : sheet_is_free(&rules->sheet, line, at);
}

// A date that nobody's label took, with a month: one only, and a person looks at it.
static void read_open(struct rules *rules) {
    struct date date;
    int year, month;
    domains_today(rules->domains, &year, &month);
    for (size_t i = 0; i < rules->sheet.count; i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        if (piece_is_label(piece) || !date_find(piece->part, year, &date) || !date.month ||
            date.repaired || !date_is_past(&date, year, month))
            continue;
        struct part at = {piece->part.folded, date.begin, date.end};
        if (!is_plain(at) || !is_free(rules, piece->line, at))
            continue;
        bool cut = at.end - at.begin < 7; // "5/2014": a part of something longer, perhaps
        candidate_doubt(offer(rules, piece->line, at, WEIGHT_PATTERN * (cut ? WEIGHT_BRIEF : 1)),
                        "unlabelled", "no label says what date this is");
    }
}

// "2005", "04/13": a date that is a line of its own, when there is no better one. Links of
// terminals have a dash ("4-13").
static bool is_brief(struct part part, const struct date *date) {
    size_t length = part.end - part.begin;
    bool whole = date->begin == part.begin && date->end == part.end && date->swaps == 0;
    return whole && (length == 4 ? date->month == 0
                                 : length == 5 && part.folded->text[part.begin + 2] == '/');
}

// "IO PE FAERICACLO 2020", "DATAFA04/17", "O05/14": past what is before it. A year has words.
static struct part after_words(struct part part) {
    const char *text = part.folded->text;
    size_t letters = 0;
    for (size_t at = part.begin; at < part.end && !is_digit(text[at]); at++)
        letters += is_letter(text[at]);
    bool stroke = part.end >= part.begin + 5 && text[part.end - 3] == '/';
    while (letters >= (stroke ? 1 : 4) && part.begin < part.end && !is_digit(text[part.begin]))
        part.begin++;
    return part_trim(part);
}

// "NG 2011", "7/BR.. 2002": a year behind what is left of a label; norms have four digits before
// theirs.
static struct part year_behind(struct part part) {
    const char *text = part.folded->text;
    struct part last = part_trim(part_last_word(part));
    size_t letters = 0, digits = 0;
    for (size_t at = part.begin; at < last.begin; at++) {
        letters += is_letter(text[at]);
        digits += is_digit(text[at]);
    }
    return letters >= 2 && digits <= 1 && last.end == last.begin + 4 ? last : part;
}

static void read_open_brief(struct rules *rules, bool worded) {
    struct date date;
    int year, month;
    domains_today(rules->domains, &year, &month);
    for (size_t i = 0; i < rules->sheet.count; i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        struct part part = part_after_leaders(piece->part);
        part = worded ? after_words(part) : part;
        part = worded ? year_behind(part) : part;
        if (piece_is_label(piece) || !date_find(part, year, &date) || !is_brief(part, &date) ||
            !date_is_past(&date, year, month) || !sheet_is_free(&rules->sheet, piece->line, part))
            continue;
        candidate_doubt(offer(rules, piece->line, part, WEIGHT_PATTERN), "unlabelled",
                        "no label says what date this is");
    }
}

// The month that a label of its own tells.
static void add_month(const struct rules *rules, struct candidate *candidate) {
    size_t at = 0;
    const struct pair *pair = rules_next_value(rules, CONCEPT_MONTH, &at);
    size_t length = strlen(candidate->text);
    if (pair && length == 4)
        snprintf(candidate->text + length, sizeof candidate->text - length, "-%02d",
                 month_in(pair->part));
}

void rules_date(struct rules *rules) {
    const struct pair *pair;
    for (size_t at = 0; (pair = rules_next_value(rules, CONCEPT_DATE, &at));) {
        // "DATA" alone is on stickers and reports as well.
        bool brief = rules_piece(rules, pair)->hit.letters <= 4;
        struct candidate *candidate = offer(rules, rules_line(rules, pair), pair->part,
                                            pair->weight * (brief ? WEIGHT_BRIEF : 1));
        if (!candidate)
            continue;
        candidate->labelled = true;
        add_month(rules, candidate);
    }
    if (!rules_has(rules, FIELD_DATA_FABRICACAO))
        read_open(rules);
    if (!rules_has(rules, FIELD_DATA_FABRICACAO))
        read_open_brief(rules, false);
    if (!rules_has(rules, FIELD_DATA_FABRICACAO))
        read_open_brief(rules, true);
}
