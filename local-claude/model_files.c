#define _GNU_SOURCE
#include "model_files.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "format/json.h"
#include "model_choice.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    MOST = 4096,
    LISTED = 20,
    CTX_MOST_TOKENS = 131072, // Claude Code compacts long before; more is memory for nothing
};

// Heads that guess for one model and answer nobody by themselves.
static bool is_head(const char *architecture) {
    static const char *const words[] = {"eagle", "dflash", "dspark", "medusa", "assistant", "clip"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasestr(architecture, words[i]))
            return true;
    return false;
}

static bool is_draft_name(const char *file) {
    return strcasestr(file, "mmproj") || strcasestr(file, "draft") || strcasestr(file, "eagle");
}

static struct model_file *append(struct model_files *files) {
    files->items = mem_resize(files->items, (files->count + 1) * sizeof *files->items);
    struct model_file *item = &files->items[files->count++];
    *item = (struct model_file){0};
    return item;
}

static void read_one(struct model_files *files, const json_t *entry) {
    const char *file = json_get_text(entry, "file", "");
    const json_t *fit = json_object_get(entry, "fit");
    const json_t *preset = json_array_get(json_object_get(entry, "presets"), 0);
    if (strcmp(json_get_text(entry, "kind", ""), "text") != 0 || !fit || is_draft_name(file) ||
        is_head(json_get_text(entry, "architecture", "")) || files->count >= MOST)
        return;
    struct model_file *item = append(files);
    item->file = mem_strdup(file);
    item->path = mem_strdup(json_get_text(entry, "path", file));
    item->quantisation = mem_strdup(json_get_text(entry, "quantisation", ""));
    item->preset = mem_strdup(json_string_value(preset));
    item->reason = mem_strdup(json_get_text(fit, "reason", ""));
    item->bytes = json_get_int(entry, "bytes", 0);
    item->ctx_tokens = json_get_int(fit, "ctx", 0);
    item->fits = json_get_bool(fit, "fits", true);
}

void model_files_read(struct model_files *files, const json_t *listing) {
    size_t index;
    json_t *entry;
    mem_free(files->folder);
    files->folder = mem_strdup(json_get_text(listing, "folder", ""));
    json_array_foreach(json_object_get(listing, "models"), index, entry) read_one(files, entry);
}

// "model-00002-of-00003.gguf": only the first part is a model to choose.
static bool is_later_part(const char *name) {
    const char *of = strstr(name, "-of-");
    return of && of - name >= 6 && strspn(of - 5, "0123456789") == 5 &&
           strncmp(of - 5, "00001", 5) != 0;
}

void model_files_add(struct model_files *files, const char *path, int64_t bytes) {
    const char *name = path_name(path);
    if (is_draft_name(name) || is_later_part(name) || files->count >= MOST)
        return;
    struct model_file *item = append(files);
    item->file = mem_strdup(name);
    item->path = mem_strdup(path);
    item->quantisation = mem_strdup("");
    item->reason = mem_strdup("");
    item->bytes = bytes;
    item->fits = true;
}

void model_files_fini(struct model_files *files) {
    for (size_t i = 0; i < files->count; i++) {
        struct model_file *item = &files->items[i];
        mem_free(item->file);
        mem_free(item->path);
        mem_free(item->quantisation);
        mem_free(item->preset);
        mem_free(item->reason);
    }
    mem_free(files->items);
    mem_free(files->folder);
    *files = (struct model_files){0};
}

int model_files_by_path(const struct model_files *files, const char *path) {
    for (size_t i = 0; i < files->count; i++)
        if (strcmp(files->items[i].path, path) == 0)
            return (int)i;
    return -1;
}

int model_files_find(const struct model_files *files, const char *wanted, struct err *err) {
    int found = model_files_by_path(files, wanted);
    for (size_t i = 0; i < files->count && found < 0; i++)
        if (files->items[i].preset && strcmp(files->items[i].preset, wanted) == 0)
            found = (int)i;
    if (files->count == 0)
        err_set(err, ERR_NOTFOUND, "there are no models in %s", files->folder);
    if (found >= 0 || files->count == 0)
        return found;
    const char **names = mem_alloc(files->count * sizeof *names);
    for (size_t i = 0; i < files->count; i++)
        names[i] = files->items[i].file;
    found = model_choice(wanted, names, files->count, err);
    mem_free(names);
    return found;
}

int64_t model_file_ctx(const struct model_file *file, int64_t wanted) {
    bool limited = wanted == 0 && !file->preset && file->ctx_tokens > CTX_MOST_TOKENS;
    return limited ? CTX_MOST_TOKENS : wanted;
}

char *model_file_name(const struct model_file *file) {
    if (file->preset)
        return mem_strdup(file->preset);
    const char *name = path_name(file->file);
    size_t length = strlen(name);
    if (length > 5 && strcasecmp(name + length - 5, ".gguf") == 0)
        length -= 5;
    return mem_strndup(name, length);
}

static void size_text(char *out, size_t size, int64_t bytes) {
    bool large = bytes >= 1000000000;
    snprintf(out, size, "%.*f %s", large ? 1 : 0, (double)bytes / (large ? 1e9 : 1e6),
             large ? "GB" : "MB");
}

void model_files_describe(const struct model_file *file, char *out, size_t size) {
    char bytes[32] = "", ctx[48] = "";
    size_text(bytes, sizeof bytes, file->bytes);
    if (!file->fits)
        snprintf(ctx, sizeof ctx, ", does not fit");
    else if (file->ctx_tokens >= 1024)
        snprintf(ctx, sizeof ctx, ", %lldK", (long long)file->ctx_tokens / 1024);
    else if (file->ctx_tokens)
        snprintf(ctx, sizeof ctx, ", %lld tokens", (long long)file->ctx_tokens);
    snprintf(out, size, "%s%s%s%s%s%s", bytes, file->quantisation[0] ? ", " : "",
             file->quantisation, ctx, file->preset ? ", preset " : "",
             file->preset ? file->preset : "");
}

void model_files_list(const struct model_files *files, struct buf *out) {
    for (size_t i = 0; i < files->count && i < LISTED; i++) {
        char about[160];
        model_files_describe(&files->items[i], about, sizeof about);
        buf_printf(out, "\n  %.100s  (%s)", files->items[i].file, about);
    }
    if (files->count > LISTED)
        buf_printf(out, "\n  and %zu more", files->count - LISTED);
}
