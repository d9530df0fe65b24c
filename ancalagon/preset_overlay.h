// Settings laid over a preset without touching it: what a measurement tries.
#pragma once

#include "base/err.h"
#include "preset.h"

// One setting by any name that presets take, without dashes ("ctx-size", "n-cpu-moe", "threads",
// also "kv" for both cache types and "ctx"). It takes the place of the preset's own, however that
// was spelled ("ngl", "no-mmap"). Value NULL: the preset's own is left out, the engine's default
// holds; "": a flag without a value. "draft" is the preset's key: "none", "auto" or a path; what
// else says what speculates ("model-draft", "spec-type") takes its place.
struct overlay {
    const char *setting;
    const char *value;
};

// A copy that owns its fields; preset_fini frees them. `engine_path` NULL: the preset's own build.
// Sizes may be written as in a preset ("96K"). False when a value makes no sense; err names it and
// nothing is to be freed.
bool preset_overlay(const struct preset *preset, const char *engine_path,
                    const struct overlay *overlays, size_t count, struct preset *out,
                    struct err *err);
