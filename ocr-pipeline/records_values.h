// Values of records as a plate says them: "112,5 kVA" is "112.5", "13.8" kV is "13800",
// "2019-08-01" is "2019-08", "TRIFÁSICO" is "3". What is not understood stays as it is written.
#pragma once

#include "plate.h"

#include <stddef.h>

void record_value(enum field field, const char *text, char *out, size_t size);
// The field that a column's head names, in any of its usual spellings; FIELD_COUNT: none.
enum field record_field(const char *head);
// Is it a column that names the pole?
bool record_is_pole(const char *head);
