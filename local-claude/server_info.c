#define _GNU_SOURCE
#include "server_info.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "engine/props.h"
#include "format/json.h"
#include "model_choice.h"

#include <stdio.h>
#include <string.h>

enum {
    MAX_KEY_FILE = 64 * 1024,
    MAX_NAMES = 512,
    MAX_PATH_OUT = 1024,
    LOAD_MS = 30 * 60 * 1000, // the server's own load-timeout ends it earlier
    AGAIN_MS = 5000,
};

// The first key of a local ancalagon's file; it takes any of them.
static char *local_key(void) {
    char *path = path_state("api-key"), *key = NULL;
    char *text = path_read_file(path, MAX_KEY_FILE, NULL, NULL);
    for (char *line = text; line && *line && !key;) {
        size_t length = strcspn(line, "\r\n");
        struct span word = span_trim((struct span){line, length});
        if (word.length && word.data[0] != '#')
            key = mem_strndup(word.data, word.length);
        line += length + (line[length] != '\0');
    }
    if (text)
        mem_wipe(text, strlen(text));
    mem_free(text);
    mem_free(path);
    return key;
}

static const json_t *entry(const struct server_info *info, size_t index) {
    return json_array_get(json_object_get(info->models, "data"), index);
}

size_t server_info_count(const struct server_info *info) {
    size_t count = json_array_size(json_object_get(info->models, "data"));
    return count < MAX_NAMES ? count : MAX_NAMES;
}

const char *server_info_name(const struct server_info *info, size_t index) {
    return json_get_text(entry(info, index), "id", "");
}

static enum server_kind kind_of(const json_t *models) {
    const json_t *first = json_array_get(json_object_get(models, "data"), 0);
    const char *owner = json_get_text(first, "owned_by", "");
    if (strcmp(owner, "ancalagon") == 0)
        return SERVER_ANCALAGON;
    return strcmp(owner, "llamacpp") == 0 ? SERVER_LLAMA : SERVER_OTHER;
}

static bool is_good(const struct ask *ask) {
    return ask_good(ask, NULL) && json_is_array(json_object_get(ask->json, "data"));
}

// The answer that counts: the first good one, else the first that came at all, else the first.
static size_t best_of(const struct ask *asks, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (is_good(&asks[i]))
            return i;
    for (size_t i = 0; i < count; i++)
        if (asks[i].status)
            return i;
    return 0;
}

static size_t ask_models(struct ask *asks, const struct where *where, const char *path,
                         const char *key, int64_t timeout_ms) {
    for (size_t i = 0; i < where->count; i++)
        asks[i] = (struct ask){
            .address = where->addresses[i], .port = where->port, .path = path, .key = key};
    ask_first(asks, where->count, timeout_ms);
    return best_of(asks, where->count);
}

static void end_asks(struct ask *asks, size_t count) {
    for (size_t i = 0; i < count; i++)
        ask_fini(&asks[i]);
}

// Our key file is for our own server: it is shown to nobody else.
static bool wants_local_key(const struct where *where, const struct ask *ask) {
    return where->loopback && ask->status == 401 && strstr(ask->challenge, "realm=\"ancalagon\"");
}

static bool explain(const struct where *where, const struct ask *ask, const char *key,
                    struct err *err) {
    if (ask->status == 401 || ask->status == 403)
        return err_set(err, ERR_DENIED,
                       key ? "%s refuses the API key; set LCC_API_KEY to one of its own"
                           : "%s wants an API key; set LCC_API_KEY",
                       where->name);
    if (ask->status == 0 && ask->err.code == ERR_NOTFOUND)
        return err_set(err, ERR_NOTFOUND,
                       "nothing listens on %s; start a server there (ancalagon serve), or name "
                       "another one with --host and --port",
                       where->name);
    if (ask->status == 0)
        return err_set(err, ask->err.code, "%s cannot be reached: %s", where->name, ask->err.text);
    return err_set(err, ERR_PEER,
                   "%s answers, but not as an OpenAI-compatible server: GET %s gives status %u",
                   where->name, ask->path, ask->status);
}

bool server_info_read(struct server_info *info, const struct where *where, const char *key,
                      int64_t timeout_ms, struct err *err) {
    struct ask asks[WHERE_ADDRESSES];
    char path[MAX_PATH_OUT];
    *info = (struct server_info){.key = mem_strdup(key)};
    snprintf(path, sizeof path, "%s/v1/models", where->prefix);
    size_t best = ask_models(asks, where, path, key, timeout_ms);
    if (!key && wants_local_key(where, &asks[best]) && (info->key = local_key())) {
        end_asks(asks, where->count);
        best = ask_models(asks, where, path, info->key, timeout_ms);
    }
    bool ok = is_good(&asks[best]);
    if (ok) {
        info->address = where->addresses[best];
        info->models = json_incref(asks[best].json);
        info->kind = kind_of(info->models);
    } else {
        explain(where, &asks[best], info->key, err);
    }
    end_asks(asks, where->count);
    if (ok && server_info_count(info) == 0)
        ok = err_set(err, ERR_NOTFOUND, "%s lists no model; load or configure one there",
                     where->name);
    if (!ok)
        server_info_fini(info);
    return ok;
}

