#include "batch.h"

#include "base/mem.h"
#include "base/path.h"
#include "body.h"
#include "format/json.h"
#include "jobs.h"
#include "new_job.h"
#include "pole.h"
#include "spool.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TREE_BYTES = 16 << 20 };

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

static bool add_photo(struct new_job *job, struct batch *batch, const json_t *element,
                      const char *pole, unsigned number, struct err *err) {
    int64_t index = pole_photo_index(element);
    if (index < 0)
        return err_set(err, ERR_INVALID, "postes \"%.64s\": image %u has no \"dados\"", pole,
                       number + 1);
    char *path = photo_path(batch, (size_t)index);
    new_job_add(job, pole, number, path, true);
    mem_free(path);
    return true;
}

static bool add_pole(struct new_job *job, struct batch *batch, const json_t *pole,
                     struct err *err) {
    const struct config *config = batch->api->config;
    const json_t *id = json_object_get(pole, "id"), *images = json_object_get(pole, "imagens");
    char text[65];
    if (json_is_integer(id))
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(id));
    else if (json_is_string(id) && json_string_length(id) > 0 &&
             json_string_length(id) < sizeof text)
        snprintf(text, sizeof text, "%s", json_string_value(id));
    else
        return err_set(err, ERR_INVALID, "each of postes needs an id of 1 to 64 characters");
    if (!json_is_array(images) || json_array_size(images) == 0)
        return err_set(err, ERR_INVALID, "postes \"%s\": imagens is a list of photos", text);
    if (json_array_size(images) > config->photos_a_pole)
        return err_set(err, ERR_LIMIT, "postes \"%s\" has %zu photos; at most %u a pole are read",
                       text, json_array_size(images), config->photos_a_pole);
    for (size_t i = 0; i < json_array_size(images); i++)
        if (!add_photo(job, batch, json_array_get(images, i), text, (unsigned)i, err))
            return false;
    return true;
}

static bool read_tree(struct new_job *job, struct batch *batch, const json_t *tree,
                      struct err *err) {
    const json_t *poles = json_object_get(tree, "postes");
    if (!json_is_array(poles) || json_array_size(poles) == 0)
        return err_set(err, ERR_INVALID,
                       "a batch is {\"postes\": [{\"id\": \"42\", \"imagens\": [\"BASE64\"]}]}");
    if (json_array_size(poles) > batch->api->config->poles)
        return err_set(err, ERR_LIMIT, "%zu poles; at most %u a batch are read",
                       json_array_size(poles), batch->api->config->poles);
    for (size_t i = 0; i < json_array_size(poles); i++)
        if (!add_pole(job, batch, json_array_get(poles, i), err))
            return false;
    return true;
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
    struct body_limits limits = {.tree_bytes = TREE_BYTES,
                                 .images = (size_t)config->poles * config->photos_a_pole,
                                 .image_bytes = config->photo_bytes};
    *batch = (struct batch){.guest.ops = &guest_ops, .api = api, .exchange = exchange, .fd = -1};
    batch->body = body_create(&limits, &body_ops, batch);
    http_exchange_set_data(exchange, batch);
    http_exchange_stream_body(exchange, config->body_bytes);
}
