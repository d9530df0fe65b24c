// The words that say what a text stands on.
#include "filter_private.h"
#include "identity.h"
#include "number.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *word;
    enum text_class text_class;
} CLUES[] = {
    {"KWH", TEXT_METER},          {"MEDIDOR", TEXT_METER},
    {"WATT HORA", TEXT_METER},    {"POLIFASICO", TEXT_METER},
    {"FIOS", TEXT_METER},         {"IMP/KWH", TEXT_METER},
    {"KVARH", TEXT_METER},        {"PULSOS", TEXT_METER},
    {"CONSUMO", TEXT_METER},      {"FIBRA", TEXT_TELECOM},
    {"OPTICA", TEXT_TELECOM},     {"OPTICO", TEXT_TELECOM},
    {"TELECOM", TEXT_TELECOM},    {"INTERNET", TEXT_TELECOM},
    {"TELEFONICA", TEXT_TELECOM}, {"BANDA LARGA", TEXT_TELECOM},
    {"CTO", TEXT_TELECOM},        {"PROVEDOR", TEXT_TELECOM},
    {"TELEFONIA", TEXT_TELECOM},  {"REDE OPTICA", TEXT_TELECOM},
    {"VIVO", TEXT_TELECOM},       {"CLARO", TEXT_TELECOM},
    {"EMBRATEL", TEXT_TELECOM},   {"PERIGO", TEXT_OTHER},
    {"CUIDADO", TEXT_OTHER},      {"CHOQUE", TEXT_OTHER},
    {"RISCO", TEXT_OTHER},        {"MORTE", TEXT_OTHER},
    {"NAO SUBA", TEXT_OTHER},     {"NAO TOQUE", TEXT_OTHER},
    {"NAO OPERE", TEXT_OTHER},    {"NAO MEXA", TEXT_OTHER},
    {"PROIBIDO", TEXT_OTHER},     {"MANTENHA", TEXT_OTHER},
    {"AFASTE", TEXT_OTHER},       {"DESLIGUE", TEXT_OTHER},
    {"INSPECAO", TEXT_OTHER},     {"INSPECIONADO", TEXT_OTHER},
    {"INSPETOR", TEXT_OTHER},     {"MANUTENCAO", TEXT_OTHER},
    {"ENSAIADO", TEXT_OTHER},     {"EQUIPE", TEXT_OTHER},
    {"LACRE", TEXT_OTHER},        {"LAUDO", TEXT_OTHER},
    {"APROVADO", TEXT_OTHER},     {"REPROVADO", TEXT_OTHER},
    {"QUALIDADE", TEXT_OTHER},    {"VISTO", TEXT_OTHER},
    {"PROXIMA", TEXT_OTHER},      {"VISTORIA", TEXT_OTHER},
    {"CALIBRADO", TEXT_OTHER},    {"CALIBRACAO", TEXT_OTHER},
    {"REVISADO", TEXT_OTHER},     {"RESPONSAVEL", TEXT_OTHER},
    {"VENDE", TEXT_OTHER},        {"ALUGA", TEXT_OTHER},
    {"POSTE", TEXT_POLE},         {"CPFL", TEXT_POLE},
    {"COPEL", TEXT_POLE},         {"CEMIG", TEXT_POLE},
    {"ENEL", TEXT_POLE},          {"ENERGISA", TEXT_POLE},
    {"EQUATORIAL", TEXT_POLE},    {"NEOENERGIA", TEXT_POLE},
    {"CELESC", TEXT_POLE},        {"CELPE", TEXT_POLE},
    {"COELBA", TEXT_POLE},        {"COSERN", TEXT_POLE},
    {"ELEKTRO", TEXT_POLE},       {"AMPLA", TEXT_POLE},
    {"ESCELSA", TEXT_POLE},       {"LIGHT", TEXT_POLE},
    {"CEEE", TEXT_POLE},          {"RGE", TEXT_POLE},
    {"EDP", TEXT_POLE},
};

// A word of the folded text. Long ones may be read with faults, short ones must be exact.
static bool says(const struct folded *folded, const char *word) {
    char bones[FOLDED_MAX + 1], wanted[32];
    uint16_t at[FOLDED_MAX + 1];
    size_t length = skeleton_of(word, strlen(word), wanted, NULL, sizeof wanted);
    size_t count = skeleton_of(folded->text, folded->length, bones, at, sizeof bones);
    unsigned edits = length >= 8 ? 1 : 0;
    for (size_t start = 0; start + length <= count + edits; start++) {
        size_t left = count - start, take = left < length ? left : length;
        unsigned far = edit_distance(bones + start, take, wanted, length, edits);
        if (far > edits && edits > 0 && take == length)
            far = edit_distance(bones + start, take - 1, wanted, length, edits);
        if (far > edits)
            continue;
        if (length > 5)
            return true;
        size_t begin = at[start], end = (size_t)at[start + length - 1] + 1;
        bool border = (begin == 0 || !is_letter(folded->text[begin - 1])) &&
                      (end >= folded->length || !is_letter(folded->text[end]));
        bool exact =
            end - begin == strlen(word) && memcmp(folded->text + begin, word, end - begin) == 0;
        if (border && (length == 5 || exact))
            return true;
    }
    return false;
}

