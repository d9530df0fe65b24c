#include "base/mem.h"
#include "format/json.h"

#include <string.h>

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The value of "\uXXXX" at p, -1 when it is none.
static int unit_at(const char *p, const char *end) {
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return -1;
    int value = 0;
    for (int i = 2; i < 6; i++) {
        int digit = hex_value(p[i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static bool is_high(int unit) { return unit >= 0xd800 && unit <= 0xdbff; }
static bool is_low(int unit) { return unit >= 0xdc00 && unit <= 0xdfff; }

char *json_mend_escapes(const char *bytes, size_t length) {
    char *mended = NULL;
    for (size_t i = 0; i + 1 < length;) {
        if (bytes[i] != '\\') {
            const char *next = memchr(bytes + i, '\\', length - i);
            if (!next)
                break;
            i = (size_t)(next - bytes);
            continue;
        }
        int unit = unit_at(bytes + i, bytes + length);
        bool pair = is_high(unit) && is_low(unit_at(bytes + i + 6, bytes + length));
        if (unit == 0 || is_low(unit) || (is_high(unit) && !pair)) {
            if (!mended) {
                mended = mem_alloc(length + 1);
                memcpy(mended, bytes, length);
            }
            memcpy(mended + i, "\\ufffd", 6);
        }
        i += pair ? 12 : unit >= 0 ? 6 : 2;
    }
    return mended;
}
