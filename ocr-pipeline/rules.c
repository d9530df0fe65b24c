#include "rules_private.h"

#include "base/mem.h"
#include "joints.h"
#include "voltage.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static float score(const struct candidate *candidate) {
    return candidate->confidence * candidate->weight * (candidate->code[0] ? .6f : 1);
}

static struct candidate *room_for(struct rules *rules, float worth) {
    if (rules->count < CANDIDATES_MAX)
        return &rules->candidates[rules->count++];
    struct candidate *least = rules->candidates;
    for (size_t i = 1; i < rules->count; i++)
        if (score(&rules->candidates[i]) < score(least))
            least = &rules->candidates[i];
    return score(least) < worth ? least : NULL;
}

struct candidate *rules_offer(struct rules *rules, enum field field, const char *text, size_t line,
                              struct part part, float weight) {
    const struct text_line *at = &rules->sheet.lines[line];
    float confidence = part_confidence(part, at);
    struct candidate *candidate = room_for(rules, confidence * weight);
    if (!candidate)
        return NULL;
    *candidate = (struct candidate){.field = field, .confidence = confidence, .weight = weight};
    candidate->doubt = part_doubt(part, at);
    candidate->line = line;
    candidate->part = part;
    snprintf(candidate->text, sizeof candidate->text, "%s", text);
    part_raw(part, at, candidate->raw, sizeof candidate->raw);
    candidate->box = part_box(part, at);
    return candidate;
}

void candidate_doubt(struct candidate *candidate, const char *code, const char *format, ...) {
    if (!candidate || candidate->code[0])
        return;
    va_list args;
    va_start(args, format);
    snprintf(candidate->code, sizeof candidate->code, "%s", code);
    vsnprintf(candidate->why, sizeof candidate->why, format, args);
    va_end(args);
}

// How likely a second choice must be to be looked at, to be taken where the first makes no value of
// the list, and to put a listed one in doubt.
#define SECOND_LEAST .02f
#define SECOND_TAKEN .1f
#define SECOND_DOUBT .2f

// The value of the list that one character's second choice makes of a part, the likeliest of them;
// how likely that choice is, 0: there is none.
static float second_value(const struct rules *rules, const struct listed *listed, const char *text,
                          size_t line, struct part part, char *out, size_t size) {
    const struct text_line *at = &rules->sheet.lines[line];
    struct folded *again = mem_alloc(sizeof *again), second;
    float best = 0;
    *again = *part.folded;
    struct part other = {again, part.begin, part.end};
    for (size_t i = part.begin; i < part.end && at->chars; i++) {
        size_t index = part.folded->from[i];
        const struct text_char *c = index < at->char_count ? &at->chars[index] : NULL;
        if (!c || !c->second[0] || c->second_confidence < fmaxf(best, SECOND_LEAST))
            continue;
        char value[64], first = again->text[i];
        fold_line(&second, c->second);
        again->text[i] = second.length == 1 ? second.text[0] : first;
        if (listed->value(rules->domains, other, value, sizeof value) &&
            domain_has(rules->domains, listed->domain, value) && strcmp(value, text) != 0) {
            snprintf(out, size, "%s", value);
            best = c->second_confidence;
        }
        again->text[i] = first;
    }
    mem_free(again);
    return best;
}

struct candidate *rules_offer_listed(struct rules *rules, const struct listed *listed,
                                     const char *text, size_t line, struct part part,
                                     float weight) {
    char other[64];
    float second = second_value(rules, listed, text, line, part, other, sizeof other);
    if (domain_has(rules->domains, listed->domain, text)) {
        struct candidate *candidate = rules_offer(rules, listed->field, text, line, part, weight);
        if (second >= SECOND_DOUBT)
            candidate_doubt(candidate, "doubtful_letter", "\"%s\" may be \"%s\"", text, other);
        return candidate;
    }
    if (second >= SECOND_TAKEN)
        return rules_offer(rules, listed->field, other, line, part, weight * WEIGHT_SWAPPED);
    const char *near = domain_near(rules->domains, listed->domain, text);
    struct candidate *candidate = rules_offer(rules, listed->field, near ? near : text, line, part,
                                              weight * WEIGHT_SUGGESTED);
    if (candidate && near)
        candidate_doubt(candidate, "suggested",
                        "read as \"%s\", which is no usual value; \"%s\" "
                        "is one character away",
                        candidate->raw, near);
    else if (candidate)
        candidate_doubt(candidate, "out_of_domain", "\"%s\" is no usual value", candidate->raw);
    return candidate;
}

const struct pair *rules_next_pair(const struct rules *rules, enum concept concept, size_t *at) {
    while (*at < rules->pair_count) {
        const struct pair *pair = &rules->pairs[(*at)++];
        if (rules->sheet.pieces[pair->label].hit.concept == concept)
            return pair;
    }
    return NULL;
}

