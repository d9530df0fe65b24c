#include "lmstudio.h"

#include "ask.h"
#include "base/mem.h"
#include "chat/chat_error.h"
#include "format/json.h"

#include <stdio.h>
#include <string.h>

enum {
    ANSWER_MS = 10000,
    LOAD_MS = 30 * 60 * 1000, // tens of GB from a slow disk
    MAX_MODELS = 1024,
    MAX_BODY = 4096,
};

#define V1 "/api/v1/models"
#define V0 "/api/v0/models"

// --- What it tells

static void free_models(struct lmstudio *lmstudio) {
    for (size_t i = 0; i < lmstudio->count; i++) {
        struct lmstudio_model *model = &lmstudio->models[i];
        mem_free(model->key);
        mem_free(model->quantisation);
        mem_free(model->instance);
        mem_free(model->k_type);
        mem_free(model->v_type);
    }
    mem_free(lmstudio->models);
    lmstudio->models = NULL;
    lmstudio->count = 0;
}

// "q8_0", or as its own files have it: {"checked": true, "value": "q8_0"}.
static char *type_of(const json_t *config, const char *name) {
    const json_t *value = json_object_get(config, name);
    if (json_is_object(value))
        return mem_strdup(
            json_get_bool(value, "checked", false) ? json_get_text(value, "value", NULL) : "f16");
    return mem_strdup(json_string_value(value));
}

// Of several instances, the one with the largest context.
static void read_instances(struct lmstudio_model *model, const json_t *instances) {
    size_t i;
    const json_t *instance, *best = NULL;
    int64_t most = -1;
    json_array_foreach(instances, i, instance) {
        const json_t *config = json_object_get(instance, "config");
        int64_t tokens = json_get_int(config, "context_length", 0);
        if (tokens > most && json_get_text(instance, "id", NULL)) {
            most = tokens;
            best = instance;
        }
    }
    if (!best)
        return;
    const json_t *config = json_object_get(best, "config");
    model->instance = mem_strdup(json_get_text(best, "id", NULL));
    model->context_tokens = most;
    model->k_type = type_of(config, "k_cache_quantization_type");
    model->v_type = type_of(config, "v_cache_quantization_type");
}

static bool read_v1(struct lmstudio_model *model, const json_t *entry) {
    const char *key = json_get_text(entry, "key", NULL);
    if (!key || strcmp(json_get_text(entry, "type", "llm"), "embedding") == 0)
        return false;
    *model = (struct lmstudio_model){
        .key = mem_strdup(key),
        .quantisation =
            mem_strdup(json_get_text(json_object_get(entry, "quantization"), "name", "")),
        .bytes = json_get_int(entry, "size_bytes", 0),
        .max_context_tokens = json_get_int(entry, "max_context_length", 0),
    };
    read_instances(model, json_object_get(entry, "loaded_instances"));
    return true;
}

static bool read_v0(struct lmstudio_model *model, const json_t *entry) {
    const char *id = json_get_text(entry, "id", NULL);
    if (!id || strcmp(json_get_text(entry, "type", "llm"), "embeddings") == 0)
        return false;
    bool loaded = strcmp(json_get_text(entry, "state", ""), "loaded") == 0;
    *model = (struct lmstudio_model){
        .key = mem_strdup(id),
        .quantisation = mem_strdup(json_get_text(entry, "quantization", "")),
        .max_context_tokens = json_get_int(entry, "max_context_length", 0),
        .instance = loaded ? mem_strdup(id) : NULL,
        .context_tokens = loaded ? json_get_int(entry, "loaded_context_length", 0) : 0,
    };
    return true;
}

static void take_list(struct lmstudio *lmstudio, const json_t *list) {
    size_t i;
    const json_t *entry;
    free_models(lmstudio);
    lmstudio->models = mem_alloc(MAX_MODELS * sizeof *lmstudio->models);
    json_array_foreach(list, i, entry) {
        struct lmstudio_model *model = &lmstudio->models[lmstudio->count];
        if (lmstudio->count < MAX_MODELS &&
            (lmstudio->v1 ? read_v1(model, entry) : read_v0(model, entry)))
            lmstudio->count++;
    }
}

// It answers 200 to paths that it does not know, and so do others: the body tells. NULL: not it.
static const json_t *list_in(const struct ask *ask, bool v1) {
    const json_t *list = json_object_get(ask->json, v1 ? "models" : "data"), *entry;
    size_t i;
    if (!ask_good(ask, NULL) || !json_is_array(list))
        return NULL;
    json_array_foreach(list, i, entry) {
        if (v1 ? !json_is_array(json_object_get(entry, "loaded_instances"))
               : !json_get_text(entry, "state", NULL))
            return NULL;
    }
    return list;
}

// --- Asking

static void path_to(const struct lmstudio *lmstudio, const char *path, char *out, size_t size) {
    snprintf(out, size, "%s%s", lmstudio->prefix, path);
}

static bool explain(const struct where *where, const struct ask *asks, size_t count,
                    struct err *err) {
    for (size_t i = 0; i < count; i++)
        if (asks[i].status == 401 || asks[i].status == 403)
            return err_set(err, ERR_DENIED, "LM Studio at %s wants a key; set LCC_API_KEY",
                           where->name);
    for (size_t i = 0; i < count; i++)
        if (asks[i].status)
            return err_set(err, ERR_NOTFOUND,
                           "what answers on %s is no LM Studio; for other servers use "
                           "--backend remote",
                           where->name);
    if (asks[0].err.code != ERR_NOTFOUND)
        return err_set(err, asks[0].err.code, "LM Studio at %s cannot be reached: %s", where->name,
                       asks[0].err.text);
    return err_set(err, ERR_NOTFOUND,
                   "no LM Studio on %s; start its server: Developer, Status: Running, or: lms "
                   "server start",
                   where->name);
}