// "0800 122 5224": a number to call; "0800215" is anybody's.
static bool is_call_free(const struct folded *folded) {
    const char *at = strstr(folded->text, "0800");
    size_t digits = 0;
    if (!at || (at > folded->text && is_digit(at[-1])))
        return false;
    for (; *at && !is_letter(*at); at++)
        digits += is_digit(*at);
    return digits >= 10;
}

static unsigned label_points(enum concept concept) {
    switch (concept) {
    case CONCEPT_NONE:
    case CONCEPT_OTHER_DATE: return 0;
    case CONCEPT_NUMBER:
    case CONCEPT_CNPJ:
    case CONCEPT_WORDS: return 1;
    default: return 2;
    }
}

static bool has_power(const struct part *part) {
    struct number number;
    for (size_t at = part->begin; number_next(part, &at, &number);)
        if (number.unit == UNIT_KVA)
            return true;
    return false;
}

// Values that stand on plates of transformers and on little else.
static unsigned value_points(const struct folded *folded, const struct domains *domains) {
    static const char *const WORDS[] = {"ONAN",       "ONAF",       "DYN1",         "DYN11",
                                        "DY1",        "MONOFASICO", "TRIFASICO",    "BIFASICO",
                                        "SUBTRATIVA", "ADITIVA",    "AUTOPROTEGIDO"};
    struct part part = part_all(folded);
    struct number number, before = {0};
    unsigned points = 0;
    char text[64];
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        points += says(folded, WORDS[i]) ? 2 : 0;
    for (size_t at = part.begin; number_next(&part, &at, &number); before = number) {
        snprintf(text, sizeof text, "%s/%s", before.whole, number.whole);
        if (domain_has(domains, DOMAIN_SECONDARY, text))
            points += 2;
        points += number.unit == UNIT_WATT && before.end + 1 == number.begin && // "83/381 W"
                  folded->text[before.end] == '/';
        points += number.unit == UNIT_KV || number.unit == UNIT_KG || number.unit == UNIT_LITRE ||
                  domain_has(domains, DOMAIN_TAP, number.whole);
        points += domain_has(domains, DOMAIN_PRIMARY, number.whole) ? 2 : 0;
    }
    struct identity identity;
    if (registration_find(part, domains, &identity) && identity.text[0] == '0')
        points += 2;
    return points;
}

static bool names_maker(const struct folded *folded, const struct domains *domains) {
    char bones[FOLDED_MAX + 1];
    size_t count, length = skeleton_of(folded->text, folded->length, bones, NULL, sizeof bones);
    const struct maker_name *names = domains_maker_names(domains, &count);
    for (size_t i = 0; i < count; i++) {
        if (names[i].length < 5 ? strcmp(bones, names[i].skeleton) == 0
                                : strstr(bones, names[i].skeleton) != NULL)
            return length > 0;
    }
    return false;
}

void filter_mark(const struct sheet *sheet, const struct domains *domains, struct mark *marks) {
    for (size_t i = 0; i < sheet->line_count; i++) {
        const struct folded *folded = &sheet->folds[i];
        struct part all = part_all(folded);
        marks[i] = (struct mark){.maker = names_maker(folded, domains)};
        for (size_t k = 0; k < sizeof CLUES / sizeof *CLUES; k++)
            marks[i].votes[CLUES[k].text_class] += says(folded, CLUES[k].word);
        marks[i].votes[TEXT_TELECOM] += is_call_free(folded);
        if (says(folded, "TRANSFORMADOR"))
            marks[i].plate += 3;
        if (has_power(&all))
            marks[i].plate += 3;
        marks[i].plate += value_points(folded, domains) + (marks[i].maker ? 2 : 0);
    }
    for (size_t i = 0; i < sheet->count; i++)
        marks[sheet->pieces[i].line].plate +=
            sheet->pieces[i].hit.guessed ? 0 : label_points(sheet->pieces[i].hit.concept);
}

enum text_class mark_foreign(const struct mark *mark) {
    enum text_class most = TEXT_METER;
    for (int i = TEXT_METER; i <= TEXT_OTHER; i++)
        if (mark->votes[i] > mark->votes[most])
            most = (enum text_class)i;
    return mark->votes[most] > 0 && 3 * mark->votes[most] >= mark->plate ? most : TEXT_NAMEPLATE;
}
