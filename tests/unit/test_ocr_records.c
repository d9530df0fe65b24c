#include "csv_table.h"
#include "plate_draw.h"
#include "records_compare.h"
#include "records_values.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static struct csv_table *table_of(const char *text) {
    struct err err = {0};
    struct csv_table *csv = csv_table_parse(text, strlen(text), &err);
    if (!csv)
        fail_msg("%s: %s", text, err.text);
    return csv;
}

static void tables(void **state) {
    (void)state;
    static const struct {
        const char *text, *cells; // rows parted by |, fields by _
    } CASES[] = {
        {"a,b\n1,2\n", "a_b|1_2"},
        {"a;b\r\n1,5;2\r\n", "a_b|1,5_2"},
        {"\xEF\xBB\xBF"
         "a\tb\n1\t2",
         "a_b|1_2"},
        {"a,b\n\"x, \"\"y\"\"\",\"two\nlines\"\n", "a_b|x, \"y\"_two\nlines"},
        {"a,b\n\n , \n1,\n", "a_b|_|1_"},
        {" a , b \n", "a_b"},
        {"5\" a;b\n1;2", "5\" a_b|1_2"}, // a quote that opens nothing
        {"\"a,\"\";\";b\n1;2", "a,\";_b|1_2"},
        {"a\nPOT\xCANCIA\n", "a|POT\xC3\x8ANCIA"}, // Latin-1
        {"", ""},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct csv_table *csv = table_of(CASES[i].text);
        char cells[256] = "";
        size_t length = 0;
        for (size_t r = 0; r < csv->count; r++)
            for (size_t c = 0; c < csv->rows[r].count; c++)
                length += (size_t)snprintf(cells + length, sizeof cells - length, "%s%s",
                                           c   ? "_"
                                           : r ? "|"
                                               : "",
                                           csv->rows[r].fields[c]);
        assert_string_equal(cells, CASES[i].cells);
        csv_table_destroy(csv);
    }
}

static void broken_tables(void **state) {
    (void)state;
    struct err err = {0};
    assert_null(csv_table_parse("a\n\"b\n", 5, &err));
    assert_string_equal(err.text, "line 2: a quote that is not closed");
    assert_null(csv_table_parse("\"", 1, &err));
    assert_null(csv_table_parse("a\0b", 3, &err));
    assert_int_equal(err.code, ERR_INVALID);
    char wide[600];
    memset(wide, ',', sizeof wide);
    assert_null(csv_table_parse(wide, sizeof wide, &err));
    assert_int_equal(err.code, ERR_LIMIT);
}

static void values_as_plates_say_them(void **state) {
    (void)state;
    static const struct {
        enum field field;
        const char *text, *value;
    } CASES[] = {
        {FIELD_POTENCIA_KVA, "112,5 kVA", "112.5"},
        {FIELD_POTENCIA_KVA, "75.0", "75"},
        {FIELD_TENSAO_PRIMARIA, "13.8", "13800"},
        {FIELD_TENSAO_PRIMARIA, "13,8 kV", "13800"},
        {FIELD_TENSAO_PRIMARIA, "13.800", "13800"},
        {FIELD_TENSAO_PRIMARIA, "7967", "7967"},
        {FIELD_TENSAO_SECUNDARIA, "127/220V", "220/127"},
        {FIELD_TENSAO_SECUNDARIA, "220", "220"},
        {FIELD_FASES, "TRIFÁSICO", "3"},
        {FIELD_FASES, "1", "1"},
        {FIELD_DATA_FABRICACAO, "2019-08-01", "2019-08"},
        {FIELD_DATA_FABRICACAO, "08/2019", "2019-08"},
        {FIELD_AUTOPROTEGIDO, "Sim", "true"},
        {FIELD_AUTOPROTEGIDO, "não", "false"},
        {FIELD_ELO_FUSIVEL, "0.5 H", "0,5H"},
        {FIELD_NUMERO_SERIE, "AB-12", "AB-12"},
        {FIELD_POTENCIA_KVA, "?", "?"},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        char value[64];
        record_value(CASES[i].field, CASES[i].text, value, sizeof value);
        assert_string_equal(value, CASES[i].value);
    }
}

static const struct records_options memory = {.file = ":memory:",
                                              .tag_images = true,
                                              .keep_ms = 3600000,
                                              .connect_ms = 1000,
                                              .timeout_ms = 1000};

