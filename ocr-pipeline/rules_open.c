// Numbers that identify, where their labels were not read: what their form, their place and the
// rest of the plate make of them. A person looks at each.
#include "rules_private.h"

#include "date.h"
#include "identity.h"

#include <stdlib.h>
#include <string.h>

enum { TAG_BRIEF = 9 }; // digits of the shorter kind of tags; a CNPJ has more

// A number that goes on from there to the end: "48480029", "43856-0", "4232/2001".
static bool is_number_to_end(struct part part, size_t at) {
    const char *text = part.folded->text;
    size_t digits = 0;
    while (at + digits < part.end && is_digit(text[at + digits]))
        digits++;
    at += digits;
    bool more =
        digits >= 4 && at + 1 < part.end && strchr("/-", text[at]) && is_digit(text[at + 1]);
    while (at < part.end && (is_digit(text[at]) || strchr("/-", text[at])))
        at++;
    return (digits >= 5 || more) && at == part.end;
}

// "E 48480029", "5E 43856-0", "FAR. 5668544", "NºST8E 96175651": past what is left of a label, but
// for a norm's.
static struct part without_word(struct part part) {
    const char *text = part.folded->text;
    size_t at = part.begin, letters = 0, digits = 0;
    for (; at < part.end && text[at] != ' '; at++) {
        letters += is_letter(text[at]);
        digits += is_digit(text[at]);
    }
    bool sign = text[part.begin] == 'N' && text[part.begin + 1] == 'o';
    bool brief = letters >= 1 && letters >= digits && (sign || letters + digits <= 3);
    bool norm = strstr(text + at, "440/") != NULL;
    if (brief && !norm && at + 1 < part.end && is_number_to_end(part, at + 1))
        part.begin = at + 1;
    return part;
}

// The letters stand in the word one behind another: "ERE" of "SÉRIE".
static bool is_rest_of(const char *letters, size_t count, const char *word) {
    size_t found = 0;
    for (; *word && found < count; word++)
        found += *word == letters[found];
    return found == count;
}

// How many letters of "SÉRIE" are left before a number: "ERE3918190", and "SRER3930", whose last
// one is the number's own.
static size_t rest_of_serial(const char *text, size_t letters) {
    static const char LABEL[] = "NoSERIE";
    if (letters >= 3 && is_rest_of(text, letters, LABEL))
        return letters;
    return letters >= 4 && is_rest_of(text, letters - 1, LABEL) ? letters - 1 : 0;
}

// "SE5299/2005", "R/51380": past letters of a label that stuck to a number with a year, or that a
// stroke stands behind. "STD-32233": a transformer's number has two letters, one of them a T.
static struct part without_stuck(struct part part) {
    const char *text = part.folded->text;
    size_t letters = part_letters(part), at = part.begin + letters;
    size_t rest = rest_of_serial(text + part.begin, letters);
    size_t digits = strspn(text + at, "0123456789");
    bool prefix = letters >= 3 && text[at] == '-' && (text[at - 1] == 'T' || text[at - 2] == 'T');
    bool dated = letters >= 2 && letters <= 4 && strchr(text + at, '/');
    bool stroke = letters == 1 && text[at] == '/';
    if (prefix && is_number_to_end(part, at + 1))
        part.begin = at - 2;
    else if (rest && digits >= 4 && at + digits == part.end)
        part.begin += rest;
    else if ((dated || stroke) && is_number_to_end(part, at + stroke))
        part.begin = at + stroke;
    return part;
}

// "Nº 882341": past the sign, and past what is left of a label.
static struct part without_sign(struct part part) {
    const char *text = part.folded->text;
    part = without_stuck(without_word(part));
    size_t at = part.begin;
    if (at + 3 < part.end && text[at] == 'N' && strchr("oOR.*", text[at + 1]))
        for (at += 2; at < part.end && strchr("o. :=-", text[at]); at++)
            ;
    if (at > part.begin + 1 && is_digit(text[at]))
        part.begin = at;
    return part_trim(part);
}

// "We2497": letters that stuck to a number are of a label when they are small; of some the small
// form is the large one's.
static struct part without_small_letters(const struct rules *rules, const struct piece *piece,
                                         struct part part) {
    size_t letters = part_letters(part), at = part.begin + letters;
    char raw[64];
    if (letters < 2 || at >= part.end || !is_digit(part.folded->text[at]))
        return part;
    part_raw((struct part){part.folded, part.begin, at}, &rules->sheet.lines[piece->line], raw,
             sizeof raw);
    part.begin = strpbrk(raw, "abdefghijlmnqrty") ? at : part.begin;
    return part;
}

