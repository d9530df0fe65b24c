// Results as CSV (RFC 4180): file (or pole), the eleven fields, whether a person must look and why,
// and why a photo gave nothing. Text that a spreadsheet would take for a formula gets an
// apostrophe.
#pragma once

#include "base/buf.h"

#include <jansson.h>
#include <stddef.h>

void csv_head(struct buf *out); // without a line end
void csv_line(const json_t *report, struct buf *out);
// The same of poles (pole_report.h, with "fotos", "prontas"): besides, what the records say.
void csv_pole_head(struct buf *out);
void csv_pole_line(const json_t *report, struct buf *out);
char *csv_first(const char *line, size_t length); // the first cell; the caller's, NULL: malformed
// One more cell, with the comma before it when `out` does not stand at a line's beginning.
void csv_cell(struct buf *out, const char *text);
