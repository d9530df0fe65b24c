#include "labels.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum { SPELLING_MAX = 48, SHORT = 5, MAYBE_MAX = 96, GUESS_SHARE = 36 };

struct spelling {
    char letters[SPELLING_MAX]; // as a skeleton; of a short one as they are
    size_t length;
    enum concept concept;
    bool whole; // ends with "Nº": never where a word goes on ("FABRICAÇÃO NOV/05")
    bool apart; // ends with the N of a "Nº": nothing follows at once ("SÉRIE: N4214")
};
struct labels {
    struct spelling *spellings;
    size_t count, capacity;
};

static void add_spelling(struct labels *labels, const char *letters, size_t length,
                         enum concept concept, bool whole, bool apart) {
    if (labels->count == labels->capacity) {
        labels->capacity = labels->capacity ? labels->capacity * 2 : 512;
        labels->spellings =
            mem_resize(labels->spellings, labels->capacity * sizeof *labels->spellings);
    }
    struct spelling *one = &labels->spellings[labels->count++];
    *one = (struct spelling){.length = length, .concept = concept, .whole = whole, .apart = apart};
    memcpy(one->letters, letters, length);
}

// Letters as they are; short labels are too short for look-alikes ("05" is no "O.S.").
static size_t plain_letters(const char *text, char *out, size_t size) {
    size_t count = 0;
    for (; *text && count + 1 < size; text++)
        if (is_letter(*text) || is_digit(*text))
            out[count++] = *text;
    out[count] = '\0';
    return count;
}

// A ring may be read as an O or not at all: one spelling with, one without.
static void without_rings(const char *text, char *out, size_t size) {
    size_t count = 0;
    for (; *text && count + 1 < size; text++)
        if (*text != 'o')
            out[count++] = *text;
    out[count] = '\0';
}

static bool ends_with_number_sign(const char *text) {
    size_t length = strlen(text);
    return length > 2 && text[length - 2] == 'N' && text[length - 1] == 'o';
}

static bool add_folded(struct labels *labels, const char *text, enum concept concept, bool apart) {
    char letters[SPELLING_MAX];
    size_t length = skeleton_of(text, strlen(text), letters, NULL, sizeof letters);
    if (length < 2)
        return false;
    if (length < SHORT)
        length = plain_letters(text, letters, sizeof letters);
    if (length >= 2)
        add_spelling(labels, letters, length, concept, ends_with_number_sign(text), apart);
    return length >= 2;
}

bool labels_add(struct labels *labels, const char *text, enum concept concept) {
    struct folded folded;
    char plain[FOLDED_MAX + 1];
    fold_line(&folded, text);
    without_rings(folded.text, plain, sizeof plain);
    if (strchr(folded.text, 'o'))
        add_folded(labels, folded.text, concept, false);
    return add_folded(labels, plain, concept, ends_with_number_sign(folded.text));
}

static void add_table(struct labels *labels, const struct label_data *table, size_t count) {
    char plain[SPELLING_MAX];
    for (size_t i = 0; i < count; i++) { // a table is folded already
        const char *text = table[i].text;
        without_rings(text, plain, sizeof plain);
        if (strchr(text, 'o'))
            add_folded(labels, text, table[i].concept, false);
        add_folded(labels, plain, table[i].concept, ends_with_number_sign(text));
    }
}

struct labels *labels_create(void) {
    struct labels *labels = mem_alloc(sizeof *labels);
    add_table(labels, LABEL_DATA, LABEL_DATA_COUNT);
    add_table(labels, LABEL_ENGLISH, LABEL_ENGLISH_COUNT);
    return labels;
}

void labels_destroy(struct labels *labels) {
    if (!labels)
        return;
    mem_free(labels->spellings);
    mem_free(labels);
}

static size_t skip_blanks(const char *text, size_t at, size_t stop) {
    while (at < stop && text[at] == ' ')
        at++;
    return at;
}

