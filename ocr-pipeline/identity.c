#include "identity.h"

#include "date.h"
#include "labels.h"
#include "number.h"

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

// "458282~4": a dash that was read so; "3~" is no part of a number.
static bool is_wave(struct part part, size_t at) {
    const char *text = part.folded->text;
    return text[at] == '~' && at > part.begin && is_digit(text[at - 1]) && at + 1 < part.end &&
           is_digit(text[at + 1]);
}

static bool token_next(struct part part, size_t *at, struct token *token) {
    const char *text = part.folded->text;
    while (*at < part.end && !is_letter(text[*at]) && !is_digit(text[*at]))
        (*at)++;
    *token = (struct token){.begin = *at};
    while (*at < part.end && text[*at] && !is_leader(text + *at) &&
           (is_token_char(text[*at]) || is_wave(part, *at)))
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
    const char *text = part.folded->text;
    size_t end;
    if (token->letters == 0 && token->end + 1 < part.end && text[token->end] == ',' &&
        is_digit(text[token->end + 1])) // "112,5"
        return true;
    struct part own = {part.folded, token->begin, token->end};
    enum unit unit = unit_at(text, token->end, part.end, &end);
    struct date date;
    if (unit != UNIT_NONE && unit != UNIT_OTHER && unit != UNIT_A && unit != UNIT_LITRE &&
        unit != UNIT_CELSIUS && token->letters == 0)
        return true;
    if (token->letters == 0 && (is_voltages(text, token) || part_is_cut(part, token->begin)))
        return true;
    // Units that stuck to their number.
    struct number number;
    size_t at = own.begin;
    if (number_next(&own, &at, &number) && number.begin == own.begin &&
        number.unit_end == own.end && number.unit != UNIT_NONE && number.unit != UNIT_A &&
        number.unit != UNIT_OTHER && number.unit != UNIT_LITRE && number.unit != UNIT_CELSIUS)
        return true;
    return token->end - token->begin <= 10 && token->letters % 3 == 0 && // "08/2019", "MAR/2001"
           memchr(text + own.begin, '/', own.end - own.begin) && date_find(own, 2099, &date) &&
           date.begin == own.begin && date.end == own.end &&
           !(date.repaired && own.end - own.begin > 8); // "1210/2012" may be a number and its year
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
    bool prefix = token->letters > 0 && token->letters <= 3 && token->digits == 0 &&
                  text[token->end] == ' '; // "OND:921833" begins with a label's rest
    return next->begin == token->end + 1 && (prefix || (token->letters == 0 && next->digits >= 2));
}

static void copy_token(struct part part, struct identity *identity) {
    const char *text = part.folded->text;
    size_t count = 0;
    for (size_t i = part.begin; i < part.end && count + 1 < sizeof identity->text; i++)
        if (text[i] != ' ')
            identity->text[count++] = text[i];
    identity->text[count] = '\0';
    identity->part = part;
    size_t digits = strspn(identity->text, "0123456789");
    identity->repaired = digits >= 5 && digits <= 7 && digits + 2 == count &&
                         strchr(".~", identity->text[digits]) &&
                         is_digit(identity->text[digits + 1]);
    if (identity->repaired)
        identity->text[digits] = '-';
}

bool identity_find(struct part part, size_t least_digits, size_t most_letters,
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

bool registration_is(const char *text, const struct domains *domains) {
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

// Digits where the form has 0; its sign as it is, or one that it is read as.
static bool has_form(const char *text, const char *form, const char *signs) {
    for (; *form; text++, form++)
        if (*form == '0' ? !is_digit(*text) : !*text || !strchr(signs, *text))
            return false;
    return true;
}

bool registration_find(struct part part, const struct domains *domains, struct identity *identity) {
    static const char FORM[] = "000000/0000"; // NNNNNN/YYYY
    const size_t length = sizeof FORM - 1;
    const char *text = part.folded->text;
    for (size_t at = part.begin; at + length <= part.end; at++) {
        struct part own = {part.folded, at, at + length};
        if (!has_form(text + at, FORM, "/|") || (at > part.begin && is_digit(text[at - 1])) ||
            (own.end < part.end && is_digit(text[own.end])))
            continue;
        *identity = (struct identity){.digits = length - 1};
        copy_token(own, identity);
        *strpbrk(identity->text, "/|") = '/';
        if (registration_is(identity->text, domains))
            return true;
    }
    return false;
}

// The tag that begins at `at`, its signs as they are to be.
static bool long_tag_at(struct part part, size_t at, struct identity *identity) {
    static const struct {
        const char *form;
        size_t lost; // where a dash is to be put in; 0: none
    } FORMS[] = {{"0000000-000000-0", 0}, {"0000000-0000000", 14}, {"0000000000000-0", 7}};
    const char *text = part.folded->text + at;
    for (size_t i = 0; i < sizeof FORMS / sizeof *FORMS; i++) {
        size_t length = strlen(FORMS[i].form), lost = FORMS[i].lost;
        if (at + length > part.end || !has_form(text, FORMS[i].form, "-.~"))
            continue;
        *identity = (struct identity){.part = {part.folded, at, at + length}, .digits = 14};
        identity->repaired = lost || (at + length < part.end && is_digit(text[length]));
        char *out = identity->text;
        for (size_t k = 0; k < length; k++) {
            *out = is_digit(text[k]) ? text[k] : '-';
            identity->repaired |= *out++ != text[k];
            if (lost && k + 1 == lost)
                *out++ = '-';
        }
        return true;
    }
    return false;
}

// "10566770-134973-4": a stroke before it, or its label's colon, was read as a 1.
static bool is_behind_stroke(struct part part, size_t at) {
    const char *text = part.folded->text;
    return text[at - 1] == '1' && (at - 1 == part.begin || !is_digit(text[at - 2]));
}

bool tag_find_long(struct part part, struct identity *identity) {
    const char *text = part.folded->text;
    for (size_t at = part.begin; at < part.end; at++) {
        bool begins = at == part.begin || !is_digit(text[at - 1]);
        if (!is_digit(text[at]) || !(begins || is_behind_stroke(part, at)) ||
            !long_tag_at(part, at, identity))
            continue;
        identity->repaired |= !begins;
        return true;
    }
    return false;
}

bool registration_repair(struct identity *identity, const struct domains *domains) {
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
    if ((!swapped && !lost && !misread && !more) || !registration_is(other.text, domains))
        return false;
    other.digits += other.letters;
    other.letters = 0;
    *identity = other;
    return true;
}
