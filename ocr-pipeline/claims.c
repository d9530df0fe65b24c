#define _GNU_SOURCE
#include "claims.h"

#include "base/mem.h"
#include "base/str.h"
#include "format/json.h"
#include "normalise.h"
#include "rules.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SAID_MAX = 96, SHORT_MOST = 4 };

#define WEIGHT_MODEL 0.6f // of a value that only a model found, where the text has it
#define WEIGHT_NEAR 0.4f  // the same but for a character
#define BARE 0.2f         // confidence of a value that the text does not have
#define AGREED 0.5f       // what is left of the doubt when two readers agree

// --- Values, as the rules see them

static char *labelled(enum field field, const char *text) {
    static const char *const LABELS[FIELD_COUNT] = {
        [FIELD_POTENCIA_KVA] = "POTENCIA (kVA)",
        [FIELD_FABRICANTE] = "FABRICANTE",
        [FIELD_NUMERO_SERIE] = "NUMERO DE SERIE",
        [FIELD_DATA_FABRICACAO] = "DATA DE FABRICACAO",
        [FIELD_ELO_FUSIVEL] = "ELO FUSIVEL",
        [FIELD_TENSAO_PRIMARIA] = "TENSAO PRIMARIA",
        [FIELD_TENSAO_SECUNDARIA] = "TENSAO SECUNDARIA",
        [FIELD_FASES] = "FASES",
        [FIELD_AUTOPROTEGIDO] = "",
        [FIELD_PATRIMONIO] = "PATRIMONIO",
        [FIELD_REGISTRO] = "REGISTRO",
    };
    return mem_printf("%s%s%s", LABELS[field], LABELS[field][0] ? ": " : "", text);
}

// A plate of one line.
static void read_as(enum field field, const char *text, const struct domains *domains,
                    struct plate *plate) {
    char *whole = labelled(field, text);
    float width = 10 * (float)strlen(whole);
    struct text_line line = {.text = whole, .confidence = 1};
    line.quad = line.upright = (struct quad){{{0, 0}, {width, 0}, {width, 16}, {0, 16}}};
    *plate = (struct plate){.reason_count = 0};
    rules_read(plate, &line, 1, domains);
    mem_free(whole);
}

static void take(struct claim *claim, const struct plate *plate, enum field field) {
    const struct reason *reason = plate_reason(plate, field);
    if (strcmp(plate->values[field].text, "false") == 0) // what a plate does not say is not known
        return;
    claim->value = plate->values[field];
    if (reason) {
        snprintf(claim->code, sizeof claim->code, "%s", reason->code);
        snprintf(claim->why, sizeof claim->why, "%s", reason->text);
    }
}

// --- What a model says

// The many ways to say nothing.
static bool says_nothing(const char *text) {
    static const char *const WORDS[] = {"",
                                        "NULL",
                                        "NONE",
                                        "N/A",
                                        "NA",
                                        "ND",
                                        "N/D",
                                        "UNKNOWN",
                                        "EMPTY",
                                        "NOT FOUND",
                                        "NOT VISIBLE",
                                        "ILEGIVEL",
                                        "DESCONHECIDO",
                                        "AUSENTE",
                                        "NAO CONSTA",
                                        "NENHUM",
                                        "NAO INFORMADO",
                                        "NAO VISIVEL",
                                        "ILLEGIBLE"};
    struct folded folded;
    fold_line(&folded, text);
    struct part part = part_trim(part_all(&folded));
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (part.end - part.begin == strlen(WORDS[i]) &&
            strncmp(folded.text + part.begin, WORDS[i], strlen(WORDS[i])) == 0)
            return true;
    return false;
}

// A boolean, a number or a text, as a plate would print it. "": nothing.
static void said(enum field field, const json_t *json, char out[SAID_MAX]) {
    memset(out, 0, SAID_MAX);
    if (json_is_string(json))
        snprintf(out, SAID_MAX, "%s", json_string_value(json));
    else if (json_is_number(json))
        snprintf(out, SAID_MAX, "%.10g", json_number_value(json));
    else if (json_is_true(json))
        snprintf(out, SAID_MAX, "SIM");
    for (char *c = out; *c; c++)
        *c = (unsigned char)*c < ' ' ? ' ' : *c;
    // "2019-08", as the answers have it; plates print it the other way round.
    if (field == FIELD_DATA_FABRICACAO && strlen(out) == 7 && out[4] == '-') {
        char year[5], month[3];
        snprintf(year, sizeof year, "%.4s", out);
        snprintf(month, sizeof month, "%.2s", out + 5);
        snprintf(out, SAID_MAX, "%s/%s", month, year);
    }
    if (field == FIELD_AUTOPROTEGIDO && !strcasestr(out, "PROTEGIDO")) {
        static const char *const YES[] = {"SIM", "TRUE", "YES", "S"};
        bool yes = false;
        for (size_t i = 0; i < sizeof YES / sizeof *YES; i++)
            yes |= strcasecmp(out, YES[i]) == 0;
        snprintf(out, SAID_MAX, "%s", yes ? "AUTOPROTEGIDO" : "");
    }
}

