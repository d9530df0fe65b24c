// Between the files of the records.
#pragma once

#include "records.h"
#include "sql.h"

#include <pthread.h>

struct records {
    pthread_mutex_t lock; // protects what is below
    struct sql *sql;
    char *query, *images_query; // NULL: our tables
    bool tag_images, cannot_keep;
    records_progress_fn *on_progress; // NULL: nobody looks
    void *progress_arg;
};
