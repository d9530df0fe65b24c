#include "labels_private.h"

#include <stdio.h>
#include <string.h>

enum { MAYBE_MAX = 96, GUESS_SHARE = 36 };

static bool is_number_concept(enum concept concept) {
    return concept == CONCEPT_SERIAL || concept == CONCEPT_TAG || concept == CONCEPT_REGISTRATION ||
           concept == CONCEPT_NUMBER || concept == CONCEPT_PHASES;
}

// Without brackets a single letter may as well begin the value.
static bool is_bare_unit(enum unit unit, enum concept concept) {
    return (unit == UNIT_KVA || unit == UNIT_KV || unit == UNIT_V || unit == UNIT_HZ ||
            unit == UNIT_KG) &&
           !is_number_concept(concept);
}

// A unit that belongs to the label: in brackets, or bare before the value or the line's end.
static void take_unit(struct label_hit *hit, const char *text, size_t length) {
    size_t at = skip_blanks(text, hit->end, length), end = 0;
    bool bracket = at < length && text[at] == '(';
    if (at < length && strchr(bracket ? "(" : ".-", text[at]))
        at++;
    enum unit unit = unit_at(text, at, length, &end);
    if (unit == UNIT_NONE || (!bracket && !is_bare_unit(unit, hit->concept)))
        return;
    size_t next = skip_blanks(text, end, length);
    if (bracket && next < length && text[next] == ')')
        end = next + 1;
    else if (!bracket && next < length && !strchr(":=.", text[next]) && !is_digit(text[next]))
        return;
    hit->unit = unit;
    hit->end = end;
}

// "SÉRIE Ne 9268": a ring that was read as any letter; "SERIE P.20975-5": an N that was, and a
// stop.
static bool is_misread_sign(const char *text, size_t at, size_t length) {
    if (at + 2 < length && is_letter(text[at]) && text[at + 1] == '.' && is_digit(text[at + 2]))
        return true;
    size_t next = at + 2;
    while (next < length && strchr(" .:-", text[next]))
        next++;
    return at + 3 < length && text[at] == 'N' && is_letter(text[at + 1]) && next > at + 2 &&
           is_digit(text[next]);
}

// "Nº" after the label, as in "SÉRIE Nº".
static void take_number_sign(struct label_hit *hit, const char *text, size_t length) {
    size_t at = hit->end;
    while (at < length && strchr(" .:-", text[at]))
        at++;
    if ((at + 1 < length && text[at] == 'N' && strchr("o.*'", text[at + 1])) ||
        (at > hit->end && is_misread_sign(text, at, length)))
        hit->end = at + 2;
    else if (at + 1 < length && text[at] == 'N' && strchr("OR0", text[at + 1]) &&
             (at + 2 >= length || (!is_letter(text[at + 2]) && !is_digit(text[at + 2]))))
        hit->end = at + 2;
    else if (at == hit->end && at + 3 < length && text[at] == 'N' && text[at + 1] == 'O' &&
             is_letter(text[at + 2]) && is_digit(text[at + 3])) // "SÉRIENoR70649"
        hit->end = at + 2;
}

// "FASESI 3", "SÉRIE I 7058": a colon that was read as a letter.
static void take_colon(struct label_hit *hit, const char *text, size_t length) {
    size_t at = skip_blanks(text, hit->end, length);
    if (hit->edits == 0 && at + 2 < length && text[at] == 'I' && text[at + 1] == ' ')
        hit->end = at + 1;
}

// A line while its labels are looked for.
struct search {
    struct skeleton skeleton;
    struct label_hit maybe[MAYBE_MAX];
    size_t maybes;
};

// "75 kVA", "60Hz", "225.KVA", "37,5 °kVA": a unit after a number is no label.
static bool follows_number(const struct folded *folded, size_t at) {
    at -= at > 0 && strchr(".o", folded->text[at - 1]) != NULL;
    while (at > 0 && folded->text[at - 1] == ' ')
        at--;
    return at > 0 && is_digit(folded->text[at - 1]);
}