size_t claims_from_json(struct claims *claims, enum source source, const json_t *object,
                        const struct domains *domains) {
    size_t keys = 0;
    *claims = (struct claims){.source = source};
    for (int i = 0; i < FIELD_COUNT; i++) {
        enum field field = (enum field)i;
        char text[SAID_MAX];
        struct plate plate;
        const json_t *json = json_object_get(object, field_key(field));
        keys += json != NULL;
        said(field, json, text);
        if (says_nothing(text))
            continue;
        read_as(field, text, domains, &plate);
        take(&claims->claims[field], &plate, field);
        struct value *value = &claims->claims[field].value;
        snprintf(value->raw, sizeof value->raw, "%s", text);
    }
    return keys;
}

char *claim_line(enum field field, const json_t *json) {
    char text[SAID_MAX];
    said(field, json, text);
    return says_nothing(text) ? NULL : labelled(field, text);
}

void claims_from_plate(struct claims *claims, enum source source, const struct plate *plate) {
    *claims = (struct claims){.source = source};
    for (int i = 0; i < FIELD_COUNT; i++)
        if (!plate_reason(plate, (enum field)i)) {
            take(&claims->claims[i], plate, (enum field)i);
            claims->claims[i].value.source = source;
        }
}

// --- Grounds

static bool same_value(enum field field, const char *a, const char *b) {
    char left[64], right[64];
    struct folded folded;
    if (field != FIELD_FABRICANTE)
        return strcmp(a, b) == 0;
    fold_line(&folded, a);
    skeleton_of(folded.text, folded.length, left, NULL, sizeof left);
    fold_line(&folded, b);
    skeleton_of(folded.text, folded.length, right, NULL, sizeof right);
    return strcmp(left, right) == 0;
}

static bool is_word_char(char c) { return is_letter(c) || is_digit(c); }

// A run of letters and digits stands between others, not inside one.
static bool is_whole(const struct folded *folded, size_t begin, size_t end) {
    return (begin == 0 || !is_word_char(folded->text[begin - 1])) &&
           (end >= folded->length || !is_word_char(folded->text[end]));
}

static void stand(struct part part, const struct text_line *line, struct value *at) {
    *at = (struct value){.confidence = part_confidence(part, line),
                         .characters = part_confidence(part, line),
                         .doubt = part_doubt(part, line),
                         .box = part_box(part, line)};
    part_raw(part, line, at->raw, sizeof at->raw);
}

// The letters and digits of `wanted` in one line, one character apart at most, short ones none.
static enum ground find_in_line(const char *wanted, size_t length, const struct text_line *line,
                                struct value *at) {
    char bones[FOLDED_MAX + 1];
    uint16_t from[FOLDED_MAX + 1];
    struct folded folded;
    enum ground best = GROUND_NONE;
    fold_line(&folded, line->text);
    size_t size = skeleton_of(folded.text, folded.length, bones, from, sizeof bones);
    size_t edits = length > SHORT_MOST ? 1 : 0;
    for (size_t begin = 0; begin < size && best != GROUND_WHOLE; begin++)
        for (size_t take = length - edits; take <= length + edits && begin + take <= size; take++) {
            struct part part = {&folded, from[begin], (size_t)from[begin + take - 1] + 1};
            if (!is_whole(&folded, part.begin, part.end))
                continue;
            unsigned distance = edit_distance(bones + begin, take, wanted, length, (unsigned)edits);
            enum ground ground = distance == 0       ? GROUND_WHOLE
                                 : distance <= edits ? GROUND_NEAR
                                                     : GROUND_NONE;
            if (ground > best) {
                best = ground;
                stand(part, line, at);
            }
        }
    return best;
}

static enum ground find_text(const char *text, const struct text_line *lines, size_t count,
                             struct value *at) {
    char wanted[SAID_MAX];
    struct folded folded;
    enum ground best = GROUND_NONE;
    fold_line(&folded, text);
    size_t length = skeleton_of(folded.text, folded.length, wanted, NULL, sizeof wanted);
    for (size_t i = 0; i < count && length > 0 && best != GROUND_WHOLE; i++) {
        struct value here;
        enum ground ground = find_in_line(wanted, length, &lines[i], &here);
        if (ground > best) {
            best = ground;
            *at = here;
        }
    }
    return best;
}

