#include "lmstudio_config.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "format/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILE = 4 << 20, MAX_INDEX = 64 << 20, MAX_DEPTH = 64 };

#define BACKUP ".before-local-claude"

// --- The text

static void set_field(json_t *fields, const char *key, json_t *value) {
    size_t i;
    json_t *field;
    json_array_foreach(fields, i, field) {
        if (strcmp(json_get_text(field, "key", ""), key) == 0) {
            json_set(field, "value", value);
            return;
        }
    }
    json_array_append_new(fields, json_build("{s:s, s:o}", "key", key, "value", value));
}

static json_t *checkbox(const char *type) {
    return json_build("{s:b, s:s}", "checked", (int)(strcmp(type, "f16") != 0), "value", type);
}

// The member of an object, made if it is not there; NULL: it is of another kind.
static json_t *member(json_t *object, const char *name, const char *empty) {
    if (!json_object_get(object, name))
        json_set(object, name, json_build(empty));
    json_t *value = json_object_get(object, name);
    return empty[0] == '{' ? (json_is_object(value) ? value : NULL)
                           : (json_is_array(value) ? value : NULL);
}

static json_t *new_file(void) {
    return json_build("{s:s, s:{s:[]}, s:{s:[]}}", "preset", "", "operation", "fields", "load",
                      "fields");
}

char *lmstudio_config_edit(const char *text, size_t length, const char *type, size_t *out_length,
                           struct err *err) {
    json_t *root = text ? json_parse(text, length, MAX_DEPTH, 0, err) : new_file();
    json_t *load = json_is_object(root) ? member(root, "load", "{}") : NULL;
    json_t *fields = load ? member(load, "fields", "[]") : NULL;
    char *out = NULL;
    if (root && !fields)
        err_set(err, ERR_INVALID, "it has no list of load settings");
    if (fields) {
        struct buf edited;
        buf_init(&edited, MAX_FILE);
        if (strcmp(type, "f16") != 0 && strcmp(type, "f32") != 0)
            set_field(fields, "llm.load.llama.flashAttention", json_true());
        set_field(fields, "llm.load.llama.kCacheQuantizationType", checkbox(type));
        set_field(fields, "llm.load.llama.vCacheQuantizationType", checkbox(type));
        if (json_write(&edited, root))
            out = buf_take(&edited, out_length);
        else
            err_set(err, ERR_LIMIT, "it is too large");
        buf_fini(&edited);
    }
    json_decref(root);
    return out;
}

bool lmstudio_config_is_type(const char *type) {
    const char *at = LMSTUDIO_KV_TYPES;
    size_t length = strlen(type);
    for (; *at; at += strspn(at, ", ")) {
        size_t word = strcspn(at, ",");
        if (word == length && memcmp(at, type, length) == 0)
            return true;
        at += word;
    }
    return false;
}

// --- Where it is

static char *home(void) {
    const char *given = getenv("LMSTUDIO_HOME");
    return given && given[0] ? path_expand(given) : path_expand("~/.lmstudio");
}

// The entry of the index that is about this model, wherever in it.
static const json_t *find_entry(const json_t *json, const char *key) {
    const json_t *value, *found = NULL;
    const char *name;
    size_t i;
    if (strcmp(json_get_text(json, "defaultIdentifier", ""), key) == 0)
        return json;
    json_object_foreach((json_t *)json, name, value) {
        if (!found)
            found = find_entry(value, key);
    }
    json_array_foreach(json, i, value) {
        if (!found)
            found = find_entry(value, key);
    }
    return found;
}

static bool stays_below(const char *path) {
    return path[0] && path[0] != '/' && !strstr(path, "..");
}

static bool ends_in(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static char *file_in(const char *folder, const json_t *index, const char *key, struct err *err) {
    const char *file = json_get_text(find_entry(index, key), "indexedModelIdentifier", NULL);
    if (!file || !stays_below(file)) {
        err_set(err, ERR_NOTFOUND, "LM Studio's index does not tell which file %s is", key);
        return NULL;
    }
    if (!ends_in(file, ".gguf")) {
        err_set(err, ERR_INVALID,
                "%s is no GGUF: LM Studio sets the KV cache's type for those only", key);
        return NULL;
    }
    return mem_printf("%s/.internal/user-concrete-model-default-config/%s.json", folder, file);
}

static char *find_file(const char *key, struct err *err) {
    char *folder = home(), *path = NULL;
    char *index = path_join(folder, ".internal/model-index-cache.json");
    size_t length;
    char *text = path_read_file(index, MAX_INDEX, &length, err);
    json_t *json = text ? json_parse(text, length, MAX_DEPTH, 0, err) : NULL;
    if (json)
        path = file_in(folder, json, key, err);
    else
        err_context(err, "LM Studio's index of models (%s)", index);
    json_decref(json);
    mem_free(text);
    mem_free(index);
    mem_free(folder);
    return path;
}

bool lmstudio_config_open(struct lmstudio_config *config, const char *key, struct err *err) {
    struct stat st;
    *config = (struct lmstudio_config){.path = find_file(key, err)};
    if (!config->path)
        return false;
    if (stat(config->path, &st) != 0 && errno == ENOENT)
        return true;
    config->before = path_read_file(config->path, MAX_FILE, &config->before_length, err);
    if (config->before)
        return true;
    lmstudio_config_close(config);
    return false;
}

void lmstudio_config_close(struct lmstudio_config *config) {
    mem_free(config->path);
    mem_free(config->before);
    *config = (struct lmstudio_config){0};
}

// --- Changing it

// Like path_make_private, but in a folder of LM Studio's, whose mode is its own business.
static bool make_folders(const char *path, struct err *err) {
    char *copy = mem_strdup(path);
    bool ok = true;
    for (char *slash = strchr(copy + 1, '/'); slash && ok; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, 0755) != 0 && errno != EEXIST)
            ok = err_errno(err, "cannot make the folder %s", copy);
        *slash = '/';
    }
    mem_free(copy);
    return ok;
}

static bool back_up(const struct lmstudio_config *config, struct err *err) {
    char *copy = mem_printf("%s" BACKUP, config->path);
    bool ok =
        !config->before || path_write_file(copy, config->before, config->before_length, 0644, err);
    mem_free(copy);
    return ok;
}

bool lmstudio_config_write(const struct lmstudio_config *config, const char *type,
                           struct err *err) {
    size_t length;
    char *text = lmstudio_config_edit(config->before, config->before_length, type, &length, err);
    bool ok = text && make_folders(config->path, err) && back_up(config, err) &&
              path_write_file(config->path, text, length, 0644, err);
    if (!text)
        err_context(err, "%s", config->path);
    mem_free(text);
    return ok;
}

bool lmstudio_config_restore(const struct lmstudio_config *config, struct err *err) {
    if (config->before)
        return path_write_file(config->path, config->before, config->before_length, 0644, err);
    return unlink(config->path) == 0 || errno == ENOENT ||
           err_errno(err, "cannot take %s away again", config->path);
}
