#include "records.h"

#include "base/mem.h"
#include "base/str.h"
#include "format/json.h"
#include "records_private.h"
#include "records_values.h"

#include <stdio.h>
#include <string.h>

// `ocr_image` is what the utility says of its own photos, `ocr_seen` what we saw in those that
// came.
static const char *const SCHEMA[] = {
    "CREATE TABLE IF NOT EXISTS ocr_pole (pole TEXT PRIMARY KEY)",
    "CREATE TABLE IF NOT EXISTS ocr_value (pole TEXT NOT NULL, field TEXT NOT NULL,"
    " text TEXT NOT NULL, PRIMARY KEY (pole, field))",
    "CREATE TABLE IF NOT EXISTS ocr_image (pole TEXT NOT NULL, image TEXT NOT NULL,"
    " tag TEXT NOT NULL, PRIMARY KEY (pole, image, tag))",
    "CREATE TABLE IF NOT EXISTS ocr_seen (pole TEXT NOT NULL, image TEXT NOT NULL,"
    " serial TEXT NOT NULL, seen_ms BIGINT NOT NULL, PRIMARY KEY (pole, image))",
};

// All that our tables know of a pole, in one look.
static const char FIND[] =
    "SELECT field, text FROM ocr_value WHERE pole = $1"
    " UNION ALL SELECT '+pole', CAST(count(*) AS TEXT) FROM ocr_pole WHERE pole = $1"
    " UNION ALL SELECT '+image', CAST(count(*) AS TEXT) FROM ocr_image WHERE pole = $1"
    " UNION ALL SELECT '+given', CAST(count(DISTINCT image) AS TEXT) FROM ocr_image"
    " WHERE pole = $1 AND tag = '" CLASS_TRANSFORMER "'"
    " UNION ALL SELECT '+seen', CAST(count(DISTINCT image) AS TEXT) FROM ocr_seen WHERE pole = $1"
    " UNION ALL SELECT '+serial', CAST(count(DISTINCT serial) AS TEXT) FROM ocr_seen"
    " WHERE pole = $1 AND serial <> ''";

// --- Opening

static bool check(const struct records_options *options, enum records_use use, struct err *err) {
    if (!options->file == !options->url)
        return err_set(err, ERR_INVALID, "[records] takes file or url, one of them");
    if (options->images_query && !options->query)
        return err_set(err, ERR_INVALID, "[records] images-query goes with a query");
    if (use == RECORDS_FILL && options->query)
        return err_set(
            err, ERR_INVALID,
            "[records] query reads tables of your own; an import fills ours, without it");
    return true;
}

static struct sql *open_database(const struct records_options *options, enum records_use use,
                                 struct err *err) {
    enum sql_open how = use == RECORDS_FILL ? SQL_OURS : SQL_THEIRS;
    struct sql *sql = options->url ? sql_open_postgres(options->url, options->connect_ms,
                                                       options->timeout_ms, err)
                                   : sql_open_sqlite(options->file, how, options->timeout_ms, err);
    if (!sql && err->code == ERR_NOTFOUND && !options->url)
        err_context(err, "there are no records ([records] file; import them with: ocr-pipeline "
                         "records TABLE.csv)");
    return sql;
}

// Who may fill tables need not be allowed to make them.
static bool make_tables(struct records *records, struct err *err) {
    struct err why = {0};
    bool good = true;
    for (size_t i = 0; good && i < sizeof SCHEMA / sizeof *SCHEMA; i++)
        good = sql_run(records->sql, SCHEMA[i], NULL, 0, NULL, NULL, &why);
    good = good && records_seen_ready(records, &why);
    return good || why.code == ERR_DENIED || err_set(err, why.code, "%s", why.text);
}

struct records *records_open(const struct records_options *options, enum records_use use,
                             struct err *err) {
    if (!check(options, use, err))
        return NULL;
    struct records *records = mem_alloc(sizeof *records);
    pthread_mutex_init(&records->lock, NULL);
    records->query = mem_strdup(options->query);
    records->images_query = mem_strdup(options->images_query);
    records->tag_images = options->tag_images && !options->query;
    records->keep_ms = options->keep_ms;
    records->sql = open_database(options, use, err);
    if (records->sql && (use == RECORDS_ASK || make_tables(records, err)))
        return records;
    records_close(records);
    return NULL;
}

