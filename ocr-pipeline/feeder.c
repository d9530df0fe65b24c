#include "feeder.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "format/json.h"
#include "jobs.h"
#include "new_job.h"
#include "share_photos.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Each answer of the share has its own deadline; this is for a folder that has no end.
enum { WAIT_MS = 300000, PATH_BYTES = 1024 };

// What is asked, while a thread looks at the share. The thread's until it is done.
struct feeder {
    struct guest guest;
    struct api *api;
    struct http_exchange *exchange; // NULL: has gone, or heard that the share does not answer
    struct timer patience;
    const struct share *share;
    json_t *tree;
    char folder[1024]; // in the share
    struct photo_list photos;
    enum share_fault fault;
    struct err err; // of it
};

static void feeder_destroy(struct feeder *feeder) {
    if (feeder->exchange)
        http_exchange_set_data(feeder->exchange, NULL);
    timer_stop(&feeder->patience);
    photo_list_fini(&feeder->photos);
    json_decref(feeder->tree);
    mem_free(feeder);
}

// --- In the thread

static const char *name_at(void *arg, size_t index) {
    return json_string_value(json_array_get(arg, index));
}

static void run_list(void *arg) {
    struct feeder *feeder = arg;
    json_t *names = json_object_get(feeder->tree, "imagens");
    if (names) // files that are named must be there: told before anything is read
        feeder->fault = share_photos_check(feeder->share, name_at, names, json_array_size(names),
                                           &feeder->photos, &feeder->err);
    else
        feeder->fault =
            share_photos_list(feeder->share, feeder->folder, &feeder->photos, &feeder->err);
}

// --- On the loop

// Below `root`, "1042/a.jpg" and "1042_a.jpg" are of pole 1042.
static void pole_of(const char *photo, const char *root, char out[65]) {
    const char *below = photo + strlen(root), *name = path_name(photo);
    size_t length = strcspn(name, "_.");
    below += strspn(below, "/");
    const char *slash = strrchr(below, '/'), *begin = slash;
    while (begin && begin > below && begin[-1] != '/')
        begin--;
    if (begin) { // a folder
        name = begin;
        length = (size_t)(slash - begin);
    }
    snprintf(out, 65, "%.*s", (int)(length < 64 ? length : 64), name);
}

struct placed {
    char pole[65];
    size_t index;    // in the list
    unsigned number; // of the pole's
};

static int by_index(const void *a, const void *b) {
    size_t one = ((const struct placed *)a)->index, other = ((const struct placed *)b)->index;
    return (one > other) - (one < other);
}

static int by_pole(const void *a, const void *b) {
    int order = strcmp(((const struct placed *)a)->pole, ((const struct placed *)b)->pole);
    return order ? order : by_index(a, b);
}

// Photos of a pole need not follow each other; they are numbered as they come.
static void place(struct placed *photos, const struct photo_list *list, const char *root) {
    for (size_t i = 0; i < list->count; i++) {
        pole_of(list->paths[i], root, photos[i].pole);
        photos[i].index = i;
    }
    qsort(photos, list->count, sizeof *photos, by_pole);
    for (size_t i = 1; i < list->count; i++)
        if (strcmp(photos[i].pole, photos[i - 1].pole) == 0)
            photos[i].number = photos[i - 1].number + 1;
    qsort(photos, list->count, sizeof *photos, by_index);
}

static void start_job(struct feeder *feeder, struct http_exchange *exchange) {
    const struct photo_list *list = &feeder->photos;
    struct new_job *job = new_job_create(feeder->api, "alimentador");
    struct placed *photos = mem_alloc((list->count + 1) * sizeof *photos);
    bool whole = json_object_get(feeder->tree, "imagens") || strcmp(feeder->folder, ".") == 0;
    char *root = path_join(feeder->share->location, whole ? "" : feeder->folder);
    place(photos, list, root);
    for (size_t i = 0; i < list->count; i++)
        new_job_add(job, photos[i].pole, photos[i].number, list->paths[i], false);
    mem_free(root);
    mem_free(photos);
    new_job_start(job, exchange);
}

static void list_done(void *arg) {
    struct feeder *feeder = arg;
    struct http_exchange *exchange = feeder->exchange;
    if (exchange)
        http_exchange_set_data(exchange, NULL);
    feeder->exchange = NULL;
    if (exchange && feeder->fault)
        api_fail(exchange, api_status(&feeder->err), share_fault_code(feeder->fault),
                 feeder->err.text);
    else if (exchange)
        start_job(feeder, exchange);
    feeder_destroy(feeder);
}

static void list_drop(void *arg) { feeder_destroy(arg); }

static const struct desk_ops list_ops = {run_list, list_done, list_drop};

static void on_patience_gone(void *arg) {
    struct feeder *feeder = arg;
    struct http_exchange *exchange = feeder->exchange;
    http_exchange_set_data(exchange, NULL);
    feeder->exchange = NULL; // the thread ends in its own time
    api_fail(exchange, 504, "SHARE_UNREACHABLE", "the list of its photos takes too long");
}

static void on_gone(struct guest *guest) {
    struct feeder *feeder = (struct feeder *)guest;
    timer_stop(&feeder->patience);
    feeder->exchange = NULL;
}

static const struct guest_ops guest_ops = {.gone = on_gone};

// --- What is asked

static bool check_files(const json_t *names, struct err *err) {
    if (!json_is_array(names) || json_array_size(names) == 0)
        return err_set(err, ERR_INVALID, "imagens is a list of files in the share");
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (!name || !name[0] || strlen(name) >= PATH_BYTES || !share_path_is_inside(name))
            return err_set(err, ERR_INVALID, "imagens[%zu] is no path in the share", i);
    }
    return true;
}

static bool read_tree(struct feeder *feeder, const char *id, struct err *err) {
    const struct config *config = feeder->api->config;
    const char *share = json_get_text(feeder->tree, "share", NULL);
    const char *folder = json_get_text(feeder->tree, "pasta", id);
    const json_t *names = json_object_get(feeder->tree, "imagens");
    feeder->share = share                      ? config_share(config, share)
                    : config->share_count == 1 ? &config->shares[0]
                                               : NULL;
    if (!feeder->share)
        return err_set(err, ERR_INVALID,
                       share ? "there is no share \"%.64s\" in the settings ([share NAME])"
                             : "name a share: {\"share\": \"NAME\"}%.0s",
                       share ? share : "");
    if (names && !check_files(names, err))
        return false;
    if (strlen(folder) >= sizeof feeder->folder || !share_path_is_inside(folder))
        return err_set(err, ERR_INVALID, "pasta is no path in the share");
    snprintf(feeder->folder, sizeof feeder->folder, "%s", folder);
    return true;
}

void feeder_ask(struct api *api, struct http_exchange *exchange, const char *id) {
    struct err err = {0};
    struct span body = http_exchange_body(exchange);
    struct feeder *feeder = mem_alloc(sizeof *feeder);
    *feeder = (struct feeder){.guest.ops = &guest_ops, .api = api};
    timer_init(&feeder->patience, api->loop, on_patience_gone, feeder);
    feeder->tree = body.length ? json_parse(body.data, body.length, 0, JSON_PARSE_UNIQUE, &err)
                               : json_object();
    if (feeder->tree && read_tree(feeder, id, &err) &&
        jobs_load(api->jobs, &list_ops, feeder, &err)) {
        feeder->exchange = exchange;
        http_exchange_set_data(exchange, feeder);
        timer_start(&feeder->patience, WAIT_MS);
        return;
    }
    feeder_destroy(feeder);
    api_fail_request(exchange, &err);
}