static struct records *records_with(const char *values, const char *images) {
    struct err err = {0};
    struct records *records = records_open(&memory, RECORDS_FILL, &err);
    unsigned rows;
    assert_non_null(records);
    if (values && !records_import(records, values, strlen(values), &rows, &err))
        fail_msg("%s", err.text);
    if (images && !records_import_images(records, images, strlen(images), &rows, &err))
        fail_msg("%s", err.text);
    return records;
}

static void a_table_is_imported(void **state) {
    (void)state;
    struct records *records = records_with("Poste;Potência;Fabricante;Nº Série;Obs\n"
                                           "P1;112,5;WEG;00123;x\nP2;75;;;\n",
                                           NULL);
    struct record record;
    struct err err = {0};
    assert_true(records_find(records, "P1", NULL, 0, &record, &err));
    assert_string_equal(record.values[FIELD_POTENCIA_KVA], "112.5");
    assert_string_equal(record.values[FIELD_FABRICANTE], "WEG");
    assert_string_equal(record.values[FIELD_NUMERO_SERIE], "00123");
    assert_string_equal(record.values[FIELD_FASES], "");
    assert_true(records_find(records, "P2", NULL, 0, &record, &err));
    assert_string_equal(record.values[FIELD_FABRICANTE], "");
    assert_false(records_find(records, "P3", NULL, 0, &record, &err));
    assert_int_equal(err.code, ERR_NOTFOUND);
    // A second table changes what it names; cells without a head are nobody's.
    static const char MORE[] = "poste,fases\nP1,3,8,8,8\n";
    assert_true(records_import(records, MORE, sizeof MORE - 1, NULL, &err));
    assert_true(records_find(records, "P1", NULL, 0, &record, &err));
    assert_string_equal(record.values[FIELD_FASES], "3");
    assert_string_equal(record.values[FIELD_POTENCIA_KVA], "112.5");
    records_close(records);
}

static void many_rows(void **state) {
    (void)state;
    struct buf table, images;
    buf_init(&table, 1 << 20);
    buf_init(&images, 1 << 20);
    buf_adds(&table, "poste;potencia;kva;serie\n");
    buf_adds(&images, "pole;image;tag\n");
    for (unsigned i = 0; i < 500; i++) {
        buf_printf(&table, "P%u;%u;;S%u\n", i % 3 ? i : 0, i + 1, i); // P0 again and again
        buf_printf(&images, "P%u;i%u;placa_transformador\n", i % 2, i);
    }
    struct records *records = records_with(buf_text(&table), buf_text(&images));
    static const struct {
        const char *pole, *kva, *serial;
        unsigned images;
    } CASES[] = {{"P0", "499", "S498", 250}, {"P1", "2", "S1", 250}, {"P499", "500", "S499", 0}};
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct record record;
        assert_true(records_find(records, CASES[i].pole, NULL, 0, &record, NULL));
        assert_string_equal(record.values[FIELD_POTENCIA_KVA], CASES[i].kva);
        assert_string_equal(record.values[FIELD_NUMERO_SERIE], CASES[i].serial);
        assert_int_equal(record.transformer_images, CASES[i].images);
    }
    records_close(records);
    buf_fini(&table);
    buf_fini(&images);
}

static void all_rows_or_none(void **state) {
    (void)state;
    static const struct {
        const char *text, *error;
    } CASES[] = {
        {"poste,potencia\nP1,75\n,45\n", "line 3: it names no pole"},
        {"nome,potencia\nP1,75\n", "line 1: no column is called poste (or pole)"},
        {"", "the table is empty"},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct records *records = records_with(NULL, NULL);
        struct record record;
        struct err err = {0};
        assert_false(records_import(records, CASES[i].text, strlen(CASES[i].text), NULL, &err));
        assert_string_equal(err.text, CASES[i].error);
        assert_false(records_find(records, "P1", NULL, 0, &record, &err));
        assert_int_equal(err.code, ERR_NOTFOUND);
        records_close(records);
    }
}

