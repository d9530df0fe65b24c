#include "new_job.h"

#include "api_jobs.h"
#include "base/mem.h"
#include "format/json.h"
#include "jobs.h"
#include "spool.h"

#include <stdio.h>
#include <string.h>

struct new_job {
    struct guest guest;
    struct api *api;
    struct http_exchange *exchange; // NULL: has gone
    struct order *order;
    const char *kind;
    struct photo *photos;
    size_t count;
    char *folder;
    struct job made;
    struct err err;
};

struct new_job *new_job_create(struct api *api, const char *kind) {
    struct new_job *job = mem_alloc(sizeof *job);
    job->api = api;
    job->kind = kind;
    return job;
}

void new_job_destroy(struct new_job *job) {
    if (!job)
        return;
    if (job->exchange)
        http_exchange_set_data(job->exchange, NULL);
    if (job->folder)
        spool_remove(job->folder);
    mem_free(job->folder);
    mem_free(job->photos);
    mem_free(job);
}

void new_job_add(struct new_job *job, const char *pole, unsigned number, const char *source,
                 bool spooled) {
    if ((job->count & (job->count - 1)) == 0)
        job->photos =
            mem_resize(job->photos, (job->count ? 2 * job->count : 1) * sizeof *job->photos);
    struct photo *photo = &job->photos[job->count++];
    *photo = (struct photo){.number = number, .spooled = spooled};
    snprintf(photo->pole, sizeof photo->pole, "%s", pole);
    snprintf(photo->source, sizeof photo->source, "%s", source);
}

size_t new_job_photos(const struct new_job *job) { return job->count; }

void new_job_spool(struct new_job *job, char *folder) { job->folder = folder; }

// --- With the clerk

static void run_make(void *arg) {
    struct new_job *job = arg;
    struct store *store = jobs_store(job->api->jobs);
    struct err *err = &job->err;
    store_expire(store, loop_wall_ms() - job->api->config->keep_ms);
    bool good =
        (!job->folder || spool_keep(job->folder, err)) &&
        store_job_create(store, job->kind, "{}", job->photos, job->count, job->made.id, err);
    if (!good)
        return;
    mem_free(job->folder); // the store's now
    job->folder = NULL;
    store_job_find(store, job->made.id, &job->made, err);
}

static void make_done(void *arg) {
    struct new_job *job = arg;
    struct http_exchange *exchange = job->exchange;
    struct api *api = job->api;
    struct err err = job->err;
    struct job made = job->made;
    new_job_destroy(job);
    if (!err.code)
        jobs_wake(api->jobs);
    if (exchange && err.code)
        api_fail_request(exchange, &err);
    else if (exchange)
        api_reply(exchange, 202, job_json(&made));
}

static void make_drop(void *arg) { new_job_destroy(arg); }

static const struct desk_ops make_ops = {run_make, make_done, make_drop};

// The job comes to be all the same: its client may ask for the list of jobs.
static void on_gone(struct guest *guest) { ((struct new_job *)guest)->exchange = NULL; }

static const struct guest_ops guest_ops = {.gone = on_gone};

void new_job_start(struct new_job *job, struct http_exchange *exchange) {
    struct err err = {0};
    job->guest.ops = &guest_ops;
    job->exchange = exchange;
    http_exchange_set_data(exchange, job);
    job->order = jobs_errand(job->api->jobs, &make_ops, job, &err);
    if (job->order)
        return;
    new_job_destroy(job);
    api_fail_request(exchange, &err);
}
