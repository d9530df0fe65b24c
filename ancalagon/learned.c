#include "learned.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "event/work.h"
#include "format/json.h"
#include "memory_store.h"
#include "server.h"

enum { MAX_FILE = 1 << 20 };

void learned_load(struct server *server) {
    char *path = path_state("learned.json");
    size_t length;
    char *text = path_read_file(path, MAX_FILE, &length, NULL);
    json_t *root = text ? json_parse(text, length, 0, 0, NULL) : NULL;
    const json_t *loads = json_object_get(root, "load_ms");
    struct service *service;
    TAILQ_FOREACH (service, &server->services, link)
        service->expected_load_ms = json_get_int(loads, service->preset->name, 0);
    json_decref(root);
    mem_free(text);
    mem_free(path);
}

void learned_save(struct server *server) {
    json_t *loads = json_object(), *root = json_build("{s:o}", "load_ms", loads);
    struct service *service;
    TAILQ_FOREACH (service, &server->services, link)
        if (service->expected_load_ms > 0)
            json_set(loads, service->preset->name, json_integer(service->expected_load_ms));
    struct buf text;
    struct err err;
    buf_init(&text, MAX_FILE);
    char *folder = path_state(NULL), *path = path_state("learned.json");
    if (json_object_size(loads) > 0 && json_write(&text, root) &&
        !(path_make_private(folder, &err) &&
          path_write_file(path, buf_bytes(&text), text.length, 0600, &err)))
        log_warn("learned.save error=\"%s\"", err.text);
    json_decref(root);
    buf_fini(&text);
    mem_free(folder);
    mem_free(path);
    if (server->memory_write) { // it ends with us
        work_abandon(server->memory_write);
        server->memory_write = NULL;
        memory_store_touch(server->memory);
    }
    if (!memory_store_save(server->memory, &err))
        log_warn("learned.save error=\"%s\"", err.text);
}

struct writing {
    struct server *server;
    struct buf text;
    struct err err;
};

static void writing_run(void *arg) {
    struct writing *writing = arg;
    memory_store_write(&writing->text, &writing->err);
}

static void writing_drop(void *arg) {
    struct writing *writing = arg;
    buf_fini(&writing->text);
    mem_free(writing);
}

static void writing_done(void *arg) {
    struct writing *writing = arg;
    struct server *server = writing->server;
    if (writing->err.code != ERR_NONE)
        log_warn("learned.write error=\"%s\"", writing->err.text);
    writing_drop(writing);
    server->memory_write = NULL;
    learned_write(server); // what came meanwhile
}

static const struct work_ops writing_ops = {writing_run, writing_done, writing_drop};

void learned_write(struct server *server) {
    struct buf text;
    struct err err;
    if (server->memory_write || !memory_store_text(server->memory, &text))
        return; // one at a time: two could pass each other
    struct writing *writing = mem_alloc(sizeof *writing);
    writing->server = server;
    writing->text = text;
    server->memory_write = work_start(server->loop, &writing_ops, writing, &err);
    if (server->memory_write)
        return;
    log_warn("learned.write error=\"%s\"", err.text);
    writing_drop(writing);
}
