#include "base/str.h"

#include <string.h>
#include <strings.h>

struct span span_of(const char *text) {
    return (struct span){text ? text : "", text ? strlen(text) : 0};
}

bool span_is(struct span span, const char *text) {
    return strlen(text) == span.length && memcmp(span.data, text, span.length) == 0;
}

bool span_is_nocase(struct span span, const char *text) {
    // Mostly asked of field names that differ, and their first letters tell.
    if (span.length && ((span.data[0] ^ text[0]) & ~0x20))
        return false;
    return strlen(text) == span.length && strncasecmp(span.data, text, span.length) == 0;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

struct span span_trim(struct span span) {
    while (span.length && is_blank(span.data[0])) {
        span.data++;
        span.length--;
    }
    while (span.length && is_blank(span.data[span.length - 1]))
        span.length--;
    return span;
}

const char *str_last(const char *bytes, size_t length, char c) {
    while (length > 0)
        if (bytes[--length] == c)
            return bytes + length;
    return NULL;
}

bool str_starts(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *text, const char *suffix) {
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && memcmp(text + n - m, suffix, m) == 0;
}

// Reads digits from *text and moves it past them; false when there is none or it overflows.
static bool read_digits(const char **text, uint64_t *out) {
    const char *p = *text;
    uint64_t value = 0;
    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *text = p;
    *out = value;
    return true;
}

bool str_to_int(const char *text, int64_t min, int64_t max, int64_t *out) {
    bool negative = *text == '-';
    const char *p = text + negative;
    uint64_t magnitude;
    if (!read_digits(&p, &magnitude) || *p != '\0' || magnitude > INT64_MAX)
        return false;
    int64_t value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    if (value < min || value > max)
        return false;
    *out = value;
    return true;
}

bool str_to_size(const char *text, uint64_t *out) {
    const char *p = text;
    uint64_t value;
    if (!read_digits(&p, &value))
        return false;
    unsigned shift = 0;
    if (*p == 'k' || *p == 'K')
        shift = 10;
    else if (*p == 'm' || *p == 'M')
        shift = 20;
    else if (*p == 'g' || *p == 'G')
        shift = 30;
    if (p[shift > 0] != '\0' || value > UINT64_MAX >> shift)
        return false;
    *out = value << shift;
    return true;
}

bool str_to_duration_ms(const char *text, int64_t *out) {
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    const char *p = text;
    uint64_t value;
    if (!read_digits(&p, &value))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(p, units[i].unit) != 0)
            continue;
        if (value > (uint64_t)INT64_MAX / units[i].ms)
            return false;
        *out = (int64_t)(value * units[i].ms);
        return true;
    }
    return false;
}

bool str_to_bool(const char *text, bool *out) {
    static const char *const yes[] = {"on", "true", "yes", "1"}, *const no[] = {"off", "false",
                                                                                "no", "0"};
    for (size_t i = 0; i < 4; i++) {
        if (strcasecmp(text, yes[i]) == 0)
            return *out = true;
        if (strcasecmp(text, no[i]) == 0) {
            *out = false;
            return true;
        }
    }
    return false;
}

bool str_equal_secret(const char *secret, struct span given) {
    size_t length = strlen(secret);
    unsigned char difference = length != given.length;
    for (size_t i = 0; i < given.length; i++)
        difference |= (unsigned char)(given.data[i] ^ secret[length ? i % length : 0]);
    return difference == 0;
}

uint64_t str_hash_bytes(const void *bytes, size_t length) {
    const unsigned char *at = bytes;
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ at[i]) * 1099511628211u;
    return hash;
}

uint64_t str_hash(const char *text) { return str_hash_bytes(text, strlen(text)); }

int str_hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
