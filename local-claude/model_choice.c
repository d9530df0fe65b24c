#define _GNU_SOURCE
#include "model_choice.h"

#include "base/buf.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

enum { NAME_MAX_COMPARED = 96, NEAREST = 3 };

// Edits between two names, case folded (Levenshtein, one row).
static unsigned distance(const char *a, const char *b) {
    unsigned row[NAME_MAX_COMPARED + 1];
    size_t n = strnlen(a, NAME_MAX_COMPARED), m = strnlen(b, NAME_MAX_COMPARED);
    for (size_t k = 0; k <= m; k++)
        row[k] = (unsigned)k;
    for (size_t i = 1; i <= n; i++) {
        unsigned corner = row[0];
        row[0] = (unsigned)i;
        for (size_t k = 1; k <= m; k++) {
            bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[k - 1]);
            unsigned best = corner + !same;
            corner = row[k];
            if (row[k] + 1 < best)
                best = row[k] + 1;
            if (row[k - 1] + 1 < best)
                best = row[k - 1] + 1;
            row[k] = best;
        }
    }
    return row[m];
}

static int find_exact(const char *wanted, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(wanted, names[i]) == 0)
            return (int)i;
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(wanted, names[i]) == 0)
            return (int)i;
    return -1;
}

static int find_part(const char *wanted, const char *const *names, size_t count) {
    int found = -1;
    for (size_t i = 0; i < count; i++) {
        if (!strcasestr(names[i], wanted))
            continue;
        if (found >= 0)
            return -1; // more than one
        found = (int)i;
    }
    return found;
}

// The nearest names, nearest first.
static void tell_nearest(const char *wanted, const char *const *names, size_t count,
                         struct buf *out) {
    size_t chosen[NEAREST], n = 0;
    while (n < NEAREST && n < count) {
        unsigned best = UINT32_MAX;
        size_t at = 0;
        for (size_t i = 0; i < count; i++) {
            bool taken = false;
            for (size_t k = 0; k < n; k++)
                taken |= chosen[k] == i;
            unsigned d = distance(wanted, names[i]);
            if (!taken && d < best) {
                best = d;
                at = i;
            }
        }
        chosen[n++] = at;
    }
    for (size_t k = 0; k < n; k++)
        buf_printf(out, "%s%.100s", k ? ", " : "", names[chosen[k]]);
}

int model_choice(const char *wanted, const char *const *names, size_t count, struct err *err) {
    int found = find_exact(wanted, names, count);
    if (found < 0)
        found = find_part(wanted, names, count);
    if (found >= 0)
        return found;
    struct buf nearest;
    buf_init(&nearest, 400);
    tell_nearest(wanted, names, count, &nearest);
    err_set(err, ERR_NOTFOUND, "there is no model \"%.80s\" there; %s %s%s", wanted,
            count > NEAREST ? "did you mean:" : "there is:", buf_text(&nearest),
            count > NEAREST ? " ...?" : "");
    buf_fini(&nearest);
    return -1;
}

bool model_choice_is_anthropic(const char *wanted) {
    static const char *const names[] = {"sonnet", "opus", "haiku", "fable", "opusplan", "default"};
    if (strncasecmp(wanted, "claude", 6) == 0)
        return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(wanted, names[i]) == 0)
            return true;
    return false;
}
