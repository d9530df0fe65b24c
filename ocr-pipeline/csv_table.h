// Tables of text as spreadsheets write them (RFC 4180, and what is made of it): fields parted by
// comma, semicolon or tab, whichever the first line has most of; "..." with "" inside; lines end
// with LF, CR or CRLF; UTF-8 or, where that fails, Latin-1; a byte order mark is skipped. The bytes
// are hostile: nothing is trusted, no recursion. The result owns all text.
#pragma once

#include "base/err.h"

#include <stddef.h>

enum { CSV_COLUMNS_MAX = 256, CSV_ROWS_MAX = 4 << 20 };

struct csv_row {
    unsigned line; // that it begins in, from 1
    size_t count;
    char **fields; // without blanks around, UTF-8
};
struct csv_table {
    struct csv_row *rows; // blank lines are left out
    size_t count, capacity;
    char separator;
    char *text;    // what the fields point into
    char **fields; // of all rows
    size_t field_count, field_capacity;
};

// NULL with ERR_INVALID ("line 3: a quote that is not closed") or ERR_LIMIT.
struct csv_table *csv_table_parse(const char *bytes, size_t length, struct err *err);
void csv_table_destroy(struct csv_table *csv); // NULL is fine