void records_close(struct records *records) {
    if (!records)
        return;
    sql_close(records->sql);
    pthread_mutex_destroy(&records->lock);
    mem_free(records->query);
    mem_free(records->images_query);
    mem_free(records);
}

const char *records_where(const struct records *records) { return sql_where(records->sql); }

const char *records_code(const struct err *err) {
    switch (err->code) {
    case ERR_PEER: return "RECORDS_UNREACHABLE";
    case ERR_TIMEOUT: return "RECORDS_TIMEOUT";
    case ERR_DENIED: return "RECORDS_DENIED";
    case ERR_BUSY: return "RECORDS_BUSY";
    case ERR_INVALID: return "RECORDS_QUERY";
    default: return "RECORDS_FAILED";
    }
}

// --- Our tables

struct finding {
    struct record *record;
    bool known;
    unsigned given, seen, serials;
    unsigned rows; // of a query of theirs
};

static bool on_our_row(void *arg, const struct sql_row *row, struct err *err) {
    struct finding *finding = arg;
    const char *name = row->values[0], *text = row->values[1];
    enum field field = field_by_key(name);
    int64_t count = 0;
    if (field < FIELD_COUNT) {
        snprintf(finding->record->values[field], sizeof finding->record->values[field], "%s", text);
        return true;
    }
    str_to_int(text, 0, UINT32_MAX, &count);
    if (strcmp(name, "+pole") == 0 || strcmp(name, "+image") == 0)
        finding->known |= count > 0;
    if (strcmp(name, "+image") == 0)
        finding->record->given = count > 0;
    else if (strcmp(name, "+given") == 0)
        finding->given = (unsigned)count;
    else if (strcmp(name, "+seen") == 0)
        finding->seen = (unsigned)count;
    else if (strcmp(name, "+serial") == 0)
        finding->serials = (unsigned)count;
    return true;
}

static bool find_ours(struct records *records, struct record *record, struct err *err) {
    struct finding finding = {.record = record};
    const char *texts[] = {record->pole};
    if (!sql_run(records->sql, FIND, texts, 1, on_our_row, &finding, err)) {
        if (err && err->code == ERR_INVALID)
            err_context(err, "no tables of ours; make them with: ocr-pipeline records TABLE.csv");
        return false;
    }
    record->transformer_images = record->given     ? finding.given
                                 : finding.serials ? finding.serials
                                                   : finding.seen;
    return finding.known ||
           err_set(err, ERR_NOTFOUND, "the records have no pole %.64s", record->pole);
}

// --- Tables of theirs

static bool on_their_row(void *arg, const struct sql_row *row, struct err *err) {
    struct finding *finding = arg;
    struct record *record = finding->record;
    if (finding->rows++ > 0)
        return err_set(err, ERR_INVALID,
                       "[records] query gives several rows for pole %.64s; one is wanted (of a "
                       "bank its whole power)",
                       record->pole);
    for (size_t i = 0; i < row->count; i++) {
        enum field field = record_field(row->names[i]);
        if (field < FIELD_COUNT && row->values[i][0])
            record_value(field, row->values[i], record->values[field],
                         sizeof record->values[field]);
    }
    return true;
}

static bool on_image_count(void *arg, const struct sql_row *row, struct err *err) {
    struct record *record = arg;
    int64_t count;
    if (row->count == 0 || !str_to_int(row->values[0], 0, UINT32_MAX, &count))
        return err_set(err, ERR_INVALID, "[records] images-query gives no count of images");
    record->transformer_images = (unsigned)count;
    record->given = count > 0;
    return true;
}

