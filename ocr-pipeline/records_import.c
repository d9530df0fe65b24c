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

// --- Its head

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

// --- Many rows a statement: a server may be far away

enum { BATCH_POLES = 64, TEXTS_MAX = 3 * BATCH_POLES * FIELD_COUNT };

struct insert {
    const char *head, *tail; // of the statement
    size_t columns, count;   // of the texts
    const char *texts[TEXTS_MAX];
};

// A batch of poles, none of them twice: one statement may not change a row two times.
struct batch {
    struct records *records;
    const struct columns *columns;
    struct insert poles, values, images;
    size_t held; // poles whose values are in the room
    char room[BATCH_POLES][FIELD_COUNT][sizeof((struct record *)0)->values[0]];
};

static bool insert(struct records *records, struct insert *rows, struct err *err) {
    struct buf statement;
    if (rows->count == 0)
        return true;
    buf_init(&statement, 1 << 20);
    buf_adds(&statement, rows->head);
    for (size_t i = 0; i < rows->count; i++)
        buf_printf(&statement, "%s$%zu%s",
                   i % rows->columns ? ", "
                   : i               ? ", ("
                                     : "(",
                   i + 1, (i + 1) % rows->columns ? "" : ")");
    buf_adds(&statement, rows->tail);
    bool good =
        sql_run(records->sql, buf_text(&statement), rows->texts, rows->count, NULL, NULL, err);
    buf_fini(&statement);
    rows->count = 0;
    return good;
}

static bool flush(struct batch *batch, struct err *err) {
    batch->held = 0;
    return insert(batch->records, &batch->poles, err) &&
           insert(batch->records, &batch->values, err) &&
           insert(batch->records, &batch->images, err);
}

static bool has_pole(const struct batch *batch, const char *pole) {
    for (size_t i = 0; i < batch->poles.count; i++)
        if (strcmp(batch->poles.texts[i], pole) == 0)
            return true;
    return false;
}

static bool add_values(struct batch *batch, const char *pole, const struct csv_row *row,
                       struct err *err) {
    if ((batch->held == BATCH_POLES || has_pole(batch, pole)) && !flush(batch, err))
        return false;
    char(*values)[sizeof batch->room[0][0]] = batch->room[batch->held++];
    memset(values, 0, sizeof batch->room[0]);
    for (size_t i = 0; i < row->count; i++) {
        enum field field = batch->columns->fields[i];
        if (field < FIELD_COUNT && i != batch->columns->pole && row->fields[i][0])
            record_value(field, row->fields[i], values[field], sizeof values[field]);
    }
    batch->poles.texts[batch->poles.count++] = pole;
    for (int i = 0; i < FIELD_COUNT; i++) {
        if (!values[i][0])
            continue;
        const char **texts = &batch->values.texts[batch->values.count];
        texts[0] = pole;
        texts[1] = field_key((enum field)i);
        texts[2] = values[i];
        batch->values.count += 3;
    }
    return true;
}

static bool add_image(struct batch *batch, const char *pole, const struct csv_row *row,
                      struct err *err) {
    if (batch->images.count == TEXTS_MAX && !flush(batch, err))
        return false;
    const char **texts = &batch->images.texts[batch->images.count];
    texts[0] = pole;
    texts[1] = cell(row, batch->columns->image);
    texts[2] = cell(row, batch->columns->tag);
    batch->images.count += 3;
    return true;
}

static bool add_rows(struct batch *batch, const struct csv_table *csv, bool images,
                     struct err *err) {
    const struct records *records = batch->records;
    for (size_t i = 1; i < csv->count; i++) {
        const struct csv_row *row = &csv->rows[i];
        const char *pole = cell(row, batch->columns->pole);
        if (!pole[0] || strlen(pole) > 64)
            return err_set(err, ERR_INVALID, "line %u: %s", row->line,
                           pole[0] ? "the pole's name is longer than 64 bytes"
                                   : "it names no pole");
        if (!(images ? add_image : add_values)(batch, pole, row, err))
            return false;
        if (records->on_progress && i % 1000 == 0)
            records->on_progress(records->progress_arg, i, csv->count - 1);
    }
    return flush(batch, err);
}

static bool import_rows(struct records *records, const struct csv_table *csv,
                        const struct columns *columns, bool images, struct err *err) {
    struct batch *batch = mem_alloc(sizeof *batch);
    batch->records = records;
    batch->columns = columns;
    batch->poles = (struct insert){.head = "INSERT INTO ocr_pole (pole) VALUES ",
                                   .tail = " ON CONFLICT (pole) DO NOTHING",
                                   .columns = 1};
    batch->values =
        (struct insert){.head = "INSERT INTO ocr_value (pole, field, text) VALUES ",
                        .tail = " ON CONFLICT (pole, field) DO UPDATE SET text = excluded.text",
                        .columns = 3};
    batch->images = (struct insert){.head = "INSERT INTO ocr_image (pole, image, tag) VALUES ",
                                    .tail = " ON CONFLICT (pole, image, tag) DO NOTHING",
                                    .columns = 3};
    bool good = add_rows(batch, csv, images, err);
    mem_free(batch);
    return good;
}

// --- A table

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
        good = import_rows(records, csv, &columns, images, err) && run(records, "COMMIT", err);
        if (!good)
            run(records, "ROLLBACK", NULL);
    }
    pthread_mutex_unlock(&records->lock);
    if (rows)
        *rows = good ? (unsigned)csv->count - 1 : 0;
    csv_table_destroy(csv);
    return good;
}

void records_on_progress(struct records *records, records_progress_fn *fn, void *arg) {
    records->on_progress = fn;
    records->progress_arg = arg;
}

bool records_import(struct records *records, const char *bytes, size_t length, unsigned *rows,
                    struct err *err) {
    return import(records, bytes, length, false, rows, err);
}

bool records_import_images(struct records *records, const char *bytes, size_t length,
                           unsigned *rows, struct err *err) {
    return import(records, bytes, length, true, rows, err);
}
