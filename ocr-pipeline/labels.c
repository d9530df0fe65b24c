#include "labels_private.h"

#include "base/mem.h"

#include <string.h>

static struct spelling *add_spelling(struct labels *labels, const char *letters, size_t length,
                                     enum concept concept) {
    if (labels->count == labels->capacity) {
        labels->capacity = labels->capacity ? labels->capacity * 2 : 512;
        labels->spellings =
            mem_resize(labels->spellings, labels->capacity * sizeof *labels->spellings);
    }
    struct spelling *one = &labels->spellings[labels->count++];
    *one = (struct spelling){.length = length, .concept = concept};
    memcpy(one->letters, letters, length);
    return one;
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

// "No DE SERIE", "N DE SERIE", "N. SERIE": how many letters the number sign has.
static size_t number_sign(const char *text) {
    if (text[0] != 'N' || !strchr("o .", text[1]))
        return 0;
    return text[1] == 'o' ? 2 : 1;
}

static bool add_folded(struct labels *labels, const char *text, enum concept concept, bool apart) {
    char letters[SPELLING_MAX];
    size_t length = skeleton_of(text, strlen(text), letters, NULL, sizeof letters);
    if (length < 2)
        return false;
    if (length < SHORT)
        length = plain_letters(text, letters, sizeof letters);
    if (length < 2)
        return false;
    struct spelling *one = add_spelling(labels, letters, length, concept);
    one->sign = number_sign(text);
    one->whole = ends_with_number_sign(text);
    one->apart = apart;
    return true;
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

// Units as plates write them, longest first; the first letters are enough for some.
static const struct {
    const char *text;
    enum unit unit;
} UNITS[] = {
    {"KVA", UNIT_KVA},     {"KUA", UNIT_KVA},    {"KYA", UNIT_KVA},      {"K VA", UNIT_KVA},
    {"KV A", UNIT_KVA},    {"oKVA", UNIT_KVA},   {"KV4", UNIT_KVA},      {"MVA", UNIT_OTHER},
    {"KWA", UNIT_KVA},     {"WA", UNIT_KVA},     {"VA", UNIT_KVA},       {"KVVA", UNIT_KVA},
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

// "EVA", "NVA", "XVA": a K that was read as any letter; "MVA" is another unit.
static bool is_torn_kva(const char *text, size_t at, size_t stop) {
    return at + 3 <= stop && is_letter(text[at]) && text[at] != 'M' && text[at] != 'o' &&
           !strncmp(text + at + 1, "VA", 2) &&
           (at + 3 == stop || !(is_letter(text[at + 3]) || is_digit(text[at + 3])));
}

enum unit unit_at(const char *text, size_t at, size_t stop, size_t *end) {
    at = skip_blanks(text, at, stop);
    if (is_torn_kva(text, at, stop)) {
        *end = at + 3;
        return UNIT_KVA;
    }
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
