// Asks the GPUs now and then, from a thread of its own: a driver that hangs costs the figures, not
// the program. Even the drivers' loading happens there.
#pragma once

#include "telemetry/gpu.h"

struct sampler;

struct gpu_sample {
    uint64_t number; // counts up with each; 0: none yet
    size_t count;
    struct gpu_info info[GPU_MAX];
    struct gpu_reading reading[GPU_MAX];
};

// `roots` is copied. NULL when no thread can be made.
struct sampler *sampler_start(const struct gpu_roots *roots, int every_ms);
// The newest sample. False when there is none, or none for over a second: a driver hangs.
bool sampler_latest(struct sampler *sampler, struct gpu_sample *out);
// Waits until there is a first sample, or until the drivers have had enough time. True: there is.
bool sampler_wait(struct sampler *sampler, int timeout_ms);
// A thread that does not end within half a second is left behind, asleep in its driver.
void sampler_stop(struct sampler *sampler); // NULL is fine
