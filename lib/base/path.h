// Where things live (XDG base directories) and small file acts that must not be half done.
// Returned strings are the caller's (mem_free).
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <sys/types.h>

const char *path_name(const char *path); // what stands behind its last slash; within `path`
char *path_join(const char *dir, const char *name);     // an absolute name is returned as it is
char *path_absolute(const char *path, struct err *err); // resolves "." and "..", file may be absent
char *path_home(void);                                  // $HOME, else the password file's
char *path_expand(const char *path);                    // leading "~/" -> home
char *path_config(const char *name);                    // $XDG_CONFIG_HOME/ancalagon/NAME
char *path_state(const char *name);                     // $XDG_STATE_HOME/ancalagon/NAME
char *path_cache(const char *name);                     // $XDG_CACHE_HOME/ancalagon/NAME

// $XDG_RUNTIME_DIR/ancalagon, else /run/user/UID/ancalagon, else /tmp/ancalagon-UID.
char *path_runtime(void);
char *path_runtime_of(const char *program); // the same for another program

// mkdir -p with 0700; the last folder must be ours and closed to others, or it is an error.
bool path_make_private(const char *dir, struct err *err);

// Writes a temp file beside it, syncs, renames over it: readers see the old or the new content.
bool path_write_file(const char *path, const void *bytes, size_t length, mode_t mode,
                     struct err *err);

// All of the bytes, however often that takes; errno says why not.
bool path_write_all(int fd, const void *bytes, size_t length);

// The whole file, terminated; more than `max` bytes is an error, and so is a pipe, which could make
// us wait for ever. *length may be NULL.
char *path_read_file(const char *path, size_t max, size_t *length, struct err *err);
// The same of a file with a secret: ERR_DENIED when others can read it, too.
char *path_read_private(const char *path, size_t max, size_t *length, struct err *err);
