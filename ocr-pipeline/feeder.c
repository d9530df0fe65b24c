#include "feeder.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "format/json.h"
#include "jobs.h"
#include "new_job.h"
#include "photo_list.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { WAIT_MS = 20000 }; // for a share that may not answer at all

// What is asked, while a thread looks at the share. The thread's until it is done.
struct feeder {
    struct guest guest;
    struct api *api;
    struct http_exchange *exchange; // NULL: has gone, or heard that the share does not answer
    struct timer patience;
    const struct share *share;
    json_t *tree;
    char folder[512]; // in the share
    struct photo_list photos;
    const char *code; // of err
    struct err err;
};

static void feeder_destroy(struct feeder *feeder) {
    if (feeder->exchange)
        http_exchange_set_data(feeder->exchange, NULL);
    timer_stop(&feeder->patience);
    photo_list_fini(&feeder->photos);
    json_decref(feeder->tree);
    mem_free(feeder);
}

// --- In the thread: three different kinds of nothing

static void fail(struct feeder *feeder, const char *code, enum err_code kind, const char *what,
                 const char *path) {
    feeder->code = code;
    err_set(&feeder->err, kind, "%s: %s", path, what);
}

static bool share_is_there(struct feeder *feeder) {
    struct stat st;
    if (stat(feeder->share->path, &st) == 0 && S_ISDIR(st.st_mode))
        return true;
    fail(feeder, "SHARE_UNREACHABLE", ERR_PEER, errno ? strerror(errno) : "the share is not there",
         feeder->share->path);
    return false;
}

static void list_folder(struct feeder *feeder) {
    struct stat st;
    char *path = path_join(feeder->share->path, feeder->folder);
    if (stat(path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
        fail(feeder, "FOLDER_MISSING", ERR_NOTFOUND, "there is no such folder on the share",
             feeder->folder);
    } else if (!photo_list_make(&feeder->photos, &path, 1, &feeder->err)) {
        feeder->code = feeder->err.code == ERR_INVALID ? "FOLDER_EMPTY" : "SHARE_UNREACHABLE";
        if (feeder->err.code == ERR_INVALID)
            feeder->err.code = ERR_NOTFOUND;
        else
            feeder->err.code = ERR_PEER;
    }
    mem_free(path);
}

// Files that are named must be there: one that is missing is told before anything is read.
static void list_files(struct feeder *feeder, const json_t *names) {
    feeder->photos.paths = mem_alloc((json_array_size(names) + 1) * sizeof *feeder->photos.paths);
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        char *path = path_join(feeder->share->path, name);
        struct stat st;
        feeder->photos.paths[feeder->photos.count++] = path;
        if (stat(path, &st) != 0) {
            bool missing = errno == ENOENT || errno == ENOTDIR;
            fail(feeder, missing ? "FILE_MISSING" : "SHARE_UNREACHABLE",
                 missing ? ERR_NOTFOUND : ERR_PEER, strerror(errno), name);
            return;
        }
    }
}

static void run_list(void *arg) {
    struct feeder *feeder = arg;
    const json_t *names = json_object_get(feeder->tree, "imagens");
    if (!share_is_there(feeder))
        return;
    if (names)
        list_files(feeder, names);
    else
        list_folder(feeder);
}

// --- On the loop

// "1042/a.jpg" and "1042_a.jpg" are of pole 1042.
static void pole_of(const char *photo, const char *root, char out[65]) {
    const char *slash = strrchr(photo, '/'), *name = path_name(photo);
    size_t length = strcspn(name, "_.");
    const char *begin = slash;
    while (begin && begin > photo && begin[-1] != '/')
        begin--;
    if (begin && (size_t)(begin - photo) > strlen(root)) { // a folder below
        name = begin;
        length = (size_t)(slash - begin);
    }
    snprintf(out, 65, "%.*s", (int)(length < 64 ? length : 64), name);
}

static void start_job(struct feeder *feeder, struct http_exchange *exchange) {
    struct new_job *job = new_job_create(feeder->api, "alimentador");
    char *root = path_join(feeder->share->path,
                           json_object_get(feeder->tree, "imagens") ? "" : feeder->folder);
    char pole[65], before[65] = "";
    unsigned number = 0;
    for (size_t i = 0; i < feeder->photos.count; i++) {
        pole_of(feeder->photos.paths[i], root, pole);
        number = strcmp(pole, before) == 0 ? number + 1 : 0;
        snprintf(before, sizeof before, "%s", pole);
        new_job_add(job, pole, number, feeder->photos.paths[i], false);
    }
    mem_free(root);
    new_job_start(job, exchange);
}

static void list_done(void *arg) {
    struct feeder *feeder = arg;
    struct http_exchange *exchange = feeder->exchange;
    if (exchange)
        http_exchange_set_data(exchange, NULL);
    feeder->exchange = NULL;
    if (exchange && feeder->err.code)
        api_fail(exchange, feeder->err.code == ERR_NOTFOUND ? 404 : api_status(&feeder->err),
                 feeder->code, feeder->err.text);
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
    api_fail(exchange, 504, "SHARE_UNREACHABLE", "the share does not answer");
}

static void on_gone(struct guest *guest) {
    struct feeder *feeder = (struct feeder *)guest;
    timer_stop(&feeder->patience);
    feeder->exchange = NULL;
}

static const struct guest_ops guest_ops = {.gone = on_gone};

// --- What is asked

static bool is_inside(const char *path) {
    if (path[0] == '/' || strlen(path) >= sizeof((struct feeder *)0)->folder)
        return false;
    for (const char *at = path; at; at = strchr(at, '/')) {
        at += *at == '/';
        if (strncmp(at, "..", 2) == 0 && (at[2] == '/' || at[2] == '\0'))
            return false;
    }
    return true;
}

static bool check_files(const json_t *names, struct err *err) {
    if (!json_is_array(names) || json_array_size(names) == 0)
        return err_set(err, ERR_INVALID, "imagens is a list of files in the share");
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (!name || !name[0] || !is_inside(name))
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
                       share
                           ? "there is no share \"%.64s\" in the settings ([share NAME] path = ...)"
                           : "name a share: {\"share\": \"NAME\"}%.0s",
                       share ? share : "");
    if (names && !check_files(names, err))
        return false;
    if (!is_inside(folder))
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
