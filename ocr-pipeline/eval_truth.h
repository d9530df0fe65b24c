// What photos of a dataset truly show: a table (csv_table.h) with a column `file` and those of the
// eleven fields that are judged, under their keys or names like them (records_values.h); other
// columns are not looked at. An empty cell: the plate does not say it; "?": not known, not judged.
#pragma once

#include "base/err.h"
#include "plate.h"

#include <stddef.h>

struct truth_photo {
    char *file;                   // as the table names it: from the dataset's folder
    unsigned line;                // of the table
    bool judged[FIELD_COUNT];     // the truth is known
    char values[FIELD_COUNT][64]; // as a plate says them; "": it says nothing
};
struct truth {
    struct truth_photo *photos;
    size_t count;
    bool judged[FIELD_COUNT]; // there is such a column
};

// ERR_INVALID: "line 7: ..."; ERR_NOTFOUND: it names no photo.
struct truth *truth_parse(const char *bytes, size_t length, struct err *err);
void truth_destroy(struct truth *truth); // NULL is fine

// Is what was found what is true? Numbers by value; texts by their letters, digits and signs,
// without accents, blanks and small letters.
bool truth_is(enum field field, const char *truth, const char *found);
