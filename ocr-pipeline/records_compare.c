#include "records_compare.h"

#include "format/json.h"
#include "normalise.h"
#include "number.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *match_name(enum match match) {
    static const char *const NAMES[] = {"unknown", "same", "near", "different"};
    return NAMES[match];
}

static enum match compare_power(double plate, double record, double tolerance) {
    if (plate <= 0 || record <= 0)
        return MATCH_UNKNOWN;
    if (fabs(plate - record) < .001)
        return MATCH_SAME;
    return fabs(plate - record) <= tolerance * record + 1e-9 ? MATCH_NEAR : MATCH_DIFFERENT;
}

// Letters and digits; spreadsheets drop the zeros that a number begins with.
static void identity(const char *text, char *out, size_t size) {
    struct folded folded;
    size_t count = 0;
    fold_line(&folded, text);
    for (size_t i = 0; i < folded.length && count + 1 < size; i++) {
        char c = folded.text[i];
        if ((is_letter(c) || is_digit(c)) && !(count == 0 && c == '0'))
            out[count++] = c;
    }
    out[count] = '\0';
}

static enum match compare_identity(const char *plate, const char *record) {
    char a[64], b[64];
    identity(plate, a, sizeof a);
    identity(record, b, sizeof b);
    return strcmp(a, b) == 0 ? MATCH_SAME : MATCH_DIFFERENT;
}

// "WEG" and "WEG EQUIPAMENTOS ELETRICOS S.A.".
static enum match compare_maker(const char *plate, const char *record) {
    char a[64], b[64];
    identity(plate, a, sizeof a);
    identity(record, b, sizeof b);
    if (strcmp(a, b) == 0)
        return MATCH_SAME;
    bool within = a[0] && b[0] && (strstr(a, b) || strstr(b, a));
    return within ? MATCH_NEAR : MATCH_DIFFERENT;
}

static enum match compare_dates(const char *plate, const char *record) {
    if (strcmp(plate, record) == 0)
        return MATCH_SAME;
    bool year = strncmp(plate, record, 4) == 0 && (strlen(plate) == 4 || strlen(record) == 4);
    return year ? MATCH_NEAR : MATCH_DIFFERENT;
}

static enum match compare(enum field field, const char *plate, const char *record,
                          double tolerance) {
    if (!plate[0] || !record[0])
        return MATCH_UNKNOWN;
    switch (field) {
    case FIELD_POTENCIA_KVA:
        return compare_power(number_of_text(plate), number_of_text(record), tolerance);
    case FIELD_FABRICANTE: return compare_maker(plate, record);
    case FIELD_DATA_FABRICACAO: return compare_dates(plate, record);
    case FIELD_NUMERO_SERIE:
    case FIELD_PATRIMONIO:
    case FIELD_REGISTRO: return compare_identity(plate, record);
    default: return strcmp(plate, record) == 0 ? MATCH_SAME : MATCH_DIFFERENT;
    }
}

void records_compare(const struct record *record, double tolerance, struct plate *plate,
                     struct comparison *comparison) {
    const char *power = plate->values[FIELD_POTENCIA_KVA].text;
    *comparison = (struct comparison){.units = 1};
    if (record->transformer_images >= 2) {
        comparison->banco_trafo = true;
        comparison->units = record->transformer_images;
    }
    comparison->kva = number_of_text(power) * comparison->units;
    for (int i = 0; i < FIELD_COUNT; i++) {
        enum field field = (enum field)i;
        enum match match = compare(field, plate->values[i].text, record->values[i], tolerance);
        if (field == FIELD_POTENCIA_KVA && comparison->banco_trafo)
            match = compare_power(comparison->kva, number_of_text(record->values[i]), tolerance);
        comparison->fields[i] = match;
        if (match == MATCH_DIFFERENT)
            plate_add_reason(plate, field, "records_differ", "the plate says %s%s, the records %s",
                             plate->values[i].text,
                             field == FIELD_POTENCIA_KVA && comparison->banco_trafo ? " a unit"
                                                                                    : "",
                             record->values[i]);
    }
}

// A number without a fraction is told without one, as the plate's own.
static json_t *whole(double value) {
    return value == floor(value) ? json_integer((json_int_t)value) : json_real(value);
}

json_t *comparison_json(const struct record *record, const struct comparison *comparison) {
    json_t *out = json_object();
    for (int i = 0; i < FIELD_COUNT; i++) {
        json_t *one = json_object();
        json_set(one, "match", json_text(match_name(comparison->fields[i])));
        json_set(one, "record", record->values[i][0] ? json_text(record->values[i]) : json_null());
        json_set(out, field_key((enum field)i), one);
    }
    json_set(out, "banco_trafo", json_boolean(comparison->banco_trafo));
    json_set(out, "units", json_integer((json_int_t)comparison->units));
    json_set(out, "kva_total", comparison->kva > 0 ? whole(comparison->kva) : json_null());
    return out;
}
