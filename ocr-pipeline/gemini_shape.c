// The answer in the shape that a schema asks for: OpenAPI's as Google writes it, or JSON Schema.
#include "base/mem.h"
#include "format/json.h"
#include "gemini.h"
#include "gemini_private.h"
#include "plate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    enum field field;
    bool kilo; // asked for in thousands of the field's unit
} ALIASES[] = {
    {"rated_power", FIELD_POTENCIA_KVA},
    {"rated_power_kva", FIELD_POTENCIA_KVA},
    {"power_kva", FIELD_POTENCIA_KVA},
    {"potencia", FIELD_POTENCIA_KVA},
    {"potencia_nominal", FIELD_POTENCIA_KVA},
    {"kva", FIELD_POTENCIA_KVA},
    {"manufacturer", FIELD_FABRICANTE},
    {"marca", FIELD_FABRICANTE},
    {"serial_number", FIELD_NUMERO_SERIE},
    {"serial", FIELD_NUMERO_SERIE},
    {"serie", FIELD_NUMERO_SERIE},
    {"num_serie", FIELD_NUMERO_SERIE},
    {"manufacturing_date", FIELD_DATA_FABRICACAO},
    {"manufacture_date", FIELD_DATA_FABRICACAO},
    {"date", FIELD_DATA_FABRICACAO},
    {"fuse_link", FIELD_ELO_FUSIVEL},
    {"elo", FIELD_ELO_FUSIVEL},
    {"primary_voltage", FIELD_TENSAO_PRIMARIA},
    {"primary_voltage_v", FIELD_TENSAO_PRIMARIA},
    {"tensao_primaria", FIELD_TENSAO_PRIMARIA},
    {"primary_voltage_kv", FIELD_TENSAO_PRIMARIA, true},
    {"tensao_primaria_kv", FIELD_TENSAO_PRIMARIA, true},
    {"secondary_voltage", FIELD_TENSAO_SECUNDARIA},
    {"secondary_voltage_v", FIELD_TENSAO_SECUNDARIA},
    {"tensao_secundaria", FIELD_TENSAO_SECUNDARIA},
    {"phases", FIELD_FASES},
    {"numero_fases", FIELD_FASES},
    {"self_protection", FIELD_AUTOPROTEGIDO},
    {"self_protected", FIELD_AUTOPROTEGIDO},
    {"asset_tag", FIELD_PATRIMONIO},
    {"registration", FIELD_REGISTRO},
    {"registration_id", FIELD_REGISTRO},
};

// References may lead in circles, and from one to many.
enum { HOPS_MAX = 8, DEPTH_MAX = 64, NODES_MAX = 4096 };

struct shaper {
    const json_t *root, *plate;
    unsigned depth, nodes;
};

// Borrowed; NULL: no such field. `kilo`: it is asked for in thousands.
static const json_t *known_value(const json_t *plate, const char *name, bool *kilo) {
    const json_t *own = gemini_member(plate, name);
    *kilo = false;
    if (own || json_object_get(plate, name))
        return own;
    for (size_t i = 0; i < sizeof ALIASES / sizeof *ALIASES; i++)
        if (gemini_same_name(ALIASES[i].name, name)) {
            *kilo = ALIASES[i].kilo;
            return json_object_get(plate, field_key(ALIASES[i].field));
        }
    return NULL;
}

// --- Schemas

static bool is_name(const json_t *text, const char *name) {
    return json_is_string(text) && gemini_same_name(json_string_value(text), name);
}

// A schema's type: "STRING" or "string", or a list with "null".
static bool type_is(const json_t *schema, const char *name) {
    const json_t *type = gemini_member(schema, "type");
    bool is = is_name(type, name);
    for (size_t i = 0; i < json_array_size(type); i++)
        is |= is_name(json_array_get(type, i), name);
    return is;
}

// "#/$defs/Plate"
static const json_t *referred(const struct shaper *shaper, const char *reference) {
    const json_t *at = strncmp(reference, "#/", 2) == 0 ? shaper->root : NULL;
    for (const char *part = reference + 2; at && *part; part += *part == '/') {
        size_t length = strcspn(part, "/");
        char *key = mem_strndup(part, length);
        at = json_object_get(at, key);
        mem_free(key);
        part += length;
    }
    return at;
}

// The first that is not only null.
static const json_t *alternative(const json_t *schema) {
    const json_t *any = gemini_member(schema, "anyOf");
    if (!any)
        any = gemini_member(schema, "oneOf");
    for (size_t i = 0; i < json_array_size(any); i++)
        if (!is_name(gemini_member(json_array_get(any, i), "type"), "null"))
            return json_array_get(any, i);
    return NULL;
}

