// The files of a preset as the planner reads them: model, draft, projector. Their headers are read
// once and kept; a look at the file's identity tells whether they must be read again. Opening may
// block for as long as a disk or share likes: the server does it in a thread (planner.c).
#pragma once

#include "draft_files.h"
#include "plan/model.h"

#include <sys/stat.h>

enum { MODEL_FILE_MODEL, MODEL_FILE_DRAFT, MODEL_FILE_PROJECTOR, MODEL_FILES };

struct model_files {
    struct model_file {
        char *path; // NULL: the preset has none
        struct stat stat;
        bool is_local;          // on a disk of this machine: a look at it does not block
        struct model *model;    // of model and draft
        struct gguf *projector; // of the projector
        bool foreign;           // no GGUF at all: an engine may know what it is
        struct err err;         // why it could not be read; ERR_NOTFOUND: sound, but not understood
    } file[MODEL_FILES];
    struct draft_files drafts; // read by draft_files_read
};

// Brings *files up to date; paths may be NULL. A zeroed struct holds nothing. Blocks.
void model_files_read(struct model_files *files, const char *const paths[MODEL_FILES]);
// Is all as it was read? False as well when that cannot be known without blocking.
bool model_files_current(const struct model_files *files, const char *const paths[MODEL_FILES]);
void model_files_fini(struct model_files *files);
