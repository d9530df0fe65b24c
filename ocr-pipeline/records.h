// What the utility's records say of each pole, to be compared with what its plates say. One SQLite
// file, filled from CSV exports; a second import changes the poles that it names and no others.
//
// One connection, one thread at a time (the caller's lock). Blocking; never called on a loop.
#pragma once

#include "base/err.h"
#include "plate.h"

#include <stdbool.h>
#include <stddef.h>

struct records;

// Made when it is not there; ":memory:" for tests. ERR_SYSTEM: SQLite's own words.
struct records *records_open(const char *path, struct err *err);
void records_close(struct records *records); // NULL is fine

enum { RECORDS_CSV_MAX = 64 << 20 }; // bytes

// A table with a head: one column names the pole (poste, pole, id_poste, cod_id), others are the
// eleven keys or names like them (potencia, fabricante, n_serie ...); unknown ones are left out.
// Separated by comma, semicolon or tab; "..." quotes; a decimal comma is fine; UTF-8 or Latin-1,
// with a byte order mark or without. All rows or none. `rows` may be NULL. ERR_INVALID names the
// line.
bool records_import(struct records *records, const char *bytes, size_t length, unsigned *rows,
                    struct err *err);
// Which photos show what: columns pole, image, tag (placa_transformador ...). The same image of a
// pole counts once, however often it is told.
bool records_import_images(struct records *records, const char *bytes, size_t length,
                           unsigned *rows, struct err *err);
// The same for one photo; `image` is what makes it distinct: its path or a hash of its bytes.
bool records_tag_image(struct records *records, const char *pole, const char *image,
                       const char *tag, struct err *err);

struct record {
    char pole[65];
    char values[FIELD_COUNT][64]; // normalised as a plate's; "" is not known
    unsigned transformer_images;  // distinct images tagged placa_transformador
};
// False with ERR_NOTFOUND when neither table knows the pole.
bool records_find(struct records *records, const char *pole, struct record *record,
                  struct err *err);

enum match {
    MATCH_UNKNOWN, // one side says nothing
    MATCH_SAME,
    MATCH_NEAR, // power within the tolerance, a date of the same year where one has no month
    MATCH_DIFFERENT
};
const char *match_name(enum match match); // "same"

struct comparison {
    enum match fields[FIELD_COUNT];
    // Two or more distinct images of transformers' plates are a bank of transformers, which the
    // records know as one power: the plate's is taken times the number of units.
    bool banco_trafo;
    unsigned units; // 1 when it is no bank
    double kva;     // of all units by the plate; 0: not known
};
#define RECORDS_TOLERANCE .05 // of power

// Differences become reasons of the plate ("records_differ"); its values stay as they were read.
void records_compare(const struct record *record, double tolerance, struct plate *plate,
                     struct comparison *comparison);
// "key: {match, record}" a field, "banco_trafo", "units", "kva_total".
json_t *comparison_json(const struct record *record, const struct comparison *comparison);
