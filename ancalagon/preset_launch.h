// What a preset asks of an engine build, as the settings that lib/engine spells. One list for the
// start itself and for check-config, so that the two cannot disagree.
#pragma once

#include "decision.h"
#include "engine/launch.h"
#include "preset.h"

// Fills model, settings and environment of *spec; free with preset_launch_fini. `decision`: what
// was decided over the preset, NULL when nothing was yet (then open settings are left out).
void preset_launch_init(struct launch_spec *spec, const struct preset *preset,
                        const struct dialect *dialect, const struct decision *decision);
void preset_launch_fini(struct launch_spec *spec);

// The command line without a start, to learn from launch->problems whether the build can do what
// the preset says; where it would listen is not in question. Call launch_fini always.
bool preset_launch_try(const struct preset *preset, const struct dialect *dialect,
                       const struct decision *decision, struct launch *launch);
// Tells the first error among problems; returns false.
bool preset_launch_error(const struct problems *problems, struct err *err);
