#define _GNU_SOURCE
#include "base/progress.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { CELLS = 24, SLIDER = 6, DEFAULT_COLUMNS = 80 };

static bool is_utf8(void) {
    static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *value = getenv(variables[i]);
        if (value && *value)
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

void progress_init(struct progress *progress, FILE *out) {
    const char *term = getenv("TERM");
    bool dumb = term && strcmp(term, "dumb") == 0;
    *progress = (struct progress){out, isatty(fileno(out)) && !dumb, is_utf8(), false};
}

static unsigned columns_of(FILE *out) {
    struct winsize size;
    return ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col
                                                                     : DEFAULT_COLUMNS;
}

void progress_draw(struct progress *progress, const char *label, int64_t elapsed_ms,
                   int64_t expected_ms) {
    char line[512];
    if (!progress->shown)
        return;
    progress_format(line, sizeof line, columns_of(progress->out) - 1, progress->blocks, label,
                    elapsed_ms, expected_ms);
    fprintf(progress->out, "\r%s\033[K", line);
    fflush(progress->out);
    progress->drawn = true;
}

void progress_count(struct progress *progress, size_t done, size_t total, const char *what,
                    int64_t elapsed_ms) {
    char label[200];
    snprintf(label, sizeof label, "%zu of %zu  %.120s", done, total, what);
    progress_draw(progress, label, elapsed_ms,
                  done ? elapsed_ms * (int64_t)total / (int64_t)done : 0);
}

void progress_clear(struct progress *progress) {
    if (progress->drawn)
        fputs("\r\033[K", progress->out);
    fflush(progress->out);
    progress->drawn = false;
}

void progress_duration(char *out, size_t size, int64_t ms) {
    if (ms < 0)
        ms = 0;
    if (ms < 1000)
        snprintf(out, size, "%lld ms", (long long)ms);
    else if (ms < 60000)
        snprintf(out, size, "%lld.%lld s", (long long)ms / 1000, (long long)ms % 1000 / 100);
    else
        snprintf(out, size, "%lld min %02lld s", (long long)ms / 60000,
                 (long long)ms % 60000 / 1000);
}

// Which cells are lit: from the left up to the share done, or a slider that goes to and fro.
static void light(bool lit[CELLS], int64_t elapsed_ms, int64_t expected_ms) {
    memset(lit, 0, CELLS * sizeof *lit);
    if (expected_ms > 0) {
        int64_t share = elapsed_ms * CELLS / expected_ms;
        if (share > CELLS - 1)
            share = CELLS - 1; // full only when it is done
        for (int64_t i = 0; i < share; i++)
            lit[i] = true;
        return;
    }
    int64_t room = CELLS - SLIDER, step = elapsed_ms / 100 % (2 * room);
    int64_t start = step < room ? step : 2 * room - step;
    for (int64_t i = start; i < start + SLIDER; i++)
        lit[i] = true;
}

void progress_format(char *out, size_t size, unsigned columns, bool blocks, const char *label,
                     int64_t elapsed_ms, int64_t expected_ms) {
    bool lit[CELLS];
    char bar[CELLS * 3 + 1] = "", took[32], usual[32], times[96];
    if (elapsed_ms < 0)
        elapsed_ms = 0;
    light(lit, elapsed_ms, expected_ms);
    for (size_t i = 0, at = 0; i < CELLS; i++)
        at += (size_t)snprintf(bar + at, sizeof bar - at, "%s",
                               lit[i] ? (blocks ? "█" : "#") : (blocks ? "░" : "."));
    progress_duration(took, sizeof took, elapsed_ms);
    progress_duration(usual, sizeof usual, expected_ms);
    if (expected_ms <= 0)
        snprintf(times, sizeof times, "%s", took);
    else if (elapsed_ms <= expected_ms)
        snprintf(times, sizeof times, "%s of about %s", took, usual);
    else
        snprintf(times, sizeof times, "%s, longer than the usual %s", took, usual);
    // Label, bar and times when there is room; else without the bar, else the label, cut.
    size_t times_width = strlen(times), label_width = strlen(label);
    if (label_width + 2 + CELLS + 2 + times_width <= columns)
        snprintf(out, size, "%s  %s  %s", label, bar, times);
    else if (label_width + 2 + times_width <= columns)
        snprintf(out, size, "%s  %s", label, times);
    else
        snprintf(out, size, "%.*s", (int)columns, label);
}