const struct pair *rules_next_value(const struct rules *rules, enum concept concept, size_t *at) {
    const struct pair *pair;
    while ((pair = rules_next_pair(rules, concept, at)) && pair->kind == PAIR_NONE)
        ;
    return pair;
}

const struct piece *rules_piece(const struct rules *rules, const struct pair *pair) {
    return &rules->sheet.pieces[pair->label];
}

size_t rules_line(const struct rules *rules, const struct pair *pair) {
    return rules->sheet.pieces[pair->value].line;
}

bool rules_find_word(const struct rules *rules, const char *word, unsigned edits, size_t *line,
                     struct part *part) {
    char bones[FOLDED_MAX + 1], wanted[64];
    uint16_t at[FOLDED_MAX + 1];
    size_t length = skeleton_of(word, strlen(word), wanted, NULL, sizeof wanted);
    for (size_t i = 0; i < rules->sheet.line_count; i++) {
        const struct folded *folded = &rules->sheet.folds[i];
        size_t count = skeleton_of(folded->text, folded->length, bones, at, sizeof bones);
        for (size_t start = 0; start + length <= count; start++) {
            bool inside = at[start] > 0 && is_letter(folded->text[at[start] - 1]);
            if ((inside && edits > 0) || // "TRIFASICO" has a "BIFASICO" that was read wrong in it
                edit_distance(bones + start, length, wanted, length, edits) > edits)
                continue;
            if (line)
                *line = i;
            if (part)
                *part = (struct part){folded, at[start], (size_t)at[start + length - 1] + 1};
            return true;
        }
    }
    return false;
}

bool rules_has(const struct rules *rules, enum field field) {
    for (size_t i = 0; i < rules->count; i++)
        if (rules->candidates[i].field == field)
            return true;
    return false;
}

// "CLIENTE: 0328982-554594-2": words have no such values, though a customer's tag may be one.
static bool is_long_number(struct part part) {
    size_t digits = 0;
    for (size_t i = part.begin; i < part.end; i++)
        digits += is_digit(part.folded->text[i]);
    return digits >= 6 && digits * 2 > part.end - part.begin;
}

// "220/127 V", "34500/33500/32500": nothing else on a plate is that.
static bool is_voltages(const struct domains *domains, struct part part) {
    struct low low;
    struct taps taps;
    taps_find(domains, part, &taps);
    if (taps.count > 1)
        return taps.taps[0].part.begin == part.begin && volts_listed(domains, taps.taps[0].volts) &&
               volts_listed(domains, taps.taps[1].volts);
    return low_find(domains, part, &low) && low.part.begin == part.begin &&
           domain_has(domains, DOMAIN_SECONDARY, low.text);
}

// What stands beside a label of something else: its unit must not say that it is a field.
static bool others_fits(const struct domains *domains, enum concept concept, struct part part) {
    static const unsigned MAY[CONCEPT_COUNT] = {
        [CONCEPT_FREQUENCY] = 1u << UNIT_HZ,  [CONCEPT_IMPEDANCE] = 1u << UNIT_PERCENT,
        [CONCEPT_MASS] = 1u << UNIT_KG,       [CONCEPT_OIL] = 1u << UNIT_LITRE | 1u << UNIT_KG,
        [CONCEPT_INSULATION] = 1u << UNIT_KV, [CONCEPT_RISE] = 1u << UNIT_CELSIUS,
        [CONCEPT_LOSSES] = 1u << UNIT_WATT,   [CONCEPT_CURRENT] = 1u << UNIT_A,
    };
    struct number number;
    size_t at = part.begin;
    if (concept == CONCEPT_PHRASE || (concept == CONCEPT_WORDS && is_long_number(part)))
        return false;
    if (is_voltages(domains, part))
        return false;
    // A heading "LIGAÇÃO" has links below it; voltages beside it are another column's.
    bool words = concept == CONCEPT_CONNECTION || concept == CONCEPT_WORDS;
    if (words && (voltages_fits(domains, UNIT_NONE, part) ||
                  (number_next(&part, &at, &number) && number.unit != UNIT_NONE &&
                   number.unit != UNIT_CELSIUS && number.unit != UNIT_OTHER)))
        return false;
    at = part.begin;
    if (!number_next(&part, &at, &number) || number.unit == UNIT_NONE || number.unit == UNIT_OTHER)
        return true;
    if (number.unit == UNIT_KVA)
        return false;
    return MAY[concept] == 0 || (MAY[concept] & 1u << number.unit);
}