void server_info_fini(struct server_info *info) {
    if (info->key)
        mem_wipe(info->key, strlen(info->key));
    mem_free(info->key);
    json_decref(info->models);
    *info = (struct server_info){0};
}

static bool looks_like_embeddings(const struct server_info *info, size_t index) {
    const char *name = server_info_name(info, index);
    return strcasestr(name, "embed") || strcasestr(name, "rerank");
}

static size_t default_of(const struct server_info *info) {
    size_t count = server_info_count(info);
    for (size_t i = 0; i < count; i++)
        if (json_get_bool(entry(info, i), "default", false))
            return i;
    for (size_t i = 0; i < count; i++)
        if (!looks_like_embeddings(info, i))
            return i;
    return 0;
}

static int find_alias(const struct server_info *info, const char *wanted) {
    size_t count = server_info_count(info), k;
    const json_t *alias;
    for (size_t i = 0; i < count; i++)
        json_array_foreach(json_object_get(entry(info, i), "aliases"), k,
                           alias) if (json_is_string(alias) &&
                                      strcasecmp(json_string_value(alias), wanted) ==
                                          0) return (int)i;
    return -1;
}

int server_info_choose(const struct server_info *info, const char *wanted, struct err *err) {
    if (!wanted)
        return (int)default_of(info);
    const char *names[MAX_NAMES];
    size_t count = server_info_count(info);
    for (size_t i = 0; i < count; i++)
        names[i] = server_info_name(info, i);
    int found = find_alias(info, wanted);
    return found >= 0 ? found : model_choice(wanted, names, count, err);
}

// Names that servers give it: ancalagon, vLLM, LM Studio and others, llama-server's /props.
static int64_t stated_context(const json_t *model) {
    static const char *const names[] = {"context_window", "max_model_len",
                                        "context_length", "max_context_length",
                                        "n_ctx",          "max_context_window"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int64_t tokens = json_get_int(model, names[i], 0);
        if (tokens > 0)
            return tokens;
    }
    return 0;
}

// A running llama-server knows a slot's share of its context, and what its model takes.
static struct server_model ask_props(const struct server_info *info, const struct where *where,
                                     int64_t timeout_ms) {
    char path[MAX_PATH_OUT];
    snprintf(path, sizeof path, "%s/props", where->prefix);
    struct ask ask = {
        .address = info->address, .port = where->port, .path = path, .key = info->key};
    struct server_model model = {0};
    ask_all(&ask, 1, timeout_ms);
    if (ask_good(&ask, NULL)) {
        struct props props = props_read(ask.json);
        model = (struct server_model){props.window_tokens, props.blind, props.toolless};
    }
    ask_fini(&ask);
    return model;
}

// An ancalagon's own word needs no second question.
struct server_model server_info_model(const struct server_info *info, const struct where *where,
                                      size_t index, int64_t timeout_ms) {
    struct server_model model = {0};
    if (info->kind == SERVER_LLAMA)
        model = ask_props(info, where, timeout_ms);
    if (model.context_tokens == 0)
        model.context_tokens = stated_context(entry(info, index));
    if (info->kind == SERVER_ANCALAGON)
        model.toolless = !json_get_bool(entry(info, index), "tools", true);
    return model;
}

// A prompt of one word is counted: that takes the engine, and nothing of it.
static bool load(const struct server_info *info, const struct where *where, const char *name,
                 struct err *err) {
    char path[MAX_PATH_OUT];
    struct buf body, label;
    buf_init(&body, MAX_PATH_OUT);
    buf_init(&label, MAX_PATH_OUT);
    snprintf(path, sizeof path, "%s/v1/messages/count_tokens", where->prefix);
    buf_adds(&body, "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"model\":");
    json_write_string(&body, name, strlen(name));
    buf_adds(&body, "}");
    buf_printf(&label, "%s is loading", name);
    struct ask ask = {.address = info->address,
                      .port = where->port,
                      .method = "POST",
                      .path = path,
                      .key = info->key,
                      .body = buf_text(&body)};
    ask_patiently(&ask, buf_text(&label), LOAD_MS);
    bool ok = ask.status == 404 || ask_good(&ask, err); // 404: an ancalagon that cannot count
    const char *why = json_get_text(json_object_get(ask.json, "error"), "message", NULL);
    if (!ok && why)
        err_set(err, ERR_PEER, "%s", why);
    ask_fini(&ask);
    buf_fini(&body);
    buf_fini(&label);
    return ok;
}

bool server_info_load(struct server_info *info, const struct where *where, size_t index,
                      struct err *err) {
    struct server_info again;
    if (!load(info, where, server_info_name(info, index), err) ||
        !server_info_read(&again, where, info->key, AGAIN_MS, err))
        return false;
    json_decref(info->models);
    info->models = json_incref(again.models);
    server_info_fini(&again);
    return true;
}
