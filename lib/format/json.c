#include "format/json.h"

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

static int write_part(const char *bytes, size_t length, void *arg) {
    return buf_add(arg, bytes, length) ? 0 : -1;
}

bool json_write(struct buf *out, const json_t *json) {
    size_t before = out->length;
    if (json_dump_callback(json, write_part, out, JSON_COMPACT | JSON_ENCODE_ANY) == 0)
        return true;
    out->length = before;
    return false;
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
