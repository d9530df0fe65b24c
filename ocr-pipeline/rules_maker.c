// Maker: a name of the list, wherever it stands; else what its CNPJ or its label says.
#include "rules_private.h"

#include <stdio.h>
#include <string.h>

// A line of the sheet as a skeleton.
struct bones {
    char text[FOLDED_MAX + 1];
    uint16_t at[FOLDED_MAX + 1];
    size_t count;
};

static bool is_word(const struct folded *folded, size_t begin, size_t end) {
    const char *text = folded->text;
    return (begin == 0 || !(is_letter(text[begin - 1]) || is_digit(text[begin - 1]))) &&
           (end >= folded->length || !(is_letter(text[end]) || is_digit(text[end])));
}

// What a company's name goes on with. A long word may be read with faults.
static const char *const TRADES[] = {"TRANSFORMAD", "EQUIPAMENT", "INDUSTRIA", "ELETROMEC",
                                     "CONSTRUCOES", "PRODUTOS",   "SISTEMAS",  "ELETRIC",
                                     "LTDA",        "IND.",       "S.A.",      "S/A"};

// The word at `at` is one of a company's name.
static bool is_trade(const struct folded *folded, size_t at) {
    for (size_t i = 0; i < sizeof TRADES / sizeof *TRADES; i++) {
        char trade[16], bones[16];
        size_t length = skeleton_of(TRADES[i], strlen(TRADES[i]), trade, NULL, sizeof trade);
        size_t left = folded->length - at, wide = strlen(TRADES[i]) + 2;
        size_t count =
            skeleton_of(folded->text + at, left < wide ? left : wide, bones, NULL, length + 1);
        unsigned edits = length > 9 ? 2 : length > 6 ? 1 : 0;
        bool sign = length > 3 || !strncmp(folded->text + at, TRADES[i], strlen(TRADES[i]));
        if (sign && edit_distance(bones, count, trade, length, edits) <= edits)
            return true;
    }
    return false;
}

// "TRAEL TRANSFORMADORES", read with its blank or without.
static bool is_before_trade(const struct folded *folded, size_t begin, size_t end) {
    while (end < folded->length && strchr(" -.", folded->text[end]))
        end++;
    return (begin == 0 || !is_letter(folded->text[begin - 1])) && end < folded->length &&
           is_trade(folded, end);
}

// Short names must be whole words, read exactly: "GE" is in half of all words. `length`: of the
// text that may be the name.
static bool name_at(const struct bones *bones, const struct folded *folded, size_t start,
                    size_t length, const struct maker_name *name, unsigned edits,
                    struct part *part) {
    if (start + length > bones->count ||
        edit_distance(bones->text + start, length, name->skeleton, name->length, edits) > edits)
        return false;
    size_t begin = bones->at[start], end = (size_t)bones->at[start + length - 1] + 1;
    *part = (struct part){folded, begin, end};
    bool trade = is_before_trade(folded, begin, end), word = trade || is_word(folded, begin, end);
    if (name->length < 6 && !word)
        return false;
    for (size_t i = begin; i < end && name->length < 5; i++)
        if (is_digit(folded->text[i])) // "1TB"
            return false;
    if (name->alone && !trade) {
        struct part rest = part_trim(part_all(folded));
        return rest.begin == begin && rest.end == end;
    }
    // "COMTRAFO S.A." has a "TRAFO S.A." in it.
    return word || (edits == 0 && (begin == 0 || !is_letter(folded->text[begin - 1])));
}

static float name_weight(const struct rules *rules, size_t line, const struct part *part) {
    struct quad quad = part_upright(*part, &rules->sheet.lines[line]);
    float dx = quad.corners[3].x - quad.corners[0].x, dy = quad.corners[3].y - quad.corners[0].y;
    // The logo is larger than the rest.
    return dx * dx + dy * dy > 1.7f * rules->sheet.height * rules->sheet.height ? 1 : .93f;
}

