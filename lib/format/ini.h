// llama.cpp's preset dialect of INI, bytes to sections. The input is treated as hostile: sizes are
// bounded, no recursion, no I/O. The result owns all text.
//
//   line    = blank | comment | header | setting      ends with LF, CR or CRLF; a BOM is skipped
//   comment = blanks (";" | "#") anything
//   header  = "[" name "]" [blanks comment]
//   setting = key blanks "=" blanks value [blanks comment]
//   key     = [A-Za-z_] [A-Za-z0-9_.-]*
//   value   = anything; "#" or ";" inside stays unless a blank is before it; no quoting
//
// Settings above the first header are in a section with an empty name.
#pragma once

#include "base/err.h"

#include <stddef.h>

#define INI_MAX_BYTES (1u << 20)
#define INI_MAX_LINE 65536u
#define INI_MAX_SECTIONS 512u
#define INI_MAX_ENTRIES 4096u

struct ini_entry {
    const char *key;
    const char *value;
    unsigned line;
};

struct ini_section {
    const char *name;
    unsigned line;
    struct ini_entry *entries;
    size_t count;
};

struct ini {
    struct ini_section *sections; // file order
    size_t count;
    char *text;                // what names, keys and values point into
    struct ini_entry *entries; // of all sections, one after the other
};

// Called for each line that is wrong; reading goes on with the next line.
typedef void ini_problem_fn(void *arg, unsigned line, const char *text);

// Without on_problem the first wrong line ends it: NULL, and err says "line 12: ...". With it,
// NULL is returned only when a bound is exceeded.
struct ini *ini_parse(const char *bytes, size_t length, ini_problem_fn *on_problem, void *arg,
                      struct err *err);
void ini_destroy(struct ini *ini); // NULL is fine
