// Is a loaded engine that owes answers still moving? Judged by tokens, prefill progress and CPU
// time, never by /health alone: a hung engine goes on answering that. Pure: the caller brings the
// clock (milliseconds), the process's CPU time and the results of probes.
//
// Silence is measured from the last progress. The engine is probed once it has been silent for
// longer than is usual for it; it is given up
// - when it has used no CPU and has not answered a probe in time (frozen: stopped, deadlocked), or
// - when the silence passes its patience: the configured floor, or a multiple of the longest
//   silence it has recovered from if that is more. While a prompt is being processed and the CPU is
//   busy, much more: one batch of a large model on a slow machine can take minutes.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct watchdog {
    int64_t last_ms;        // of the last progress
    int64_t longest_ms;     // silence it has recovered from; fades
    int64_t cpu_mark_ms;    // CPU time when the silence began; -1 = not taken yet
    int64_t probe_since_ms; // unanswered probe, 0 = none
    int64_t probed_ms;      // last probe sent
};

enum watchdog_verdict { WATCHDOG_FINE, WATCHDOG_PROBE, WATCHDOG_FROZEN, WATCHDOG_HUNG };

struct watchdog_view {
    int64_t now_ms;
    int64_t floor_ms; // stall-timeout
    int64_t cpu_ms;   // the process's CPU time so far; -1 = unknown (then taken as busy)
    bool prefill;     // some request has not had its first byte
};

void watchdog_reset(struct watchdog *watchdog, int64_t now_ms);
void watchdog_progress(struct watchdog *watchdog, int64_t now_ms);
void watchdog_first_byte(struct watchdog *watchdog, int64_t took_ms); // prefill counts as silence
void watchdog_probe_sent(struct watchdog *watchdog, int64_t now_ms);
void watchdog_probe_answered(struct watchdog *watchdog); // without news: it lives, that is all
enum watchdog_verdict watchdog_check(struct watchdog *watchdog, const struct watchdog_view *view);
int64_t watchdog_patience_ms(const struct watchdog *watchdog, const struct watchdog_view *view);
