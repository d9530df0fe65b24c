// Numbers that identify: serial number, asset tag, registration. They are as printed: no letter is
// taken for a digit here, what is doubtful goes to a person. Only beside a label; a number alone is
// the pole's, the meter's or a drawing's.
#include "rules_private.h"

#include "date.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A run of letters, digits and the signs that serials have inside.
struct token {
    size_t begin, end;
    size_t letters, digits;
};

static bool is_token_char(char c) { return is_letter(c) || is_digit(c) || strchr("-./", c); }

// "KP......10": dots that lead from a label to its value.
static bool is_leader(const char *text) { return text[0] == '.' && text[1] == '.'; }

static bool token_next(struct part part, size_t *at, struct token *token) {
    const char *text = part.folded->text;
    while (*at < part.end && !is_letter(text[*at]) && !is_digit(text[*at]))
        (*at)++;
    *token = (struct token){.begin = *at};
    while (*at < part.end && text[*at] && is_token_char(text[*at]) && !is_leader(text + *at))
        (*at)++;
    token->end = *at;
    while (token->end > token->begin && strchr("-./", text[token->end - 1]))
        token->end--;
    for (size_t i = token->begin; i < token->end; i++) {
        token->letters += is_letter(text[i]);
        token->digits += is_digit(text[i]);
    }
    return token->end > token->begin;
}

// "380/220", "13800/13200/12600": voltages. All are of one kind, each is lower than the one before.
static bool is_voltages(const char *text, const struct token *token) {
    long last = 0;
    size_t count = 0;
    for (size_t at = token->begin; at < token->end; count++) {
        char *end;
        long value = strtol(text + at, &end, 10);
        size_t digits = (size_t)(end - (text + at));
        bool low = digits == 3 && value >= 100 && value <= 480;
        bool high = digits == 5 && value >= 5000 && value <= 37000;
        if ((!low && !high) || (count > 0 && (value >= last || (last < 1000) != low)))
            return false;
        last = value;
        at += digits + 1;
        if (at <= token->end && !strchr("/-", text[at - 1]))
            return false;
    }
    return count > 1;
}

// "75 kVA", "60 Hz", "220/127 V", "08/2019": something else's value.
static bool is_foreign(struct part part, const struct token *token) {
    size_t end;
    struct part own = {part.folded, token->begin, token->end};
    enum unit unit = unit_at(part.folded->text, token->end, part.end, &end);
    struct date date;
    if (unit != UNIT_NONE && unit != UNIT_OTHER && unit != UNIT_A && unit != UNIT_LITRE &&
        unit != UNIT_CELSIUS && token->letters == 0)
        return true;
    if (token->letters == 0 &&
        (is_voltages(part.folded->text, token) || part_is_cut(part, token->begin)))
        return true;
    // Units that stuck to their number.
    struct number number;
    size_t at = own.begin;
    if (number_next(&own, &at, &number) && number.begin == own.begin &&
        number.unit_end == own.end && number.unit != UNIT_NONE && number.unit != UNIT_A &&
        number.unit != UNIT_OTHER && number.unit != UNIT_LITRE && number.unit != UNIT_CELSIUS)
        return true;
    return token->end - token->begin <= 8 && token->letters % 3 == 0 && // "08/2019", "MAR/2001"
           memchr(part.folded->text + own.begin, '/', own.end - own.begin) &&
           date_find(own, 2099, &date) && date.begin == own.begin && date.end == own.end;
}

static bool is_cnpj(const struct part *part, const struct token *token) {
    return token->digits >= 14 &&
           memchr(part->folded->text + token->begin, '/', token->end - token->begin);
}

// A number in two boxes' worth of blanks: "12345 / 2019", "123 456".
static bool joins(struct part part, const struct token *token, const struct token *next,
                  bool *plain) {
    const char *text = part.folded->text;
    bool sign = false;
    for (size_t i = token->end; i < next->begin; i++)
        sign |= strchr("-./", text[i]) != NULL;
    *plain = sign;
    if (is_foreign(part, next) || next->letters > 0)
        return false;
    if (sign)
        return token->digits > 0 && next->digits > 0;
    bool prefix = token->letters > 0 && token->letters <= 3 && token->digits == 0;
    return next->begin == token->end + 1 && (prefix || (token->letters == 0 && next->digits >= 2));
}