// "15kVA..3377306": past a value that the next column stuck to.
static struct part after_taken(const struct rules *rules, const struct piece *piece,
                               struct part part) {
    size_t at = part.begin;
    while (at < part.end && (part.folded->text[at] == ' ' ||
                             sheet_taken(&rules->sheet, piece->line, at) != CONCEPT_NONE))
        at++;
    bool apart = at < part.end && !is_letter(part.folded->text[at]); // else a rest of its unit
    part.begin = apart ? at : part.begin;
    return part_trim(part);
}

// A number that is a line of its own, or all that follows a label that was not read, and nobody's:
// what it may be.
static bool is_open_number(const struct rules *rules, const struct piece *piece,
                           struct identity *identity) {
    struct part part = after_taken(rules, piece, part_after_leaders(piece->part));
    if (rules->count > 1) // of anything on a plate
        part = without_small_letters(rules, piece, without_sign(part));
    return rules_number_form(rules, piece, part, identity) &&
           sheet_is_free(&rules->sheet, piece->line, part);
}

static void offer_open(struct rules *rules, enum field field, const struct piece *piece,
                       const struct identity *identity) {
    if (rules_has(rules, field))
        return;
    sheet_take(&rules->sheet, piece->line, identity->part, CONCEPT_NUMBER);
    struct candidate *candidate =
        rules_offer(rules, field, identity->text, piece->line, identity->part, WEIGHT_PATTERN);
    candidate_doubt(candidate, "unlabelled", "no label says what \"%s\" is", identity->text);
}

// "T009092/2013": of the label's last letter.
static bool is_registration_behind(const struct identity *identity) {
    return identity->letters == 1 && is_letter(identity->text[0]) && identity->text[1] == '0';
}

// What its form says: a number with a year is a registration when it begins with zeros and else a
// serial number.
static void read_forms(struct rules *rules) {
    struct identity identity;
    for (size_t i = 0; i < rules->sheet.count; i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        if (!is_open_number(rules, piece, &identity))
            continue;
        if (identity.text[0] == '0')
            registration_repair(&identity, rules->domains);
        bool dated = registration_is(identity.text, rules->domains);
        if (identity.text[0] == '0' && dated)
            offer_open(rules, FIELD_REGISTRO, piece, &identity);
        else if (dated && strcspn(identity.text, "/") >= 4 && !is_registration_behind(&identity))
            offer_open(rules, FIELD_NUMERO_SERIE, piece, &identity);
    }
}

// "0302025-262779-5", "366424-0" with its check digit: utilities number what they own like that.
static bool is_tag(const struct identity *identity) {
    const char *text = identity->text;
    size_t digits = strspn(text, "0123456789");
    bool check = text[digits] == '-' && is_digit(text[digits + 1]) && !text[digits + 2];
    return digits >= 6 && identity->letters == 0 && !strchr(text, '/') &&
           (check || (identity->digits >= 10 && strchr(text, '-')));
}

// Past words, and letters that stuck to the number: "NU IBL. 7420832", "NFPARR2785817".
static struct part after_letters(struct part part) {
    part = part_after_words(part);
    size_t at = part.begin;
    while (at < part.end && !is_digit(part.folded->text[at]))
        at++;
    part.begin = at - part.begin < 3 ? part.begin : at;
    return part;
}

// A label of the same that was read took another value.
static bool is_said_elsewhere(const struct rules *rules, const struct pair *guess) {
    enum concept concept = rules_piece(rules, guess)->hit.concept;
    bool said = false;
    for (size_t i = 0; i < rules->pair_count; i++) {
        const struct pair *pair = &rules->pairs[i];
        said |= pair->kind != PAIR_NONE && !rules_piece(rules, pair)->hit.guessed &&
                rules_piece(rules, pair)->hit.concept == concept;
    }
    return said;
}

// A label that was guessed took it, of something else than a field, or of a field that is known.
static bool is_guess_taken(const struct rules *rules, size_t piece) {
    bool taken = false;
    for (size_t i = 0; i < rules->pair_count; i++) {
        const struct pair *pair = &rules->pairs[i];
        taken |= pair->kind != PAIR_NONE && pair->value == piece &&
                 rules_piece(rules, pair)->hit.guessed &&
                 (rules_piece(rules, pair)->hit.concept >= CONCEPT_FIELDS ||
                  is_said_elsewhere(rules, pair));
    }
    return taken;
}

