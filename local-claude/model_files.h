// The language models that lie in a folder, here or on another machine: what a menu shows, and
// which one a name means.
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct model_file {
    char *file;         // below its folder; of a split model the first part
    char *path;         // absolute, on its machine
    char *quantisation; // "" = not known
    char *preset;       // the user's own preset that serves it there, or NULL
    char *reason;       // why it does not fit; ""
    int64_t bytes;      // 0 = not known
    int64_t ctx_tokens; // the largest context that fits; 0 = not known
    bool fits;          // true when not known
};

struct model_files {
    char *folder; // for the person
    struct model_file *items;
    size_t count;
};

// From what `ancalagon models --json` says: projectors, adapters, embedding models, what can only
// draft for others, and broken files are left out.
void model_files_read(struct model_files *files, const json_t *listing);
// One by its path and size alone; left out by the same rules, as far as its name tells.
void model_files_add(struct model_files *files, const char *path, int64_t bytes);
void model_files_fini(struct model_files *files);

// The one that is meant: a preset, a path, a file's name, or a part of it that only one has. -1:
// none, and err names the nearest, or says that there is nothing in the folder.
int model_files_find(const struct model_files *files, const char *wanted, struct err *err);
int model_files_by_path(const struct model_files *files, const char *path); // -1: it is not there

// What its server is asked for: `wanted` tokens of context; 0 = what its server chooses.
int64_t model_file_ctx(const struct model_file *file, int64_t wanted);
// Its preset, else the file's name without its ending: what the person calls it. The caller's.
char *model_file_name(const struct model_file *file);

// "Qwen3-8B-Q4_K_M.gguf", and what a person wants to know of it: "5.0 GB, Q4_K_M, 40K".
void model_files_describe(const struct model_file *file, char *out, size_t size);
// All of them, one a line.
void model_files_list(const struct model_files *files, struct buf *out);
