// A table of text, for people: the same one as Markdown, which reads well on a terminal, too, and
// in a page. The first row is the head.
#pragma once

#include "base/buf.h"

#include <stddef.h>

enum { TABLE_COLUMNS_MAX = 40 };

struct table {
    const char *title; // stays the caller's
    size_t columns, count;
    char **cells; // row by row
};

void table_init(struct table *table, const char *title, size_t columns);
void table_fini(struct table *table);
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_markdown(const struct table *table, struct buf *out);
void table_html(const struct table *table, struct buf *out);
// Text as HTML, safe between tags and in quoted attributes.
void html_text(struct buf *out, const char *text);