// "IITONO-0566717-652875-0": a long one, whatever it follows.
static void read_long_tag(struct rules *rules) {
    struct identity identity;
    for (size_t i = 0; i < rules->sheet.count; i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        if (!piece_is_label(piece) && tag_find_long(piece->part, &identity) &&
            rules_is_free_or_norms(rules, piece->line, identity.part))
            offer_open(rules, FIELD_PATRIMONIO, piece, &identity);
    }
}

// Among the words of a line: "PA18:884820-4", "0302025-262779-5 ADITIVA", "PET780568-2".
static void read_tags(struct rules *rules) {
    struct identity identity;
    struct part word;
    for (size_t i = 0; i < rules->sheet.count; i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        struct part part = part_after_leaders(piece->part);
        for (size_t at = part.begin; part_next_word(part, &at, &word);) {
            word = after_letters(part_trim(word));
            if (rules_number_form(rules, piece, word, &identity) && is_tag(&identity) &&
                (sheet_is_free(&rules->sheet, piece->line, word) ||
                 (identity.digits <= TAG_BRIEF && is_guess_taken(rules, i))))
                offer_open(rules, FIELD_PATRIMONIO, piece, &identity);
        }
    }
}

// "FA042015": what is left of "DATA FAB. 04/2015".
static bool is_month_and_year(const char *text) {
    long value = strtol(text, NULL, 10), year = value % 10000, month = value / 10000;
    return strlen(text) == 6 && month >= 1 && month <= 12 && year >= 1950 && year <= 2099;
}

// "N99751", "TR-41420": a letter or two before a number is how serial numbers go; types have fewer
// digits ("TBA-13"), drawings their letter behind.
static bool is_lettered(const struct identity *identity) {
    const char *text = identity->text;
    size_t letters = 0;
    while (is_letter(text[letters]))
        letters++;
    bool order = letters == 2 && text[0] == 'O' && strchr("CFPS", text[1]); // "OF445497"
    bool date = !strncmp(text, "FA", 2) && is_month_and_year(text + letters);
    text += letters + (text[letters] == '-');
    return !order && !date && letters >= 1 && letters <= 2 && strlen(text) >= 4 &&
           strspn(text, "0123456789") == strlen(text);
}

// "m1369977": of a label; serial numbers have capitals.
static bool begins_small(const struct rules *rules, const struct piece *piece,
                         const struct identity *identity) {
    char raw[64];
    part_raw(identity->part, &rules->sheet.lines[piece->line], raw, sizeof raw);
    return raw[0] >= 'a' && raw[0] <= 'z';
}

// "RT-88404 A": but for a lone letter behind it.
static struct part without_last_letter(struct part part) {
    struct part last = part_last_word(part);
    bool lone = last.begin > part.begin + 4 && last.end == last.begin + 1 &&
                is_letter(part.folded->text[last.begin]);
    part.end = lone ? last.begin : part.end;
    return part_trim(part);
}

// A lettered one behind words: "T RT-87821".
static bool is_lettered_behind(const struct rules *rules, const struct piece *piece,
                               struct identity *identity) {
    struct part part = part_trim(part_after_words(part_after_leaders(piece->part)));
    part = without_last_letter(without_small_letters(rules, piece, part));
    return rules_number_form(rules, piece, part, identity) && is_lettered(identity) &&
           sheet_is_free(&rules->sheet, piece->line, part);
}

static void read_lettered(struct rules *rules) {
    struct identity identity;
    for (size_t i = 0; i < rules->sheet.count && !rules_has(rules, FIELD_NUMERO_SERIE); i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        if (((is_open_number(rules, piece, &identity) && is_lettered(&identity)) ||
             is_lettered_behind(rules, piece, &identity)) &&
            !begins_small(rules, piece, &identity))
            offer_open(rules, FIELD_NUMERO_SERIE, piece, &identity);
    }
}

// The first of plain digits that is left.
static void read_first(struct rules *rules) {
    struct identity identity;
    for (size_t i = 0; i < rules->sheet.count && !rules_has(rules, FIELD_NUMERO_SERIE); i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        if (is_open_number(rules, piece, &identity) && identity.digits <= 10 &&
            identity.text[0] != '0' && identity.letters == 0)
            offer_open(rules, FIELD_NUMERO_SERIE, piece, &identity);
    }
}

static bool has_registration(const struct rules *rules) {
    for (size_t i = 0; i < rules->count; i++)
        if (rules->candidates[i].field == FIELD_REGISTRO &&
            registration_is(rules->candidates[i].text, rules->domains))
            return true;
    return false;
}

