// A helper's life: requests from standard input, answers to standard output, one after the other,
// until the input ends (lib/format/share_wire.h). What it looks at may hang, and it then hangs
// too: whoever started it kills it. So it holds nothing that must outlive it.
#pragma once

#include "base/err.h"
#include "format/share_wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct helper_place {
    const char *location, *user, *password, *workgroup; // "" when there is none
    unsigned port;                                      // 0: the usual one
    unsigned timeout_ms;
};

struct helper_info {
    char kind;     // 'd' a folder, 'f' a file, 'o' neither
    uint64_t size; // bytes
};

// False: nobody listens any more.
typedef bool helper_entry_fn(char kind, const char *name);
typedef bool helper_bytes_fn(const void *bytes, size_t length);

// Each returns SHARE_FINE, or which fault with its text. Paths are relative, and lead nowhere up.
struct helper_ops {
    enum share_fault (*open)(const struct helper_place *place, struct err *err);
    enum share_fault (*list)(const char *folder, helper_entry_fn *on_entry, struct err *err);
    enum share_fault (*stat)(const char *path, struct helper_info *info, struct err *err);
    enum share_fault (*read)(const char *path, uint64_t most, helper_bytes_fn *on_bytes,
                             struct err *err);
};

// The program's exit status: 0 the input ended, 1 nonsense came.
int helper_run(const struct helper_ops *ops);

// The fault that a failed call's `number` is, and its text; `missing` where the path is not there.
// What is neither that nor forbidden is a share that does not work: never an empty one.
enum share_fault helper_fault(int number, enum share_fault missing, const char *path,
                              struct err *err);
// What is left of an open file, by read(2) or its like.
enum share_fault helper_copy(ssize_t (*read)(int fd, void *bytes, size_t size), int fd,
                             const char *path, uint64_t most, helper_bytes_fn *on_bytes,
                             struct err *err);
enum share_fault helper_too_large(const char *path, uint64_t most, struct err *err);