bool lmstudio_open(struct lmstudio *lmstudio, const struct where *where, const char *key,
                   int64_t timeout_ms, struct err *err) {
    struct ask asks[2 * WHERE_ADDRESSES];
    char paths[2][sizeof lmstudio->prefix + 32];
    *lmstudio = (struct lmstudio){.port = where->port, .key = key};
    snprintf(lmstudio->prefix, sizeof lmstudio->prefix, "%s", where->prefix);
    path_to(lmstudio, V1, paths[0], sizeof paths[0]);
    path_to(lmstudio, V0, paths[1], sizeof paths[1]);
    size_t count = 2 * where->count;
    for (size_t i = 0; i < count; i++)
        asks[i] = (struct ask){.address = where->addresses[i / 2],
                               .port = where->port,
                               .path = paths[i % 2],
                               .key = key};
    ask_all(asks, count, timeout_ms);
    const json_t *list = NULL;
    for (size_t i = 0; i < count && !list; i++) {
        lmstudio->v1 = i % 2 == 0;
        lmstudio->address = asks[i].address;
        if ((list = list_in(&asks[i], lmstudio->v1)))
            take_list(lmstudio, list);
    }
    if (!list)
        explain(where, asks, count, err);
    for (size_t i = 0; i < count; i++)
        ask_fini(&asks[i]);
    return list != NULL;
}

void lmstudio_close(struct lmstudio *lmstudio) { free_models(lmstudio); }

bool lmstudio_refresh(struct lmstudio *lmstudio, struct err *err) {
    char path[sizeof lmstudio->prefix + 32];
    path_to(lmstudio, lmstudio->v1 ? V1 : V0, path, sizeof path);
    struct ask ask = {
        .address = lmstudio->address, .port = lmstudio->port, .path = path, .key = lmstudio->key};
    ask_all(&ask, 1, ANSWER_MS);
    const json_t *list = list_in(&ask, lmstudio->v1);
    if (list)
        take_list(lmstudio, list);
    else if (ask_good(&ask, err))
        err_set(err, ERR_PEER, "LM Studio's list of models cannot be read");
    ask_fini(&ask);
    return list != NULL;
}

const struct lmstudio_model *lmstudio_find(const struct lmstudio *lmstudio, const char *key) {
    for (size_t i = 0; i < lmstudio->count; i++)
        if (strcmp(lmstudio->models[i].key, key) == 0)
            return &lmstudio->models[i];
    return NULL;
}

// Its errors come with any status, also 200. ERR_LIMIT: it has refused.
static bool check(const struct ask *ask, const char *expected, struct err *err) {
    struct chat_error error;
    if (ask->status == 0)
        return err_set(err, ask->err.code, "%s", ask->err.text);
    if (ask->status < 300 && json_object_get(ask->json, expected))
        return true;
    chat_error_read(&error, ask->status < 400 ? 500 : ask->status,
                    (struct span){buf_bytes(&ask->bytes), ask->bytes.length}, 0, 0);
    return err_set(err, ERR_LIMIT, "LM Studio says: %.300s", error.text);
}

static bool post(struct lmstudio *lmstudio, const char *what, json_t *body, const char *expected,
                 const char *label, struct err *err) {
    char path[sizeof lmstudio->prefix + 64];
    struct buf text;
    path_to(lmstudio, what, path, sizeof path);
    buf_init(&text, MAX_BODY);
    bool ok = json_write(&text, body) || err_set(err, ERR_LIMIT, "the model's name is too long");
    json_decref(body);
    if (ok) {
        struct ask ask = {.address = lmstudio->address,
                          .port = lmstudio->port,
                          .method = "POST",
                          .path = path,
                          .key = lmstudio->key,
                          .body = buf_text(&text)};
        ask_patiently(&ask, label, LOAD_MS);
        ok = check(&ask, expected, err);
        ask_fini(&ask);
    }
    buf_fini(&text);
    return ok;
}

// v0 loads what it is asked for, with the context that its user set there.
static json_t *short_question(const char *key) {
    return json_build("{s:s, s:i, s:[{s:s, s:s}]}", "model", key, "max_tokens", 1, "messages",
                      "role", "user", "content", "Hi");
}

bool lmstudio_load(struct lmstudio *lmstudio, const char *key, int64_t context_tokens,
                   struct err *err) {
    char *label = mem_printf("LM Studio loads %s", key);
    bool ok;
    if (lmstudio->v1) {
        json_t *body = json_build("{s:s, s:b}", "model", key, "echo_load_config", 1);
        if (context_tokens > 0)
            json_set(body, "context_length", json_build("I", (json_int_t)context_tokens));
        ok = post(lmstudio, V1 "/load", body, "instance_id", label, err);
    } else {
        ok = post(lmstudio, "/v1/chat/completions", short_question(key), "choices", label, err);
    }
    mem_free(label);
    return ok && lmstudio_refresh(lmstudio, err);
}

bool lmstudio_unload(struct lmstudio *lmstudio, const char *instance, struct err *err) {
    char *label = mem_printf("LM Studio unloads %s", instance);
    bool ok = post(lmstudio, V1 "/unload", json_build("{s:s}", "instance_id", instance),
                   "instance_id", label, err);
    mem_free(label);
    return ok && lmstudio_refresh(lmstudio, err);
}