static void drop_candidates(struct rules *rules, enum field field) {
    size_t kept = 0;
    for (size_t i = 0; i < rules->count; i++)
        if (rules->candidates[i].field != field)
            rules->candidates[kept++] = rules->candidates[i];
    rules->count = kept;
}

// "EG.ET 009120/2013", "E9OETRO018319/2013": a registration in full, whatever it follows. What
// stands beside a label and is none gives way.
static void read_full_registration(struct rules *rules) {
    struct identity identity;
    for (size_t i = 0; i < rules->sheet.count && !has_registration(rules); i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        if (piece_is_label(piece) || !registration_find(piece->part, rules->domains, &identity) ||
            identity.text[0] != '0' || !rules_is_free_or_norms(rules, piece->line, identity.part))
            continue;
        drop_candidates(rules, FIELD_REGISTRO);
        offer_open(rules, FIELD_REGISTRO, piece, &identity);
    }
}

// "NU IBL. 7420832": the number that ends a line of words, or that a guess gave to something else.
// Every plate has a serial number.
static void read_worded(struct rules *rules) {
    struct identity identity;
    for (size_t i = 0; i < rules->sheet.count && !rules_has(rules, FIELD_NUMERO_SERIE); i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        struct part part = after_letters(part_trim(piece->part));
        if (!rules_number_form(rules, piece, part, &identity) || identity.text[0] == '0' ||
            identity.digits > 10 || is_registration_behind(&identity) ||
            !(sheet_is_free(&rules->sheet, piece->line, part) || is_guess_taken(rules, i)))
            continue;
        offer_open(rules, FIELD_NUMERO_SERIE, piece, &identity);
    }
}

// Of plain digits that are left the longest: tags are, and orders and links are not. Of "27303-8"
// what is before the dash: a drawing's letter may be read as a digit.
static void read_longest(struct rules *rules) {
    const struct piece *best = NULL;
    struct identity identity, longest = {0};
    size_t most = 4;
    for (size_t i = 0; i < rules->sheet.count; i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        if (!is_open_number(rules, piece, &identity) || identity.letters > 0 ||
            identity.digits > 10 || identity.text[0] == '0' || strchr(identity.text, '/') ||
            strspn(identity.text, "0123456789") <= most)
            continue;
        best = piece;
        longest = identity;
        most = strspn(identity.text, "0123456789");
    }
    if (best)
        offer_open(rules, FIELD_PATRIMONIO, best, &longest);
}

// The field whose form a value has that stands beside the label of a serial number: "CIG. NS:
// 004103/2019", "NO FABR. 2000" (an A that was not read). FIELD_COUNT: none.
static enum field field_of_form(const struct rules *rules, const char *text) {
    struct folded folded;
    struct date date;
    int year, month;
    domains_today(rules->domains, &year, &month);
    if (text[0] == '0' && registration_is(text, rules->domains))
        return FIELD_REGISTRO;
    fold_line(&folded, text);
    return strlen(text) == 4 && date_find(part_all(&folded), year, &date) &&
                   date_is_past(&date, year, month)
               ? FIELD_DATA_FABRICACAO
               : FIELD_COUNT;
}

// These where the serial number is known from elsewhere.
static void read_misplaced(struct rules *rules) {
    bool known = false;
    size_t count = rules->count;
    for (size_t i = 0; i < count; i++)
        known |= rules->candidates[i].field == FIELD_NUMERO_SERIE &&
                 rules->candidates[i].labelled && !rules->candidates[i].code[0];
    for (size_t i = 0; i < count && known; i++) {
        struct candidate one = rules->candidates[i];
        if (one.field != FIELD_NUMERO_SERIE || !one.code[0])
            continue;
        enum field field = field_of_form(rules, one.text);
        if (field != FIELD_COUNT && !rules_has(rules, field))
            candidate_doubt(rules_offer(rules, field, one.text, one.line, one.part, WEIGHT_PATTERN),
                            "unlabelled", "no label says what \"%s\" is", one.text);
    }
}

// Where labels were not read: forms first, then a serial number because every plate has one, and a
// tag because most have. A person looks at each.
void rules_open_numbers(struct rules *rules) {
    read_forms(rules);
    read_full_registration(rules);
    read_long_tag(rules); // before what serial numbers, too, may look like
    read_tags(rules);
    read_lettered(rules);
    read_first(rules);
    if (rules->count > 2) // of a plate: its maker, its power
        read_worded(rules);
    read_longest(rules);
    read_misplaced(rules);
}
