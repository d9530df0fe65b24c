// Settings as people write them in a preset ("ctx-size = 8192", "mlock = on", "flash-attn = true"),
// spelt as one build of llama-server wants them. Nothing is ever dropped silently: what a build
// cannot do is an error when it changes answers or memory, a warning when it is a comfort.
#pragma once

#include "engine/args.h"
#include "engine/dialect.h"

#include <stdbool.h>
#include <stddef.h>

struct setting {
    const char *name;  // without dashes
    const char *value; // NULL or "" stands for "on"
};

struct problem {
    bool is_error; // else a warning
    char *setting;
    char *text; // "ik_llama.cpp has no --load-mode dio; ..."
};

struct problems {
    struct problem *items;
    size_t count;
    size_t errors;
};

void problems_fini(struct problems *problems);
void problems_add(struct problems *problems, bool is_error, const char *setting, const char *format,
                  ...) __attribute__((format(printf, 4, 5)));

// Appends flags to `out`. False when there were errors (warnings alone are fine); `out` then holds
// what could be spelt.
bool dialect_spell(const struct dialect *dialect, const struct setting *settings, size_t count,
                   struct args *out, struct problems *problems);

// The one name we use for a setting, whatever alias was written: "ngl", "n-gpu-layers" and
// "--gpu_layers" are "gpu-layers". The caller frees.
char *setting_canonical(const struct dialect *dialect, const char *name)
    __attribute__((returns_nonnull));
