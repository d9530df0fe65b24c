// Thin helpers over jansson for small documents that we read or write as trees: bounded parsing,
// members with defaults, output to a struct buf. Request bodies are looked at by json_peek.h.
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_DEFAULT 64u

enum json_parse_flags {
    JSON_PARSE_UNIQUE = 1, // a key that appears twice in one object is an error
    JSON_PARSE_ANY = 2,    // a document may be a scalar; otherwise it is an object or array
};

// max_depth 0: JSON_DEPTH_DEFAULT. Checked before jansson recurses. The result is the caller's
// (json_decref); err names line and column.
json_t *json_parse(const char *bytes, size_t length, unsigned max_depth, unsigned flags,
                   struct err *err);

// The same for what models and clients write, and jansson refuses: bytes that are not UTF-8,
// "\u0000" and halves of surrogate pairs become U+FFFD, an integer beyond 64 bits the nearest real,
// a real beyond a double the largest one.
json_t *json_parse_mended(const char *bytes, size_t length, unsigned max_depth, unsigned flags,
                          struct err *err);

// Members of an object; the fallback when absent, null or of another type. Text is borrowed from
// the tree and has no NUL inside.
const char *json_get_text(const json_t *object, const char *key, const char *fallback);
int64_t json_get_int(const json_t *object, const char *key, int64_t fallback);
bool json_get_bool(const json_t *object, const char *key, bool fallback);

// Trees of ours, from text and numbers of anybody's: what engines print, names of files, what a
// person wrote. jansson's own makers refuse text that is not UTF-8, and a tree with one such leaf
// is lost as a whole; so tools/check-layers bans them outside of lib/format.

bool json_is_utf8(const char *text);
// A string in which what is not UTF-8 became U+FFFD; NULL makes null. Never NULL itself.
json_t *json_text(const char *text);
json_t *json_text_n(const char *bytes, size_t length);
// True for the string that json_text makes of this text: how a stored name is found again.
bool json_is_text(const json_t *json, const char *text);
// Sets a member, which becomes the object's. The key may be anybody's text; NULL sets null.
void json_set(json_t *object, const char *key, json_t *value);
// A tree as with json_pack, "{s:s, s:[i, f]}", but one that always comes to be: s as json_text,
// f that is not finite and o that is NULL are null. Values: { } [ ] s i I f b n o O, where I is a
// json_int_t, o is taken over and O is not.
json_t *json_build(const char *format, ...);

// Appends the compact text of a tree, members in their order, each number in its shortest form that
// reads back the same, as JavaScript writes it; false, and nothing appended, when the buf's maximum
// is hit.
bool json_write(struct buf *out, const json_t *json);

// Appends bytes as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD, so the
// result is always valid. False, and nothing appended, when the buf's maximum is hit.
bool json_write_string(struct buf *out, const char *bytes, size_t length);
