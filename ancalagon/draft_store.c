#include "draft_store.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "format/json.h"

#include <stdio.h>
#include <string.h>

enum { MAX_FILE = 1 << 20, MAX_ENTRIES = 512 };

void draft_store_engine(const struct dialect *dialect, char *text, size_t size) {
    if (dialect->build > 0)
        snprintf(text, size, "%lld", (long long)dialect->build);
    else
        snprintf(text, size, "%s", *dialect->version ? dialect->version : dialect->path);
}

// Never NULL: an unreadable file is as good as none.
static json_t *load(const char *path) {
    size_t length;
    char *text = path_read_file(path, MAX_FILE, &length, NULL);
    json_t *root = text ? json_parse(text, length, 0, 0, NULL) : NULL;
    json_t *list = json_incref(json_object_get(root, "drafts"));
    json_decref(root);
    mem_free(text);
    if (json_is_array(list))
        return list;
    json_decref(list);
    return json_array();
}

static bool same(const json_t *entry, const char *name, const char *value) {
    return json_is_text(json_object_get(entry, name), value);
}

static size_t find(const json_t *list, const struct draft_key *key) {
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry) {
        if (same(entry, "preset", key->preset) && same(entry, "model", key->model) &&
            same(entry, "draft", key->draft) && same(entry, "engine", key->engine))
            return i;
    }
    return json_array_size(list);
}

static double number(const json_t *entry, const char *name, double fallback) {
    const json_t *value = json_object_get(entry, name);
    return json_is_number(value) ? json_number_value(value) : fallback;
}

bool draft_store_get(const struct draft_key *key, struct draft_record *out) {
    char *path = path_state("drafts.json");
    json_t *list = load(path);
    const json_t *entry = json_array_get(list, find(list, key));
    *out = (struct draft_record){
        .measured_gain = number(entry, "measured_gain", 0),
        .measured_tokens = number(entry, "measured_tokens", 0),
        .measured_n = (unsigned)json_get_int(entry, "measured_n", 0) % 1025,
        .acceptance = number(entry, "acceptance", -1),
        .off = json_get_bool(entry, "off", false),
    };
    snprintf(out->why, sizeof out->why, "%s", json_get_text(entry, "why", ""));
    bool found = entry != NULL;
    json_decref(list);
    mem_free(path);
    return found;
}

bool draft_store_put(const struct draft_key *key, const struct draft_record *record,
                     struct err *err) {
    char *folder = path_state(NULL), *path = path_state("drafts.json");
    json_t *list = load(path);
    json_t *entry = json_build("{s:s, s:s, s:s, s:s, s:b, s:s}", "preset", key->preset, "model",
                               key->model, "draft", key->draft, "engine", key->engine, "off",
                               (int)record->off, "why", record->why);
    if (record->measured_gain > 0)
        json_object_set_new(entry, "measured_gain", json_real(record->measured_gain));
    if (record->measured_tokens > 0)
        json_object_set_new(entry, "measured_tokens", json_real(record->measured_tokens));
    if (record->measured_n > 0)
        json_object_set_new(entry, "measured_n", json_integer(record->measured_n));
    if (record->acceptance >= 0)
        json_object_set_new(entry, "acceptance", json_real(record->acceptance));
    size_t at = find(list, key);
    if (at < json_array_size(list))
        json_array_remove(list, at);
    while (json_array_size(list) >= MAX_ENTRIES) // the oldest first
        json_array_remove(list, 0);
    json_array_append_new(list, entry);
    json_t *root = json_build("{s:o}", "drafts", list);
    struct buf text;
    buf_init(&text, MAX_FILE);
    bool ok = json_write(&text, root);
    if (!ok)
        err_set(err, ERR_INVALID, "%s: more than fits", path);
    ok = ok && path_make_private(folder, err) &&
         path_write_file(path, buf_bytes(&text), text.length, 0600, err);
    json_decref(root);
    buf_fini(&text);
    mem_free(folder);
    mem_free(path);
    return ok;
}