// "SÉRIEN: RT-93477": what a label takes of a word behind a colon is the value's.
static bool takes_of_value(const struct folded *folded, const struct label_hit *hit) {
    const char *text = folded->text;
    size_t at = hit->end;
    if (at >= folded->length || !is_letter(text[at]))
        return false;
    while (at > hit->begin && is_letter(text[at - 1]))
        at--;
    while (at > hit->begin && text[at - 1] == ' ')
        at--;
    return at > hit->begin && text[at - 1] == ':';
}

static void look_at(struct search *search, const struct labels *labels, size_t start) {
    const struct folded *folded = search->skeleton.folded;
    size_t first = search->skeleton.at[start];
    // "5ÉRIE" begins with a letter all the same, "45 KVA" does not.
    bool lone_digit = is_digit(folded->text[first]) && first + 1 < folded->length &&
                      is_letter(folded->text[first + 1]) &&
                      (first == 0 || !is_word_char(folded->text[first - 1]));
    if (!is_letter(folded->text[first]) && !lone_digit)
        return;
    for (size_t i = 0; i < labels->count && search->maybes < MAYBE_MAX; i++) {
        const struct spelling *spelling = &labels->spellings[i];
        struct label_hit hit = {
            .begin = first, .concept = spelling->concept, .letters = (unsigned)spelling->length};
        if (lone_digit && spelling->length < SHORT)
            continue;
        bool found = spelling_at(spelling, &search->skeleton, start, &hit.end, &hit.edits);
        size_t unit_end = 0;
        if (!found || takes_of_value(folded, &hit) ||
            (unit_at(folded->text, first, hit.end, &unit_end) != UNIT_NONE &&
             follows_number(folded, first)))
            continue;
        take_colon(&hit, folded->text, folded->length);
        if (is_number_concept(hit.concept))
            take_number_sign(&hit, folded->text, folded->length);
        take_unit(&hit, folded->text, folded->length);
        bool power = hit.unit == UNIT_KVA && is_number_concept(hit.concept);
        hit.concept = power ? CONCEPT_POWER : hit.concept; // "NCIA (VA)" is no "Nº CIA"
        search->maybe[search->maybes++] = hit;
    }
}

static int worth(const struct label_hit *hit) { return (int)hit->letters - 3 * (int)hit->edits; }

static bool is_free(const struct label_hit *hits, size_t count, const struct label_hit *hit) {
    for (size_t i = 0; i < count; i++)
        if (hit->begin < hits[i].end && hits[i].begin < hit->end)
            return false;
    return true;
}

static void sort_hits(struct label_hit *hits, size_t count) {
    for (size_t i = 1; i < count; i++) {
        struct label_hit hit = hits[i];
        size_t at = i;
        for (; at > 0 && hits[at - 1].begin > hit.begin; at--)
            hits[at] = hits[at - 1];
        hits[at] = hit;
    }
}

// "NÍVEL DE ISOLAMENTO AT", "CORRENTE BT": the side belongs to what is before it.
static bool is_qualifier(const struct folded *folded, const struct label_hit *hit,
                         const struct label_hit *next) {
    if (hit->concept < CONCEPT_FIELDS || next->letters > 5 ||
        (next->concept != CONCEPT_PRIMARY && next->concept != CONCEPT_SECONDARY &&
         next->concept != CONCEPT_VOLTAGES))
        return false;
    for (size_t i = hit->end; i < next->begin; i++)
        if (!strchr(" -/(", folded->text[i]))
            return false;
    return next->begin - hit->end <= 3;
}

// "POTÊNCIA EM kVA": one label.
static bool says_again(const struct folded *folded, const struct label_hit *hit,
                       const struct label_hit *next) {
    if (hit->concept != next->concept || next->begin - hit->end > 5)
        return false;
    for (size_t i = hit->end; i < next->begin; i++)
        if (is_digit(folded->text[i]))
            return false;
    return true;
}

