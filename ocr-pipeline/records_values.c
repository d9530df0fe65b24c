#include "records_values.h"

#include "date.h"
#include "fuse.h"
#include "number.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *head;
    enum field field;
} HEADS[] = {
    {"POTENCIA", FIELD_POTENCIA_KVA},
    {"POT", FIELD_POTENCIA_KVA},
    {"KVA", FIELD_POTENCIA_KVA},
    {"POTENCIANOMINAL", FIELD_POTENCIA_KVA},
    {"POTNOM", FIELD_POTENCIA_KVA},
    {"FABR", FIELD_FABRICANTE},
    {"MARCA", FIELD_FABRICANTE},
    {"SERIE", FIELD_NUMERO_SERIE},
    {"NSERIE", FIELD_NUMERO_SERIE},
    {"NUMSERIE", FIELD_NUMERO_SERIE},
    {"NRSERIE", FIELD_NUMERO_SERIE},
    {"NUMERODESERIE", FIELD_NUMERO_SERIE},
    {"DATA", FIELD_DATA_FABRICACAO},
    {"DATAFABR", FIELD_DATA_FABRICACAO},
    {"DATADEFABRICACAO", FIELD_DATA_FABRICACAO},
    {"ANOFABRICACAO", FIELD_DATA_FABRICACAO},
    {"ELO", FIELD_ELO_FUSIVEL},
    {"FUSIVEL", FIELD_ELO_FUSIVEL},
    {"TENSAOPRIMARIA", FIELD_TENSAO_PRIMARIA},
    {"TENSAOPRIMARIAKV", FIELD_TENSAO_PRIMARIA},
    {"TENSAOAT", FIELD_TENSAO_PRIMARIA},
    {"TENPRI", FIELD_TENSAO_PRIMARIA},
    {"TENSAOSECUNDARIA", FIELD_TENSAO_SECUNDARIA},
    {"TENSAOBT", FIELD_TENSAO_SECUNDARIA},
    {"TENSEC", FIELD_TENSAO_SECUNDARIA},
    {"NFASES", FIELD_FASES},
    {"NUMEROFASES", FIELD_FASES},
    {"NUMERODEFASES", FIELD_FASES},
    {"NUMPATRIMONIO", FIELD_PATRIMONIO},
    {"NPATRIMONIO", FIELD_PATRIMONIO},
    {"TOMBAMENTO", FIELD_PATRIMONIO},
    {"REGISTROINMETRO", FIELD_REGISTRO},
    {"INMETRO", FIELD_REGISTRO},
};
static const char *const POLES[] = {"POSTE",  "POLE",     "IDPOSTE", "POSTEID", "PONTO",
                                    "PONNOT", "CODPOSTE", "CODID",   "NPOSTE",  "NUMEROPOSTE"};

// Letters and digits, in capitals without accents; a ring is none.
static void plain(const char *text, char *out, size_t size) {
    struct folded folded;
    size_t count = 0;
    fold_line(&folded, text);
    for (size_t i = 0; i < folded.length && count + 1 < size; i++)
        if (is_letter(folded.text[i]) || is_digit(folded.text[i]))
            out[count++] = folded.text[i];
    out[count] = '\0';
}

enum field record_field(const char *head) {
    char name[64], key[64];
    plain(head, name, sizeof name);
    for (int i = 0; i < FIELD_COUNT; i++) {
        plain(field_key((enum field)i), key, sizeof key);
        if (strcmp(key, name) == 0)
            return (enum field)i;
    }
    for (size_t i = 0; i < sizeof HEADS / sizeof *HEADS; i++)
        if (strcmp(HEADS[i].head, name) == 0)
            return HEADS[i].field;
    return FIELD_COUNT;
}

bool record_is_pole(const char *head) {
    char name[64];
    plain(head, name, sizeof name);
    for (size_t i = 0; i < sizeof POLES / sizeof *POLES; i++)
        if (strcmp(POLES[i], name) == 0)
            return true;
    return false;
}

static bool first_number(const struct folded *folded, struct number *number) {
    struct part part = part_all(folded);
    size_t at = 0;
    return number_next(&part, &at, number);
}

static bool power(const struct folded *folded, char *out, size_t size) {
    struct number number;
    if (!first_number(folded, &number))
        return false;
    number_text(number_value(&number), out, size);
    return true;
}

// "13800", "13.800", "13,8", "13.8 kV", "7,967".
static bool volts(const struct folded *folded, char *out, size_t size) {
    struct number number;
    if (!first_number(folded, &number))
        return false;
    double value = number_value(&number);
    number_text(value < 100 ? round(value * 1000) : value, out, size);
    return true;
}

static bool secondary(const struct folded *folded, char *out, size_t size) {
    struct part part = part_all(folded);
    struct number first, second;
    size_t at = 0;
    if (!number_next(&part, &at, &first))
        return false;
    if (number_next(&part, &at, &second)) {
        double a = number_value(&first), b = number_value(&second);
        snprintf(out, size, "%.0f/%.0f", fmax(a, b), fmin(a, b));
    } else {
        snprintf(out, size, "%.0f", number_value(&first));
    }
    return true;
}

static bool phases(const struct folded *folded, char *out, size_t size) {
    static const char *const NAMES[] = {"MONO", "BI", "TRI"};
    for (size_t i = 0; i < 3; i++)
        if (strncmp(folded->text, NAMES[i], strlen(NAMES[i])) == 0) {
            snprintf(out, size, "%zu", i + 1);
            return true;
        }
    return power(folded, out, size);
}

static bool date(const struct folded *folded, char *out, size_t size) {
    struct date found;
    if (!date_find(part_all(folded), 2099, &found))
        return false;
    if (found.month)
        snprintf(out, size, "%04d-%02d", found.year, found.month);
    else
        snprintf(out, size, "%04d", found.year);
    return true;
}

static bool yes_or_no(const struct folded *folded, char *out, size_t size) {
    char c = folded->text[0];
    if (!c || !strchr("SY1TVN0F", c)) // sim, yes, true, verdadeiro; não, no, false
        return false;
    snprintf(out, size, "%s", strchr("N0F", c) ? "false" : "true");
    return true;
}

static bool fuse(const struct folded *folded, char *out, size_t size) {
    struct fuse found;
    if (!fuse_find(part_all(folded), false, &found))
        return false;
    snprintf(out, size, "%s", found.text);
    return true;
}

void record_value(enum field field, const char *text, char *out, size_t size) {
    typedef bool reader_fn(const struct folded *folded, char *out, size_t size);
    static reader_fn *const READERS[FIELD_COUNT] = {
        [FIELD_POTENCIA_KVA] = power,
        [FIELD_DATA_FABRICACAO] = date,
        [FIELD_ELO_FUSIVEL] = fuse,
        [FIELD_TENSAO_PRIMARIA] = volts,
        [FIELD_TENSAO_SECUNDARIA] = secondary,
        [FIELD_FASES] = phases,
        [FIELD_AUTOPROTEGIDO] = yes_or_no,
    };
    struct folded folded;
    fold_line(&folded, text);
    if (!text[0] || !READERS[field] || !READERS[field](&folded, out, size))
        snprintf(out, size, "%s", text);
}