// Past references and alternatives.
static const json_t *resolved(const struct shaper *shaper, const json_t *schema) {
    for (int hops = 0; hops < HOPS_MAX; hops++) {
        const json_t *reference = json_object_get(schema, "$ref"), *next = alternative(schema);
        if (json_is_string(reference))
            next = referred(shaper, json_string_value(reference));
        if (!next)
            break;
        schema = next;
    }
    return schema;
}

// --- Values

static void plain_text(const json_t *value, char *out, size_t size) {
    if (json_is_string(value))
        snprintf(out, size, "%s", json_string_value(value));
    else if (json_is_boolean(value))
        snprintf(out, size, "%s", json_is_true(value) ? "true" : "false");
    else
        snprintf(out, size, "%.15g", json_number_value(value));
}

static json_t *in_number(const char *text, bool whole) {
    json_t *number = json_parse_mended(text, strlen(text), 0, JSON_PARSE_ANY, NULL);
    double exact = json_number_value(number);
    bool fits = json_is_number(number) && (!whole || exact == floor(exact));
    json_decref(number);
    return !fits ? json_null() : whole ? json_integer((json_int_t)exact) : json_real(exact);
}

// What is not in the list is not said.
static json_t *of_list(const json_t *list, const char *text) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        char other[256];
        if (json_is_object(one) || json_is_array(one) || json_is_null(one))
            continue;
        plain_text(one, other, sizeof other);
        if (strcasecmp(other, text) == 0)
            return json_incref((json_t *)(uintptr_t)one);
    }
    return json_null();
}

// Never another value than the plate's: what does not fit the type is null.
static json_t *in_type(const json_t *schema, const json_t *value, bool kilo) {
    char text[256];
    const json_t *list = gemini_member(schema, "enum");
    if (!value || json_is_null(value) || json_is_object(value) || json_is_array(value))
        return json_null();
    plain_text(value, text, sizeof text);
    if (kilo && json_is_number(value))
        snprintf(text, sizeof text, "%.15g", json_number_value(value) / 1000);
    if (list)
        return of_list(list, text);
    if (type_is(schema, "string"))
        return json_text(text);
    if (type_is(schema, "boolean"))
        return json_is_boolean(value) ? json_boolean(json_is_true(value)) : json_null();
    if (type_is(schema, "integer") || type_is(schema, "number"))
        return in_number(text, type_is(schema, "integer"));
    if (gemini_member(schema, "type"))
        return json_null(); // an object without properties
    return kilo ? in_number(text, false) : json_incref((json_t *)(uintptr_t)value);
}

// --- The whole

static json_t *shape(struct shaper *shaper, const json_t *schema, const char *name);

static json_t *shape_object(struct shaper *shaper, const json_t *properties) {
    json_t *out = json_object();
    const char *name;
    json_t *one;
    json_object_foreach((json_t *)(uintptr_t)properties, name, one)
        json_set(out, name, shape(shaper, one, name));
    return out;
}

// One plate is a list of one; a value that is not known, an empty list.
static json_t *shape_list(struct shaper *shaper, const json_t *items, const char *name) {
    json_t *list = json_array(), *one = shape(shaper, items, name);
    if (json_is_null(one))
        json_decref(one);
    else
        json_array_append_new(list, one);
    return list;
}

// name NULL: the answer as a whole.
static json_t *shape(struct shaper *shaper, const json_t *schema, const char *name) {
    bool kilo;
    if (shaper->depth == DEPTH_MAX || shaper->nodes == NODES_MAX)
        return json_null();
    shaper->depth++;
    shaper->nodes++;
    schema = resolved(shaper, schema);
    const json_t *properties = gemini_member(schema, "properties");
    json_t *out;
    if (json_is_object(properties))
        out = shape_object(shaper, properties);
    else if (type_is(schema, "array"))
        out = shape_list(shaper, gemini_member(schema, "items"), name);
    else if (!name)
        out = json_incref((json_t *)(uintptr_t)shaper->plate);
    else {
        const json_t *value = known_value(shaper->plate, name, &kilo);
        out = in_type(schema, value, kilo);
    }
    shaper->depth--;
    return out;
}

json_t *gemini_shape(const json_t *schema, const json_t *plate) {
    struct shaper shaper = {.root = schema, .plate = plate};
    return schema ? shape(&shaper, schema, NULL) : json_incref((json_t *)(uintptr_t)plate);
}
