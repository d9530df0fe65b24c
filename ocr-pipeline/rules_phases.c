// Number of phases, and self-protection. Both are said in words as often as beside a label; what
// connection, taps and terminals imply is used where the digit itself was not read.
#include "rules_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// "3", "3Ø", "3~", "3F", "30", "36" or "38" (a Ø read as a digit), "03".
static bool find_phases(struct part part, char *digit, struct part *at, bool *repaired) {
    const char *text = part.folded->text;
    struct number number;
    while (part.begin < part.end && text[part.begin] == '~') // "FASES~30"
        part.begin++;
    size_t from = part.begin;
    *repaired = false;
    if (!number_next(&part, &from, &number) || number.begin != part.begin || number.sign)
        return false;
    const char *digits = number.whole;
    while (*digits == '0' && digits[1])
        digits++;
    *repaired = number.swaps > 0 && is_letter(text[number.begin]);
    if (digits[1] && strchr("068", digits[1]) && !digits[2]) {
        *repaired = true;
    } else if (digits[1]) {
        return false;
    }
    enum unit unit = number.unit;
    if (digits[0] < '1' || digits[0] > '3' || (unit != UNIT_NONE && unit != UNIT_CELSIUS))
        return false;
    *digit = digits[0];
    *at = (struct part){part.folded, number.begin, number.end};
    return number.end >= part.end || !strchr("/.,", text[number.end]);
}

struct phase_word {
    const char *word, *phases;
};
static const struct phase_word WORDS[] = {
    {"MONOFASICO", "1"}, {"MONOFASICA", "1"}, {"SINGLE PHASE", "1"},
    {"BIFASICO", "2"},   {"BIFASICA", "2"},   {"TWO PHASE", "2"},
    {"TRIFASICO", "3"},  {"TRIFASICA", "3"},  {"THREE PHASE", "3"}};
// As words of their own, to the letter; the first three beside a label only.
static const struct phase_word BRIEF[] = {{"MONO", "1"},    {"BI", "2"},    {"TRI", "3"},
                                          {"MONOF", "1"},   {"BIF", "2"},   {"TRIF", "3"},
                                          {"MONOFAS", "1"}, {"BIFAS", "2"}, {"TRIFAS", "3"}};
enum { LABELLED_ONLY = 3 };

static const char *short_phases(struct part part, size_t first) {
    part = part_trim(part);
    for (size_t i = first; i < sizeof BRIEF / sizeof *BRIEF; i++)
        if (part.end - part.begin == strlen(BRIEF[i].word) &&
            !strncmp(part.folded->text + part.begin, BRIEF[i].word, strlen(BRIEF[i].word)))
            return BRIEF[i].phases;
    return NULL;
}

static const char *word_phases(struct part part) {
    if (short_phases(part, 0))
        return short_phases(part, 0);
    char bones[FOLDED_MAX + 1], word[24];
    size_t count = skeleton_of(part.folded->text + part.begin, part.end - part.begin, bones, NULL,
                               sizeof bones);
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        size_t length = skeleton_of(WORDS[i].word, strlen(WORDS[i].word), word, NULL, sizeof word);
        if (count >= length && edit_distance(bones, length, word, length, 1) <= 1)
            return WORDS[i].phases;
    }
    return NULL;
}

bool phases_fits(const struct domains *domains, enum unit unit, struct part part) {
    char digit;
    struct part at;
    bool repaired;
    (void)domains, (void)unit;
    return find_phases(part, &digit, &at, &repaired) || word_phases(part);
}

static void read_labels(struct rules *rules) {
    const struct pair *pair;
    for (size_t at = 0; (pair = rules_next_value(rules, CONCEPT_PHASES, &at));) {
        char text[2] = {0};
        struct part part = pair->part;
        bool repaired = false;
        const char *word = word_phases(part);
        if (word)
            text[0] = word[0];
        else if (!find_phases(part, text, &part, &repaired))
            continue;
        size_t line = rules_line(rules, pair);
        sheet_take(&rules->sheet, line, part, CONCEPT_PHASES);
        struct candidate *candidate =
            rules_offer(rules, FIELD_FASES, text, line, part,
                        repaired ? pair->weight * WEIGHT_SWAPPED : pair->weight);
        if (candidate)
            candidate->labelled = true;
    }
}

