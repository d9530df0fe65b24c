// Counters of one preset, in Prometheus' text form (https://prometheus.io/docs/instrumenting/
// exposition_formats/). They belong to the preset, not to the engine process: they survive it.
#pragma once

#include "base/buf.h"

#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 14 };

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS + 1]; // the last one is +Inf
    double sum_s;
    uint64_t total;
};

struct metrics {
    uint64_t requests;      // that came for this preset
    uint64_t completed;     // answered whole by the engine
    uint64_t refused;       // answered by us: could not start, breaker, queue full
    uint64_t broken;        // the engine failed under them
    uint64_t cancelled;     // the client left
    uint64_t loads;         // engine got ready
    uint64_t load_failures; // engine did not
    uint64_t restarts;      // engine died while loaded
    uint64_t stalls;        // of those, killed by the watchdog
    uint64_t prompt_tokens, cached_tokens, generated_tokens;
    uint64_t draft_tokens, draft_accepted; // guessed by speculation, and right
    double prefill_s, decode_s;            // engine time spent on them
    struct histogram queue_wait, first_byte, load;
};

// What a /metrics page needs beside the counters.
struct metrics_now {
    const char *preset, *state;
    unsigned waiting, running;
};

void histogram_add(struct histogram *histogram, int64_t ms);
// Appends one family after another, each with all presets (the format demands it).
void metrics_write(struct buf *out, const struct metrics *const *metrics,
                   const struct metrics_now *now, size_t count);
