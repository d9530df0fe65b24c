#include "eval_table.h"

#include "base/mem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void table_init(struct table *table, const char *title, size_t columns) {
    assert(columns > 0 && columns <= TABLE_COLUMNS_MAX);
    *table = (struct table){.title = title, .columns = columns};
}

void table_fini(struct table *table) {
    for (size_t i = 0; i < table->count; i++)
        mem_free(table->cells[i]);
    mem_free(table->cells);
    *table = (struct table){0};
}

void table_cell(struct table *table, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if ((table->count & (table->count - 1)) == 0)
        table->cells =
            mem_resize(table->cells, (table->count ? 2 * table->count : 1) * sizeof *table->cells);
    table->cells[table->count++] = mem_strdup(text);
}

// --- Markdown

// Characters, not bytes, with what Markdown needs besides.
static size_t width_of(const char *text) {
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80 ? *text == '|' ? 2 : 1 : 0;
    return width;
}

static void add_cell(struct buf *out, const char *text, size_t width, bool right) {
    int room = (int)(width - width_of(text));
    buf_printf(out, "| %*s", right ? room : 0, "");
    for (const char *c = text; *c; c++) {
        buf_adds(out, *c == '|' ? "\\" : "");
        buf_add(out, *c == '\n' ? " " : c, 1);
    }
    buf_printf(out, "%*s", right ? 1 : room + 1, "");
}

static void add_rule(const struct table *table, const size_t *widths, struct buf *out) {
    for (size_t i = 0; i < table->columns; i++) {
        buf_adds(out, i ? "|-" : "|:");
        for (size_t j = 1; j < widths[i] + 1; j++)
            buf_adds(out, "-");
        buf_adds(out, i ? ":" : "-");
    }
    buf_adds(out, "|\n");
}

void table_markdown(const struct table *table, struct buf *out) {
    assert(table->columns > 0);
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < table->count; i++) {
        size_t *widest = &widths[i % table->columns], width = width_of(table->cells[i]);
        *widest = width > *widest ? width : *widest;
    }
    buf_printf(out, "\n## %s\n\n", table->title);
    for (size_t i = 0; i < table->count; i++) {
        add_cell(out, table->cells[i], widths[i % table->columns], i % table->columns > 0);
        if ((i + 1) % table->columns == 0)
            buf_adds(out, "|\n");
        if (i + 1 == table->columns)
            add_rule(table, widths, out);
    }
}

// --- HTML

void html_text(struct buf *out, const char *text) {
    for (; *text; text++)
        switch (*text) {
        case '&': buf_adds(out, "&amp;"); break;
        case '<': buf_adds(out, "&lt;"); break;
        case '>': buf_adds(out, "&gt;"); break;
        case '"': buf_adds(out, "&quot;"); break;
        case '\'': buf_adds(out, "&#39;"); break;
        default: buf_add(out, text, 1);
        }
}

void table_html(const struct table *table, struct buf *out) {
    assert(table->columns > 0);
    buf_adds(out, "<h2>");
    html_text(out, table->title);
    buf_adds(out, "</h2>\n<div class=\"wide\"><table>\n");
    for (size_t i = 0; i < table->count; i++) {
        const char *tag = i < table->columns || i % table->columns == 0 ? "th" : "td";
        buf_adds(out, i % table->columns == 0 ? "<tr>" : "");
        buf_printf(out, "<%s>", tag);
        html_text(out, table->cells[i]);
        buf_printf(out, "</%s>", tag);
        buf_adds(out, (i + 1) % table->columns == 0 ? "</tr>\n" : "");
    }
    buf_adds(out, "</table></div>\n");
}
