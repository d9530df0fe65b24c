// The names of a detector's classes. Exports carry them in their metadata as Python prints a dict,
// {0: 'placa', 1: "d'água"}; people write a list with commas.
#pragma once

#include "base/err.h"

#include <stddef.h>

struct object_names {
    char **names; // [class]; "" for a number that the file leaves out
    size_t count;
};
enum { OBJECT_NAMES_MAX = 10000 };

// A Python dict or list of strings, a JSON object or array of strings. The text is a stranger's.
bool object_names_parse(struct object_names *out, const char *text, struct err *err);
// "placa, medidor": names with blanks around them cut off; no empty ones.
bool object_names_split(struct object_names *out, const char *text, struct err *err);
void object_names_fini(struct object_names *names);
