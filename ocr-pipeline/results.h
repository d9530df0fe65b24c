// Where the results of a run go, a line a photo: the terminal, or a file that a later run goes on
// with. A line is there whole or not at all, whenever the run is stopped.
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct results;

enum results_format { RESULTS_JSON, RESULTS_CSV };

// path NULL: standard output. Of a file that is there its photos are done, and a last line that is
// cut is taken away. ERR_BUSY: another run writes to it; ERR_INVALID: it is not such a file.
struct results *results_open(const char *path, enum results_format format, struct err *err);
void results_close(struct results *results); // NULL is fine
bool results_has(const struct results *results, const char *photo);
// `line` without its end. False when it could not be written, and then nothing of it was.
bool results_add(struct results *results, const char *line, size_t length, struct err *err);
