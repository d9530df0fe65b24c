// Tables of the utility's into ours.
#include "base/mem.h"
#include "csv_table.h"
#include "records_private.h"
#include "records_values.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static bool run(struct records *records, const char *statement, struct err *err) {
    return sql_run(records->sql, statement, NULL, 0, NULL, NULL, err);
}

// Which column is what.
struct columns {
    size_t pole, image, tag;            // SIZE_MAX: not there
    enum field fields[CSV_COLUMNS_MAX]; // FIELD_COUNT: none
};

static void read_head(const struct csv_row *head, struct columns *columns) {
    columns->pole = columns->image = columns->tag = SIZE_MAX;
    for (size_t i = 0; i < CSV_COLUMNS_MAX; i++) // a row may have more cells than the head
        columns->fields[i] = FIELD_COUNT;
    for (size_t i = 0; i < head->count; i++) {
        const char *name = head->fields[i];
        columns->fields[i] = record_field(name);
        if (columns->pole == SIZE_MAX && record_is_pole(name))
            columns->pole = i;
        else if (!strcmp(name, "image") || !strcmp(name, "imagem") || !strcmp(name, "file") ||
                 !strcmp(name, "arquivo"))
            columns->image = i;
        else if (!strcmp(name, "tag") || !strcmp(name, "classe") || !strcmp(name, "class"))
            columns->tag = i;
    }
}

static const char *cell(const struct csv_row *row, size_t column) {
    return column < row->count ? row->fields[column] : "";
}

typedef bool import_fn(struct records *records, const struct csv_row *row,
                       const struct columns *columns, struct err *err);

// One statement for all values of a pole: a server may be far away.
static bool put_values(struct records *records, const char *pole,
                       char values[FIELD_COUNT][sizeof((struct record *)0)->values[0]],
                       struct err *err) {
    const char *texts[1 + 2 * FIELD_COUNT] = {pole};
    size_t count = 1;
    struct buf statement;
    buf_init(&statement, 4096);
    buf_adds(&statement, "INSERT INTO ocr_value (pole, field, text) VALUES ");
    for (int i = 0; i < FIELD_COUNT; i++) {
        if (!values[i][0])
            continue;
        buf_printf(&statement, "%s($1, $%zu, $%zu)", count > 1 ? ", " : "", count + 1, count + 2);
        texts[count++] = field_key((enum field)i);
        texts[count++] = values[i];
    }
    buf_adds(&statement, " ON CONFLICT (pole, field) DO UPDATE SET text = excluded.text");
    bool good =
        count == 1 || sql_run(records->sql, buf_text(&statement), texts, count, NULL, NULL, err);
    buf_fini(&statement);
    return good;
}

static bool import_values(struct records *records, const struct csv_row *row,
                          const struct columns *columns, struct err *err) {
    char values[FIELD_COUNT][sizeof((struct record *)0)->values[0]] = {{0}};
    const char *pole = cell(row, columns->pole);
    for (size_t i = 0; i < row->count; i++) {
        enum field field = columns->fields[i];
        if (field < FIELD_COUNT && i != columns->pole && row->fields[i][0])
            record_value(field, row->fields[i], values[field], sizeof values[field]);
    }
    return sql_run(records->sql,
                   "INSERT INTO ocr_pole (pole) VALUES ($1) ON CONFLICT (pole) DO NOTHING", &pole,
                   1, NULL, NULL, err) &&
           put_values(records, pole, values, err);
}

static bool import_image(struct records *records, const struct csv_row *row,
                         const struct columns *columns, struct err *err) {
    const char *texts[] = {cell(row, columns->pole), cell(row, columns->image),
                           cell(row, columns->tag)};
    return sql_run(records->sql,
                   "INSERT INTO ocr_image (pole, image, tag) VALUES ($1, $2, $3)"
                   " ON CONFLICT (pole, image, tag) DO NOTHING",
                   texts, 3, NULL, NULL, err);
}

static bool import_rows(struct records *records, const struct csv_table *csv,
                        const struct columns *columns, import_fn *import, struct err *err) {
    for (size_t i = 1; i < csv->count; i++) {
        const struct csv_row *row = &csv->rows[i];
        const char *pole = cell(row, columns->pole);
        if (!pole[0] || strlen(pole) > 64)
            return err_set(err, ERR_INVALID, "line %u: %s", row->line,
                           pole[0] ? "the pole's name is longer than 64 bytes"
                                   : "it names no pole");
        if (!import(records, row, columns, err))
            return false;
    }
    return true;
}

static bool import(struct records *records, const char *bytes, size_t length, bool images,
                   unsigned *rows, struct err *err) {
    struct columns columns;
    if (length > RECORDS_CSV_MAX)
        return err_set(err, ERR_LIMIT, "the table is larger than %d MiB", RECORDS_CSV_MAX >> 20);
    struct csv_table *csv = csv_table_parse(bytes, length, err);
    if (!csv)
        return false;
    bool good = csv->count > 0 || err_set(err, ERR_INVALID, "the table is empty");
    if (good) {
        read_head(&csv->rows[0], &columns);
        bool known = columns.pole != SIZE_MAX &&
                     (!images || (columns.image != SIZE_MAX && columns.tag != SIZE_MAX));
        good =
            known || err_set(err, ERR_INVALID, "line %u: no column is called %s", csv->rows[0].line,
                             columns.pole == SIZE_MAX ? "poste (or pole)" : "image and tag");
    }
    pthread_mutex_lock(&records->lock);
    if (good && (good = run(records, "BEGIN", err))) {
        good = import_rows(records, csv, &columns, images ? import_image : import_values, err) &&
               run(records, "COMMIT", err);
        if (!good)
            run(records, "ROLLBACK", NULL);
    }
    pthread_mutex_unlock(&records->lock);
    if (rows)
        *rows = good ? (unsigned)csv->count - 1 : 0;
    csv_table_destroy(csv);
    return good;
}

bool records_import(struct records *records, const char *bytes, size_t length, unsigned *rows,
                    struct err *err) {
    return import(records, bytes, length, false, rows, err);
}

bool records_import_images(struct records *records, const char *bytes, size_t length,
                           unsigned *rows, struct err *err) {
    return import(records, bytes, length, true, rows, err);
}
