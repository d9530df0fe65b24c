// Lines that a program keeps in a section of an INI file (ini.h) beside its user's own. Every other
// byte stays as it is. Our lines carry a mark, so that they are found again:
//
//   ; tune: 2026-11-27, decode 41.2 -> 52.7 tok/s      a comment begins with "; MARK: "
//   ubatch-size = 2048  ; tune                         a setting ends with "; MARK"
//
// Who takes the mark away owns the line.
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct ini_line {
    const char *key;   // NULL: a comment
    const char *value; // no line ends
    bool theirs;       // without the mark: belongs to the user from now on
};

// Our lines of a section, left out; appended to `out`. False only when `out` is full. *found (may
// be NULL): were there any?
bool ini_edit_strip(const char *bytes, size_t length, const char *section, const char *mark,
                    struct buf *out, bool *found);

// Does the user set this key in that section, spelled like this? Our lines do not count.
bool ini_edit_has(const char *bytes, size_t length, const char *section, const char *mark,
                  const char *key);

// Our lines of a section, replaced by these: where the old ones were, else below its last setting;
// a section that is not there is added at the end. With count 0 they are only taken out. False
// when a key is set by the user in that section, or a value cannot be written.
bool ini_edit_place(const char *bytes, size_t length, const char *section, const char *mark,
                    const struct ini_line *lines, size_t count, struct buf *out, struct err *err);
