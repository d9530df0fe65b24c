#include "gemini.h"

#include "format/json.h"
#include "gemini_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LABEL_MAX = 120 };

bool gemini_same_name(const char *a, const char *b) {
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
    return strcmp(key, "data") == 0 && gemini_same_name(parent, "inlineData");
}

const json_t *gemini_member(const json_t *object, const char *name) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        if (gemini_same_name(key, name))
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
    const json_t *bytes = json_object_get(data, "data"), *mime = gemini_member(data, "mimeType");
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
    const json_t *text = gemini_member(part, "text"), *data = gemini_member(part, "inlineData");
    if (gemini_member(part, "fileData"))
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
    const json_t *parts = gemini_member(content, "parts");
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
    const json_t *schema = gemini_member(config, "responseSchema"),
                 *mime = gemini_member(config, "responseMimeType");
    const json_t *count = gemini_member(config, "candidateCount");
    if (!schema)
        schema = gemini_member(config, "responseJsonSchema");
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
    const json_t *contents = gemini_member(tree, "contents");
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
    if (!read_config(request, gemini_member(tree, "generationConfig"), fault))
        return false;
    if (request->image_count == 0)
        return fail(fault, "contents",
                    "no image in the request: this service reads photos of nameplates, sent as "
                    "inlineData");
    return true;
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
