// Searches over settings with plan_make: the largest context, the fewest experts on the CPU, the
// most layers on devices that fit; what to propose when nothing is said; what to say when a plan
// does not fit. Settings that the user fixed are never changed.
#pragma once

#include "plan/plan.h"

// What is planned, and what may be varied.
struct fit {
    const struct model *model;
    const struct model *draft;    // or NULL
    const struct gguf *projector; // or NULL
    const struct plan_machine *machine;
    struct plan_settings settings;
    bool ctx_free, kv_free, offload_free; // not fixed by the user
    bool layers_fixed;                    // offload_free, but gpu-layers is: only experts move
};

bool fit_plan(const struct fit *fit, struct plan *out); // of the settings as they are: does it fit?

// Each changes settings to the best that fits and returns true, or leaves them and returns false.
bool fit_ctx_max(struct fit *fit, struct plan *out); // up to the trained context, in whole steps
bool fit_offload(struct fit *fit, struct plan *out); // n-cpu-moe for mixtures, gpu-layers for dense
bool fit_resolve(struct fit *fit, struct plan *out); // all of these that are free
bool fit_choose(struct fit *fit, struct plan *out);  // the cache's type too, if that is free

// One sentence with settings that would fit, near the ones that do not; "" when nothing does.
void fit_nearest(const struct fit *fit, char *text, size_t size);

enum { FIT_PROPOSALS_MAX = 6 };

struct fit_proposal {
    struct plan_settings settings;
    struct plan plan;
    char words[160]; // the trade-off
};

// The best combinations, the recommended one first; those that another beats in everything are
// left out. Returns how many.
size_t fit_propose(const struct fit *fit, struct fit_proposal *out);
