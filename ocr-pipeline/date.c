#include "date.h"

#include "number.h"

#include <string.h>

static const char *const MONTHS[2][12] = {
    {"JANEIRO", "FEVEREIRO", "MARCO", "ABRIL", "MAIO", "JUNHO", "JULHO", "AGOSTO", "SETEMBRO",
     "OUTUBRO", "NOVEMBRO", "DEZEMBRO"},
    {"JANUARY", "FEBRUARY", "MARCH", "APRIL", "MAY", "JUNE", "JULY", "AUGUST", "SEPTEMBER",
     "OCTOBER", "NOVEMBER", "DECEMBER"},
};

// A run of digits (and letters like them) of a text.
struct run {
    size_t begin, end;
    int value;
    unsigned swaps;
};

static bool is_border(const char *text, size_t begin, size_t end, size_t at) {
    return at < begin || at >= end || !is_digit(text[at]);
}

// Digits from `at`, at most `most`; letters count only with a digit among them.
static bool run_at(struct part part, size_t at, size_t most, struct run *run) {
    size_t digits = 0;
    *run = (struct run){.begin = at, .end = at};
    for (; run->end < part.end && run->end - at < most; run->end++) {
        bool swapped;
        char digit = digit_of(part.folded->text[run->end], &swapped);
        if (!digit)
            break;
        run->value = run->value * 10 + (digit - '0');
        run->swaps += swapped;
        digits += !swapped;
    }
    return digits > 0;
}

static size_t run_length(const struct run *run) { return run->end - run->begin; }

static bool is_sign(char c) { return strchr("/.-|\\,", c) != NULL; }

// Past blanks, one sign and blanks; `found`: there was a sign.
static size_t skip_sign(struct part part, size_t at, bool *found) {
    const char *text = part.folded->text;
    size_t first = at;
    *found = false;
    while (at < part.end && text[at] == ' ')
        at++;
    if (at < part.end && is_sign(text[at])) {
        *found = true;
        at++;
        while (at < part.end && text[at] == ' ')
            at++;
    }
    return *found || at > first ? at : first;
}

static bool is_year(const struct run *run) {
    return run_length(run) == 4 && run->value >= 1900 && run->value <= 2099;
}

static int full_year(const struct run *run, int this_year) {
    if (run_length(run) == 4)
        return run->value;
    int year = this_year / 100 * 100 + run->value;
    return year > this_year ? year - 100 : year;
}

static bool is_month(int value) { return value >= 1 && value <= 12; }

// The year at `at`: four digits, or two that no digit follows.
static bool year_at(struct part part, size_t at, struct run *run) {
    const char *text = part.folded->text;
    if (run_at(part, at, 4, run) && is_year(run) && is_border(text, part.begin, part.end, run->end))
        return true;
    return run_at(part, at, 2, run) && run_length(run) == 2 &&
           is_border(text, part.begin, part.end, run->end) &&
           !(run->end < part.end && is_letter(text[run->end]));
}

// How many characters at `at` name a month: its first three letters, or more of its name.
static size_t month_at(struct part part, size_t at, int *month) {
    char name[12], bones[12];
    for (int m = 0; m < 24; m++) {
        const char *full = MONTHS[m / 12][m % 12];
        skeleton_of(full, strlen(full), name, NULL, sizeof name);
        size_t left = part.end - at, shared = 0;
        size_t length =
            skeleton_of(part.folded->text + at, left < 10 ? left : 10, bones, NULL, sizeof bones);
        const char *text = part.folded->text + at;
        // "04MAI08" has no MAIO: a digit is a letter only where no digit follows.
        while (shared < length && name[shared] && bones[shared] == name[shared] &&
               text[shared] != ' ' &&
               (shared < 3 || is_letter(text[shared]) || !is_digit(text[shared + 1])))
            shared++;
        if (shared < 3)
            continue;
        *month = m % 12 + 1;
        // "14MA116": the digits after the abbreviation are the year's.
        return name[shared] && shared > 3 ? 3 : shared;
    }
    return 0;
}

