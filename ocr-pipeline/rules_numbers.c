// Numbers that identify: serial number, asset tag, registration. They are as printed: no letter is
// taken for a digit here, what is doubtful goes to a person. Only beside a label here; what
// stands alone is rules_open.c's.
#include "rules_private.h"

#include "identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// "DYN11", "YNYN0", "DD0": a vector group (IEC 60076-1), two windings and hours of the clock.
static bool is_vector_group(const char *text) {
    for (int winding = 0; winding < 2; winding++) {
        if (!*text || !strchr("DYZ", *text))
            return false;
        text += text[0] != 'D' && text[1] == 'N' ? 2 : 1;
    }
    return is_digit(*text) && strlen(text) <= 2 && strspn(text, "0123456789") == strlen(text) &&
           strtol(text, NULL, 10) <= 11;
}

static bool find_serial(struct part part, struct identity *identity) {
    return identity_find(part, 2, 6, identity) && identity->digits + 1 >= identity->letters &&
           !(identity->joined && identity->digits < 4) && !is_vector_group(identity->text);
}

static bool find_tag(struct part part, struct identity *identity) {
    return tag_find_long(part, identity) || identity_find(part, 4, 4, identity);
}

// INMETRO's: NNNNNN/YYYY, or what may have been one.
static bool find_registration(const struct domains *domains, struct part part,
                              struct identity *identity) {
    return registration_find(part, domains, identity) || identity_find(part, 4, 2, identity);
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
    (void)unit;
    return find_registration(domains, part, &identity);
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
    if (identity->repaired)
        candidate_doubt(candidate, "repaired", "read as \"%s\"", candidate->raw);
    if (is_doubtful(identity, &rules->sheet.lines[line]))
        candidate_doubt(candidate, "doubtful_letter", "\"%s\" has a letter that may be a digit",
                        candidate->raw);
    return candidate;
}

// "001877/2015" is a registration's form, "13800" a voltage, "2011" a year: where a serial number
// was not read, its label takes what is next to it.
static bool is_others_form(const struct domains *domains, const char *text) {
    long value = strtol(text, NULL, 10);
    size_t length = strlen(text);
    return (text[0] == '0' && registration_is(text, domains)) ||
           (length == 4 && value >= 1980 && value <= 2040) ||
           domain_has(domains, DOMAIN_PRIMARY, text) || domain_has(domains, DOMAIN_TAP, text);
}

// "SÉRIE NV97768": of "Nº" only its N may have been read.
static bool may_have_sign(const struct identity *identity) {
    const char *text = identity->text;
    return text[0] == 'N' && is_letter(text[1]) && is_digit(text[2]);
}

static void read_serials(struct rules *rules) {
    const struct pair *pair;
    struct identity identity;
    for (size_t at = 0; (pair = rules_next_value(rules, CONCEPT_SERIAL, &at));) {
        if (!find_serial(pair->part, &identity))
            continue;
        struct candidate *candidate =
            offer(rules, FIELD_NUMERO_SERIE, pair, &identity, CONCEPT_SERIAL);
        if (identity.digits < 4) // "TR-93": of a longer one
            candidate_doubt(candidate, "repaired", "\"%s\" is short for a serial number",
                            identity.text);
        if (may_have_sign(&identity))
            candidate_doubt(candidate, "doubtful_letter", "the N of \"%s\" may be its label's",
                            identity.text);
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
        if (find_registration(rules->domains, pair->part, &identity)) {
            bool repaired = registration_repair(&identity, rules->domains);
            struct candidate *candidate =
                offer(rules, FIELD_REGISTRO, pair, &identity, CONCEPT_REGISTRATION);
            if (repaired)
                candidate_doubt(candidate, "repaired", "read as \"%s\"",
                                candidate ? candidate->raw : "");
            if (!registration_is(identity.text, rules->domains))
                candidate_doubt(candidate, "out_of_domain", "\"%s\" is not of the form NNNNNN/YYYY",
                                identity.text);
        }
}

void rules_numbers(struct rules *rules) {
    read_serials(rules);
    read_tags(rules);
    read_registrations(rules);
}
