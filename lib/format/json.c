#include "format/json.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// jansson recurses once a level, so the depth is counted before it sees the bytes. Brackets in
// strings do not count; a malformed document may be miscounted, which jansson then refuses.
static bool is_too_deep(const char *bytes, size_t length, unsigned max_depth) {
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < length; i++) {
        char c = bytes[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > max_depth)
                return true;
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return false;
}

json_t *json_parse(const char *bytes, size_t length, unsigned max_depth, unsigned flags,
                   struct err *err) {
    if (max_depth == 0)
        max_depth = JSON_DEPTH_DEFAULT;
    if (is_too_deep(bytes, length, max_depth)) {
        err_set(err, ERR_LIMIT, "JSON nested deeper than %u levels", max_depth);
        return NULL;
    }
    size_t jansson_flags = 0;
    if (flags & JSON_PARSE_UNIQUE)
        jansson_flags |= JSON_REJECT_DUPLICATES;
    if (flags & JSON_PARSE_ANY)
        jansson_flags |= JSON_DECODE_ANY;
    json_error_t why;
    json_t *json = json_loadb(bytes ? bytes : "", length, jansson_flags, &why);
    if (!json)
        err_set(err, ERR_INVALID, "line %d, column %d: %s", why.line, why.column, why.text);
    return json;
}

const char *json_get_text(const json_t *object, const char *key, const char *fallback) {
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) ? json_string_value(value) : fallback;
}

int64_t json_get_int(const json_t *object, const char *key, int64_t fallback) {
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? (int64_t)json_integer_value(value) : fallback;
}

