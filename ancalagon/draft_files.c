#include "draft_files.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/system.h"
#include "config.h"
#include "plan/draft.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// ---- what there is ----

struct candidate {
    char *path;
    struct stat stat;
};

struct candidates {
    struct candidate *items;
    size_t count;
};

static int by_size(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;
    if (x->stat.st_size != y->stat.st_size)
        return x->stat.st_size < y->stat.st_size ? -1 : 1;
    return strcmp(x->path, y->path);
}

static void add(struct candidates *list, const char *path, const struct stat *st) {
    list->items = mem_resize(list->items, (list->count + 1) * sizeof *list->items);
    list->items[list->count++] = (struct candidate){mem_strdup(path), *st};
}

static void collect(struct candidates *list, const char *wanted, char *const *folders,
                    const struct model *target) {
    // A pass over a draft must be far cheaper than one over the model.
    uint64_t limit = gguf_file_bytes(target->gguf) / 2;
    struct stat st;
    if (strcmp(wanted, "auto") != 0) {
        if (stat(wanted, &st) != 0)
            st = (struct stat){0}; // opening it will say why not
        add(list, wanted, &st);
        return;
    }
    for (; *folders; folders++) {
        char **files = config_model_files(*folders);
        for (char **file = files; *file; file++)
            if (stat(*file, &st) == 0 && (uint64_t)st.st_size < limit)
                add(list, *file, &st);
        config_free_files(files);
    }
    if (list->count)
        qsort(list->items, list->count, sizeof *list->items, by_size);
}

static void forget(struct candidates *list) {
    for (size_t i = 0; i < list->count; i++)
        mem_free(list->items[i].path);
    mem_free(list->items);
}

static uint64_t mix(uint64_t hash, uint64_t value) {
    return (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15) ^ hash >> 29;
}

// Of every file's path and state: another number when anything is different.
static uint64_t summary(const struct candidates *list, const struct model *target) {
    uint64_t hash = mix(str_hash(target->path), gguf_file_bytes(target->gguf));
    for (size_t i = 0; i < list->count; i++) {
        const struct stat *st = &list->items[i].stat;
        hash = mix(hash, str_hash(list->items[i].path));
        hash = mix(hash, (uint64_t)st->st_size);
        hash = mix(hash, (uint64_t)st->st_ino);
        hash = mix(hash, (uint64_t)system_changed_ns(st));
    }
    return hash ? hash : 1;
}

// ---- which of it goes with the target ----

static struct model *open_draft(const char *path, const struct model *target, struct err *err) {
    struct model *draft = model_open(path, err);
    char why[200];
    if (draft && model_kind_of(draft->gguf) != MODEL_KIND_TEXT)
        err_set(err, ERR_INVALID, "%s does not generate text", path);
    else if (draft && !draft_compatible(target->gguf, draft->gguf, why, sizeof why))
        err_set(err, ERR_INVALID, "%s does not go with %s: %s", path, target->path, why);
    else
        return draft;
    model_close(draft);
    return NULL;
}

static void close_all(struct draft_files *files) {
    for (size_t i = 0; i < files->count; i++)
        model_close(files->model[i]);
    files->count = 0;
    files->err = (struct err){0};
}

void draft_files_read(struct draft_files *files, const char *wanted, char *const *folders,
                      const struct model *target) {
    struct candidates list = {NULL, 0};
    if (!wanted || !target) {
        draft_files_fini(files);
        return;
    }
    collect(&list, wanted, folders, target);
    uint64_t seen = summary(&list, target);
    if (files->seen != seen) {
        close_all(files);
        for (size_t i = 0; i < list.count && files->count < DRAFT_FILES_MAX; i++) {
            struct err err = {0};
            struct model *draft = open_draft(list.items[i].path, target, &err);
            if (draft)
                files->model[files->count++] = draft;
            else
                files->err = err;
        }
        files->seen = seen;
    }
    forget(&list);
}

void draft_files_fini(struct draft_files *files) {
    close_all(files);
    files->seen = 0;
}