static void look_in_line(struct rules *rules, size_t line, unsigned edits) {
    const struct folded *folded = &rules->sheet.folds[line];
    struct bones bones;
    size_t count;
    const struct maker_name *names = domains_maker_names(rules->domains, &count);
    bones.count =
        skeleton_of(folded->text, folded->length, bones.text, bones.at, sizeof bones.text);
    for (size_t i = 0; i < count; i++) {
        if (edits > 0 && (names[i].length < 5 || names[i].alone))
            continue;
        for (size_t start = 0; start < bones.count; start++) {
            struct part part;
            size_t length = names[i].length;
            if (!name_at(&bones, folded, start, length, &names[i], edits, &part) &&
                !(edits && name_at(&bones, folded, start, length + 1, &names[i], edits, &part)))
                continue;
            struct candidate *candidate =
                rules_offer(rules, FIELD_FABRICANTE, names[i].maker, line, part,
                            name_weight(rules, line, &part) * (edits ? WEIGHT_SUGGESTED : 1));
            if (candidate)
                candidate->labelled = true;
            if (edits)
                candidate_doubt(candidate, "suggested", "read as \"%s\", which is near \"%s\"",
                                candidate ? candidate->raw : "", names[i].maker);
            break;
        }
    }
}

static void look_for_names(struct rules *rules, unsigned edits) {
    for (size_t i = 0; i < rules->sheet.line_count; i++)
        look_in_line(rules, i, edits);
}

// 07.175.725/0001-60
static void look_for_cnpj(struct rules *rules) {
    const struct pair *pair;
    for (size_t at = 0; (pair = rules_next_value(rules, CONCEPT_CNPJ, &at));) {
        char root[9];
        size_t count = 0;
        for (size_t i = pair->part.begin; i < pair->part.end && count < 8; i++)
            if (is_digit(pair->part.folded->text[i]))
                root[count++] = pair->part.folded->text[i];
        root[count] = '\0';
        const char *maker = count == 8 ? domains_maker_of_cnpj(rules->domains, root) : NULL;
        if (maker)
            rules_offer(rules, FIELD_FABRICANTE, maker, rules_line(rules, pair), pair->part,
                        WEIGHT_UNIT);
    }
}

static void clean_name(const char *raw, char *out, size_t size) {
    struct folded folded;
    fold_line(&folded, raw);
    struct part part = part_trim(part_all(&folded));
    snprintf(out, size, "%.*s", (int)(part.end - part.begin), folded.text + part.begin);
}

// A name that is not listed, beside "FABRICANTE".
static void look_beside_labels(struct rules *rules) {
    const struct pair *pair;
    for (size_t at = 0; (pair = rules_next_value(rules, CONCEPT_MAKER, &at));) {
        char raw[64], name[64];
        part_raw(pair->part, &rules->sheet.lines[rules_line(rules, pair)], raw, sizeof raw);
        clean_name(raw, name, sizeof name);
        candidate_doubt(rules_offer(rules, FIELD_FABRICANTE, name, rules_line(rules, pair),
                                    pair->part, WEIGHT_PATTERN),
                        "unknown_maker", "\"%s\" is not in the list of makers", raw);
    }
}

// "ELETROSUL TRANSFORMADORES LTDA": the name before the first word that names a trade, when no
// maker of the list was read.
static void look_for_companies(struct rules *rules) {
    for (size_t i = 0; i < rules->sheet.line_count; i++) {
        const struct folded *folded = &rules->sheet.folds[i];
        size_t end = 1;
        while (end < folded->length && !(folded->text[end - 1] == ' ' && is_trade(folded, end)))
            end++;
        struct part part = part_trim((struct part){folded, 0, end});
        if (end >= folded->length || !maker_fits(rules->domains, UNIT_NONE, part) ||
            is_trade(folded, 0) || !sheet_is_free(&rules->sheet, i, part))
            continue;
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)(part.end - part.begin),
                 folded->text + part.begin);
        candidate_doubt(rules_offer(rules, FIELD_FABRICANTE, name, i, part, WEIGHT_PATTERN),
                        "unknown_maker", "\"%s\" is not in the list of makers", name);
    }
}

bool maker_fits(const struct domains *domains, enum unit unit, struct part part) {
    size_t letters = 0;
    (void)domains, (void)unit;
    for (size_t i = part.begin; i < part.end; i++)
        letters += is_letter(part.folded->text[i]);
    return letters >= 2;
}

void rules_maker(struct rules *rules) {
    look_for_names(rules, 0);
    look_for_cnpj(rules);
    if (!rules_has(rules, FIELD_FABRICANTE))
        look_for_names(rules, 1);
    if (!rules_has(rules, FIELD_FABRICANTE))
        look_beside_labels(rules);
    if (!rules_has(rules, FIELD_FABRICANTE))
        look_for_companies(rules);
}
