// The command line of `ancalagon plan`: what is planned, for which machine, and what it fixes over
// the preset or the engine's defaults.
#pragma once

#include "cli.h"
#include "machine_args.h"
#include "plan/fit.h"
#include "preset_overlay.h"

enum { PLAN_OVERLAYS_MAX = 20 };

struct plan_args {
    struct cli cli;
    const char *target;                                                 // a file or a preset
    const char *ctx, *kv, *ncmoe, *ngl, *draft, *mmproj, *spec, *split; // as written, or NULL
    const char *draft_ngl, *draft_kv;
    uint32_t parallel, batch, ubatch, draft_n; // 0: not said
    int unified;                               // -1: not said
    bool no_flash, swa_full;
    int64_t engine; // a build number; 0: not said
    struct machine_args machine;
};

// -1: go on; else the exit status, with all said.
int plan_args_parse(struct plan_args *args, int argc, char **argv, const char *help);

// Is anything fixed that a proposal would choose?
bool plan_args_fix(const struct plan_args *args);

// Over the engine's defaults. Mistakes are told on stderr: false.
bool plan_args_apply(const struct plan_args *args, struct fit *fit);

// The same as settings over a preset.
struct plan_overlays {
    struct overlay item[PLAN_OVERLAYS_MAX];
    size_t count;
    char numbers[8][16];
};
void plan_args_overlays(const struct plan_args *args, struct plan_overlays *out);