struct identity {
    struct part part;
    char text[32];
    size_t letters, digits;
    bool joined; // over a blank
};

static void copy_token(struct part part, struct identity *identity) {
    const char *text = part.folded->text;
    size_t count = 0;
    for (size_t i = part.begin; i < part.end && count + 1 < sizeof identity->text; i++)
        if (text[i] != ' ')
            identity->text[count++] = text[i];
    identity->text[count] = '\0';
    identity->part = part;
}

// The first token that can be one, with what belongs to it.
static bool find_identity(struct part part, size_t least_digits, size_t most_letters,
                          struct identity *identity) {
    struct token token, next;
    for (size_t at = part.begin; token_next(part, &at, &token);) {
        struct part own = {part.folded, token.begin, token.end};
        bool plain = true, blank = false;
        for (size_t more = at; token_next(part, &more, &next) && joins(part, &token, &next, &plain);
             at = more) {
            blank |= !plain;
            own.end = token.end = next.end;
            token.letters += next.letters;
            token.digits += next.digits;
        }
        if (token.digits < least_digits || token.letters > most_letters ||
            own.end - own.begin < 3 || own.end - own.begin > 24 || is_foreign(part, &token) ||
            is_cnpj(&part, &token))
            continue;
        *identity =
            (struct identity){.letters = token.letters, .digits = token.digits, .joined = blank};
        copy_token(own, identity);
        return true;
    }
    return false;
}

static bool find_serial(struct part part, struct identity *identity) {
    return find_identity(part, 2, 6, identity) && identity->digits + 1 >= identity->letters;
}

static bool find_tag(struct part part, struct identity *identity) {
    return find_identity(part, 4, 4, identity);
}

// INMETRO's: NNNNNN/YYYY.
static bool find_registration(struct part part, struct identity *identity) {
    return find_identity(part, 4, 2, identity);
}

bool serial_fits(const struct domains *domains, enum unit unit, struct part part) {
    struct identity identity;
    (void)domains, (void)unit;
    return find_serial(part, &identity);
}

bool tag_fits(const struct domains *domains, enum unit unit, struct part part) {
    struct identity identity;
    (void)domains, (void)unit;
    return find_tag(part, &identity);
}

bool registration_fits(const struct domains *domains, enum unit unit, struct part part) {
    struct identity identity;
    (void)domains, (void)unit;
    return find_registration(part, &identity);
}

// A first letter that the reader had no second thoughts about. Some fonts have a 1 that is an I and
// an O that is a 0, of which no reader has any.
static bool is_sure_letter(struct part part, const struct text_line *line) {
    char letter = part.folded->text[part.begin];
    struct part first = {part.folded, part.begin, part.begin + 1};
    return letter != 'I' && letter != 'O' && line->chars && part_confidence(first, line) > .95f &&
           part_doubt(first, line) < .02f;
}

// A letter that looks like a digit among digits, or one such in front: which is it?
static bool is_doubtful(const struct identity *identity, const struct text_line *line) {
    if (identity->digits < identity->letters * 2)
        return false;
    for (const char *p = identity->text; *p; p++) {
        bool swapped;
        if (!is_letter(*p) || !digit_of(*p, &swapped) || *p == 'D' || *p == 'L' || *p == 'G')
            continue;
        bool before = p > identity->text && is_digit(p[-1]), after = is_digit(p[1]);
        if (before || (after && !(p == identity->text && is_sure_letter(identity->part, line))))
            return true;
    }
    return false;
}

// "H1$822": a sign that no number has stands inside, so this is a part of it; "273231-": so is
// this.
static bool is_torn(struct part part) {
    const char *text = part.folded->text;
    size_t length = part.folded->length;
    return (part.begin > 0 && strchr("#$&@?%~<>", text[part.begin - 1])) ||
           (part.end < length && strchr("#$&@?%~<>", text[part.end])) ||
           (part.end + 1 == length && strchr("-/", text[part.end]));
}

