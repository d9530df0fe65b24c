#include "plate.h"

#include "format/json.h"
#include "number.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const KEYS[FIELD_COUNT] = {
    [FIELD_POTENCIA_KVA] = "potencia_kva",
    [FIELD_FABRICANTE] = "fabricante",
    [FIELD_NUMERO_SERIE] = "numero_serie",
    [FIELD_DATA_FABRICACAO] = "data_fabricacao",
    [FIELD_ELO_FUSIVEL] = "elo_fusivel",
    [FIELD_TENSAO_PRIMARIA] = "tensao_primaria_v",
    [FIELD_TENSAO_SECUNDARIA] = "tensao_secundaria_v",
    [FIELD_FASES] = "fases",
    [FIELD_AUTOPROTEGIDO] = "autoprotegido",
    [FIELD_PATRIMONIO] = "patrimonio",
    [FIELD_REGISTRO] = "registro",
};

const char *field_key(enum field field) { return field < FIELD_COUNT ? KEYS[field] : ""; }

bool field_is_always(enum field field) {
    return field == FIELD_POTENCIA_KVA || field == FIELD_NUMERO_SERIE ||
           field == FIELD_TENSAO_PRIMARIA || field == FIELD_TENSAO_SECUNDARIA;
}

enum field field_by_key(const char *key) {
    for (int i = 0; i < FIELD_COUNT; i++)
        if (strcmp(KEYS[i], key) == 0)
            return (enum field)i;
    return FIELD_COUNT;
}

static const char *const SOURCES[] = {"none", "rule", "vlm", "llm", "records"};

const char *source_name(enum source source) { return SOURCES[source]; }

static enum source source_by_name(const char *name) {
    for (int i = SOURCE_RULE; i <= SOURCE_RECORDS; i++)
        if (strcmp(SOURCES[i], name) == 0)
            return (enum source)i;
    return SOURCE_NONE;
}

bool plate_needs_review(const struct plate *plate) { return plate->reason_count > 0; }

const struct reason *plate_reason(const struct plate *plate, enum field field) {
    for (size_t i = 0; i < plate->reason_count; i++)
        if (plate->reasons[i].field == field)
            return &plate->reasons[i];
    return NULL;
}

void plate_add_reason(struct plate *plate, enum field field, const char *code, const char *format,
                      ...) {
    for (size_t i = 0; i < plate->reason_count; i++)
        if (plate->reasons[i].field == field && strcmp(plate->reasons[i].code, code) == 0)
            return;
    bool full = plate->reason_count == REASONS_MAX;
    struct reason *reason = &plate->reasons[full ? REASONS_MAX - 1 : plate->reason_count++];
    *reason = (struct reason){.field = full ? FIELD_COUNT : field};
    if (full) {
        snprintf(reason->code, sizeof reason->code, "more");
        snprintf(reason->text, sizeof reason->text, "there are more reasons than are listed");
        return;
    }
    va_list args;
    va_start(args, format);
    snprintf(reason->code, sizeof reason->code, "%s", code);
    vsnprintf(reason->text, sizeof reason->text, format, args);
    va_end(args);
}

static void drop_reasons(struct plate *plate, enum field field) {
    size_t kept = 0;
    for (size_t i = 0; i < plate->reason_count; i++)
        if (plate->reasons[i].field != field)
            plate->reasons[kept++] = plate->reasons[i];
    plate->reason_count = kept;
}

void plate_add_look(struct plate *plate, const struct plate *other) {
    for (int i = 0; i < FIELD_COUNT; i++) {
        enum field field = (enum field)i;
        struct value before = plate->values[i];
        const struct value *value = &other->values[i];
        bool surer = plate_reason(plate, field) && !plate_reason(other, field);
        if (!value->text[0] || (before.text[0] && !surer))
            continue;
        drop_reasons(plate, field);
        plate->values[i] = *value;
        for (size_t k = 0; k < other->reason_count; k++)
            if (other->reasons[k].field == field)
                plate_add_reason(plate, field, other->reasons[k].code, "%s",
                                 other->reasons[k].text);
        if (before.text[0] && strcmp(before.text, value->text) != 0)
            plate_add_reason(plate, field, "readings_differ", "\"%s\" or \"%s\"", value->raw,
                             before.raw);
    }
}

static bool is_number_field(enum field field) {
    return field == FIELD_POTENCIA_KVA || field == FIELD_TENSAO_PRIMARIA || field == FIELD_FASES;
}

// Values are ours (normalised): a number reads as one.
static json_t *value_json(enum field field, const struct value *value) {
    if (!value->text[0])
        return json_null();
    if (field == FIELD_AUTOPROTEGIDO)
        return json_boolean(strcmp(value->text, "true") == 0);
    json_t *number = is_number_field(field)
                         ? json_parse(value->text, strlen(value->text), 0, JSON_PARSE_ANY, NULL)
                         : NULL;
    if (json_is_number(number))
        return number;
    json_decref(number);
    return json_text(value->text);
}