static void read_words(struct rules *rules) {
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        size_t line;
        struct part part;
        unsigned edits = 0;
        if (!rules_find_word(rules, WORDS[i].word, 0, &line, &part) &&
            !rules_find_word(rules, WORDS[i].word, edits = 1, &line, &part))
            continue;
        struct candidate *candidate = rules_offer(rules, FIELD_FASES, WORDS[i].phases, line, part,
                                                  edits ? WEIGHT_SWAPPED : 1);
        if (candidate)
            candidate->labelled = true;
    }
}

// The word that begins at `at`: how many letters it has.
static size_t word_length(const struct folded *folded, size_t at) {
    size_t end = at;
    while (end < folded->length && is_letter(folded->text[end]))
        end++;
    return end - at;
}

// "TRANSF. TRIF.": words cut short.
static void read_brief(struct rules *rules) {
    for (size_t i = 0; i < rules->sheet.line_count; i++) {
        const struct folded *folded = &rules->sheet.folds[i];
        for (size_t at = 0, length; at < folded->length; at += length ? length : 1) {
            struct part part = {folded, at, at + (length = word_length(folded, at))};
            const char *phases = length ? short_phases(part, LABELLED_ONLY) : NULL;
            struct candidate *candidate =
                phases ? rules_offer(rules, FIELD_FASES, phases, i, part, WEIGHT_SWAPPED) : NULL;
            if (candidate)
                candidate->labelled = true;
        }
    }
}

// What makes a phase of the digit before it: "3 FASES", "3F".
static bool is_phase_mark(const struct rules *rules, size_t line, size_t at) {
    static const char *const MARKS[] = {"F", "FASE", "FASES", "PH", "PHASE", "PHASES"};
    const struct folded *folded = &rules->sheet.folds[line];
    size_t length = word_length(folded, at), end = at + length;
    if (end < folded->length && is_digit(folded->text[end]))
        return false;
    for (size_t i = 0; i < sizeof MARKS / sizeof *MARKS; i++)
        if (length == strlen(MARKS[i]) && !strncmp(folded->text + at, MARKS[i], length))
            return i > 0 || sheet_is_free(&rules->sheet, line, (struct part){folded, at - 1, end});
    return false;
}

// "3Ø", "3~", "3 FASES" anywhere, "3Ø60Hz" and what it becomes ("3060Hz").
static void read_signs(struct rules *rules) {
    for (size_t i = 0; i < rules->sheet.line_count; i++) {
        const struct folded *folded = &rules->sheet.folds[i];
        for (size_t at = 0; at + 1 < folded->length; at++) {
            char text[2] = {folded->text[at]};
            bool border =
                at == 0 || (!is_digit(folded->text[at - 1]) && !is_letter(folded->text[at - 1]));
            if (text[0] < '1' || text[0] > '3' || !border)
                continue;
            struct part part = {folded, at, at + 1};
            size_t next = at + 1;
            while (next < folded->length && folded->text[next] == ' ')
                next++;
            bool sign = folded->text[next] == '~' || is_phase_mark(rules, i, next);
            bool merged = !strncmp(folded->text + at + 1, "060HZ", 5) ||
                          !strncmp(folded->text + at + 1, "060 HZ", 6);
            if (sign || merged)
                rules_offer(rules, FIELD_FASES, text, i, part, sign ? WEIGHT_UNIT : WEIGHT_PATTERN);
        }
    }
}

// "3-": a sign of phases that was read as a dash, as a line of its own.
static void read_dashes(struct rules *rules) {
    for (size_t i = 0; i < rules->sheet.line_count; i++) {
        const struct folded *folded = &rules->sheet.folds[i];
        char text[2] = {folded->text[0]};
        if (folded->length != 2 || !strchr("-o", folded->text[1]) || text[0] < '1' || text[0] > '3')
            continue;
        struct candidate *candidate =
            rules_offer(rules, FIELD_FASES, text, i, part_all(folded), WEIGHT_PATTERN);
        candidate_doubt(candidate, "unlabelled", "no label says what \"%s\" is", folded->text);
    }
}

static const struct candidate *offered(const struct rules *rules, enum field field) {
    for (size_t i = 0; i < rules->count; i++)
        if (rules->candidates[i].field == field)
            return &rules->candidates[i];
    return NULL;
}

