#include "eval_truth.h"

#include "base/mem.h"
#include "base/str.h"
#include "csv_table.h"
#include "normalise.h"
#include "records_values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct columns {
    size_t file;
    enum field fields[CSV_COLUMNS_MAX]; // FIELD_COUNT: not looked at
};

static bool is_file(const char *head) {
    static const char *const NAMES[] = {"file", "arquivo", "foto", "photo", "imagem", "image"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (span_is_nocase(span_of(head), NAMES[i]))
            return true;
    return false;
}

static bool read_head(struct truth *truth, const struct csv_row *head, struct columns *columns,
                      struct err *err) {
    bool file = false, any = false;
    for (size_t i = 0; i < head->count; i++) {
        bool names = is_file(head->fields[i]);
        enum field field = names ? FIELD_COUNT : record_field(head->fields[i]);
        columns->fields[i] = field;
        if ((names && file) || (field < FIELD_COUNT && truth->judged[field]))
            return err_set(err, ERR_INVALID, "line %u: two columns \"%.60s\"", head->line,
                           head->fields[i]);
        if (names)
            columns->file = i;
        file |= names;
        if (field < FIELD_COUNT)
            any = truth->judged[field] = true;
    }
    return (file && any) ||
           err_set(
               err, ERR_INVALID,
               "line %u: %s; the first line names the columns: file,potencia_kva,fabricante ...",
               head->line, file ? "no column is one of the eleven fields" : "no column \"file\"");
}

// A plate never says that it is not protected.
static void set_value(struct truth_photo *photo, enum field field, const char *cell) {
    char *value = photo->values[field];
    if (strcmp(cell, "?") == 0)
        return;
    photo->judged[field] = true;
    if (cell[0])
        record_value(field, cell, value, sizeof photo->values[field]);
    if (field == FIELD_AUTOPROTEGIDO && strcmp(value, "false") == 0)
        value[0] = '\0';
}

static bool read_row(struct truth_photo *photo, const struct csv_row *head,
                     const struct csv_row *row, const struct columns *columns, struct err *err) {
    if (row->count != head->count)
        return err_set(err, ERR_INVALID, "line %u has %zu cells, the first line %zu", row->line,
                       row->count, head->count);
    if (!row->fields[columns->file][0])
        return err_set(err, ERR_INVALID, "line %u names no photo", row->line);
    photo->file = mem_strdup(row->fields[columns->file]);
    photo->line = row->line;
    for (size_t i = 0; i < row->count; i++)
        if (columns->fields[i] < FIELD_COUNT)
            set_value(photo, columns->fields[i], row->fields[i]);
    return true;
}

static int by_file(const void *a, const void *b) {
    const struct truth_photo *const *x = a, *const *y = b;
    int order = strcmp((*x)->file, (*y)->file);
    return order ? order : ((*x)->line > (*y)->line) - ((*x)->line < (*y)->line);
}

static bool check_twice(const struct truth *truth, struct err *err) {
    const struct truth_photo **sorted = mem_alloc(truth->count * sizeof *sorted);
    bool good = true;
    for (size_t i = 0; i < truth->count; i++)
        sorted[i] = &truth->photos[i];
    qsort(sorted, truth->count, sizeof *sorted, by_file);
    for (size_t i = 1; good && i < truth->count; i++)
        if (strcmp(sorted[i - 1]->file, sorted[i]->file) == 0)
            good = err_set(err, ERR_INVALID, "line %u: %.200s is in line %u, too", sorted[i]->line,
                           sorted[i]->file, sorted[i - 1]->line);
    mem_free(sorted);
    return good;
}

static bool read_all(struct truth *truth, const struct csv_table *csv, struct err *err) {
    struct columns columns = {0};
    if (csv->count && !read_head(truth, &csv->rows[0], &columns, err))
        return false;
    if (csv->count < 2)
        return err_set(err, ERR_NOTFOUND, "there are no photos in it");
    truth->photos = mem_alloc((csv->count - 1) * sizeof *truth->photos);
    for (size_t i = 1; i < csv->count; i++) {
        struct truth_photo *photo = &truth->photos[truth->count++];
        if (!read_row(photo, &csv->rows[0], &csv->rows[i], &columns, err))
            return false;
    }
    return check_twice(truth, err);
}

struct truth *truth_parse(const char *bytes, size_t length, struct err *err) {
    struct csv_table *csv = csv_table_parse(bytes, length, err);
    if (!csv)
        return NULL;
    struct truth *truth = mem_alloc(sizeof *truth);
    bool good = read_all(truth, csv, err);
    csv_table_destroy(csv);
    if (good)
        return truth;
    truth_destroy(truth);
    return NULL;
}

void truth_destroy(struct truth *truth) {
    if (!truth)
        return;
    for (size_t i = 0; i < truth->count; i++)
        mem_free(truth->photos[i].file);
    mem_free(truth->photos);
    mem_free(truth);
}

// --- Comparing

static void squeeze(const char *text, char *out, size_t size) {
    struct folded folded;
    size_t count = 0;
    fold_line(&folded, text);
    for (size_t i = 0; i < folded.length && count + 1 < size; i++)
        if (folded.text[i] != ' ')
            out[count++] = folded.text[i];
    out[count] = '\0';
}

bool truth_is(enum field field, const char *truth, const char *found) {
    char a[FOLDED_MAX + 1], b[FOLDED_MAX + 1];
    if (field == FIELD_POTENCIA_KVA || field == FIELD_TENSAO_PRIMARIA || field == FIELD_FASES) {
        char *end_a, *end_b; // ours, with a point, in the C locale
        double x = strtod(truth, &end_a), y = strtod(found, &end_b);
        if (end_a != truth && end_b != found && !*end_a && !*end_b)
            return x - y < 1e-6 && y - x < 1e-6;
    }
    squeeze(truth, a, sizeof a);
    squeeze(found, b, sizeof b);
    return strcmp(a, b) == 0;
}