// What the plate says, what the records say of the same field, and what that is.
static void fields_match(void **state) {
    (void)state;
    static const struct {
        enum field field;
        const char *plate, *record;
        enum match match;
    } CASES[] = {
        {FIELD_POTENCIA_KVA, "75", "75", MATCH_SAME},
        {FIELD_POTENCIA_KVA, "112.5", "115", MATCH_NEAR},
        {FIELD_POTENCIA_KVA, "105", "100", MATCH_NEAR}, // 5 %, no more
        {FIELD_POTENCIA_KVA, "105.1", "100", MATCH_DIFFERENT},
        {FIELD_POTENCIA_KVA, "", "75", MATCH_UNKNOWN},
        {FIELD_POTENCIA_KVA, "75", "", MATCH_UNKNOWN},
        {FIELD_FABRICANTE, "UNIÃO", "uniao", MATCH_SAME},
        {FIELD_FABRICANTE, "WEG", "WEG EQUIPAMENTOS S.A.", MATCH_NEAR},
        {FIELD_FABRICANTE, "WEG", "TRAEL", MATCH_DIFFERENT},
        {FIELD_NUMERO_SERIE, "0012-3", "123", MATCH_SAME},
        {FIELD_DATA_FABRICACAO, "2019-08", "2019", MATCH_NEAR},
        {FIELD_DATA_FABRICACAO, "2019-08", "2019-07", MATCH_DIFFERENT},
        {FIELD_ELO_FUSIVEL, "5H", "5K", MATCH_DIFFERENT},
        {FIELD_TENSAO_SECUNDARIA, "220/127", "220/127", MATCH_SAME},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct plate plate = {0};
        struct record record = {{0}};
        struct comparison comparison;
        enum field field = CASES[i].field;
        snprintf(plate.values[field].text, sizeof plate.values[field].text, "%s", CASES[i].plate);
        snprintf(record.values[field], sizeof record.values[field], "%s", CASES[i].record);
        records_compare(&record, RECORDS_TOLERANCE, &plate, &comparison);
        assert_int_equal(comparison.fields[field], CASES[i].match);
        assert_int_equal(plate_needs_review(&plate), CASES[i].match == MATCH_DIFFERENT);
        assert_string_equal(plate.values[field].text, CASES[i].plate);
    }
}

static void banks_are_compared_as_a_whole(void **state) {
    (void)state;
    static const struct {
        const char *images, *kva;
        bool bank;
        enum match match;
    } CASES[] = {
        {"pole,image,tag\nP1,a.jpg,placa_transformador\n", "75", false, MATCH_DIFFERENT},
        {"pole,image,tag\nP1,a.jpg,placa_transformador\nP1,a.jpg,placa_transformador\n", "75",
         false, MATCH_DIFFERENT}, // the same image twice is one
        {"pole,image,tag\nP1,a.jpg,placa_transformador\nP1,b.jpg,placa_identificacao\n", "75",
         false, MATCH_DIFFERENT},
        {"pole,image,tag\nP1,a.jpg,placa_transformador\nP1,b.jpg,placa_transformador\n", "75", true,
         MATCH_SAME},
        {"pole,image,tag\nP1,a.jpg,placa_transformador\nP1,b.jpg,placa_transformador\n"
         "P1,c.jpg,placa_transformador\n",
         "50", true, MATCH_SAME},
        {"pole,image,tag\nP1,a.jpg,placa_transformador\nP1,b.jpg,placa_transformador\n", "150",
         true, MATCH_DIFFERENT},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct records *records = records_with("poste;potencia\nP1;150\n", CASES[i].images);
        struct plate plate = {0};
        struct record record;
        struct comparison comparison;
        struct err err = {0};
        snprintf(plate.values[FIELD_POTENCIA_KVA].text, 8, "%s", CASES[i].kva);
        assert_true(records_find(records, "P1", NULL, 0, &record, &err));
        records_compare(&record, RECORDS_TOLERANCE, &plate, &comparison);
        assert_int_equal(comparison.banco_trafo, CASES[i].bank);
        assert_int_equal(comparison.fields[FIELD_POTENCIA_KVA], CASES[i].match);
        records_close(records);
    }
}

static unsigned images_of(struct records *records, const struct sighting *seen, size_t count) {
    struct record record;
    struct err err = {0};
    if (!records_find(records, "P1", seen, count, &record, &err))
        fail_msg("%s", err.text);
    return record.transformer_images;
}

static void photos_are_kept_in_mind(void **state) {
    (void)state;
    static const struct sighting A = {"a", "12"}, AGAIN = {"b", "12"}, UNREAD = {"c", ""},
                                 OTHER = {"d", "34"}, MORE[] = {{"e", ""}, {"f", ""}, {"e", ""}};
    struct records *records = records_with("poste;potencia\nP1;150\n", NULL);
    assert_int_equal(images_of(records, MORE, 0), 0);
    assert_int_equal(images_of(records, MORE, 3), 2); // without numbers each image counts
    assert_int_equal(images_of(records, &A, 1), 1);   // numbers are better
    assert_int_equal(images_of(records, &AGAIN, 1), 1);
    assert_int_equal(images_of(records, &UNREAD, 1), 1);
    assert_int_equal(images_of(records, &OTHER, 1), 2);
    assert_int_equal(images_of(records, MORE, 0), 2);
    // The utility's own say comes first, whatever it is.
    static const char GIVEN[] = "pole,image,tag\nP1,x.jpg,placa_identificacao\n";
    assert_true(records_import_images(records, GIVEN, sizeof GIVEN - 1, NULL, NULL));
    assert_int_equal(images_of(records, &OTHER, 1), 0);
    // A pole that nobody knows stays one.
    struct record record;
    struct err err = {0};
    assert_false(records_find(records, "P9", &A, 1, &record, &err));
    assert_false(records_find(records, "P9", NULL, 0, &record, &err));
    assert_int_equal(err.code, ERR_NOTFOUND);
    records_close(records);
}

