// Between the files of the records.
#pragma once

#include "records.h"
#include "sql.h"

#include <pthread.h>

struct records {
    pthread_mutex_t lock; // protects what is below
    struct sql *sql;
    char *query, *images_query; // NULL: our tables
    bool tag_images, cannot_keep, seen_ready;
    int64_t keep_ms, swept_ms; // how long sightings are kept; when old ones were looked for last
    records_progress_fn *on_progress; // NULL: nobody looks
    void *progress_arg;
};

// What came by (records_seen.c); the caller holds the lock. That `ocr_seen` tells when: tables of
// before did not.
bool records_seen_ready(struct records *records, struct err *err);
// False when nothing was kept. Of a database that may not be written the photos of this request
// still count: record_count_units.
bool records_keep_seen(struct records *records, const char *pole, const struct sighting *sightings,
                       size_t count);
void records_forget_seen(struct records *records); // what is too old; now and then