static struct candidate *offer(struct rules *rules, enum field field, const struct pair *pair,
                               const struct identity *identity, enum concept concept) {
    size_t line = rules_line(rules, pair);
    sheet_take(&rules->sheet, line, identity->part, concept);
    struct candidate *candidate =
        rules_offer(rules, field, identity->text, line, identity->part, pair->weight);
    if (!candidate)
        return NULL;
    candidate->labelled = true;
    if (identity->joined)
        candidate_doubt(candidate, "split_number", "\"%s\" was taken for one number",
                        candidate->raw);
    if (is_torn(identity->part))
        candidate_doubt(candidate, "repaired", "\"%s\" is a part of what was read", candidate->raw);
    if (is_doubtful(identity, &rules->sheet.lines[line]))
        candidate_doubt(candidate, "doubtful_letter", "\"%s\" has a letter that may be a digit",
                        candidate->raw);
    return candidate;
}

static bool is_registration(const char *text, const struct domains *domains) {
    int year, month;
    size_t length = strlen(text);
    const char *stroke = strchr(text, '/');
    domains_today(domains, &year, &month);
    if (!stroke || strlen(stroke) != 5 || length < 8)
        return false;
    struct folded folded;
    struct date date;
    fold_line(&folded, stroke + 1);
    return date_find(part_all(&folded), year, &date) && date.year >= 2000 && date.year <= year;
}

// Digits and a stroke: a letter there is a look-alike ("OI0770/2013"); of "0118292013" the stroke
// was not read, of "000937|2013" as another. True when it was changed.
static bool repair_registration(struct identity *identity, const struct domains *domains) {
    struct identity other = *identity;
    bool swapped = false, swap = false;
    for (char *p = other.text; *p; p++, swapped |= swap)
        if (is_letter(*p))
            *p = digit_of(*p, &swap) ? digit_of(*p, &swap) : *p;
    size_t length = strlen(other.text);
    bool lost = length == 10 && strspn(other.text, "0123456789") == length;
    bool misread = length == 11 && strchr("|\\17", other.text[6]);
    // "000379/201315 kV": the next column's number ran into it.
    bool more = length > 11 && other.text[6] == '/' && is_digit(other.text[11]);
    if (more)
        other.text[11] = '\0';
    if (lost)
        memmove(other.text + 7, other.text + 6, 5);
    if (lost || misread)
        other.text[6] = '/';
    if ((!swapped && !lost && !misread && !more) || !is_registration(other.text, domains))
        return false;
    other.digits += other.letters;
    other.letters = 0;
    *identity = other;
    return true;
}

// "001877/2015" is a registration's form, "13800" a voltage, "2011" a year: where a serial number
// was not read, its label takes what is next to it.
static bool is_others_form(const struct domains *domains, const char *text) {
    long value = strtol(text, NULL, 10);
    size_t length = strlen(text);
    return (text[0] == '0' && is_registration(text, domains)) ||
           (length == 4 && value >= 1980 && value <= 2040) ||
           domain_has(domains, DOMAIN_PRIMARY, text) || domain_has(domains, DOMAIN_TAP, text);
}

static void read_serials(struct rules *rules) {
    const struct pair *pair;
    struct identity identity;
    for (size_t at = 0; (pair = rules_next_value(rules, CONCEPT_SERIAL, &at));) {
        if (!find_serial(pair->part, &identity))
            continue;
        struct candidate *candidate =
            offer(rules, FIELD_NUMERO_SERIE, pair, &identity, CONCEPT_SERIAL);
        if (is_others_form(rules->domains, identity.text))
            candidate_doubt(candidate, "ambiguous", "\"%s\" may be another field's", identity.text);
    }
}

static void read_tags(struct rules *rules) {
    const struct pair *pair;
    struct identity identity;
    for (size_t at = 0; (pair = rules_next_value(rules, CONCEPT_TAG, &at));)
        if (find_tag(pair->part, &identity))
            offer(rules, FIELD_PATRIMONIO, pair, &identity, CONCEPT_TAG);
}

static void read_registrations(struct rules *rules) {
    const struct pair *pair;
    struct identity identity;
    for (size_t at = 0; (pair = rules_next_value(rules, CONCEPT_REGISTRATION, &at));)
        if (find_registration(pair->part, &identity)) {
            bool repaired = repair_registration(&identity, rules->domains);
            struct candidate *candidate =
                offer(rules, FIELD_REGISTRO, pair, &identity, CONCEPT_REGISTRATION);
            if (repaired)
                candidate_doubt(candidate, "repaired", "read as \"%s\"",
                                candidate ? candidate->raw : "");
            if (!is_registration(identity.text, rules->domains))
                candidate_doubt(candidate, "out_of_domain", "\"%s\" is not of the form NNNNNN/YYYY",
                                identity.text);
        }
}

