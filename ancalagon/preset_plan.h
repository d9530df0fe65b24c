// From a preset to a memory plan: its settings as the arithmetic wants them, this machine's devices
// and memory.
#pragma once

#include "base/err.h"
#include "engine/dialect.h"
#include "plan/fit.h"
#include "preset.h"

// A setting by its canonical name (lib/engine/settings.h), however the preset spells it; or NULL.
const char *preset_plan_get(const struct preset *preset, const char *name);

// What a preset says, over the engine's defaults. `draft` and `mmproj` are paths as written, or
// NULL. False when a value makes no sense; err names it.
bool preset_plan_settings(const struct preset *preset, struct plan_settings *out,
                          const char **draft, const char **mmproj, struct err *err);

// Which settings the preset leaves open: ctx = max, n-cpu-moe = auto, kv = auto.
void preset_plan_freedom(const struct preset *preset, struct fit *fit);

// Does the preset say what goes where (n-cpu-moe = 16, cpu-moe ...)? Then nothing is moved.
bool preset_plan_is_placed(const struct preset *preset);

// Does the plan understand all that moves memory about? Else preset_plan_obstacle names what it
// does not (override-tensor, ...).
bool preset_plan_is_exact(const struct preset *preset);
const char *preset_plan_obstacle(const struct preset *preset);

// Leaves in *machine the devices that the preset uses, in its order (device, split-mode, main-gpu).
// False when they cannot be told.
bool preset_plan_devices(const struct preset *preset, struct plan_machine *machine);

// Devices as the build `dialect` listed them, with what was free on them, and the memory that can
// be had now. NULL: none.
void preset_plan_machine(const struct dialect_devices *listed, struct plan_machine *out);

// "CUDA0" -> PLAN_CUDA; what is not known counts as PLAN_VULKAN, whose use is the most usual.
enum plan_kind plan_kind_of_device(const char *name);

// The engine maps the file: weights in host memory may be dropped and read again.
bool preset_plan_pages_weights(const struct preset *preset);

// "16G", "16376M"; a bare number is MiB.
bool plan_parse_size(const char *text, uint64_t *bytes);

// MemAvailable, with what clean page cache would give back. PLAN_UNKNOWN when it cannot be told.
uint64_t plan_ram_available(void);
uint64_t plan_swap_free(void);
uint64_t plan_ram_total(void); // PLAN_UNKNOWN when it cannot be told
