// The models that may speculate for another one: found in folders, opened, and compared by what is
// in them. Blocks, as model_files_read does; what was read is kept, and read again only when files
// changed.
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct model;

enum { DRAFT_FILES_MAX = 8 }; // the smallest ones; larger ones would not be chosen anyway

struct draft_files {
    struct model *model[DRAFT_FILES_MAX]; // the smallest first
    size_t count;
    struct err err; // why the one that was named cannot be used
    uint64_t seen;  // what there was to look at
};

// `wanted`: a preset's draft key, NULL for none. `folders`: NULL-terminated, for "auto". `target`
// may be NULL: then there is nothing to compare with.
void draft_files_read(struct draft_files *files, const char *wanted, char *const *folders,
                      const struct model *target);
void draft_files_fini(struct draft_files *files);