// Units as plates write them, longest first; the first letters are enough for some.
static const struct {
    const char *text;
    enum unit unit;
} UNITS[] = {
    {"KVA", UNIT_KVA},     {"KUA", UNIT_KVA},    {"KYA", UNIT_KVA},      {"K VA", UNIT_KVA},
    {"KV A", UNIT_KVA},    {"XVA", UNIT_KVA},    {"KV4", UNIT_KVA},      {"MVA", UNIT_OTHER},
    {"KWA", UNIT_KVA},     {"RVA", UNIT_KVA},    {"WA", UNIT_KVA},       {"VA", UNIT_KVA},
    {"IVA", UNIT_KVA},     {"LVA", UNIT_KVA},    {"HVA", UNIT_KVA},      {"KVVA", UNIT_KVA},
    {"KVAR", UNIT_OTHER},  {"KWH", UNIT_OTHER},  {"KV", UNIT_KV},        {"KW", UNIT_WATT},
    {"KGS", UNIT_KG},      {"KG", UNIT_KG},      {"VOLTS", UNIT_V},      {"VCA", UNIT_V},
    {"V", UNIT_V},         {"AMP", UNIT_A},      {"A", UNIT_A},          {"HZ", UNIT_HZ},
    {"H2", UNIT_HZ},       {"%", UNIT_PERCENT},  {"LITROS", UNIT_LITRE}, {"LTS", UNIT_LITRE},
    {"LT", UNIT_LITRE},    {"L", UNIT_LITRE},    {"WATTS", UNIT_WATT},   {"W", UNIT_WATT},
    {"oC", UNIT_CELSIUS},  {"OC", UNIT_CELSIUS}, {"o C", UNIT_CELSIUS},  {"C", UNIT_CELSIUS},
    {"o", UNIT_CELSIUS},   {"DB", UNIT_OTHER},   {"MM", UNIT_OTHER},     {"CM", UNIT_OTHER},
    {"M", UNIT_OTHER},     {"OHM", UNIT_OTHER},  {"DAN", UNIT_OTHER},    {"KA", UNIT_OTHER},
    {"MA", UNIT_OTHER},    {"J", UNIT_OTHER},    {"S", UNIT_OTHER},      {"ANOS", UNIT_OTHER},
    {"MESES", UNIT_OTHER},
};

enum unit unit_at(const char *text, size_t at, size_t stop, size_t *end) {
    at = skip_blanks(text, at, stop);
    for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++) {
        size_t length = strlen(UNITS[i].text);
        if (at + length > stop || strncmp(text + at, UNITS[i].text, length) != 0)
            continue;
        if (at + length < stop && (is_letter(text[at + length]) || is_digit(text[at + length])) &&
            UNITS[i].unit != UNIT_PERCENT)
            continue;
        *end = at + length;
        return UNITS[i].unit;
    }
    return UNIT_NONE;
}

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

// "Nº" after the label, as in "SÉRIE Nº".
static void take_number_sign(struct label_hit *hit, const char *text, size_t length) {
    size_t at = hit->end;
    while (at < length && strchr(" .:-", text[at]))
        at++;
    if (at + 1 < length && text[at] == 'N' && strchr("o.*'", text[at + 1]))
        hit->end = at + 2;
    else if (at + 1 < length && text[at] == 'N' && strchr("OR0", text[at + 1]) &&
             (at + 2 >= length || (!is_letter(text[at + 2]) && !is_digit(text[at + 2]))))
        hit->end = at + 2;
}

// A long spelling may be read with faults; "MARCO" is no "MARCA".
static unsigned most_edits(size_t length) { return length <= SHORT ? 0 : length < 12 ? 1 : 2; }

// The prefix of `text` that is nearest to a spelling: how many edits away, how long it is.
static unsigned nearest_prefix(const struct spelling *spelling, const char *text, size_t length,
                               unsigned most, size_t *taken) {
    unsigned row[SPELLING_MAX + 4];
    size_t wide = spelling->length + most < length ? spelling->length + most : length;
    for (size_t j = 0; j <= wide; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= spelling->length; i++) {
        unsigned corner = row[0], least;
        row[0] = least = (unsigned)i;
        for (size_t j = 1; j <= wide; j++) {
            unsigned replace = corner + (spelling->letters[i - 1] != text[j - 1]);
            corner = row[j];
            unsigned shift = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = replace < shift ? replace : shift;
            least = row[j] < least ? row[j] : least;
        }
        if (least > most)
            return most + 1;
    }
    unsigned best = most + 1;
    for (size_t j = 1; j <= wide; j++)
        if (row[j] < best || (row[j] == best && j == spelling->length)) {
            best = row[j];
            *taken = j;
        }
    return best;
}

