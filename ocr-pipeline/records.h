// What the utility's records say of each pole, to be compared with what its plates say. In a file
// of SQLite's or in PostgreSQL: in tables of ours, filled from CSV exports (a second import changes
// the poles that it names and no others), or in the utility's own, by a query of theirs.
//
// Any thread may ask, one at a time does. Blocking, within the timeouts of the settings; never
// called on a loop.
#pragma once

#include "base/err.h"
#include "plate.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct records;

struct records_options {
    const char *file; // SQLite's; ":memory:" for tests
    const char *url;  // PostgreSQL's, in place of a file
    // The utility's own tables: one row of a pole ($1), its columns named as record_field knows
    // them; NULL: our tables. And how many distinct images of transformers' plates they have of it.
    const char *query, *images_query;
    bool tag_images; // photos that show a transformer's plate are kept in mind (our tables only)
    int64_t keep_ms; // how long, from when the photo came last
    int64_t connect_ms, timeout_ms;
};

enum records_use {
    RECORDS_ASK,  // a server that is away may come back
    RECORDS_FILL, // tables are made; for imports
};

// ERR_NOTFOUND: there is no such file, or no libpq; ERR_INVALID: the options make no sense;
// ERR_SYSTEM: the database's own words.
struct records *records_open(const struct records_options *options, enum records_use use,
                             struct err *err);
void records_close(struct records *records);              // NULL is fine
const char *records_where(const struct records *records); // for people; without a password

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

// Called in between, while a table goes in.
typedef void records_progress_fn(void *arg, size_t done, size_t total);
void records_on_progress(struct records *records, records_progress_fn *fn, void *arg);

struct record {
    char pole[65];
    char values[FIELD_COUNT][64]; // normalised as a plate's; "" is not known
    // Distinct images tagged placa_transformador: those that the utility named, if it named any of
    // this pole (`given`); else those that we saw.
    unsigned transformer_images;
    bool given;
};

// A photo in which a transformer's plate was seen.
struct sighting {
    char image[33];  // the same for the same bytes
    char serial[64]; // as it is sure; "": not known
};

// What is known of a pole, once the sightings are kept in mind. False with ERR_NOTFOUND when nobody
// knows the pole; ERR_PEER: the database is not reachable; ERR_TIMEOUT, ERR_DENIED, ERR_BUSY,
// ERR_INVALID (their query), ERR_SYSTEM: it was not asked, which says nothing of the pole.
bool records_find(struct records *records, const char *pole, const struct sighting *sightings,
                  size_t count, struct record *record, struct err *err);
// Where the utility has named no images, those of these photos are as many as they show: no fewer.
// Two photos of one serial number are one transformer; without any serial number each counts.
void record_count_units(struct record *record, const struct sighting *sightings, size_t count);
const char *records_code(const struct err *err); // "RECORDS_UNREACHABLE": stable

// For people: that it answers, and how many poles it knows or which fields their query gives.
bool records_probe(struct records *records, char *text, size_t size, struct err *err);

// A record as it is kept with a photo of a job, and back.
json_t *record_json(const struct record *record);
void record_of_json(struct record *record, const json_t *json);
