// What a preset comes to on this machine, decided before anything is stopped for it: which engine
// build runs it, the settings that it left open (ctx = max, n-cpu-moe = auto, kv = auto), where the
// layers go, and whether all that fits. See lib/plan for the arithmetic.
#pragma once

#include "config.h"
#include "draft_choice.h"
#include "engine/dialect.h"
#include "plan/plan.h"

enum { DECISION_SETTINGS_MAX = 8 };

struct decision {
    const struct dialect *dialect; // belongs to dialect.h
    struct decision_setting {
        char flag[24];
        char value[16];
    } settings[DECISION_SETTINGS_MAX]; // over the preset's own
    size_t count;
    struct draft_choice draft; // with draft = ... in the preset
    bool planned; // false: the model or the build is not understood, and the engine decides
    struct plan plan;
    struct plan_machine machine;
};

// `others`: what engines of other groups hold meanwhile, by the same devices; `returning`: host
// memory (bytes, not of mapped files) that the engine to be stopped gives back. False when it
// cannot run: err says why, with numbers, and what would.
bool decision_make(const struct config *config, const struct preset *preset,
                   const struct plan *others, uint64_t returning, struct decision *out,
                   struct err *err);

// The decided value of a flag, else the preset's; NULL when neither says. Words that leave a
// setting open ("max", "auto") are no values.
const char *decision_get(const struct decision *decision, const struct preset *preset,
                         const char *flag);
bool decision_is_open(const char *flag, const char *value);