// The word after a label, past "DE", "DA", "DO".
static size_t next_word(const struct folded *folded, size_t at) {
    const char *text = folded->text;
    at = skip_blanks(text, at, folded->length);
    if (at + 3 <= folded->length && text[at] == 'D' && strchr("EAO", text[at + 1]) &&
        text[at + 2] == ' ')
        at += 3;
    return at;
}

// "FABR.", "PABL", "FABRICAÇÃO", "FANRICACAOY", "MÊS", "ANO": the date of making.
static bool is_making(const char *word, size_t letters) {
    char bones[32];
    bool shorter = letters <= 5;
    size_t count = skeleton_of(word, letters, bones, NULL, sizeof bones);
    return !strncmp(word, "FAB", 3) || !strncmp(word, "FAR", 3) || !strncmp(word, "MES", 3) ||
           !strncmp(word, "ANO", 3) ||
           (shorter ? edit_distance(bones, count, "FABR", 4, 1) <= 1 || !strncmp(word + 1, "AB", 2)
                    : edit_distance(bones, count, "FABRICACAO", 10, 3) <= 3);
}

// "DATA DE ENERGIZAÇÃO", "ANO NORMA": another date than the plate's.
static bool is_other_date(const struct folded *folded, const struct label_hit *hit) {
    size_t at = next_word(folded, hit->end), letters = 0;
    char word[4] = "";
    while (at + letters < folded->length && is_letter(folded->text[at + letters]))
        letters++;
    if (hit->concept != CONCEPT_DATE || letters < 4 || hit->letters > 4)
        return false;
    snprintf(word, sizeof word, "%.3s", folded->text + at);
    bool stuck = folded->text[at + letters] == '/' && is_month(folded->text + at + letters - 3);
    return !is_month(word) && !stuck && !is_making(folded->text + at, letters);
}

static size_t join_qualifiers(const struct folded *folded, struct label_hit *hits, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct label_hit *last = kept ? &hits[kept - 1] : NULL;
        hits[i].concept = is_other_date(folded, &hits[i]) ? CONCEPT_OTHER_DATE : hits[i].concept;
        if (last && (is_qualifier(folded, last, &hits[i]) || says_again(folded, last, &hits[i]))) {
            last->end = hits[i].end;
            last->unit = hits[i].unit != UNIT_NONE ? hits[i].unit : last->unit;
        } else {
            hits[kept++] = hits[i];
        }
    }
    return kept;
}

size_t labels_find(const struct labels *labels, const struct folded *folded,
                   struct label_hit hits[LABEL_HITS_MAX]) {
    struct search search;
    struct skeleton *skeleton = &search.skeleton;
    skeleton->folded = folded;
    search.maybes = 0;
    skeleton->count = skeleton_of(folded->text, folded->length, skeleton->bones, skeleton->at,
                                  sizeof skeleton->bones);
    for (size_t start = 0; start < skeleton->count; start++)
        look_at(&search, labels, start);
    size_t count = 0;
    while (count < LABEL_HITS_MAX) { // the most letters first
        const struct label_hit *best = NULL;
        for (size_t i = 0; i < search.maybes; i++)
            if (is_free(hits, count, &search.maybe[i]) &&
                (!best || worth(&search.maybe[i]) > worth(best)))
                best = &search.maybe[i];
        if (!best)
            break;
        hits[count++] = *best;
    }
    sort_hits(hits, count);
    return join_qualifiers(folded, hits, count);
}

// The 0 of "EL0 FUSIVEL": inside of a word, or at its end with another after it.
static bool is_letter_by_looks(struct part part, size_t at) {
    const char *text = part.folded->text;
    if (!strchr("01458", text[at]) || at == part.begin || !is_letter(text[at - 1]))
        return false;
    size_t next = skip_blanks(text, at + 1, part.end);
    return next < part.end && is_letter(text[next]);
}

// Where the letters of a text end: at its first digit, or at its end.
static size_t letters_end(struct part part, size_t *letters) {
    const char *text = part.folded->text;
    size_t at = part.begin;
    *letters = 0;
    for (; at < part.end && (!is_digit(text[at]) || is_letter_by_looks(part, at)); at++)
        *letters += is_letter(text[at]);
    return at;
}

