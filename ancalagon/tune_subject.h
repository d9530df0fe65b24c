// What `ancalagon tune` works on: a preset as its user wrote it (without the lines that an earlier
// tune left), which of its settings are open, and how a choice is written down.
#pragma once

#include "config.h"
#include "decision.h"
#include "draft_files.h"
#include "plan/tune_fit.h"

#include <limits.h>

#define TUNE_MARK "tune" // of our lines in the presets file

enum { TUNE_CHANGES_MAX = 12 };

// One setting that a choice has over the preset.
struct tune_change {
    char key[24];
    char value[PATH_MAX];
};

struct tune_wishes {
    const char *kv;        // cache types to choose from, "f16,q8_0"; NULL: what loses nothing
    unsigned depth_tokens; // 0: by the preset's context
    unsigned least_ctx;    // tokens that a request takes whose depth its user told; 0: none
    bool no_draft;
};

struct tune_subject {
    char *path, *bytes; // of the presets file, links resolved; as it was read
    size_t length;
    bool tuned_before; // our lines are in it
    struct ini *ini;   // the same text
    struct config *config;
    const struct preset *preset;
    struct decision decision; // its dialect is gone when a trial session was destroyed
    bool has_spec_type;
    struct model *model; // NULL: not understood; then nothing is offloaded or checked for room
    struct gguf *projector;
    struct model *own_draft;
    struct draft_files drafts; // to choose from
    struct plan_machine machine;
    struct tune_fit tf;
    struct tune_space space;
};

// Blocks: reads files, asks the engine build. ERR_NOTFOUND: nothing is
// open, or (preset NULL then) the file has none of that name.
bool tune_subject_open(struct tune_subject *subject, const char *config_path, const char *preset,
                       const struct tune_wishes *wishes, struct err *err);
void tune_subject_close(struct tune_subject *subject);

// What a choice changes of the preset as it is; returns how many.
size_t tune_changes(const struct tune_subject *subject, const struct tune_choice *choice,
                    struct tune_change *out);
// The same as one short text: "ubatch 2048, threads 6"; "as it is" without any.
void tune_describe(const struct tune_subject *subject, const struct tune_choice *choice, char *text,
                   size_t size);