static bool fits(void *arg, enum concept concept, enum unit unit, struct part part) {
    static family_fits_fn *const FAMILIES[CONCEPT_FIELDS] = {
        [CONCEPT_POWER] = power_fits,
        [CONCEPT_MAKER] = maker_fits,
        [CONCEPT_SERIAL] = serial_fits,
        [CONCEPT_DATE] = date_fits,
        [CONCEPT_MONTH] = month_fits,
        [CONCEPT_FUSE] = fuse_fits,
        [CONCEPT_PRIMARY] = primary_fits,
        [CONCEPT_SECONDARY] = secondary_fits,
        [CONCEPT_VOLTAGES] = voltages_fits,
        [CONCEPT_PHASES] = phases_fits,
        [CONCEPT_SELF_PROTECTED] = protected_fits,
        [CONCEPT_TAG] = tag_fits,
        [CONCEPT_REGISTRATION] = registration_fits,
    };
    const struct rules *rules = arg;
    if (concept < CONCEPT_FIELDS)
        return FAMILIES[concept](rules->domains, unit, part);
    return others_fits(rules->domains, concept, part);
}

// Labels take themselves, and those of no field their values too.
static void take_labels(struct rules *rules) {
    for (size_t i = 0; i < rules->pair_count; i++) {
        const struct pair *pair = &rules->pairs[i];
        const struct piece *label = &rules->sheet.pieces[pair->label];
        sheet_take(&rules->sheet, label->line, label->part, label->hit.concept);
        if (pair->kind != PAIR_NONE && label->hit.concept >= CONCEPT_FIELDS)
            sheet_take(&rules->sheet, rules_line(rules, pair), pair->part, label->hit.concept);
    }
}

// A value of a closed list bears its label out.
static bool is_listed(enum field field) {
    return field == FIELD_POTENCIA_KVA || field == FIELD_ELO_FUSIVEL || field == FIELD_FASES ||
           field == FIELD_TENSAO_PRIMARIA || field == FIELD_TENSAO_SECUNDARIA;
}

// What no other label has: a number with kVA behind it, a pair of low voltages, a high one that is
// no class of insulation, a fuse link, a registration in full.
static bool says_its_field(const struct rules *rules, const struct candidate *one) {
    const struct part *part = &one->part;
    const char *text = one->text;
    size_t end;
    switch (one->field) {
    case FIELD_POTENCIA_KVA:
        return unit_at(part->folded->text, part->end, part->folded->length, &end) == UNIT_KVA;
    case FIELD_TENSAO_SECUNDARIA:
        return strchr(text, '/') && domain_has(rules->domains, DOMAIN_SECONDARY, text);
    case FIELD_TENSAO_PRIMARIA:
        return domain_has(rules->domains, DOMAIN_PRIMARY, text) && strcmp(text, "24200") != 0 &&
               strcmp(text, "25000") != 0;
    case FIELD_ELO_FUSIVEL: return domain_has(rules->domains, DOMAIN_FUSE, text);
    case FIELD_REGISTRO: return strlen(text) == 11 && text[0] == '0' && text[6] == '/';
    default: return false;
    }
}

// A number's label of which two letters in three were read: none other comes near to it. In the
// same box a guess may have taken the value's first letters, unless something parts them.
static bool is_numbers_own(const struct label_hit *hit, const struct pair *pair,
                           const struct candidate *one) {
    bool number = one->field == FIELD_NUMERO_SERIE || one->field == FIELD_PATRIMONIO ||
                  one->field == FIELD_FASES;
    size_t begin = one->part.begin;
    bool parted = begin > 0 && !is_letter(one->part.folded->text[begin - 1]);
    return number && hit->edits * 3 <= hit->letters && (pair->kind != PAIR_INLINE || parted);
}

// A label that is a letter off with a value of its list, or a number's own.
static bool is_near(const struct label_hit *hit, const struct pair *pair,
                    const struct candidate *one) {
    return hit->letters >= 5 &&
           ((hit->edits <= 1 && is_listed(one->field)) || is_numbers_own(hit, pair, one));
}

// What stands beside a label that was guessed is somebody's guess, too, but for values that only it
// can have, and labels that are one letter off with a value of their list.
static void doubt_guesses(struct rules *rules) {
    for (size_t i = 0; i < rules->pair_count; i++) {
        const struct pair *pair = &rules->pairs[i];
        const struct piece *label = &rules->sheet.pieces[pair->label];
        if (!label->hit.guessed || pair->kind == PAIR_NONE)
            continue;
        char raw[64];
        part_raw(label->part, &rules->sheet.lines[label->line], raw, sizeof raw);
        for (size_t k = 0; k < rules->count; k++) {
            struct candidate *one = &rules->candidates[k];
            if (!one->labelled || one->line != rules_line(rules, pair) ||
                one->part.begin >= pair->part.end || one->part.end <= pair->part.begin)
                continue;
            bool near = is_near(&label->hit, pair, one) || says_its_field(rules, one);
            one->labelled = near;
            one->weight *= near ? WEIGHT_SWAPPED : WEIGHT_GUESSED;
            if (!near)
                candidate_doubt(one, "label_unsure", "its label reads \"%s\"", raw);
        }
    }
}

