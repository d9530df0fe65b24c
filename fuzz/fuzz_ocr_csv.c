// Tables of strangers: what is read can be written and is read again as the same.
#include "base/buf.h"
#include "csv_table.h"
#include "format/json.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length);

static void write_field(struct buf *out, const char *field) {
    buf_adds(out, "\"");
    for (; *field; field++)
        buf_add(out, *field == '"' ? "\"\"" : field, *field == '"' ? 2 : 1);
    buf_adds(out, "\"");
}

static void write_table(const struct csv_table *csv, struct buf *out) {
    for (size_t i = 0; i < csv->count; i++)
        for (size_t k = 0; k < csv->rows[i].count; k++) {
            assert(json_is_utf8(csv->rows[i].fields[k]));
            write_field(out, csv->rows[i].fields[k]);
            buf_add(out, k + 1 < csv->rows[i].count ? &csv->separator : "\n", 1);
        }
}

static bool same(const struct csv_table *a, const struct csv_table *b) {
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        same = a->rows[i].count == b->rows[i].count;
        for (size_t k = 0; same && k < a->rows[i].count; k++)
            same = !strcmp(a->rows[i].fields[k], b->rows[i].fields[k]);
    }
    return same;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length) {
    struct err err = {0};
    struct buf text;
    struct csv_table *csv = csv_table_parse((const char *)data, length, &err);
    assert(csv || err.text[0]);
    if (!csv)
        return 0;
    buf_init(&text, 1 << 20);
    write_table(csv, &text);
    struct csv_table *again = csv_table_parse(buf_bytes(&text), text.length, &err);
    // A first line of one column does not say what parts the others.
    if (csv->count && csv->rows[0].count > 1)
        assert(again && again->separator == csv->separator && same(csv, again));
    csv_table_destroy(again);
    csv_table_destroy(csv);
    buf_fini(&text);
    return 0;
}
