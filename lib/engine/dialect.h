// What one llama-server binary understands: its flags, its family, its devices. Asked of the binary
// itself (--help takes 16 ms), never assumed from a version number. spell.h turns settings into
// this build's flags.
#pragma once

#include "base/err.h"
#include "engine/help.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dialect_family {
    DIALECT_MAINLINE, // llama.cpp with --load-mode
    DIALECT_OLD,      // llama.cpp before that
    DIALECT_TQ3,      // turbo-tan/llama.cpp-tq3 and other forks with turbo types
    DIALECT_IK,       // ikawrakow/ik_llama.cpp
    DIALECT_UNKNOWN,
};

struct dialect_device {
    char *name;        // "CUDA0"
    char *description; // "NVIDIA GeForce RTX 4070 Ti SUPER"
    int64_t total_mib;
    int64_t free_mib;
};

struct dialect {
    char *path;
    char *version; // first line of --version without "version: "; "" when it says nothing
    int64_t build; // 0 when unknown
    enum dialect_family family;
    struct help help;
    bool guessed;       // the help had no flags in it: a minimal table stands in
    bool unix_socket;   // --host takes a path that ends in .sock
    bool devices_known; // --list-devices exists and answered
    struct dialect_device *devices;
    size_t device_count;
};

// Runs the binary (--help, --version, --list-devices) unless an answer for the same path, inode,
// mtime and size is at hand. The result belongs to this module and stays valid to the end.
// Blocks for some tens of milliseconds; more where a GPU driver has to wake up.
const struct dialect *dialect_probe(const char *path, struct err *err);
// The devices as they are now: what is free on them changes. `rpc` NULL, or the workers to ask too
// (HOST:PORT,...). The caller frees with dialect_devices_fini. May block as dialect_probe does, and
// may be called from any thread.
struct dialect_devices {
    struct dialect_device *items;
    size_t count;
};
bool dialect_devices_now(const char *path, const char *rpc, struct dialect_devices *out,
                         struct err *err);
void dialect_devices_copy(struct dialect_devices *out, const struct dialect_device *items,
                          size_t count);
void dialect_devices_fini(struct dialect_devices *devices);

void dialect_forget(void); // frees all that were probed; for tests and orderly ends

// From texts already at hand; `devices` NULL when not asked.
struct dialect *dialect_create(const char *path, const char *help, const char *version,
                               const char *devices);
void dialect_destroy(struct dialect *dialect);

const char *dialect_family_name(enum dialect_family family);

// A flag that this build accepts (not a removed one), by name with dashes; else NULL.
const struct help_flag *dialect_flag(const struct dialect *dialect, const char *name);
