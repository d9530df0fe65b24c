// The config of a private server: one preset, for the program that started it. It is the user's own
// preset when the model is one of them, with all that was tuned; else what a preset that leaves
// everything open would be (ctx = max, kv, n-cpu-moe and draft auto).
#pragma once

#include "config.h"

struct private_wish {
    const char *model;  // a preset's name, or a file
    const char *ctx;    // over the preset's; NULL
    const char *draft;  // "auto", "none" or a file; NULL
    const char *engine; // a llama-server; NULL
    const char *models; // folder where drafts are looked for; NULL: as the presets file says
};

// Listens on loopback, a port of the kernel's choice, behind a key of its own.
struct config *private_config(const char *config_path, const struct private_wish *wish,
                              struct err *err);
