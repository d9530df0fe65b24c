#include "gemini.h"

#include "format/json.h"
#include "plate.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LABEL_MAX = 120 };

// Of the same name in proto JSON: "inlineData", "inline_data".
static bool same_name(const char *a, const char *b) {
    for (;; a++, b++) {
        while (*a == '_')
            a++;
        while (*b == '_')
            b++;
        char x = *a >= 'A' && *a <= 'Z' ? (char)(*a + 32) : *a;
        char y = *b >= 'A' && *b <= 'Z' ? (char)(*b + 32) : *b;
        if (x != y)
            return false;
        if (!x)
            return true;
    }
}

bool gemini_is_image(const char *parent, const char *key) {
    return strcmp(key, "data") == 0 && same_name(parent, "inlineData");
}

static const json_t *member(const json_t *object, const char *name) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        if (same_name(key, name))
            return json_is_null(value) ? NULL : value;
    }
    return NULL;
}

static bool fail(struct gemini_fault *fault, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool fail(struct gemini_fault *fault, const char *field, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(fault->text, sizeof fault->text, format, args);
    va_end(args);
    snprintf(fault->field, sizeof fault->field, "%s", field);
    fault->status = 400;
    return false;
}

static bool read_image(struct gemini_request *request, const json_t *data, const char *label,
                       const char *field, struct gemini_fault *fault) {
    const json_t *bytes = json_object_get(data, "data"), *mime = member(data, "mimeType");
    if (!json_is_object(data) || !json_is_integer(bytes))
        return fail(fault, field, "inlineData needs mimeType and data (base64)");
    if (request->image_count == GEMINI_IMAGES_MAX)
        return fail(fault, field, "at most %d images a request are read", GEMINI_IMAGES_MAX);
    request->images[request->image_count++] = (struct gemini_image){
        .index = (size_t)json_integer_value(bytes),
        .mime = json_is_string(mime) ? json_string_value(mime) : "",
        .label = label,
    };
    return true;
}

static bool read_part(struct gemini_request *request, const json_t *part, const char **label,
                      const char *field, struct gemini_fault *fault) {
    if (!json_is_object(part))
        return fail(fault, field, "a part is an object");
    const json_t *text = member(part, "text"), *data = member(part, "inlineData");
    if (member(part, "fileData"))
        return fail(fault, field,
                    "fileData points at a file at Google; send the image itself as inlineData");
    if (data) {
        if (!read_image(request, data, *label, field, fault))
            return false;
        *label = "";
    } else if (json_is_string(text)) {
        size_t length = json_string_length(text);
        request->text_bytes += length;
        *label = length <= LABEL_MAX ? json_string_value(text) : "";
    } else if (text) {
        return fail(fault, field, "text is a string");
    }
    return true; // other kinds of parts say nothing to us
}

static bool read_content(struct gemini_request *request, const json_t *content, const char *field,
                         struct gemini_fault *fault) {
    const json_t *parts = member(content, "parts");
    const char *label = "";
    char at[128];
    if (!json_is_object(content))
        return fail(fault, field, "a content is an object with parts");
    if (json_is_object(parts)) { // one part without its list, as some clients write it
        snprintf(at, sizeof at, "%s.parts", field);
        return read_part(request, parts, &label, at, fault);
    }
    if (!json_is_array(parts) || json_array_size(parts) == 0)
        return fail(fault, field, "a content needs at least one part");
    for (size_t i = 0; i < json_array_size(parts); i++) {
        snprintf(at, sizeof at, "%s.parts[%zu]", field, i);
        if (!read_part(request, json_array_get(parts, i), &label, at, fault))
            return false;
    }
    return true;
}

static bool read_config(struct gemini_request *request, const json_t *config,
                        struct gemini_fault *fault) {
    if (!config)
        return true;
    if (!json_is_object(config))
        return fail(fault, "generationConfig", "generationConfig is an object");
    const json_t *schema = member(config, "responseSchema"),
                 *mime = member(config, "responseMimeType");
    const json_t *count = member(config, "candidateCount");
    if (!schema)
        schema = member(config, "responseJsonSchema");
    if (schema && !json_is_object(schema))
        return fail(fault, "generationConfig.responseSchema", "a schema is an object");
    if (mime && !json_is_string(mime))
        return fail(fault, "generationConfig.responseMimeType", "a MIME type is a string");
    if (json_is_integer(count) && json_integer_value(count) > 1)
        return fail(fault, "generationConfig.candidateCount",
                    "one answer a request: a plate says what it says");
    request->schema = schema;
    request->json = schema || (mime && strcmp(json_string_value(mime), "application/json") == 0);
    return true;
}

bool gemini_read(struct gemini_request *request, const json_t *tree, struct gemini_fault *fault) {
    *request = (struct gemini_request){.image_count = 0};
    *fault = (struct gemini_fault){.status = 400};
    if (!json_is_object(tree))
        return fail(fault, "", "the body is a JSON object with contents");
    const json_t *contents = member(tree, "contents");
    if (json_is_object(contents)) {
        if (!read_content(request, contents, "contents", fault))
            return false;
    } else if (!json_is_array(contents) || json_array_size(contents) == 0) {
        return fail(fault, "contents", "contents is not specified");
    }
    for (size_t i = 0; i < json_array_size(contents); i++) {
        char at[64];
        snprintf(at, sizeof at, "contents[%zu]", i);
        if (!read_content(request, json_array_get(contents, i), at, fault))
            return false;
    }
    if (!read_config(request, member(tree, "generationConfig"), fault))
        return false;
    if (request->image_count == 0)
        return fail(fault, "contents",
                    "no image in the request: this service reads photos of nameplates, sent as "
                    "inlineData");
    return true;
}

// ---- the answer in the shape that is asked for ----

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

// The caller's (json_decref); NULL: no such field.
static json_t *known_value(const json_t *plate, const char *name) {
    const json_t *own = member(plate, name);
    if (own || json_object_get(plate, name))
        return json_incref((json_t *)(uintptr_t)own);
    for (size_t i = 0; i < sizeof ALIASES / sizeof *ALIASES; i++) {
        if (!same_name(ALIASES[i].name, name))
            continue;
        json_t *value = json_object_get(plate, field_key(ALIASES[i].field));
        if (ALIASES[i].kilo && json_is_number(value))
            return json_real(json_number_value(value) / 1000);
        return json_incref(value);
    }
    return NULL;
}

// A schema's type: "STRING" (OpenAPI as Google writes it) or "string", or a list with "null".
static bool type_is(const json_t *schema, const char *name) {
    const json_t *type = json_object_get(schema, "type");
    if (json_is_string(type))
        return same_name(json_string_value(type), name);
    for (size_t i = 0; i < json_array_size(type); i++) {
        const json_t *one = json_array_get(type, i);
        if (json_is_string(one) && same_name(json_string_value(one), name))
            return true;
    }
    return false;
}

static void plain_text(const json_t *value, char *out, size_t size) {
    if (json_is_string(value))
        snprintf(out, size, "%s", json_string_value(value));
    else if (json_is_boolean(value))
        snprintf(out, size, "%s", json_is_true(value) ? "true" : "false");
    else
        snprintf(out, size, "%.15g", json_number_value(value));
}

static json_t *in_type(const json_t *schema, const json_t *value) {
    char text[256];
    if (!value || json_is_null(value) || json_is_object(value) || json_is_array(value))
        return json_null();
    plain_text(value, text, sizeof text);
    if (type_is(schema, "string"))
        return json_text(text);
    if (type_is(schema, "boolean"))
        return json_is_boolean(value) ? json_boolean(json_is_true(value)) : json_null();
    bool whole = type_is(schema, "integer");
    if (whole || type_is(schema, "number")) {
        json_t *number = json_parse_mended(text, strlen(text), 0, JSON_PARSE_ANY, NULL);
        double exact = json_number_value(number);
        bool fits = json_is_number(number) && (!whole || exact == floor(exact));
        json_decref(number);
        if (!fits)
            return json_null();
        return whole ? json_integer((json_int_t)exact) : json_real(exact);
    }
    return json_incref((json_t *)(uintptr_t)value);
}

static json_t *known_in_type(const json_t *schema, const json_t *plate, const char *name) {
    json_t *value = known_value(plate, name), *out = in_type(schema, value);
    json_decref(value);
    return out;
}

json_t *gemini_shape(const json_t *schema, const json_t *plate) {
    if (!schema)
        return json_incref((json_t *)(uintptr_t)plate);
    if (type_is(schema, "array")) {
        json_t *list = json_array();
        json_array_append_new(list, gemini_shape(json_object_get(schema, "items"), plate));
        return list;
    }
    json_t *properties = json_object_get(schema, "properties");
    if (!json_is_object(properties))
        return json_incref((json_t *)(uintptr_t)plate);
    json_t *out = json_object();
    const char *name;
    json_t *one;
    json_object_foreach(properties, name, one) {
        bool nested = json_is_object(json_object_get(one, "properties"));
        json_set(out, name, nested ? gemini_shape(one, plate) : known_in_type(one, plate, name));
    }
    return out;
}

// ---- envelopes ----

json_t *gemini_answer(const char *text, const char *finish, const char *model, const char *id,
                      const struct gemini_usage *usage) {
    long long prompt = usage->prompt_tokens + usage->image_tokens;
    return json_build(
        "{s:[{s:{s:[{s:s}], s:s}, s:s, s:i}], s:{s:I, s:I, s:I, s:[{s:s, s:I}, {s:s, s:I}]}, s:s, s:s}",
        "candidates", "content", "parts", "text", text, "role", "model", "finishReason", finish,
        "index", 0, "usageMetadata", "promptTokenCount", (json_int_t)prompt, "candidatesTokenCount",
        (json_int_t)usage->answer_tokens, "totalTokenCount",
        (json_int_t)(prompt + usage->answer_tokens), "promptTokensDetails", "modality", "TEXT",
        "tokenCount", (json_int_t)usage->prompt_tokens, "modality", "IMAGE", "tokenCount",
        (json_int_t)usage->image_tokens, "modelVersion", model, "responseId", id);
}

const char *gemini_status(unsigned http) {
    switch (http) {
    case 400: return "INVALID_ARGUMENT";
    case 401: return "UNAUTHENTICATED";
    case 403: return "PERMISSION_DENIED";
    case 404: return "NOT_FOUND";
    case 409: return "ABORTED";
    case 413: return "INVALID_ARGUMENT";
    case 429: return "RESOURCE_EXHAUSTED";
    case 499: return "CANCELLED";
    case 501: return "UNIMPLEMENTED";
    case 503: return "UNAVAILABLE";
    case 504: return "DEADLINE_EXCEEDED";
    default: return http >= 500 ? "INTERNAL" : "INVALID_ARGUMENT";
    }
}

json_t *gemini_error_with(const struct gemini_fault *fault, const char *reason) {
    json_t *details = json_array();
    if (fault->field[0])
        json_array_append_new(details, json_build("{s:s, s:[{s:s, s:s}]}", "@type",
                                                  "type.googleapis.com/google.rpc.BadRequest",
                                                  "fieldViolations", "field", fault->field,
                                                  "description", fault->text));
    if (reason)
        json_array_append_new(details, json_build("{s:s, s:s, s:s}", "@type",
                                                  "type.googleapis.com/google.rpc.ErrorInfo",
                                                  "reason", reason, "domain", "ocr-pipeline"));
    json_t *error = json_build("{s:i, s:s, s:s}", "code", (int)fault->status, "message",
                               fault->text, "status", gemini_status(fault->status));
    if (json_array_size(details) > 0)
        json_set(error, "details", details);
    else
        json_decref(details);
    return json_build("{s:o}", "error", error);
}

json_t *gemini_error(const struct gemini_fault *fault) { return gemini_error_with(fault, NULL); }
