// Dates as plates write them: 08/2019, 08/19, 14/05/2016, 14MAI16, MAI/2016, MAIO DE 2016, 2019.
#pragma once

#include "normalise.h"

#include <stdbool.h>
#include <stddef.h>

struct date {
    int year, month;   // month 0: not told
    size_t begin, end; // in the folded text
    bool repaired;     // a part, or a sign between the parts, was not read right
    unsigned swaps;    // letters read as digits
};

// The first date of a part; one with a month goes before a bare year. Years of two digits are of
// the hundred years that end with `this_year`. What it finds may lie in the future.
bool date_find(struct part part, int this_year, struct date *date);
bool date_is_past(const struct date *date, int this_year, int this_month); // and not before 1950