static void photos_of_one_request_count_anyway(void **state) {
    (void)state;
    static const struct sighting TWO[] = {{"a", "12"}, {"b", "34"}};
    struct records_options options = memory;
    struct err err = {0};
    options.tag_images = false;
    struct records *records = records_open(&options, RECORDS_FILL, &err);
    static const char TABLE[] = "poste;potencia\nP1;150\n";
    assert_true(records_import(records, TABLE, sizeof TABLE - 1, NULL, &err));
    assert_int_equal(images_of(records, TWO, 1), 1);
    assert_int_equal(images_of(records, TWO + 1, 1), 1);
    assert_int_equal(images_of(records, TWO, 2), 2);
    records_close(records);
}

static void change(const char *path, const char *statements) {
    sqlite3 *db;
    char *why = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, statements, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", statements, why);
    sqlite3_close(db);
}

// As a server sees it that starts and gets these photos.
static unsigned images_at_a_start(const char *path, const struct sighting *seen, size_t count) {
    struct records_options options = memory;
    struct err err = {0};
    options.file = path;
    struct records *records = records_open(&options, RECORDS_ASK, &err);
    if (!records)
        fail_msg("%s", err.text);
    unsigned images = images_of(records, seen, count);
    records_close(records);
    return images;
}

static void photos_are_forgotten(void **state) {
    (void)state;
    static const struct sighting OLD[] = {{"a", ""}, {"b", ""}}, NEW = {"c", ""};
    static const char TABLE[] = "poste;potencia\nP1;150\n";
    char path[64];
    struct err err = {0};
    snprintf(path, sizeof path, "/tmp/test-ocr-records-%d.db", (int)getpid());
    struct records_options options = memory;
    options.file = path;
    struct records *records = records_open(&options, RECORDS_FILL, &err);
    assert_true(records_import(records, TABLE, sizeof TABLE - 1, NULL, &err));
    records_close(records);
    assert_int_equal(images_at_a_start(path, OLD, 2), 2);
    assert_int_equal(images_at_a_start(path, NULL, 0), 2);
    // One comes again meanwhile, the other one does not.
    change(path, "UPDATE ocr_seen SET seen_ms = seen_ms - 2000000");
    assert_int_equal(images_at_a_start(path, OLD, 1), 2);
    change(path, "UPDATE ocr_seen SET seen_ms = seen_ms - 2000000");
    assert_int_equal(images_at_a_start(path, &NEW, 1), 2);
    change(path, "UPDATE ocr_seen SET seen_ms = seen_ms - 3600000");
    assert_int_equal(images_at_a_start(path, NULL, 0), 0);
    // A table of before: what is in it is as old as the first look at it.
    change(path, "DROP TABLE ocr_seen; CREATE TABLE ocr_seen (pole TEXT NOT NULL,"
                 " image TEXT NOT NULL, serial TEXT NOT NULL, PRIMARY KEY (pole, image));"
                 "INSERT INTO ocr_seen VALUES ('P1', 'a', ''), ('P1', 'b', '')");
    assert_int_equal(images_at_a_start(path, &NEW, 1), 3);
    change(path, "UPDATE ocr_seen SET seen_ms = seen_ms - 3600000 WHERE image <> 'c'");
    assert_int_equal(images_at_a_start(path, NULL, 0), 1);
    for (const char *const *tail = (const char *const[]){"", "-wal", "-shm", NULL}; *tail; tail++) {
        char side[80];
        snprintf(side, sizeof side, "%s%s", path, *tail);
        unlink(side);
    }
}

