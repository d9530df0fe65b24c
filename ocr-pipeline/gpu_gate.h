// One GPU, one model at a time: whatever a model's server does for a photo waits here for its turn,
// across all requests and jobs, in the order in which they came. Each waits for a bounded time, and
// no longer than somebody wants the photo. Any thread.
#pragma once

#include "base/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct gpu_gate;

// Whoever a photo is read for, and may lose interest meanwhile. Zeroed: wants it.
struct recall {
    atomic_bool asked;
};

struct gpu_gate *gpu_gate_create(void);
void gpu_gate_destroy(struct gpu_gate *gate); // nobody waits or holds it; NULL is fine

// True: the turn is the caller's until gpu_gate_leave. False: ERR_TIMEOUT after wait_ms, ERR_BUSY
// when it was recalled (`recall` NULL: it never is).
bool gpu_gate_enter(struct gpu_gate *gate, int64_t wait_ms, const struct recall *recall,
                    struct err *err);
void gpu_gate_leave(struct gpu_gate *gate);
// Nobody wants it any more: whoever waits with it gives up the place at once, and what runs for it
// ends soon. It stays recalled.
void gpu_gate_recall(struct gpu_gate *gate, struct recall *recall);
unsigned gpu_gate_waiting(struct gpu_gate *gate);