// Candidates that say the same support each other.
static float support(const struct rules *rules, const struct candidate *candidate) {
    float best = 0;
    unsigned others = 0;
    for (size_t i = 0; i < rules->count; i++) {
        const struct candidate *one = &rules->candidates[i];
        if (one->field != candidate->field || strcmp(one->text, candidate->text) != 0)
            continue;
        best = score(one) > best ? score(one) : best;
        others += one != candidate;
    }
    return best * (others ? 1.15f : 1);
}

static const struct candidate *best_of(const struct rules *rules, enum field field,
                                       const char *but) {
    const struct candidate *best = NULL;
    for (size_t i = 0; i < rules->count; i++) {
        const struct candidate *one = &rules->candidates[i];
        if (one->field != field || (but && strcmp(one->text, but) == 0))
            continue;
        if (!best || support(rules, one) > support(rules, best) ||
            (support(rules, one) == support(rules, best) && score(one) > score(best)))
            best = one;
    }
    return best;
}

static void choose(struct rules *rules, enum field field) {
    const struct candidate *best = best_of(rules, field, NULL);
    if (!best)
        return;
    struct value *value = &rules->plate->values[field];
    *value = (struct value){.confidence = fminf(1, best->confidence * best->weight),
                            .characters = best->confidence,
                            .doubt = best->doubt,
                            .box = best->box,
                            .source = SOURCE_RULE};
    snprintf(value->text, sizeof value->text, "%s", best->text);
    snprintf(value->raw, sizeof value->raw, "%s", best->raw);
    if (best->code[0])
        plate_add_reason(rules->plate, field, best->code, "%s", best->why);
    const struct candidate *other = best_of(rules, field, best->text);
    if (other && (other->labelled || !best->labelled) &&
        support(rules, other) > .6f * support(rules, best))
        plate_add_reason(rules->plate, field, "ambiguous", "\"%s\" or \"%s\"", best->raw,
                         other->raw);
}

static void miss(struct rules *rules, enum concept concept, enum field field) {
    size_t at = 0;
    const struct pair *pair;
    if (rules->plate->values[field].text[0])
        return;
    while ((pair = rules_next_pair(rules, concept, &at)) != NULL)
        if (!rules_piece(rules, pair)->hit.guessed)
            plate_add_reason(rules->plate, field, "no_value",
                             "its label was read, its value was not");
}

// A label without a value: the plate says more than was read.
static void tell_missing(struct rules *rules) {
    miss(rules, CONCEPT_POWER, FIELD_POTENCIA_KVA);
    miss(rules, CONCEPT_SERIAL, FIELD_NUMERO_SERIE);
    miss(rules, CONCEPT_DATE, FIELD_DATA_FABRICACAO);
    miss(rules, CONCEPT_FUSE, FIELD_ELO_FUSIVEL);
    miss(rules, CONCEPT_PRIMARY, FIELD_TENSAO_PRIMARIA);
    miss(rules, CONCEPT_SECONDARY, FIELD_TENSAO_SECUNDARIA);
    miss(rules, CONCEPT_PHASES, FIELD_FASES);
    miss(rules, CONCEPT_TAG, FIELD_PATRIMONIO);
    miss(rules, CONCEPT_REGISTRATION, FIELD_REGISTRO);
    miss(rules, CONCEPT_MAKER, FIELD_FABRICANTE);
}

void rules_read(struct plate *plate, const struct text_line *lines, size_t count,
                const struct domains *domains) {
    struct rules *rules = mem_alloc(sizeof *rules);
    struct joints joints;
    rules->plate = plate;
    rules->domains = domains;
    joints_init(&joints, lines, count, LINES_MAX);
    sheet_init(&rules->sheet, joints.lines, joints.count, domains_labels(domains));
    rules->pairs = pairs_find(&rules->sheet, fits, rules, &rules->pair_count);
    take_labels(rules);
    rules_power(rules);
    rules_numbers(rules);
    rules_date(rules);
    rules_fuse(rules);
    rules_voltages(rules);
    rules_maker(rules);
    rules_phases(rules);
    rules_open_power(rules);
    rules_open_numbers(rules);
    doubt_guesses(rules);
    rules_open_phases(rules);
    for (int field = 0; field < FIELD_COUNT; field++)
        choose(rules, (enum field)field);
    tell_missing(rules);
    mem_free(rules->pairs);
    sheet_fini(&rules->sheet);
    joints_fini(&joints);
    mem_free(rules);
}
