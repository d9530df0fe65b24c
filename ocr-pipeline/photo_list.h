// The photos that a command line names: files as they are, folders with all pictures below them,
// patterns. And their bytes.
#pragma once

#include "base/err.h"

#include <stddef.h>

struct photo_list {
    char **paths;
    size_t count;
};

// In the order of the arguments; those of a folder or pattern by name. ERR_NOTFOUND: no such file,
// a pattern that nothing matches; ERR_INVALID: a folder without pictures; ERR_SYSTEM: a folder that
// cannot be read, which is never taken for an empty one.
bool photo_list_make(struct photo_list *list, char *const *arguments, size_t count,
                     struct err *err);
bool photo_list_add(struct photo_list *list, const char *path, struct err *err); // ERR_LIMIT
void photo_list_fini(struct photo_list *list);
bool photo_list_is_picture(const char *name); // by its ending

// The whole file; the caller's (mem_free). ERR_NOTFOUND: it is not there; ERR_DENIED: it may not be
// read; ERR_PEER: the share it lies on does not answer; ERR_LIMIT.
char *photo_load(const char *path, size_t most, size_t *length, struct err *err);
