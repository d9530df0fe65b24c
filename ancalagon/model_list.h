// The model files of a folder, read by their headers: what each one is, which others go with it,
// which engine reads it, and whether a machine can run it.
#pragma once

#include "plan/draft.h"
#include "plan/fit.h"

struct model_entry {
    char *path;        // of a split file its first part
    const char *file;  // the part of `path` below its folder
    struct err broken; // code ERR_NONE: read and understood
    enum model_kind kind;
    struct gguf *gguf;   // NULL when broken
    struct model *model; // owns `gguf`; NULL for projectors, adapters, and what is broken
    uint64_t bytes;      // of all parts
    enum gguf_type_family family;
    const char *foreign_type; // a tensor type that not every engine reads; or NULL

    struct draft_vocab vocab;
    size_t same_words; // index of the first entry with the very same vocabulary
    bool planned, fits;
    struct plan_settings settings; // as planned
    struct plan plan;              // reason when it does not fit
};

struct model_list {
    char *folders;               // that were there, with commas between
    struct model_entry *entries; // by folder and path
    size_t count;
    bool *go_together; // [count * count], of entries that are the first with their vocabulary
};

// `folders`: NULL-terminated; missing ones are passed over as long as one is there. `step` (may be
// NULL) is told how far it is, now and then. NULL: there is no such folder.
struct model_list *model_list_read(const char *const *folders,
                                   void (*step)(void *arg, size_t done, size_t all), void *arg,
                                   struct err *err);
void model_list_free(struct model_list *list); // NULL is fine

// Plans every language model for one user on a machine: the largest context, with as little on the
// CPU as that allows.
void model_list_plan(struct model_list *list, const struct plan_machine *machine,
                     void (*step)(void *arg, size_t done, size_t all), void *arg);

// Indices of the entries that may speculate for one, the smallest first; returns how many (at most
// `max` are written).
size_t model_list_drafts(const struct model_list *list, size_t index, size_t *out, size_t max);
// Of the models that a projector can serve, or of the projectors that can serve a model: the widths
// that one gives and the other takes are the same, and the projector's kind is not another
// family's.
size_t model_list_partners(const struct model_list *list, size_t index, size_t *out, size_t max);