// What the rest of the plate says: vector group, terminals, the ratio of the secondary's numbers.
struct hints {
    unsigned for_one, for_three;
    size_t line;
    struct part part;
};

static void hint(struct hints *hints, const struct rules *rules, const char *word, bool three) {
    struct part part;
    size_t line;
    if (!rules_find_word(rules, word, 0, &line, &part))
        return;
    // "H3" inside a word is no terminal.
    const char *text = part.folded->text;
    if (part.begin > 0 && is_letter(text[part.begin - 1]))
        return;
    *(three ? &hints->for_three : &hints->for_one) += 1;
    hints->line = line;
    hints->part = part;
}

static void hint_ratio(struct hints *hints, const struct rules *rules) {
    const struct candidate *low = offered(rules, FIELD_TENSAO_SECUNDARIA);
    const char *stroke = low ? strchr(low->text, '/') : NULL;
    if (!stroke || !strcmp(low->code, "suggested"))
        return;
    double ratio = (double)strtol(low->text, NULL, 10) / (double)strtol(stroke + 1, NULL, 10);
    bool three = fabs(ratio - 1.732) < .05, one = fabs(ratio - 2) < .05;
    hints->for_three += three;
    hints->for_one += one;
    if (!hints->part.folded && (three || one)) {
        hints->line = low->line;
        hints->part = low->part;
    }
}

// Terminals of a diagram, each a line of its own: "H3" are three phases, "H2T" is one.
static void hint_terminals(struct hints *hints, const struct rules *rules) {
    bool third = false, earth = false;
    for (size_t i = 0; i < rules->sheet.line_count; i++) {
        const char *text = rules->sheet.folds[i].text;
        third |= !strcmp(text, "H3");
        earth |= !strcmp(text, "H2T");
        if (!hints->part.folded && (!strcmp(text, "H3") || !strcmp(text, "H2T"))) {
            hints->line = i;
            hints->part = part_all(&rules->sheet.folds[i]);
        }
    }
    hints->for_three += third;
    hints->for_one += earth;
}

static struct hints find_hints(const struct rules *rules) {
    struct hints hints = {0};
    hint(&hints, rules, "DYN", true);
    hint(&hints, rules, "H1H2H3", true);
    hint(&hints, rules, "H2T", false);
    hint(&hints, rules, "MRT", false);
    hint_ratio(&hints, rules);
    hint_terminals(&hints, rules);
    return hints;
}

// `least`: of what says it.
static void infer(struct rules *rules, unsigned least) {
    struct hints hints = find_hints(rules);
    size_t at = 0;
    bool asked = rules_next_pair(rules, CONCEPT_PHASES, &at) != NULL;
    bool three = hints.for_three > 0;
    unsigned sure = three ? hints.for_three : hints.for_one;
    if ((hints.for_three && hints.for_one) || sure < least || !hints.part.folded)
        return;
    struct candidate *candidate =
        rules_offer(rules, FIELD_FASES, three ? "3" : "1", hints.line, hints.part, WEIGHT_PATTERN);
    // Where the plate tells their number, terminals and voltages that agree will do.
    if (!asked || sure < 2)
        candidate_doubt(candidate, "unlabelled",
                        "the number itself was not read; connection and voltages say it");
}

// A tap stands in its row, to the right.
static bool is_position(const struct rules *rules, size_t line) {
    const struct sheet *sheet = &rules->sheet;
    for (size_t i = 0; i < rules->count; i++) {
        const struct candidate *one = &rules->candidates[i];
        struct quad tap = part_upright(one->part, &sheet->lines[one->line]);
        struct offset to = sheet_offset(sheet, line, &sheet->lines[line].upright, one->line, &tap);
        if (one->field == FIELD_TENSAO_PRIMARIA && to.overlap_y > .5f && to.right > 0 &&
            to.right < 14 * sheet->height)
            return true;
    }
    return false;
}