// A line while its labels are looked for.
struct search {
    const struct folded *folded;
    char bones[FOLDED_MAX + 1];
    uint16_t at[FOLDED_MAX + 1];
    size_t count;
    struct label_hit maybe[MAYBE_MAX];
    size_t maybes;
};

static bool is_word_char(char c) { return is_letter(c) || is_digit(c) || c == 'o'; }

// "ELO0,5H", "ANO2005": three letters that no serial number begins with.
static bool may_stick(const struct spelling *spelling) {
    enum concept concept = spelling->concept;
    return spelling->length >= 3 && (concept == CONCEPT_POWER || concept == CONCEPT_FUSE ||
                                     concept == CONCEPT_DATE || concept == CONCEPT_INSULATION);
}

// "AT13.800V", "BT220/127": a voltage follows at once; "N/S5512": no number begins like that.
static bool sticks_to(const struct spelling *spelling, const struct folded *folded, size_t at,
                      bool stroke) {
    size_t digits = 0;
    while (at + digits < folded->length && is_digit(folded->text[at + digits]))
        digits++;
    char next = at + digits < folded->length ? folded->text[at + digits] : ' ';
    switch (spelling->concept) {
    case CONCEPT_SERIAL: return stroke && digits > 2;
    case CONCEPT_PRIMARY: return digits == 4 || digits == 5 || (digits < 3 && strchr(".,", next));
    case CONCEPT_SECONDARY: return digits == 3 && strchr("/-V", next);
    default: return false;
    }
}

// A digit that was read for a letter.
static bool looks_like(char digit, char letter) {
    char digit_bone[2], letter_bone[2];
    return is_digit(digit) && is_letter(letter) &&
           skeleton_of(&digit, 1, digit_bone, NULL, sizeof digit_bone) == 1 &&
           skeleton_of(&letter, 1, letter_bone, NULL, sizeof letter_bone) == 1 &&
           digit_bone[0] == letter_bone[0];
}

// Short ones: as they are, a stop or stroke between letters at most ("A.T.", "N/S", "N. SER.").
static bool short_at(const struct spelling *spelling, const struct folded *folded, size_t at,
                     size_t *end) {
    bool stroke = false;
    unsigned swaps = 0; // "EL0", "F4BR."; "05" is no "O.S."
    if (at > 0 && is_letter(folded->text[at - 1]))
        return false;
    for (size_t i = 0; i < spelling->length; i++) {
        if (i > 0 && at < folded->length && strchr("./", folded->text[at])) {
            stroke |= folded->text[at] == '/';
            at += 1 + (folded->text[at] == '.' && folded->text[at + 1] == ' ');
        }
        if (at >= folded->length)
            return false;
        char c = folded->text[at++], wanted = spelling->letters[i];
        if (c != wanted && (!looks_like(c, wanted) || 3 * ++swaps > spelling->length))
            return false;
    }
    *end = at;
    // "MT-58947" is a serial number.
    bool goes_on =
        at + 1 < folded->length && folded->text[at] == '-' && is_digit(folded->text[at + 1]);
    bool stuck = at < folded->length && is_digit(folded->text[at]) &&
                 is_letter(folded->text[at - 1]) &&
                 (may_stick(spelling) || sticks_to(spelling, folded, at, stroke));
    return !goes_on && (at >= folded->length || stuck || !is_word_char(folded->text[at]));
}

// "SÉRIETR-44120": the value of a label that it stuck to.
static bool is_number_ahead(const struct folded *folded, size_t at) {
    for (size_t i = at; i < folded->length && i < at + 4 && folded->text[i] != ' '; i++)
        if (is_digit(folded->text[i]))
            return true;
    return false;
}