// A number so much larger than the rest is a pole's, in heights of text.
#define POLE_HEIGHT 1.9f

// One of the taps, the first of which is known, or a voltage of the lists.
static bool is_tap(const struct rules *rules, const char *text) {
    long volts = strtol(text, NULL, 10);
    if (strlen(text) > 6)
        return false;
    if (domain_has(rules->domains, DOMAIN_PRIMARY, text) ||
        domain_has(rules->domains, DOMAIN_TAP, text))
        return true;
    // "18800" is no tap, but what a tap was read as.
    if (strlen(text) == 5 && volts > 5000 && volts < 37000 && volts % 100 == 0)
        return true;
    for (size_t i = 0; i < rules->count; i++) {
        long primary = strtol(rules->candidates[i].text, NULL, 10);
        if (rules->candidates[i].field == FIELD_TENSAO_PRIMARIA && volts % 10 == 0 &&
            volts * 10 >= primary * 7 && volts <= primary)
            return true;
    }
    return false;
}

// "Nº 882341", "E 48480029": past the sign, and past what is left of a label.
static struct part without_sign(struct part part) {
    const char *text = part.folded->text;
    size_t at = part.begin, letters = 0, digits = 0;
    while (is_letter(text[at + letters]))
        letters++;
    while (text[at + letters] == ' ' && is_digit(text[at + letters + 1 + digits]))
        digits++;
    if (letters >= 1 && letters <= 3 && digits >= 5)
        part.begin = at += letters + 1;
    if (at + 3 < part.end && text[at] == 'N' && strchr("oOR.*", text[at + 1]))
        for (at += 2; at < part.end && strchr("o. :=-", text[at]); at++)
            ;
    if (at > part.begin + 1 && is_digit(text[at]))
        part.begin = at;
    return part_trim(part);
}

// A number that fills a part of a line, in letters of the plate's size: no year, no link of
// terminals
// ("13-16"), no tap.
static bool is_number_form(const struct rules *rules, const struct piece *piece, struct part part,
                           struct identity *identity) {
    if (piece_is_label(piece) || piece->height > POLE_HEIGHT * rules->sheet.height ||
        part_is_empty(part) || !find_identity(part, 4, 2, identity) || identity->joined ||
        identity->part.begin != part.begin || identity->part.end != part.end)
        return false;
    long value = identity->digits == 4 ? strtol(identity->text, NULL, 10) : 0;
    bool brief = identity->digits == 4 && identity->letters == 0 &&
                 (identity->text[4] || (value >= 1950 && value <= 2099));
    return !brief && !strchr(identity->text, '.') && !is_tap(rules, identity->text);
}

