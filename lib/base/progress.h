// One line that moves while something slow happens, on a terminal; nothing at all elsewhere, so
// that logs and pipes stay clean.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct progress {
    FILE *out;
    bool shown;  // a terminal: draw
    bool blocks; // it can print block characters
    bool drawn;  // a line stands there
};

void progress_init(struct progress *progress, FILE *out);
// expected_ms 0: not known, then the bar moves to and fro.
void progress_draw(struct progress *progress, const char *label, int64_t elapsed_ms,
                   int64_t expected_ms);
// "3 of 10  WHAT"; the bar is as far as what was done so far lets expect.
void progress_count(struct progress *progress, size_t done, size_t total, const char *what,
                    int64_t elapsed_ms);
void progress_clear(struct progress *progress);

// The text of one line, at most `columns` wide.
void progress_format(char *out, size_t size, unsigned columns, bool blocks, const char *label,
                     int64_t elapsed_ms, int64_t expected_ms);
// "850 ms", "3.2 s", "2 min 05 s".
void progress_duration(char *out, size_t size, int64_t ms);