json_t *plate_rounded(double value, double parts) {
    return json_real(round(value * parts) / parts);
}

json_t *plate_box_json(const struct box *box) {
    return json_build("[o, o, o, o]", plate_rounded((double)box->x0, 10),
                      plate_rounded((double)box->y0, 10), plate_rounded((double)box->x1, 10),
                      plate_rounded((double)box->y1, 10));
}

static json_t *reason_json(const struct reason *reason) {
    json_t *one = json_build("{s:s, s:s}", "code", reason->code, "text", reason->text);
    if (reason->field < FIELD_COUNT)
        json_set(one, "field", json_text(KEYS[reason->field]));
    return one;
}

static json_t *evidence(const struct value *value) {
    const struct box *box = &value->box;
    json_t *out =
        json_build("{s:o, s:s, s:s}", "confidence", plate_rounded((double)value->confidence, 1000),
                   "source", source_name(value->source), "raw", value->raw);
    if (box->x1 > box->x0)
        json_set(out, "box", plate_box_json(box));
    return out;
}

json_t *plate_json(const struct plate *plate) {
    json_t *out = json_object(), *fields = json_object(), *reasons = json_array();
    for (int i = 0; i < FIELD_COUNT; i++) {
        const struct value *value = &plate->values[i];
        json_set(out, KEYS[i], value_json((enum field)i, value));
        if (value->text[0])
            json_set(fields, KEYS[i], evidence(value));
    }
    for (size_t i = 0; i < plate->reason_count; i++)
        json_array_append_new(reasons, reason_json(&plate->reasons[i]));
    json_set(out, "_needs_review", json_boolean(plate_needs_review(plate)));
    json_set(out, "_reasons", reasons);
    json_set(out, "_fields", fields);
    return out;
}

static json_t *field_json(const struct plate *plate, enum field field) {
    const struct value *value = &plate->values[field];
    bool known = value->text[0] != '\0';
    json_t *out = json_object(), *reasons = json_array();
    for (size_t i = 0; i < plate->reason_count; i++)
        if (plate->reasons[i].field == field)
            json_array_append_new(reasons, json_text(plate->reasons[i].code));
    json_set(out, "value", value_json(field, value));
    json_set(out, "confidence",
             known ? plate_rounded((double)value->confidence, 1000) : json_null());
    json_set(out, "box",
             known && value->box.x1 > value->box.x0 ? plate_box_json(&value->box) : json_null());
    json_set(out, "source", known ? json_text(source_name(value->source)) : json_null());
    json_set(out, "raw", known ? json_text(value->raw) : json_null());
    json_set(out, "reasons", reasons);
    return out;
}

void plate_put_fields(const struct plate *plate, json_t *object) {
    json_t *fields = json_object(), *reasons = json_array();
    for (int i = 0; i < FIELD_COUNT; i++)
        json_set(fields, KEYS[i], field_json(plate, (enum field)i));
    for (size_t i = 0; i < plate->reason_count; i++)
        json_array_append_new(reasons, reason_json(&plate->reasons[i]));
    json_set(object, "fields", fields);
    json_set(object, "_needs_review", json_boolean(plate_needs_review(plate)));
    json_set(object, "review_reasons", reasons);
}

// --- Back again

static void take_value(enum field field, struct value *value, const json_t *told) {
    const json_t *what = json_object_get(told, "value"), *box = json_object_get(told, "box");
    if (json_is_boolean(what))
        snprintf(value->text, sizeof value->text, "%s", json_is_true(what) ? "true" : "false");
    else if (json_is_number(what))
        number_text(json_number_value(what), value->text, sizeof value->text);
    else
        snprintf(value->text, sizeof value->text, "%s", json_get_text(told, "value", ""));
    snprintf(value->raw, sizeof value->raw, "%s", json_get_text(told, "raw", ""));
    value->confidence = (float)json_number_value(json_object_get(told, "confidence"));
    value->source = source_by_name(json_get_text(told, "source", "none"));
    float *const sides[] = {&value->box.x0, &value->box.y0, &value->box.x1, &value->box.y1};
    for (size_t i = 0; i < 4; i++)
        *sides[i] = (float)json_number_value(json_array_get(box, i));
}

void plate_take_fields(struct plate *plate, const json_t *object) {
    const json_t *fields = json_object_get(object, "fields");
    const json_t *reasons = json_object_get(object, "review_reasons");
    *plate = (struct plate){.reason_count = 0};
    for (int i = 0; i < FIELD_COUNT; i++)
        take_value((enum field)i, &plate->values[i], json_object_get(fields, KEYS[i]));
    for (size_t i = 0; i < json_array_size(reasons); i++) {
        const json_t *reason = json_array_get(reasons, i);
        plate_add_reason(plate, field_by_key(json_get_text(reason, "field", "")),
                         json_get_text(reason, "code", ""), "%s",
                         json_get_text(reason, "text", ""));
    }
}
