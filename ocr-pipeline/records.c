#include "records.h"

#include "base/mem.h"
#include "csv_table.h"
#include "records_values.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct records {
    sqlite3 *db;
};

static const char SCHEMA[] =
    "CREATE TABLE IF NOT EXISTS pole (pole TEXT PRIMARY KEY) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS value (pole TEXT NOT NULL, field TEXT NOT NULL, text TEXT NOT NULL,"
    " PRIMARY KEY (pole, field)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS image (pole TEXT NOT NULL, image TEXT NOT NULL, tag TEXT NOT NULL,"
    " PRIMARY KEY (pole, image, tag)) WITHOUT ROWID;";

static bool wrong(struct records *records, const char *what, struct err *err) {
    int code = sqlite3_errcode(records->db);
    bool busy = code == SQLITE_BUSY || code == SQLITE_LOCKED;
    return err_set(err, busy ? ERR_BUSY : ERR_SYSTEM, "%s: %s", what, sqlite3_errmsg(records->db));
}

static bool run(struct records *records, const char *sql, struct err *err) {
    return sqlite3_exec(records->db, sql, NULL, NULL, NULL) == SQLITE_OK ||
           wrong(records, "records", err);
}

// Texts only; NULL ends them.
static sqlite3_stmt *prepare(struct records *records, const char *sql, ...) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(records->db, sql, -1, &statement, NULL) != SQLITE_OK)
        return NULL;
    va_list args;
    va_start(args, sql);
    const char *text;
    for (int i = 1; (text = va_arg(args, const char *)) != NULL; i++)
        sqlite3_bind_text(statement, i, text, -1, SQLITE_TRANSIENT);
    va_end(args);
    return statement;
}

static bool finish(struct records *records, sqlite3_stmt *statement, struct err *err) {
    bool good = statement && sqlite3_step(statement) == SQLITE_DONE;
    if (!good)
        wrong(records, "records", err);
    sqlite3_finalize(statement);
    return good;
}

struct records *records_open(const char *path, struct err *err) {
    struct records *records = mem_alloc(sizeof *records);
    bool good = sqlite3_open(path, &records->db) == SQLITE_OK || wrong(records, path, err);
    if (good) {
        sqlite3_busy_timeout(records->db, 2000);
        good = run(records, "PRAGMA journal_mode = WAL;", err) && run(records, SCHEMA, err);
    }
    if (good)
        return records;
    records_close(records);
    return NULL;
}

void records_close(struct records *records) {
    if (!records)
        return;
    sqlite3_close(records->db);
    mem_free(records);
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

static bool import_values(struct records *records, const struct csv_row *row,
                          const struct columns *columns, struct err *err) {
    const char *pole = cell(row, columns->pole);
    if (!finish(records, prepare(records, "INSERT OR IGNORE INTO pole VALUES (?)", pole, NULL),
                err))
        return false;
    for (size_t i = 0; i < row->count; i++) {
        char text[64];
        enum field field = columns->fields[i];
        if (field == FIELD_COUNT || i == columns->pole || !row->fields[i][0])
            continue;
        record_value(field, row->fields[i], text, sizeof text);
        if (!finish(records,
                    prepare(records, "INSERT OR REPLACE INTO value VALUES (?, ?, ?)", pole,
                            field_key(field), text, NULL),
                    err))
            return false;
    }
    return true;
}

static bool import_image(struct records *records, const struct csv_row *row,
                         const struct columns *columns, struct err *err) {
    return records_tag_image(records, cell(row, columns->pole), cell(row, columns->image),
                             cell(row, columns->tag), err);
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
    if (good && run(records, "BEGIN IMMEDIATE", err)) {
        good = import_rows(records, csv, &columns, images ? import_image : import_values, err) &&
               run(records, "COMMIT", err);
        if (!good)
            sqlite3_exec(records->db, "ROLLBACK", NULL, NULL, NULL);
    } else {
        good = false;
    }
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

bool records_tag_image(struct records *records, const char *pole, const char *image,
                       const char *tag, struct err *err) {
    return finish(
        records,
        prepare(records, "INSERT OR IGNORE INTO image VALUES (?, ?, ?)", pole, image, tag, NULL),
        err);
}

static bool read_values(struct records *records, struct record *record, struct err *err) {
    sqlite3_stmt *row =
        prepare(records, "SELECT field, text FROM value WHERE pole = ?", record->pole, NULL);
    int code = row ? SQLITE_ROW : SQLITE_ERROR;
    while (row && (code = sqlite3_step(row)) == SQLITE_ROW) {
        enum field field = field_by_key((const char *)sqlite3_column_text(row, 0));
        if (field < FIELD_COUNT)
            snprintf(record->values[field], sizeof record->values[field], "%s",
                     (const char *)sqlite3_column_text(row, 1));
    }
    sqlite3_finalize(row);
    return code == SQLITE_DONE || wrong(records, "records", err);
}

static bool count_of(struct records *records, const char *sql, const char *pole, unsigned *count,
                     struct err *err) {
    sqlite3_stmt *row = prepare(records, sql, pole, NULL);
    bool good = row && sqlite3_step(row) == SQLITE_ROW;
    *count = good ? (unsigned)sqlite3_column_int(row, 0) : 0;
    sqlite3_finalize(row);
    return good || wrong(records, "records", err);
}

bool records_find(struct records *records, const char *pole, struct record *record,
                  struct err *err) {
    unsigned known, images;
    *record = (struct record){.transformer_images = 0};
    snprintf(record->pole, sizeof record->pole, "%s", pole);
    if (!count_of(records, "SELECT count(*) FROM pole WHERE pole = ?", pole, &known, err) ||
        !count_of(records, "SELECT count(*) FROM image WHERE pole = ?", pole, &images, err))
        return false;
    if (known + images == 0)
        return err_set(err, ERR_NOTFOUND, "the records have no pole %.64s", pole);
    return count_of(records,
                    "SELECT count(DISTINCT image) FROM image"
                    " WHERE pole = ? AND tag = 'placa_transformador'",
                    pole, &record->transformer_images, err) &&
           read_values(records, record, err);
}
