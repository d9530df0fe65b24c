// Text helpers: pointer + length spans, whole-string number parsing, units as people write them.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Borrowed bytes; never terminated, never owned.
struct span {
    const char *data;
    size_t length;
};

struct span span_of(const char *text);                   // NULL gives an empty span
bool span_is(struct span span, const char *text);        // exact
bool span_is_nocase(struct span span, const char *text); // ASCII case folded
struct span span_trim(struct span span);                 // spaces and tabs at both ends

// The last `c` of these bytes; NULL.
const char *str_last(const char *bytes, size_t length, char c);

bool str_starts(const char *text, const char *prefix);
bool str_ends(const char *text, const char *suffix);

// The whole text must be a decimal integer within [min, max]; no sign for unsigned, no spaces.
bool str_to_int(const char *text, int64_t min, int64_t max, int64_t *out);

// "96K" -> 98304, "64M", "2G"; a bare number is itself. K, M, G are powers of 1024.
bool str_to_size(const char *text, uint64_t *out);

// "90s", "10m", "2h", "500ms", bare number = seconds. Result in milliseconds.
bool str_to_duration_ms(const char *text, int64_t *out);

// on/off, true/false, yes/no, 1/0.
bool str_to_bool(const char *text, bool *out);

// Compares secrets in time that depends on the length of `given` only.
bool str_equal_secret(const char *secret, struct span given);

// 64-bit FNV-1a; names runtime folders, not for secrets.
uint64_t str_hash(const char *text);
uint64_t str_hash_bytes(const void *bytes, size_t length);

int str_hex_digit(char c); // what it stands for, 0..15; -1: nothing
