#include "base/mem.h"
#include "base/str.h"
#include "format/json.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// The value of "\uXXXX" at p, -1 when it is none.
static int unit_at(const char *p, const char *end) {
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return -1;
    int value = 0;
    for (int i = 2; i < 6; i++) {
        int digit = str_hex_digit(p[i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static bool is_high(int unit) { return unit >= 0xd800 && unit <= 0xdbff; }
static bool is_low(int unit) { return unit >= 0xdc00 && unit <= 0xdfff; }

// One escape at p; returns its length.
static size_t mend_escape(struct buf *out, const char *p, const char *end) {
    int unit = unit_at(p, end);
    bool pair = is_high(unit) && is_low(unit_at(p + 6, end));
    size_t length = pair ? 12 : unit >= 0 ? 6 : end - p >= 2 ? 2 : 1;
    if (unit == 0 || is_low(unit) || (is_high(unit) && !pair))
        buf_adds(out, "\\ufffd");
    else
        buf_add(out, p, length);
    return length;
}

// An integer beyond 64 bits becomes a real, a real beyond a double the largest one: what JavaScript
// makes of the first, and the nearest thing to the second.
static size_t mend_number(struct buf *out, const char *p, const char *end) {
    size_t length = 1;
    while (p + length < end && strchr("+-.0123456789eE", p[length]))
        length++;
    char *token = mem_strndup(p, length);
    errno = 0;
    bool beyond = fabs(strtod(token, NULL)) == HUGE_VAL;
    bool integer = !strpbrk(token, ".eE");
    if (beyond) {
        buf_adds(out, *p == '-' ? "-1.7976931348623157e308" : "1.7976931348623157e308");
    } else {
        buf_add(out, p, length);
        errno = 0;
        if (integer && (strtoll(token, NULL, 10), errno == ERANGE))
            buf_adds(out, ".0");
    }
    mem_free(token);
    return length;
}

static void mend(struct buf *out, const char *p, const char *end) {
    bool quoted = false;
    while (p < end) {
        if (quoted && *p == '\\') {
            p += mend_escape(out, p, end);
        } else if (!quoted && (*p == '-' || (*p >= '0' && *p <= '9'))) {
            p += mend_number(out, p, end);
        } else {
            quoted ^= *p == '"';
            buf_add(out, p++, 1);
        }
    }
}

json_t *json_parse_mended(const char *bytes, size_t length, unsigned max_depth, unsigned flags,
                          struct err *err) {
    struct err why = {0};
    json_t *json = json_parse(bytes, length, max_depth, flags, &why);
    if (!json && why.code == ERR_INVALID) {
        json_t *text = json_text_n(bytes, length); // is UTF-8 now
        const char *begin = json_string_value(text);
        struct buf mended;
        buf_init(&mended, 5 * json_string_length(text) + 64); // "9e999" becomes 22 bytes
        mend(&mended, begin, begin + json_string_length(text));
        json = json_parse(buf_bytes(&mended), mended.length, max_depth, flags, &why);
        buf_fini(&mended);
        json_decref(text);
    }
    if (!json && err)
        *err = why;
    return json;
}
