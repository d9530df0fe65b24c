// What a preset comes to on this machine, decided before anything is stopped for it: which engine
// build runs it, the settings that it left open (ctx = max, n-cpu-moe = auto, kv = auto), where the
// layers go, and whether all that fits. See lib/plan for the arithmetic. Nothing here blocks.
//
// Settings that the user wrote are refused only when they cannot work: a plan that is wrong by a
// little must not keep a preset from starting that ran yesterday. What is left open is chosen with
// room to spare.
#pragma once

#include "config.h"
#include "draft_choice.h"
#include "engine/dialect.h"
#include "model_files.h"
#include "plan/plan.h"

enum { DECISION_SETTINGS_MAX = 12 };

struct decision {
    const struct dialect *dialect; // belongs to dialect.h
    struct decision_setting {
        char flag[24];
        char value[16];
    } settings[DECISION_SETTINGS_MAX]; // over the preset's own
    size_t count;
    struct draft_choice draft; // with draft = ... in the preset
    bool forgets; // a recurrent or sliding-window model, known as such: its engine cannot go back
                  // to any place of what it has read
    bool planned; // false: the model or the build is not understood, and the engine decides
    struct plan plan;
    struct plan_settings chosen; // what the plan is of
    struct plan_machine machine;
};

// Which build runs it: the preset's; when it names none and the default one cannot read the file,
// that of another preset. NULL when none can.
const struct dialect *decision_engine(const struct config *config, const struct preset *preset,
                                      const struct model_files *files, struct err *err);

// What it may use: the devices as they will be once this group's engine is gone, in the engine's
// order, and memory that is not of mapped files (ram_bytes).
struct decision_asked {
    const struct config *config;
    const struct preset *preset;
    const struct dialect *dialect;
    const struct model_files *files;
    struct plan_machine machine;
    uint64_t swap_bytes;
};

// False when it cannot run: err says why, with numbers, and what would; ERR_LIMIT: for want of
// memory. `note` is told what is
// worth knowing although it runs; it may be NULL.
bool decision_make(const struct decision_asked *asked, void (*note)(void *arg, const char *text),
                   void *arg, struct decision *out, struct err *err);

// The paths that a preset's files have, for model_files_read.
void decision_paths(const struct preset *preset, const char *paths[MODEL_FILES]);

void decision_add(struct decision *out, const char *flag, const char *value);

// The decided value of a flag, else the preset's; NULL when neither says. Words that leave a
// setting open ("max", "auto") are no values.
const char *decision_get(const struct decision *decision, const struct preset *preset,
                         const char *flag);
bool decision_is_open(const char *flag, const char *value);