// "TABJUL/1997": letters of a label stuck to the month; a stroke and a year in full bear it out.
static bool is_month_stuck(struct part part, size_t at, size_t taken) {
    struct run run;
    return taken == 3 && at + 8 <= part.end && part.folded->text[at + 3] == '/' &&
           run_at(part, at + 4, 4, &run) && is_year(&run) && run.swaps == 0;
}

// [day] month year, the month by name. Its left border is a digit, a sign or nothing: "FABR. 08"
// is no April.
static bool named_at(struct part part, size_t at, int this_year, struct date *date) {
    const char *text = part.folded->text;
    struct run run;
    bool sign;
    int month = 0;
    size_t taken = month_at(part, at, &month);
    bool inside = at > part.begin && is_letter(text[at - 1]);
    if (!taken || !is_letter(text[at]) || (inside && !is_month_stuck(part, at, taken)))
        return false;
    size_t next = at + taken;
    size_t of = skip_sign(part, next, &sign);
    if (of + 3 <= part.end && strncmp(text + of, "DE", 2) == 0 && !is_letter(text[of + 2]))
        next = of + 2 + (text[of + 2] == ' ');
    else if (next < part.end && is_letter(text[next])) // "MARCA" is no March, "MAR DE 2016" is
        return false;
    else
        next = of;
    if (!year_at(part, next, &run))
        return false;
    // "MAI: 04/2025": of a label; the date is its own.
    bool month_in_digits = run_length(&run) == 2 && run.end + 1 < part.end &&
                           is_sign(text[run.end]) && is_digit(text[run.end + 1]);
    if (month_in_digits)
        return false;
    *date = (struct date){.year = full_year(&run, this_year),
                          .month = month,
                          .begin = at,
                          .end = run.end,
                          .swaps = run.swaps};
    while (date->begin > part.begin &&
           (is_digit(text[date->begin - 1]) || is_sign(text[date->begin - 1])))
        date->begin--;
    return true;
}

// "3,52 %", "3.52": no month and year.
static bool is_decimal(struct part part, const struct run *whole, const struct run *rest) {
    char sign = part.folded->text[whole->end];
    return run_length(rest) == 2 && (sign == ',' || (sign == '.' && run_length(whole) == 1));
}

// MM/YYYY, MM/YY, DD/MM/YYYY, DD/MM/YY, YYYY/MM.
static bool numbered_at(struct part part, size_t at, int this_year, struct date *date) {
    struct run first, second, third;
    bool sign, more;
    *date = (struct date){.begin = at};
    if (run_at(part, at, 4, &first) && is_year(&first)) {
        size_t next = skip_sign(part, first.end, &sign);
        if (!sign || !run_at(part, next, 2, &second) || !is_month(second.value) ||
            run_length(&second) != 2 ||
            !is_border(part.folded->text, part.begin, part.end, second.end))
            return false;
        *date = (struct date){first.value, second.value, at,
                              second.end,  false,        first.swaps + second.swaps};
        return true;
    }
    if (!run_at(part, at, 2, &first))
        return false;
    size_t next = skip_sign(part, first.end, &sign);
    if (next == first.end)
        return false;
    if (run_at(part, next, 2, &second) && is_month(second.value)) {
        size_t last = skip_sign(part, second.end, &more);
        if (more && sign && first.value >= 1 && first.value <= 31 && year_at(part, last, &third)) {
            *date = (struct date){full_year(&third, this_year),
                                  second.value,
                                  at,
                                  third.end,
                                  false,
                                  first.swaps + second.swaps + third.swaps};
            return true;
        }
    }
    if (!is_month(first.value) || !year_at(part, next, &second) ||
        (!sign && run_length(&second) == 2) || is_decimal(part, &first, &second))
        return false;
    *date = (struct date){full_year(&second, this_year), first.value, at, second.end, !sign,
                          first.swaps + second.swaps};
    return true;
}

// "23/06/201724,2 kV": the next column's number ran into the year.
static bool overrun_at(struct part part, size_t at, struct date *date) {
    const char *text = part.folded->text;
    struct run day, month, year;
    if (at + 11 > part.end || !run_at(part, at, 2, &day) || !run_at(part, at + 3, 2, &month) ||
        !run_at(part, at + 6, 4, &year) || text[at + 2] != '/' || text[at + 5] != '/' ||
        run_length(&day) != 2 || run_length(&month) != 2 || day.value < 1 || day.value > 31 ||
        !is_month(month.value) || !is_year(&year) || !is_digit(text[at + 10]))
        return false;
    *date = (struct date){year.value, month.value, at,
                          year.end,   true,        day.swaps + month.swaps + year.swaps};
    return true;
}