bool json_get_bool(const json_t *object, const char *key, bool fallback) {
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

// Length of the UTF-8 sequence at p (RFC 3629: no overlong forms, surrogates or beyond U+10FFFF),
// 0 when it is none.
static size_t utf8_length(const unsigned char *p, size_t room) {
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xc2 && p[0] <= 0xdf ? 2 : p[0] >= 0xe0 && p[0] <= 0xef ? 3 : 4;
    if (n > room || p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

static bool write_escape(struct buf *out, unsigned char c) {
    static const char named[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (const char *p = named; *p; p += 2)
        if ((unsigned char)p[0] == c)
            return buf_add(out, (char[]){'\\', p[1]}, 2);
    return buf_printf(out, "\\u%04x", c);
}

bool json_write_string(struct buf *out, const char *bytes, size_t length) {
    const unsigned char *p = (const unsigned char *)(bytes ? bytes : ""), *plain = p;
    const unsigned char *end = p + length;
    size_t before = out->length;
    bool ok = buf_add(out, "\"", 1);
    while (ok && p < end) {
        size_t n = *p < 0x20 || *p == '"' || *p == '\\' ? 0 : utf8_length(p, (size_t)(end - p));
        if (n > 0) {
            p += n;
            continue;
        }
        ok = buf_add(out, plain, (size_t)(p - plain)) &&
             (*p < 0x80 ? write_escape(out, *p) : buf_adds(out, "\xef\xbf\xbd"));
        plain = ++p;
    }
    ok = ok && buf_add(out, plain, (size_t)(p - plain)) && buf_add(out, "\"", 1);
    if (!ok)
        out->length = before;
    return ok;
}

// The shortest text that reads back as the same number, as JavaScript writes it: jansson's 17
// digits make 0.10000000000000001 of 0.1, and what a client sends again would not be the same
// bytes.
static bool write_real(struct buf *out, double value) {
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return buf_adds(out, text) && (strpbrk(text, ".e") || buf_adds(out, ".0"));
}

static bool write_value(struct buf *out, const json_t *json);

static bool write_object(struct buf *out, const json_t *object) {
    const char *key;
    json_t *value;
    bool ok = buf_adds(out, "{"), first = true;
    json_object_foreach((json_t *)object, key, value) {
        ok = ok && (first || buf_adds(out, ",")) && json_write_string(out, key, strlen(key)) &&
             buf_adds(out, ":") && write_value(out, value);
        first = false;
    }
    return ok && buf_adds(out, "}");
}

static bool write_array(struct buf *out, const json_t *array) {
    size_t i;
    json_t *value;
    bool ok = buf_adds(out, "[");
    json_array_foreach(array, i, value) {
        ok = ok && (i == 0 || buf_adds(out, ",")) && write_value(out, value);
    }
    return ok && buf_adds(out, "]");
}

static bool write_value(struct buf *out, const json_t *json) {
    switch (json_typeof(json)) {
    case JSON_OBJECT: return write_object(out, json);
    case JSON_ARRAY: return write_array(out, json);
    case JSON_STRING:
        return json_write_string(out, json_string_value(json), json_string_length(json));
    case JSON_INTEGER: return buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
    case JSON_REAL: return write_real(out, json_real_value(json));
    case JSON_TRUE: return buf_adds(out, "true");
    case JSON_FALSE: return buf_adds(out, "false");
    default: return buf_adds(out, "null");
    }
}

bool json_write(struct buf *out, const json_t *json) {
    size_t before = out->length;
    if (write_value(out, json))
        return true;
    out->length = before;
    return false;
}

bool json_is_utf8(const char *text) {
    const unsigned char *p = (const unsigned char *)text, *end = p + strlen(text);
    while (p < end) {
        size_t n = utf8_length(p, (size_t)(end - p));
        if (n == 0)
            return false;
        p += n;
    }
    return true;
}

json_t *json_text_n(const char *bytes, size_t length) {
    json_t *json = json_stringn(bytes ? bytes : "", length);
    if (json)
        return json;
    const unsigned char *p = (const unsigned char *)bytes, *end = p + length;
    struct buf mended;
    buf_init(&mended, 3 * length);
    while (p < end) {
        size_t n = utf8_length(p, (size_t)(end - p));
        if (n > 0)
            buf_add(&mended, p, n);
        else
            buf_adds(&mended, "\xef\xbf\xbd");
        p += n > 0 ? n : 1;
    }
    json = json_stringn(buf_bytes(&mended), mended.length);
    buf_fini(&mended);
    return json;
}

json_t *json_text(const char *text) { return text ? json_text_n(text, strlen(text)) : json_null(); }

bool json_is_text(const json_t *json, const char *text) {
    if (!json_is_string(json))
        return false;
    if (strcmp(json_string_value(json), text) == 0)
        return true;
    json_t *same = json_text(text);
    bool equal = json_equal(json, same);
    json_decref(same);
    return equal;
}

void json_set(json_t *object, const char *key, json_t *value) {
    json_t *name = json_text(key);
    json_object_set_new(object, json_string_value(name), value ? value : json_null());
    json_decref(name);
}

// --- json_build: one letter a value; blanks, colons and commas are for the reader

struct recipe {
    const char *next;
    va_list values;
};

static char take(struct recipe *recipe) {
    recipe->next += strspn(recipe->next, " ,:");
    assert(*recipe->next);
    return *recipe->next++;
}

static json_t *build_value(struct recipe *recipe, char kind);

static json_t *build_object(struct recipe *recipe) {
    json_t *object = json_object();
    for (char c = take(recipe); c != '}'; c = take(recipe)) {
        assert(c == 's');
        const char *key = va_arg(recipe->values, const char *);
        json_set(object, key, build_value(recipe, take(recipe)));
    }
    return object;
}

static json_t *build_array(struct recipe *recipe) {
    json_t *array = json_array();
    for (char c = take(recipe); c != ']'; c = take(recipe))
        json_array_append_new(array, build_value(recipe, c));
    return array;
}

static json_t *or_null(json_t *json) { return json ? json : json_null(); }

static json_t *real_or_null(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *build_value(struct recipe *recipe, char kind) {
    switch (kind) {
    case '{': return build_object(recipe);
    case '[': return build_array(recipe);
    case 's': return json_text(va_arg(recipe->values, const char *));
    case 'i': return json_integer(va_arg(recipe->values, int));
    case 'I': return json_integer(va_arg(recipe->values, json_int_t));
    case 'f': return real_or_null(va_arg(recipe->values, double));
    case 'b': return json_boolean(va_arg(recipe->values, int));
    case 'n': return json_null();
    case 'o': return or_null(va_arg(recipe->values, json_t *));
    case 'O': return or_null(json_incref(va_arg(recipe->values, json_t *)));
    default: assert(!"a letter that json_build knows"); return json_null();
    }
}

json_t *json_build(const char *format, ...) {
    struct recipe recipe = {.next = format};
    va_start(recipe.values, format);
    json_t *json = build_value(&recipe, take(&recipe));
    va_end(recipe.values);
    return json;
}