static void tables_of_theirs(void **state) {
    (void)state;
    static const struct {
        const char *query, *images, *pole;
        enum err_code code;
        const char *word;
        unsigned units;
    } CASES[] = {
        {"SELECT '75,0 kVA' AS pot, 'x' AS foo WHERE $1 = '7'", NULL, "7", ERR_NONE, "75", 0},
        {"SELECT 75 AS kva WHERE $1 = '7'", NULL, "8", ERR_NOTFOUND, "no pole", 0},
        {"SELECT 75 AS kva WHERE $1 = '7'", NULL, "' OR '1'='1", ERR_NOTFOUND, "no pole", 0},
        {"SELECT 75 AS kva UNION SELECT 45", NULL, "7", ERR_INVALID, "several rows", 0},
        {"SELECT kva FROM nowhere", NULL, "7", ERR_INVALID, "nowhere", 0},
        {"SELECT", NULL, "7", ERR_INVALID, "incomplete", 0},
        {"SELECT 75 AS kva", "SELECT 3 WHERE $1 = '7'", "7", ERR_NONE, "75", 3},
        {"SELECT 75 AS kva", "SELECT 'many'", "7", ERR_INVALID, "images-query", 0},
        {"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
         NULL, "7", ERR_TIMEOUT, "no answer", 0},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct records_options options = {.file = ":memory:",
                                          .query = CASES[i].query,
                                          .images_query = CASES[i].images,
                                          .tag_images = true,
                                          .timeout_ms = 100};
        struct record record;
        struct err err = {0};
        struct records *records = records_open(&options, RECORDS_ASK, &err);
        assert_non_null(records);
        bool found = records_find(records, CASES[i].pole, NULL, 0, &record, &err);
        if (err.code != CASES[i].code || found != (err.code == ERR_NONE) ||
            !strstr(found ? record.values[FIELD_POTENCIA_KVA] : err.text, CASES[i].word))
            fail_msg("%s: %d %s", CASES[i].query, err.code, err.text);
        if (found)
            assert_int_equal(record.transformer_images, CASES[i].units);
        records_close(records);
    }
}

static void options_that_make_no_sense(void **state) {
    (void)state;
    static const struct records_options CASES[] = {
        {.query = "SELECT 1"},
        {.file = "a", .url = "postgresql://b/c"},
        {.file = ":memory:", .images_query = "SELECT 1"},
    };
    struct err err = {0};
    for (size_t i = 0; i < COUNT(CASES); i++) {
        assert_null(records_open(&CASES[i], RECORDS_ASK, &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
    struct records_options none = {.file = "/nowhere/records.sqlite"};
    assert_null(records_open(&none, RECORDS_ASK, &err));
    assert_int_equal(err.code, ERR_NOTFOUND);
    assert_non_null(strstr(err.text, "ocr-pipeline records TABLE.csv"));
}

static void a_record_is_kept(void **state) {
    (void)state;
    struct record record = {.pole = "P1", .transformer_images = 3, .given = true}, again;
    snprintf(record.values[FIELD_FASES], sizeof record.values[FIELD_FASES], "3");
    json_t *json = record_json(&record);
    record_of_json(&again, json);
    json_decref(json);
    assert_memory_equal(&again, &record, sizeof record);
}

static void a_comparison_as_json(void **state) {
    (void)state;
    struct record record = {{0}};
    struct comparison comparison = {.units = 2, .banco_trafo = true, .kva = 150};
    snprintf(record.values[FIELD_FASES], sizeof record.values[FIELD_FASES], "3");
    comparison.fields[FIELD_FASES] = MATCH_SAME;
    json_t *json = comparison_json(&record, &comparison);
    assert_int_equal(json_object_size(json), FIELD_COUNT + 3);
    const json_t *phases = json_object_get(json, "fases");
    assert_string_equal(json_string_value(json_object_get(phases, "match")), "same");
    assert_string_equal(json_string_value(json_object_get(phases, "record")), "3");
    assert_true(json_is_true(json_object_get(json, "banco_trafo")));
    json_decref(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables),
        cmocka_unit_test(broken_tables),
        cmocka_unit_test(values_as_plates_say_them),
        cmocka_unit_test(a_table_is_imported),
        cmocka_unit_test(many_rows),
        cmocka_unit_test(all_rows_or_none),
        cmocka_unit_test(fields_match),
        cmocka_unit_test(banks_are_compared_as_a_whole),
        cmocka_unit_test(photos_are_kept_in_mind),
        cmocka_unit_test(photos_of_one_request_count_anyway),
        cmocka_unit_test(photos_are_forgotten),
        cmocka_unit_test(tables_of_theirs),
        cmocka_unit_test(options_that_make_no_sense),
        cmocka_unit_test(a_record_is_kept),
        cmocka_unit_test(a_comparison_as_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
