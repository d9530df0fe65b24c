// What the machine does while an engine is measured: GPU memory, utilisation and power, the
// engine's CPU time and memory, the packages' power; apart for prefill and decode.
#pragma once

#include "engine/dialect.h"
#include "telemetry/sampler.h"
#include "trial.h"

#include <sys/types.h>

struct trial_watch;

enum trial_watch_phase { WATCH_ELSE, WATCH_PREFILL, WATCH_DECODE, WATCH_PHASES };

// roots NULL: this machine's. Starts a thread.
struct trial_watch *trial_watch_create(const struct gpu_roots *roots);
void trial_watch_destroy(struct trial_watch *watch); // NULL is fine

// Before the engine is started: what is in use now is not the engine's. Forgets the last trial. May
// wait a moment for the drivers, the first time.
void trial_watch_begin(struct trial_watch *watch);
void trial_watch_engine(struct trial_watch *watch, pid_t group);
void trial_watch_phase(struct trial_watch *watch, enum trial_watch_phase phase, int64_t now_us);
void trial_watch_tick(struct trial_watch *watch, int64_t now_us); // several times a second
// Fills prefill, decode, devices and peak_rss_bytes.
void trial_watch_report(struct trial_watch *watch, const struct dialect *dialect,
                        struct trial_result *result);