// How far letters are from the spelling that is nearest, and from the nearest of another concept,
// as shares of their lengths.
struct guess {
    double best, other;
    enum concept concept;
    unsigned edits, letters;
};

// "TRAFO", a maker, is near to "TRAFO Nº" and "Nº TRAFO": the number sign is what makes a label.
static bool lacks_sign(const struct spelling *spelling, const char *bones, size_t count) {
    size_t behind = spelling->apart ? 1 : spelling->whole ? 2 : 0;
    const char *rest = spelling->letters + spelling->sign;
    size_t length = spelling->length - spelling->sign - behind;
    return length < spelling->length && count == length && !strncmp(bones, rest, length);
}

// "PATRMNO" is no "PART No", "NºST8E" no "Nº POSTE": of so short a one too little is left.
static bool is_far_fetched(const struct spelling *spelling) {
    return spelling->concept == CONCEPT_NUMBER && spelling->length <= 7 &&
           (spelling->sign || spelling->apart || spelling->whole);
}

static struct guess nearest(const struct labels *labels, const char *bones, size_t count) {
    struct guess guess = {.best = 1, .other = 1};
    for (size_t i = 0; i < labels->count; i++) {
        const struct spelling *spelling = &labels->spellings[i];
        unsigned most = (unsigned)(spelling->length * GUESS_SHARE / 100);
        // Self-protection is said by its label alone: there is no value to confirm a guess.
        if (spelling->length < SHORT || most == 0 || spelling->concept == CONCEPT_SELF_PROTECTED ||
            lacks_sign(spelling, bones, count) || is_far_fetched(spelling))
            continue;
        unsigned edits = edit_distance(bones, count, spelling->letters, spelling->length, most);
        double share = (double)edits / (double)spelling->length;
        if (edits > most || (share >= guess.best && spelling->concept == guess.concept))
            continue;
        if (share < guess.best) {
            guess.other = guess.concept == spelling->concept ? guess.other : guess.best;
            guess.best = share;
            guess.concept = spelling->concept;
            guess.edits = edits;
            guess.letters = (unsigned)spelling->length;
        } else if (share < guess.other) {
            guess.other = share;
        }
    }
    return guess;
}

// "NSERI U4144", "SERE RT-60488", "SERE: TR 61462": the word that the digits go on from is a serial
// number's.
static size_t before_prefix(struct part part, size_t end) {
    const char *text = part.folded->text;
    size_t at = end;
    at -= at > part.begin && strchr("- ", text[at - 1]) != NULL;
    bool apart = at < end && text[at] == ' ';
    while (at > part.begin && is_letter(text[at - 1]))
        at--;
    bool word = end < part.end && is_digit(text[end]) && end > at && end - at <= 3 &&
                !(apart && end - at < 3) && // of "M 1377" the letter is the label's
                at > part.begin && !is_letter(text[at - 1]) && text[at - 1] != 'o';
    return word ? at : end;
}

bool labels_guess(const struct labels *labels, struct part part, struct label_hit *hit) {
    char bones[FOLDED_MAX + 1];
    size_t letters, end = letters_end(part, &letters);
    *hit = (struct label_hit){.concept = CONCEPT_NONE};
    if (letters < 4 || letters > 28)
        return false;
    const char *text = part.folded->text + part.begin;
    size_t count = skeleton_of(text, end - part.begin, bones, NULL, sizeof bones);
    struct guess guess = nearest(labels, bones, count);
    size_t before = before_prefix(part, end);
    if (before < end) {
        count = skeleton_of(text, before - part.begin, bones, NULL, sizeof bones);
        struct guess less = nearest(labels, bones, count);
        if (less.concept == CONCEPT_SERIAL && less.best <= guess.best) {
            guess = less;
            end = before;
        }
    }
    *hit = (struct label_hit){.begin = part.begin,
                              .end = end,
                              .concept = guess.concept,
                              .edits = guess.edits,
                              .letters = guess.letters,
                              .guessed = true};
    return guess.best < 1 && guess.other - guess.best > .08;
}
