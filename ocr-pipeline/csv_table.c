#include "csv_table.h"

#include "base/mem.h"
#include "format/json.h"

#include <string.h>

// Latin-1 as UTF-8; the caller's.
static char *from_latin1(const char *bytes, size_t length) {
    char *out = mem_alloc(2 * length + 1);
    size_t count = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c >= 0x80)
            out[count++] = (char)(0xC0 | c >> 6);
        out[count++] = (char)(c >= 0x80 ? 0x80 | (c & 0x3F) : c);
    }
    return out;
}

// A zero byte ends what a text can hold; a table with one is no table.
static char *as_utf8(const char *bytes, size_t length) {
    if (length >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0) {
        bytes += 3;
        length -= 3;
    }
    char *text = mem_strndup(bytes, length);
    if (json_is_utf8(text))
        return text;
    mem_free(text);
    return from_latin1(bytes, length);
}

static char find_separator(const char *text) {
    static const char SEPARATORS[] = ";,\t";
    size_t counts[3] = {0}, best = 1;
    bool quoted = false, begins = true; // a field: elsewhere a quote is a quote
    for (; *text && (quoted || !strchr("\r\n", *text)); text++) {
        if (quoted && text[0] == '"' && text[1] == '"')
            text++;
        else if (*text == '"' && (quoted || begins))
            quoted = !quoted;
        const char *found = quoted ? NULL : strchr(SEPARATORS, *text);
        if (found)
            counts[found - SEPARATORS]++;
        begins = !quoted && (found || (begins && *text == ' '));
    }
    for (size_t i = 0; i < 3; i++)
        if (counts[i] > counts[best])
            best = i;
    return SEPARATORS[best];
}

struct reader {
    struct csv_table *csv;
    char *at, *out; // fields are written over what was read: they never grow
    unsigned line;
};

static void add_field(struct csv_table *csv, char *field) {
    if (csv->field_count == csv->field_capacity) {
        csv->field_capacity = csv->field_capacity ? csv->field_capacity * 2 : 1024;
        csv->fields = mem_resize(csv->fields, csv->field_capacity * sizeof *csv->fields);
    }
    csv->fields[csv->field_count++] = field;
}

static struct csv_row *add_row(struct csv_table *csv, unsigned line) {
    if (csv->count == csv->capacity) {
        csv->capacity = csv->capacity ? csv->capacity * 2 : 256;
        csv->rows = mem_resize(csv->rows, csv->capacity * sizeof *csv->rows);
    }
    csv->rows[csv->count] = (struct csv_row){.line = line};
    return &csv->rows[csv->count++];
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

// Inside quotes, from the one that opens; false: none closes.
static bool read_quoted(struct reader *reader) {
    for (reader->at++; *reader->at; reader->at++) {
        if (*reader->at == '"' && reader->at[1] != '"') {
            reader->at++;
            return true;
        }
        reader->at += *reader->at == '"';
        reader->line += *reader->at == '\n';
        *reader->out++ = *reader->at;
    }
    return false;
}

static bool read_field(struct reader *reader, struct err *err) {
    char separator = reader->csv->separator, *begin = reader->out;
    unsigned line = reader->line;
    while (is_blank(*reader->at) && *reader->at != separator)
        reader->at++;
    if (*reader->at == '"' && !read_quoted(reader))
        return err_set(err, ERR_INVALID, "line %u: a quote that is not closed", line);
    while (*reader->at && *reader->at != separator && !strchr("\r\n", *reader->at))
        *reader->out++ = *reader->at++;
    while (reader->out > begin && is_blank(reader->out[-1]))
        reader->out--;
    add_field(reader->csv, begin);
    return true;
}

// One line; what ends it is read, too. Fields end with a zero where their separator stood.
static bool read_row(struct reader *reader, struct err *err) {
    struct csv_table *csv = reader->csv;
    struct csv_row *row = add_row(csv, reader->line);
    for (;;) {
        if (row->count == CSV_COLUMNS_MAX)
            return err_set(err, ERR_LIMIT, "line %u: more than %d columns", row->line,
                           CSV_COLUMNS_MAX);
        if (!read_field(reader, err))
            return false;
        row->count++;
        char end = *reader->at;
        reader->at += end != '\0';
        *reader->out++ = '\0';
        if (end == csv->separator)
            continue;
        reader->at += end == '\r' && *reader->at == '\n';
        reader->line += end != '\0';
        break;
    }
    if (row->count == 1 && !csv->fields[csv->field_count - 1][0]) { // a blank line
        csv->count--;
        csv->field_count--;
    }
    return true;
}

struct csv_table *csv_table_parse(const char *bytes, size_t length, struct err *err) {
    struct csv_table *csv = mem_alloc(sizeof *csv);
    if (memchr(bytes, '\0', length)) {
        csv_table_destroy(csv);
        err_set(err, ERR_INVALID, "this is no table of text (it has zero bytes)");
        return NULL;
    }
    csv->text = as_utf8(bytes, length);
    csv->separator = find_separator(csv->text);
    struct reader reader = {csv, csv->text, csv->text, 1};
    bool good = true;
    while (good && *reader.at) {
        good = csv->count < CSV_ROWS_MAX
                   ? read_row(&reader, err)
                   : err_set(err, ERR_LIMIT, "more than %d rows", CSV_ROWS_MAX);
    }
    for (size_t i = 0, at = 0; good && i < csv->count; at += csv->rows[i++].count)
        csv->rows[i].fields = csv->fields + at; // once they do not move any more
    if (good)
        return csv;
    csv_table_destroy(csv);
    return NULL;
}

void csv_table_destroy(struct csv_table *csv) {
    if (!csv)
        return;
    mem_free(csv->rows);
    mem_free(csv->fields);
    mem_free(csv->text);
    mem_free(csv);
}