// A line that says the same in other words: "13,8 kV" is 13800, "MAI/2016" is 2016-05.
static enum ground find_value(enum field field, const char *text, const struct text_line *lines,
                              size_t count, const struct domains *domains, struct value *at) {
    for (size_t i = 0; i < count; i++) {
        struct plate plate;
        struct folded folded;
        read_as(field, lines[i].text, domains, &plate);
        if (plate_reason(&plate, field) || !same_value(field, plate.values[field].text, text))
            continue;
        fold_line(&folded, lines[i].text);
        stand(part_all(&folded), &lines[i], at);
        return GROUND_WHOLE;
    }
    return GROUND_NONE;
}

// A lone digit stands on every plate somewhere, and a yes nowhere: these only the rules bear out.
static bool has_no_text(enum field field) {
    return field == FIELD_FASES || field == FIELD_AUTOPROTEGIDO;
}

enum ground claim_ground(enum field field, const struct value *value, const struct text_line *lines,
                         size_t count, const struct domains *domains, struct value *at) {
    struct value other;
    if (has_no_text(field))
        return GROUND_NONE;
    enum ground ground = find_text(value->raw, lines, count, at);
    if (ground != GROUND_WHOLE &&
        find_value(field, value->text, lines, count, domains, &other) == GROUND_WHOLE) {
        *at = other;
        ground = GROUND_WHOLE;
    }
    return ground;
}

// --- One field

struct merge {
    struct plate *plate;
    const struct text_line *lines;
    size_t count;
    const struct domains *domains;
    enum source source;
    bool leads;
};

// Both say the same. One that read the photo itself makes it surer; one that read the same text
// only says that it is in the right field.
static void agree(const struct merge *merge, struct value *value) {
    if (merge->source == SOURCE_VLM) {
        value->characters = 1 - (1 - value->characters) * AGREED;
        value->confidence = 1 - (1 - value->confidence) * AGREED;
        value->doubt *= AGREED;
    }
    if (merge->leads)
        value->source = merge->source;
}

static void adopt(const struct merge *merge, enum field field, const struct claim *claim,
                  enum ground ground, const struct value *at) {
    struct value *value = &merge->plate->values[field];
    const char *who = source_name(merge->source);
    *value = (struct value){.confidence = BARE, .source = merge->source};
    snprintf(value->text, sizeof value->text, "%s", claim->value.text);
    snprintf(value->raw, sizeof value->raw, "%s", claim->value.raw);
    if (ground != GROUND_NONE) {
        value->confidence = at->confidence * (ground == GROUND_WHOLE ? WEIGHT_MODEL : WEIGHT_NEAR);
        value->characters = at->characters;
        value->doubt = at->doubt;
        value->box = at->box;
        snprintf(value->raw, sizeof value->raw, "%s", at->raw);
    }
    if (claim->code[0])
        plate_add_reason(merge->plate, field, claim->code, "%s", claim->why);
    if (ground == GROUND_NONE)
        plate_add_reason(merge->plate, field, "ungrounded",
                         "the %s says \"%s\", which is not in the text that was read", who,
                         claim->value.raw);
}

static void disagree(const struct merge *merge, enum field field, const struct claim *claim) {
    struct plate *plate = merge->plate;
    struct value at, rules = plate->values[field];
    enum ground ground =
        claim_ground(field, &claim->value, merge->lines, merge->count, merge->domains, &at);
    bool doubted = plate_reason(plate, field) != NULL;
    if (ground == GROUND_WHOLE && !claim->code[0] && (merge->leads || doubted))
        adopt(merge, field, claim, ground, &at);
    plate_add_reason(plate, field, "models_disagree", "the rules read \"%s\", the %s \"%s\"",
                     rules.text, source_name(merge->source), claim->value.text);
}

static void merge_field(const struct merge *merge, enum field field, const struct claim *claim) {
    struct plate *plate = merge->plate;
    struct value *value = &plate->values[field], at;
    bool claimed = claim->value.text[0] != '\0', known = value->text[0] != '\0';
    if (claimed && known) {
        if (same_value(field, value->text, claim->value.text))
            agree(merge, value);
        else
            disagree(merge, field, claim);
    } else if (claimed) {
        enum ground ground =
            claim_ground(field, &claim->value, merge->lines, merge->count, merge->domains, &at);
        adopt(merge, field, claim, ground, &at);
        if (ground != GROUND_NONE)
            plate_add_reason(plate, field, "model_only",
                             "only the %s found it; no rule knows that \"%s\" is this field",
                             source_name(merge->source), value->raw);
    } else if (known && merge->leads) {
        plate_add_reason(plate, field, "models_disagree", "the rules read \"%s\", the %s nothing",
                         value->text, source_name(merge->source));
        *value = (struct value){.source = SOURCE_NONE};
    }
}

void claims_merge(struct plate *plate, const struct claims *claims, bool leads,
                  const struct text_line *lines, size_t count, const struct domains *domains) {
    struct merge merge = {plate, lines, count, domains, claims->source, leads};
    for (int field = 0; field < FIELD_COUNT; field++)
        merge_field(&merge, (enum field)field, &claims->claims[field]);
}