static bool find_theirs(struct records *records, struct record *record, struct err *err) {
    struct finding finding = {.record = record};
    const char *texts[] = {record->pole};
    if (!sql_run(records->sql, records->query, texts, 1, on_their_row, &finding, err))
        return false;
    if (finding.rows == 0)
        return err_set(err, ERR_NOTFOUND, "the records have no pole %.64s", record->pole);
    return !records->images_query ||
           sql_run(records->sql, records->images_query, texts, 1, on_image_count, record, err);
}

// --- Asking

static bool find(struct records *records, const char *pole, struct record *record,
                 struct err *err) {
    *record = (struct record){.transformer_images = 0};
    snprintf(record->pole, sizeof record->pole, "%s", pole);
    return (records->query ? find_theirs : find_ours)(records, record, err);
}

// Two photos of one serial number are one transformer; without any serial number each counts.
static unsigned units_of(const struct sighting *sightings, size_t count) {
    unsigned images = 0, serials = 0;
    for (size_t i = 0; i < count; i++) {
        bool image = true, serial = sightings[i].serial[0] != '\0';
        for (size_t k = 0; k < i; k++) {
            image &= strcmp(sightings[i].image, sightings[k].image) != 0;
            serial &= strcmp(sightings[i].serial, sightings[k].serial) != 0;
        }
        images += image;
        serials += serial;
    }
    return serials ? serials : images;
}

void record_count_units(struct record *record, const struct sighting *sightings, size_t count) {
    unsigned units = units_of(sightings, count);
    if (!record->given && units > record->transformer_images)
        record->transformer_images = units;
}

bool records_find(struct records *records, const char *pole, const struct sighting *sightings,
                  size_t count, struct record *record, struct err *err) {
    pthread_mutex_lock(&records->lock);
    if (!records->query)
        records_forget_seen(records);
    bool good = find(records, pole, record, err);
    if (good && records->tag_images && !record->given &&
        records_keep_seen(records, pole, sightings, count))
        good = find(records, pole, record, err);
    pthread_mutex_unlock(&records->lock);
    if (good)
        record_count_units(record, sightings, count);
    return good;
}

// --- For people

static bool on_pole_count(void *arg, const struct sql_row *row, struct err *err) {
    int64_t *count = arg;
    return str_to_int(row->values[0], 0, INT64_MAX, count) ||
           err_set(err, ERR_SYSTEM, "a count that is none");
}

bool records_probe(struct records *records, char *text, size_t size, struct err *err) {
    struct record record;
    struct err why = {0};
    int64_t count = 0;
    pthread_mutex_lock(&records->lock);
    bool good = find(records, "0", &record, &why) || why.code == ERR_NOTFOUND ||
                err_set(err, why.code, "%s", why.text);
    good = good && (records->query || sql_run(records->sql, "SELECT count(*) FROM ocr_pole", NULL,
                                              0, on_pole_count, &count, err));
    pthread_mutex_unlock(&records->lock);
    if (good && records->query)
        snprintf(text, size, "%s: it answers, and understands the query", records_where(records));
    else if (good)
        snprintf(text, size, "%s: %lld poles", records_where(records), (long long)count);
    return good;
}

// --- As they are kept

json_t *record_json(const struct record *record) {
    json_t *values = json_object();
    for (int i = 0; i < FIELD_COUNT; i++)
        if (record->values[i][0])
            json_set(values, field_key((enum field)i), json_text(record->values[i]));
    return json_build("{s:s, s:o, s:I, s:b}", "pole", record->pole, "values", values, "images",
                      (json_int_t)record->transformer_images, "given", (int)record->given);
}

void record_of_json(struct record *record, const json_t *json) {
    const json_t *values = json_object_get(json, "values");
    *record = (struct record){.given = json_get_bool(json, "given", false)};
    record->transformer_images = (unsigned)json_get_int(json, "images", 0);
    snprintf(record->pole, sizeof record->pole, "%s", json_get_text(json, "pole", ""));
    for (int i = 0; i < FIELD_COUNT; i++)
        snprintf(record->values[i], sizeof record->values[i], "%s",
                 json_get_text(values, field_key((enum field)i), ""));
}