// The only line that is a lone digit, when nothing else on the plate speaks against it: columns of
// taps have several.
static void read_lone(struct rules *rules) {
    struct part lone = {NULL, 0, 0};
    size_t digits = 0, line = 0;
    for (size_t i = 0; i < rules->sheet.line_count; i++) {
        struct part part = part_after_leaders(part_all(&rules->sheet.folds[i]));
        if (part.end != part.begin + 1 || !is_digit(part.folded->text[part.begin]))
            continue;
        digits++;
        line = i;
        lone = part;
    }
    if (digits != 1 || !sheet_is_free(&rules->sheet, line, lone) || is_position(rules, line))
        return;
    struct hints hints = find_hints(rules);
    char digit = lone.folded->text[lone.begin];
    bool against = digit == '3' ? hints.for_one > 0 : digit == '1' && hints.for_three > 0;
    char text[2] = {digit};
    if (digit >= '1' && digit <= '3' && !against)
        candidate_doubt(rules_offer(rules, FIELD_FASES, text, line, lone, WEIGHT_PATTERN),
                        "unlabelled", "no label says what \"%s\" is", text);
}

static bool says_no(struct part part) {
    const char *text = part.folded->text;
    return part.end - part.begin <= 4 && (!strncmp(text + part.begin, "NAO", 3) ||
                                          (part.end - part.begin == 1 && text[part.begin] == 'N'));
}

static bool says_yes(struct part part) {
    const char *text = part.folded->text;
    return part.end - part.begin <= 4 && (!strncmp(text + part.begin, "SIM", 3) ||
                                          (part.end - part.begin == 1 && text[part.begin] == 'S'));
}

// A form with boxes to tick: "SIM ( ) NÃO (X)".
static bool says_both(struct part part) {
    char words[FOLDED_MAX + 1];
    snprintf(words, sizeof words, "%.*s", (int)(part.end - part.begin),
             part.folded->text + part.begin);
    return strstr(words, "SIM") || strstr(words, "NAO");
}

bool protected_fits(const struct domains *domains, enum unit unit, struct part part) {
    (void)domains, (void)unit;
    return says_no(part) || says_yes(part);
}

// "NÃO AUTOPROTEGIDO", "SEM AUTOPROTEÇÃO".
static bool is_denied(const struct piece *label) {
    char before[FOLDED_MAX + 1], bones[FOLDED_MAX + 1];
    size_t length = label->part.begin;
    memcpy(before, label->part.folded->text, length);
    size_t count = skeleton_of(before, length, bones, NULL, sizeof bones);
    return count >= 3 && (!strcmp(bones + count - 3, "NAO") || !strcmp(bones + count - 3, "SEM"));
}

static void read_protection(struct rules *rules) {
    const struct pair *pair;
    for (size_t at = 0; (pair = rules_next_pair(rules, CONCEPT_SELF_PROTECTED, &at));) {
        const struct piece *label = rules_piece(rules, pair);
        bool no = is_denied(label) || (pair->kind != PAIR_NONE && says_no(pair->part));
        struct candidate *candidate = rules_offer(rules, FIELD_AUTOPROTEGIDO, no ? "false" : "true",
                                                  label->line, label->part, 1);
        if (candidate)
            candidate->labelled = true;
        if (pair->kind == PAIR_NONE && pair->blocked &&
            says_both(rules->sheet.pieces[pair->value].part))
            candidate_doubt(candidate, "ambiguous", "what stands beside \"%s\" was not understood",
                            candidate ? candidate->raw : "");
    }
}

void rules_phases(struct rules *rules) {
    read_labels(rules);
    read_words(rules);
    read_brief(rules);
    read_signs(rules);
    if (!rules_has(rules, FIELD_FASES))
        infer(rules, 2);
    if (!rules_has(rules, FIELD_FASES))
        read_lone(rules);
    if (!rules_has(rules, FIELD_FASES))
        read_dashes(rules);
    read_protection(rules);
}

static bool is_sure(const struct rules *rules, enum field field) {
    bool sure = false;
    for (size_t i = 0; i < rules->count; i++)
        sure |= rules->candidates[i].field == field && !rules->candidates[i].code[0];
    return sure;
}

// Of what every plate says, something has no value that is beyond doubt.
static bool is_doubted(const struct rules *rules) {
    bool doubted = false;
    for (int i = 0; i < FIELD_COUNT; i++)
        doubted |= field_is_always((enum field)i) && !is_sure(rules, (enum field)i);
    return doubted;
}

// A plate of which a person must look at more anyway: one that says it is enough.
void rules_open_phases(struct rules *rules) {
    if (!rules_has(rules, FIELD_FASES) && is_doubted(rules))
        infer(rules, 1);
}
