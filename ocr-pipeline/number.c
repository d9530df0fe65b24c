#include "number.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FRACTION_MOST = 3 }; // thousandths, or thousands

char digit_of(char c, bool *swapped) {
    *swapped = !is_digit(c);
    switch (c) {
    case 'O':
    case 'Q':
    case 'D': return '0';
    case 'I':
    case 'L':
    case '|':
    case '!': return '1';
    case 'Z': return '2';
    case 'S': return '5';
    case 'G': return '6';
    case 'B': return '8';
    default: return is_digit(c) ? c : '\0';
    }
}

// How far a run of digits and look-alikes goes, and how many of them are digits.
static size_t run_end(const char *text, size_t at, size_t stop, size_t *digits) {
    bool swapped;
    *digits = 0;
    for (; at < stop && digit_of(text[at], &swapped); at++)
        *digits += !swapped;
    return at;
}

// Units begin with letters that look like digits: what is left of the run without them.
static size_t without_unit(const char *text, size_t begin, size_t end, size_t stop) {
    size_t last = end;
    while (last > begin && !is_digit(text[last - 1]))
        last--;
    if (last == begin || last == end)
        return end;
    size_t unit_end;
    if (unit_at(text, end, stop, &unit_end) != UNIT_NONE) // "7S kVA": these are no seconds
        return end;
    return unit_at(text, last, stop, &unit_end) != UNIT_NONE ? last : end;
}

static size_t copy_digits(const char *text, size_t begin, size_t end, char *out, size_t size,
                          unsigned *swaps) {
    size_t count = 0;
    for (size_t i = begin; i < end && count + 1 < size; i++) {
        bool swapped;
        out[count++] = digit_of(text[i], &swapped);
        *swaps += swapped;
    }
    out[count] = '\0';
    return count;
}

static bool take_fraction(const char *text, size_t stop, struct number *number) {
    size_t digits, at = number->end + 1;
    if (at >= stop || !strchr(".,", text[number->end]))
        return false;
    bool apart = text[number->end] == ',' && text[at] == ' '; // "112, 5 kVA"
    at += apart;
    size_t end = run_end(text, at, stop, &digits);
    end = digits ? without_unit(text, at, end, stop) : at;
    // "7967.7621", "0.13800": a sign between two numbers, or before one.
    size_t unit_end;
    bool brief = apart && unit_at(text, end, stop, &unit_end) == UNIT_NONE;
    if (end == at || end - at > (brief ? 1 : FRACTION_MOST))
        return false;
    number->sign = text[number->end];
    copy_digits(text, at, end, number->fraction, sizeof number->fraction, &number->swaps);
    number->end = end;
    return true;
}

bool number_at(const struct part *part, size_t at, bool typed, struct number *number) {
    const char *text = part->folded->text;
    size_t digits, end = run_end(text, at, part->end, &digits);
    *number = (struct number){.begin = at};
    if (end == at || (!digits && !typed))
        return false;
    if (digits)
        end = without_unit(text, at, end, part->end);
    if (end - at >= sizeof number->whole)
        return false;
    copy_digits(text, at, end, number->whole, sizeof number->whole, &number->swaps);
    number->end = end;
    take_fraction(text, part->end, number);
    number->unit_end = number->end;
    bool speck = number->end + 1 < part->end && text[number->end] == '.' && // "225.KVA"
                 is_letter(text[number->end + 1]);
    number->unit = unit_at(text, number->end + speck, part->end, &number->unit_end);
    return true;
}

bool number_next(const struct part *part, size_t *at, struct number *number) {
    const char *text = part->folded->text;
    for (; *at < part->end; (*at)++) {
        bool inside = *at > part->begin && (is_letter(text[*at - 1]) || is_digit(text[*at - 1]));
        // After letters a number begins with a digit of its own: "EF5H", "KVA75".
        if (inside && (is_digit(text[*at - 1]) || !is_digit(text[*at])))
            continue;
        if (!number_at(part, *at, false, number))
            continue;
        *at = number->end;
        return true;
    }
    return false;
}

double number_value(const struct number *number) {
    double value = 0, scale = 1;
    for (const char *p = number->whole; *p; p++)
        value = value * 10 + (*p - '0');
    for (const char *p = number->fraction; *p; p++)
        value += (*p - '0') * (scale /= 10);
    return value;
}

void number_text(double value, char *out, size_t size) {
    long long thousandths = llround(value * 1000); // no locale gets a say
    int fraction = (int)(thousandths % 1000), digits = 3;
    for (; digits > 0 && fraction % 10 == 0; digits--)
        fraction /= 10;
    if (digits == 0)
        snprintf(out, size, "%lld", thousandths / 1000);
    else
        snprintf(out, size, "%lld.%0*d", thousandths / 1000, digits, fraction);
}

double number_of_text(const char *text) {
    double value = 0, scale = 1;
    for (; is_digit(*text); text++)
        value = value * 10 + (*text - '0');
    if (*text == '.')
        for (text++; is_digit(*text); text++)
            value += (*text - '0') * (scale /= 10);
    return value;
}