// "1904/1999": the stroke between day and month was lost; "006/13": a dot before it was read as 0.
static bool crowded_at(struct part part, size_t at, int this_year, struct date *date) {
    struct run first, month, year;
    bool sign;
    if (!run_at(part, at, 4, &first) || run_length(&first) < 3 || first.swaps)
        return false;
    bool day = run_length(&first) == 4 && first.value / 100 >= 1 && first.value / 100 <= 31;
    bool dot = run_length(&first) == 3 && first.value < 100;
    size_t next = skip_sign(part, first.end, &sign);
    if ((!day && !dot) || !sign || part.folded->text[first.end] != '/' ||
        !run_at(part, first.end - 2, 2, &month) || !is_month(month.value) ||
        !year_at(part, next, &year) || (day && run_length(&year) != 4))
        return false;
    *date = (struct date){full_year(&year, this_year), month.value, at, year.end, true, year.swaps};
    return true;
}

// "082019", "0812019", "0872019": the stroke was lost, or read as a digit.
static bool merged_at(struct part part, size_t at, struct date *date) {
    struct run month, year;
    if (!run_at(part, at, 2, &month) || run_length(&month) != 2 || !is_month(month.value))
        return false;
    for (size_t gap = 0; gap <= 1; gap++) {
        if (gap && !strchr("17", part.folded->text[month.end]))
            continue;
        if (month.end + gap < part.end && run_at(part, month.end + gap, 4, &year) &&
            is_year(&year) && is_border(part.folded->text, part.begin, part.end, year.end)) {
            *date = (struct date){year.value, month.value, at,
                                  year.end,   true,        month.swaps + year.swaps};
            return true;
        }
    }
    return false;
}

// "49723/2012", "5440/2014": a serial number, a norm, with its year.
static bool is_years_number(struct part part, size_t at) {
    const char *text = part.folded->text;
    size_t digits = 0;
    if (at < part.begin + 5 || text[at - 1] != '/')
        return false;
    while (digits < 4 && is_digit(text[at - 2 - digits]))
        digits++;
    return digits == 4;
}

static bool bare_year_at(struct part part, size_t at, struct date *date) {
    struct run run;
    if (!run_at(part, at, 4, &run) || !is_year(&run) || is_years_number(part, at) ||
        !is_border(part.folded->text, part.begin, part.end, run.end))
        return false;
    // "0/2002", "SETEMRO DE 2013": the month was there and was not read.
    bool torn = at > part.begin + 1 &&
                (is_sign(part.folded->text[at - 1]) || is_letter(part.folded->text[at - 1]) ||
                 is_letter(part.folded->text[at - 2]));
    torn |= part_is_cut(part, at);
    *date = (struct date){run.value, 0, at, run.end, torn, run.swaps};
    return true;
}

// Numbers begin where no digit is before them.
static bool may_begin(struct part part, size_t at) {
    return at == part.begin || !is_digit(part.folded->text[at - 1]);
}

bool date_find(struct part part, int this_year, struct date *date) {
    for (size_t at = part.begin; at < part.end; at++)
        if (named_at(part, at, this_year, date) ||
            (may_begin(part, at) && numbered_at(part, at, this_year, date)))
            return true;
    for (size_t at = part.begin; at < part.end; at++)
        if (may_begin(part, at) &&
            (merged_at(part, at, date) || crowded_at(part, at, this_year, date) ||
             overrun_at(part, at, date)))
            return true;
    for (size_t at = part.begin; at < part.end; at++)
        if (may_begin(part, at) && bare_year_at(part, at, date))
            return true;
    return false;
}

bool date_is_past(const struct date *date, int this_year, int this_month) {
    return date->year >= 1950 &&
           (date->year < this_year || (date->year == this_year && date->month <= this_month));
}
