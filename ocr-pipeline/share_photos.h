// The photos on a share: which there are, and their bytes. A photo is known by its source: the
// share's location, a slash and its path there. Blocking, with the share's deadlines.
#pragma once

#include "config.h"
#include "photo_list.h"

// All pictures below `folder` ("" or ".": the share itself), by name. SHARE_FOLDER_EMPTY: there are
// none.
enum share_fault share_photos_list(const struct share *share, const char *folder,
                                   struct photo_list *list, struct err *err);
// Files that must be there, `name` of each by its index.
enum share_fault share_photos_check(const struct share *share,
                                    const char *(*name)(void *arg, size_t index), void *arg,
                                    size_t count, struct photo_list *list, struct err *err);
// The caller's (mem_free).
enum share_fault share_photos_load(const struct share *share, const char *source, size_t most,
                                   char **bytes, size_t *length, struct err *err);
// The same of many, over sessions that stay open from one photo to the next: as many as ask at
// once. Any thread; one that ends takes the session that it opened with it, which costs the next
// photo a new one.
struct share_run *share_run_create(const struct share *share);
void share_run_destroy(struct share_run *run); // NULL is fine
enum share_fault share_run_load(struct share_run *run, const char *source, size_t most,
                                char **bytes, size_t *length, struct err *err);
// The whole of it works: for `doctor`.
enum share_fault share_photos_try(const struct share *share, struct err *err);