static bool long_at(const struct spelling *spelling, const struct search *search, size_t start,
                    size_t *end, unsigned *edits) {
    const char *text = search->folded->text;
    size_t first = search->at[start], taken = 0;
    bool word = first == 0 || !is_letter(text[first - 1]);
    bool long_enough = spelling->length > SHORT;
    unsigned most = word ? most_edits(spelling->length) : 0;
    if (!word && !long_enough)
        return false;
    // A first letter may be wrong in long ones, or not have been read at all ("ATRIMONIO").
    if (spelling->letters[0] != search->bones[start] && spelling->length < 8 &&
        (!long_enough || spelling->letters[1] != search->bones[start]))
        return false;
    *edits = nearest_prefix(spelling, search->bones + start, search->count - start, most, &taken);
    if (*edits > most || taken == 0)
        return false;
    size_t last = search->at[start + taken - 1];
    char after = last + 1 < search->folded->length ? text[last + 1] : ' ';
    // A label ends with a letter or a ring; a digit there would be the value's.
    if (!is_letter(text[last]) && text[last] != 'o' && (is_digit(after) || *edits > 0))
        return false;
    *end = last + 1;
    if ((spelling->whole && is_letter(after)) || (spelling->apart && is_word_char(after)))
        return false;
    return !is_letter(after) ||
           (*edits == 0 && (long_enough || is_number_ahead(search->folded, last + 1)));
}

// "75 kVA", "60Hz": a unit after a number is no label.
static bool follows_number(const struct folded *folded, size_t at) {
    while (at > 0 && folded->text[at - 1] == ' ')
        at--;
    return at > 0 && is_digit(folded->text[at - 1]);
}

static void look_at(struct search *search, const struct labels *labels, size_t start) {
    const struct folded *folded = search->folded;
    size_t first = search->at[start];
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
        bool found = spelling->length < SHORT
                         ? short_at(spelling, folded, first, &hit.end)
                         : long_at(spelling, search, start, &hit.end, &hit.edits);
        size_t unit_end = 0;
        if (!found || (unit_at(folded->text, first, hit.end, &unit_end) != UNIT_NONE &&
                       follows_number(folded, first)))
            continue;
        if (is_number_concept(hit.concept))
            take_number_sign(&hit, folded->text, folded->length);
        take_unit(&hit, folded->text, folded->length);
        search->maybes++;
        search->maybe[search->maybes - 1] = hit;
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

// "DATA DE ENERGIZAÇÃO", "ANO NORMA": another date than the plate's.
static bool is_other_date(const struct folded *folded, const struct label_hit *hit) {
    static const char WORDS[] = "JAN FEV MAR ABR MAI JUN JUL AGO SET OUT NOV DEZ FAB FAR MES ANO ";
    size_t at = next_word(folded, hit->end), letters = 0;
    char word[5] = "";
    while (at + letters < folded->length && is_letter(folded->text[at + letters]))
        letters++;
    if (hit->concept != CONCEPT_DATE || letters < 4 || hit->letters > 4)
        return false;
    snprintf(word, sizeof word, "%.3s", folded->text + at);
    return !strstr(WORDS, word);
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
    search.folded = folded;
    search.maybes = 0;
    search.count =
        skeleton_of(folded->text, folded->length, search.bones, search.at, sizeof search.bones);
    for (size_t start = 0; start < search.count; start++)
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

bool labels_guess(const struct labels *labels, struct part part, struct label_hit *hit) {
    char bones[FOLDED_MAX + 1];
    size_t letters, end = letters_end(part, &letters);
    if (letters < 4 || letters > 28)
        return false;
    size_t count =
        skeleton_of(part.folded->text + part.begin, end - part.begin, bones, NULL, sizeof bones);
    double best = 1, other = 1;
    *hit = (struct label_hit){.concept = CONCEPT_NONE};
    for (size_t i = 0; i < labels->count; i++) {
        const struct spelling *spelling = &labels->spellings[i];
        unsigned most = (unsigned)(spelling->length * GUESS_SHARE / 100);
        // Self-protection is said by its label alone: there is no value to confirm a guess.
        if (spelling->length < SHORT || most == 0 || spelling->concept == CONCEPT_SELF_PROTECTED)
            continue;
        unsigned edits = edit_distance(bones, count, spelling->letters, spelling->length, most);
        double share = (double)edits / (double)spelling->length;
        if (edits > most || (share >= best && spelling->concept == hit->concept))
            continue;
        if (share < best) {
            other = hit->concept == spelling->concept ? other : best;
            best = share;
            *hit = (struct label_hit){.begin = part.begin,
                                      .end = end,
                                      .concept = spelling->concept,
                                      .edits = edits,
                                      .letters = (unsigned)spelling->length,
                                      .guessed = true};
        } else if (share < other) {
            other = share;
        }
    }
    return best < 1 && other - best > .08;
}
