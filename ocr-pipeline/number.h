// Numbers as they stand on plates, read with look-alike letters (O 0, I 1, S 5, B 8, Z 2, G 6):
// only in a token that has digits of its own, or where the caller knows that a number must stand.
#pragma once

#include "labels.h"
#include "normalise.h"

#include <stdbool.h>
#include <stddef.h>

struct number {
    size_t begin, end;            // in the folded text, without the unit
    char whole[24], fraction[12]; // digits on both sides of the one sign there may be
    char sign;                    // '.' or ',' between them; '\0': none
    unsigned swaps;               // letters that were taken for digits
    enum unit unit;
    size_t unit_end; // end of the unit, or of the number
};

// The number that begins at `at`. `typed`: letters alone may be one ("SH" has a number to find in).
bool number_at(const struct part *part, size_t at, bool typed, struct number *number);
// The next number at or after `*at`, which moves past it. A number does not begin inside a word.
bool number_next(const struct part *part, size_t *at, struct number *number);
double number_value(const struct number *number); // the sign taken for a decimal one
// The digits as a number, without zeros that say nothing: "112.5", "75", "13800".
void number_text(double value, char *out, size_t size);
double number_of_text(const char *text); // and back again; 0 when it begins with no digit
char digit_of(char c, bool *swapped);    // '\0': not like any digit
