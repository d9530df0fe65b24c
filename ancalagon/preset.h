// One preset: a model, the engine that runs it and how. Made by config.h from one [section] of
// presets.ini with the [*] defaults merged in; owned by its struct config and read-only after.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRESET_NAME_MAX 64

// One engine flag: the long name without dashes, the value as written (may be ""), and where.
struct preset_setting {
    char *flag;
    char *value;
    unsigned line;
};

struct preset {
    char *name;
    char *description; // "" when none
    char *group;       // of each group one preset is up at a time
    char **aliases;    // NULL-terminated, never NULL itself
    char *engine;      // as written: a path, or a bare name such as "default"
    char *engine_path; // absolute; may not exist (then the config has a warning)
    char *model;       // absolute; may not exist (then the config has a warning)
    char *draft;       // what speculates for it: NULL nothing, "auto", else a file's absolute path
    bool is_default;
    bool plan;           // reckon its memory before it is started
    bool is_scanned;     // found in a models folder, not written in the file
    unsigned line;       // of its [section]; 0 when scanned
    unsigned draft_line; // where draft was said
    int64_t idle_off_ms; // 0: never
    int64_t load_timeout_ms;

    // All that goes to the engine besides its model and what we set ourselves, in file order.
    struct preset_setting *settings;
    size_t settings_count;

    // Views of settings that we act upon ourselves; they are in `settings` too.
    int64_t ctx_tokens;  // ctx-size; 0: unset or the model's own
    const char *kv_type; // cache-type-k = cache-type-v; NULL when unset
    int parallel;        // -1: unset or automatic
};

// The value of a flag, NULL when the preset does not set it.
const char *preset_get(const struct preset *preset, const char *flag);

// Would both start the same engine with the same command line? Then a reload leaves it running.
bool preset_same_engine(const struct preset *a, const struct preset *b);

void preset_fini(struct preset *preset);
