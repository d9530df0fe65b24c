#include "batch.h"

#include "base/mem.h"
#include "base/path.h"
#include "batch_tree.h"
#include "jobs.h"
#include "new_job.h"
#include "pole.h"
#include "spool.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct batch {
    struct guest guest;
    struct api *api;
    struct http_exchange *exchange;
    struct body *body;
    char *folder; // of the photos; NULL: none came, or the job has it
    int fd;       // of the photo that comes; -1
};

// --- Photos to the disk

static char *photo_path(const struct batch *batch, size_t index) {
    char name[24];
    snprintf(name, sizeof name, "%zu", index);
    return path_join(batch->folder, name);
}

static bool open_photo(struct batch *batch, size_t index, struct err *err) {
    if (!batch->folder && !(batch->folder = spool_create(batch->api->config->state_dir, err)))
        return false;
    char *path = photo_path(batch, index);
    batch->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool good = batch->fd >= 0 || err_errno(err, "cannot keep photo %zu", index + 1);
    mem_free(path);
    return good;
}

static bool on_image(void *arg, size_t index, const void *bytes, size_t length, bool complete,
                     struct err *err) {
    struct batch *batch = arg;
    if (batch->fd < 0 && !open_photo(batch, index, err))
        return false;
    if (!path_write_all(batch->fd, bytes, length))
        return err_errno(err, "cannot keep photo %zu", index + 1);
    if (complete) {
        close(batch->fd);
        batch->fd = -1;
    }
    return true;
}

static const struct body_ops body_ops = {pole_is_image, on_image};

// --- What is asked

struct making {
    struct batch *batch;
    struct new_job *job;
};

static bool add_photo(void *arg, const struct batch_photo *photo) {
    const struct making *making = arg;
    char *path = photo_path(making->batch, photo->index);
    new_job_add(making->job, photo->pole, photo->number, path, true);
    mem_free(path);
    return true;
}

static bool read_tree(struct new_job *job, struct batch *batch, const json_t *tree,
                      struct err *err) {
    struct making making = {batch, job};
    return batch_tree_read(tree, batch->api->config, body_images(batch->body), add_photo, &making,
                           err);
}

// --- Life

static void batch_destroy(struct batch *batch) {
    if (batch->exchange)
        http_exchange_set_data(batch->exchange, NULL);
    if (batch->fd >= 0)
        close(batch->fd);
    if (batch->folder)
        spool_remove(batch->folder);
    mem_free(batch->folder);
    body_destroy(batch->body);
    mem_free(batch);
}

static bool on_body(struct guest *guest, const char *bytes, size_t length, struct err *err) {
    return body_feed(((struct batch *)guest)->body, bytes, length, err);
}

static void on_refuse(struct guest *guest, const struct err *err) {
    struct batch *batch = (struct batch *)guest;
    struct http_exchange *exchange = batch->exchange;
    batch_destroy(batch);
    api_fail_request(exchange, err);
}

static void on_complete(struct guest *guest) {
    struct batch *batch = (struct batch *)guest;
    struct err err = {0};
    json_t *tree = body_end(batch->body, &err);
    struct new_job *job = tree ? new_job_create(batch->api, "lote") : NULL;
    bool good = tree && read_tree(job, batch, tree, &err);
    json_decref(tree);
    if (!good) {
        new_job_destroy(job);
        on_refuse(guest, &err);
        return;
    }
    struct http_exchange *exchange = batch->exchange;
    new_job_spool(job, batch->folder); // it is the job's now
    batch->folder = NULL;
    batch_destroy(batch);
    new_job_start(job, exchange);
}

static void on_gone(struct guest *guest) {
    struct batch *batch = (struct batch *)guest;
    batch->exchange = NULL;
    batch_destroy(batch);
}

static const struct guest_ops guest_ops = {on_body, on_complete, on_refuse, on_gone};

void batch_create(struct api *api, struct http_exchange *exchange) {
    const struct config *config = api->config;
    struct batch *batch = mem_alloc(sizeof *batch);
    *batch = (struct batch){.guest.ops = &guest_ops, .api = api, .exchange = exchange, .fd = -1};
    batch->body = batch_body(config, &body_ops, batch);
    http_exchange_set_data(exchange, batch);
    http_exchange_stream_body(exchange, config->body_bytes);
}
