// Fuse link: a number and a letter for its curve (5H, 10K, 0,5H, 40EF), or LAM, DIR, S/C.
#include "rules_private.h"

#include "fuse.h"

#include <stdio.h>
#include <string.h>

bool fuse_fits(const struct domains *domains, enum unit unit, struct part part) {
    struct fuse fuse;
    (void)domains, (void)unit;
    return fuse_find(part, true, &fuse);
}

static bool fuse_value(const struct domains *domains, struct part part, char *out, size_t size) {
    struct fuse fuse;
    (void)domains;
    if (!fuse_find(part, true, &fuse))
        return false;
    snprintf(out, size, "%s", fuse.text);
    return true;
}

static const struct listed FUSE = {FIELD_ELO_FUSIVEL, DOMAIN_FUSE, fuse_value};

// "L8H": of a letter that was taken for a 1 nothing is left when only the rest is a fuse.
static bool drop_stroke(const struct domains *domains, struct fuse *fuse) {
    if (!fuse->swaps || !is_digit(fuse->text[0]) || !is_digit(fuse->text[1]) ||
        domain_has(domains, DOMAIN_FUSE, fuse->text) ||
        !domain_has(domains, DOMAIN_FUSE, fuse->text + 1))
        return false;
    memmove(fuse->text, fuse->text + 1, strlen(fuse->text));
    return true;
}

static struct candidate *offer(struct rules *rules, size_t line, struct fuse *fuse, float weight) {
    struct part at = {rules->sheet.folds + line, fuse->begin, fuse->end};
    bool stroke = drop_stroke(rules->domains, fuse);
    if (fuse->swaps)
        weight *= WEIGHT_SWAPPED;
    sheet_take(&rules->sheet, line, at, CONCEPT_FUSE);
    struct candidate *candidate = rules_offer_listed(rules, &FUSE, fuse->text, line, at, weight);
    if (fuse->guessed || stroke)
        candidate_doubt(candidate, "repaired", "read as \"%s\"", candidate ? candidate->raw : "");
    return candidate;
}

// Some utility's table has it for the power that was read.
static bool fits_power(const struct rules *rules, const char *fuse) {
    for (size_t i = 0; i < rules->count; i++) {
        const struct candidate *one = &rules->candidates[i];
        double kva = number_of_text(one->text);
        if (one->field == FIELD_POTENCIA_KVA && !one->code[0] &&
            domains_fuse_fit(rules->domains, NULL, kva, 0, fuse) == FUSE_FITS)
            return true;
    }
    return false;
}

// A fuse of the list that fills a part; "0,5H°": but for a speck.
static bool is_fuse(const struct rules *rules, struct part part, struct fuse *fuse) {
    if (part.end > part.begin + 2 && part.folded->text[part.end - 1] == 'o')
        part.end--;
    bool brief = part.end - part.begin <= 3; // "SH"
    return fuse_find(part, brief, fuse) && !fuse->guessed && fuse->begin == part.begin &&
           fuse->end == part.end && domain_has(rules->domains, DOMAIN_FUSE, fuse->text);
}

// Past a voltage that the next column stuck to: "220/127V8H".
static struct part after_volts(struct part part) {
    const char *text = part.folded->text;
    for (size_t at = part.begin + 1; at + 1 < part.end; at++)
        if (text[at] == 'V' && is_digit(text[at - 1]) && is_digit(text[at + 1]))
            part.begin = at + 1;
    return part;
}

// Past the letters of a label that stuck to it: "ELON3H", "8AMA.0.5H".
static struct part after_stuck_label(struct part part) {
    const char *text = part.folded->text;
    size_t letters = part_letters(part);
    part.begin += letters >= 3 ? letters : 0;
    for (size_t at = part.begin + 1; at + 1 < part.end; at++)
        if (text[at] == '.' && is_letter(text[at - 1]) && is_digit(text[at + 1]))
            part.begin = at + 1;
    return part;
}

// The same behind words: "SLM FKSIVEV 8H", "110. 5H".
static bool is_worded(const struct rules *rules, struct part part, struct fuse *fuse) {
    return is_fuse(rules, part_trim(part_after_words(part)), fuse) ||
           is_fuse(rules, part_trim(part_last_word(part)), fuse) ||
           is_fuse(rules, after_volts(part), fuse) || is_fuse(rules, after_stuck_label(part), fuse);
}

// Painted on the tank or beside the plate: "5H", "EF5H" as a line of its own.
static void read_open(struct rules *rules) {
    struct fuse fuse;
    for (size_t i = 0; i < rules->sheet.count; i++) {
        const struct piece *piece = &rules->sheet.pieces[i];
        struct part part = part_after_leaders(piece->part);
        if (piece_is_label(piece) ||
            !(is_fuse(rules, part, &fuse) || is_worded(rules, part, &fuse)) ||
            !rules_is_free_or_norms(rules, piece->line,
                                    (struct part){part.folded, fuse.begin, fuse.end}))
            continue;
        bool worded = fuse.begin > part.begin;
        struct candidate *candidate = offer(rules, piece->line, &fuse, WEIGHT_PATTERN);
        if (worded || fuse.swaps || !fits_power(rules, fuse.text))
            candidate_doubt(candidate, "unlabelled", "no label says that \"%s\" is a fuse link",
                            fuse.text);
    }
}

void rules_fuse(struct rules *rules) {
    const struct pair *pair;
    struct fuse fuse;
    for (size_t at = 0; (pair = rules_next_value(rules, CONCEPT_FUSE, &at));) {
        if (!fuse_find(pair->part, true, &fuse))
            continue;
        struct candidate *candidate = offer(rules, rules_line(rules, pair), &fuse, pair->weight);
        if (candidate)
            candidate->labelled = true;
    }
    if (!rules_has(rules, FIELD_ELO_FUSIVEL))
        read_open(rules);
}