// A number that is a line of its own, or all that follows a label that was not read, and nobody's:
// what it may be.
static bool is_open_number(const struct rules *rules, const struct piece *piece,
                           struct identity *identity) {
    struct part part = part_after_leaders(piece->part);
    if (rules->count > 1) // of anything on a plate
        part = without_sign(part);
    return is_number_form(rules, piece, part, identity) &&
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

// "NBR 5440/2014", whose first word was read as something else.
static bool is_norm(const char *text) {
    return !strncmp(text, "5440/", 5) || !strncmp(text, "5356", 4);
}

// "366424-0": utilities number what they own like that.
static bool has_check_digit(const char *text) {
    size_t digits = strspn(text, "0123456789");
    return digits >= 6 && text[digits] == '-' && is_digit(text[digits + 1]) && !text[digits + 2];
}

// What its form says: a number with a year is a registration when it begins with zeros and else a
// serial number; a long number with hyphens, or one with a check digit, is a tag.
static void read_forms(struct rules *rules) {
    struct identity identity;
    for (size_t i = 0; i < rules->sheet.count; i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        if (!is_open_number(rules, piece, &identity))
            continue;
        if (identity.text[0] == '0')
            repair_registration(&identity, rules->domains);
        bool hyphens = strchr(identity.text, '-') && !strchr(identity.text, '/');
        bool dated = is_registration(identity.text, rules->domains);
        if (identity.text[0] == '0' && dated)
            offer_open(rules, FIELD_REGISTRO, piece, &identity);
        else if (dated && strcspn(identity.text, "/") >= 4 && !is_norm(identity.text))
            offer_open(rules, FIELD_NUMERO_SERIE, piece, &identity);
        else if (hyphens && identity.letters == 0 &&
                 (identity.digits >= 10 || has_check_digit(identity.text)))
            offer_open(rules, FIELD_PATRIMONIO, piece, &identity);
    }
}

// "N99751", "TR-41420": a letter or two before a number is how serial numbers go; types have fewer
// digits ("TBA-13"), drawings their letter behind.
static bool is_lettered(const char *text) {
    size_t letters = 0;
    while (is_letter(text[letters]))
        letters++;
    bool order = letters == 2 && text[0] == 'O' && strchr("CFPS", text[1]); // "OF445497"
    text += letters + (text[letters] == '-');
    return !order && letters >= 1 && letters <= 2 && strlen(text) >= 4 &&
           strspn(text, "0123456789") == strlen(text);
}

static void read_lettered(struct rules *rules) {
    struct identity identity;
    for (size_t i = 0; i < rules->sheet.count && !rules_has(rules, FIELD_NUMERO_SERIE); i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        if (is_open_number(rules, piece, &identity) && is_lettered(identity.text))
            offer_open(rules, FIELD_NUMERO_SERIE, piece, &identity);
    }
}

// The first that is left, of plain digits or with letters among them.
static void read_left(struct rules *rules, enum field field, bool letters) {
    struct identity identity;
    for (size_t i = 0; i < rules->sheet.count && !rules_has(rules, field); i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        if (is_open_number(rules, piece, &identity) && identity.digits <= 10 &&
            identity.text[0] != '0' && (identity.letters > 0) == letters)
            offer_open(rules, field, piece, &identity);
    }
}

// A label that was guessed, of something else than a field, took it.
static bool is_guess_taken(const struct rules *rules, size_t piece) {
    for (size_t i = 0; i < rules->pair_count; i++) {
        const struct pair *pair = &rules->pairs[i];
        if (pair->kind != PAIR_NONE && pair->value == piece &&
            rules_piece(rules, pair)->hit.guessed)
        return rules_piece(rules, pair)->hit.concept >= CONCEPT_FIELDS;
    }
    return false;
}

// "NU IBL. 7420832": the number that ends a line of words, or that a guess gave to something else.
// Every plate has a serial number.
static void read_worded(struct rules *rules) {
    struct identity identity;
    for (size_t i = 0; i < rules->sheet.count && !rules_has(rules, FIELD_NUMERO_SERIE); i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        const char *text = piece->part.folded->text;
        struct part part = part_trim(piece->part);
        size_t at = part.begin, word = part.begin;
        for (; at < part.end && !is_digit(text[at]); at++)
            if (text[at] == ' ')
                word = at + 1;
        part.begin = at - word < 4 ? word : at; // "NFPARR2785817"
        if (!is_number_form(rules, piece, part, &identity) || identity.text[0] == '0' ||
            identity.digits > 10 || is_norm(identity.text) ||
            !(sheet_is_free(&rules->sheet, piece->line, part) || is_guess_taken(rules, i)))
            continue;
        offer_open(rules, FIELD_NUMERO_SERIE, piece, &identity);
    }
}

// Of plain digits that are left the longest: tags are, and orders and links are not.
static void read_longest(struct rules *rules) {
    const struct piece *best = NULL;
    struct identity identity, longest = {0};
    for (size_t i = 0; i < rules->sheet.count; i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        if (!is_open_number(rules, piece, &identity) || identity.letters > 0 ||
            identity.digits < 5 || identity.digits > 10 || identity.digits <= longest.digits ||
            identity.text[0] == '0' || strchr(identity.text, '/'))
            continue;
        best = piece;
        longest = identity;
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
    if (text[0] == '0' && is_registration(text, rules->domains))
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
    read_lettered(rules);
    read_left(rules, FIELD_NUMERO_SERIE, false);
    read_left(rules, FIELD_NUMERO_SERIE, true);
    if (rules->count > 2) // of a plate: its maker, its power
        read_worded(rules);
    read_longest(rules);
    read_misplaced(rules);
}

void rules_numbers(struct rules *rules) {
    read_serials(rules);
    read_tags(rules);
    read_registrations(rules);
}
