#include "watchdog.h"

enum {
    LEARN_FACTOR = 4, // times the longest silence seen
    BUSY_PREFILL_FACTOR = 20,
    BUSY_PERCENT = 10,     // of one core
    PROBE_FIRST_MS = 1000, // silence before the first probe, at least
    // llama-server looks for clients that left only when its queue was quiet for a second, and a
    // probe is a stir.
    PROBE_EVERY_MS = 2500,
    FROZEN_MS = 5000, // unanswered probe without CPU use; at most the floor
};

void watchdog_reset(struct watchdog *w, int64_t now) {
    w->last_ms = now;
    w->cpu_mark_ms = -1;
    w->probe_since_ms = w->probed_ms = 0;
}

void watchdog_progress(struct watchdog *w, int64_t now) {
    int64_t gap = now - w->last_ms;
    // Fades by a thousandth an event, so that one slow moment does not blunt it for ever.
    w->longest_ms = gap > w->longest_ms ? gap : w->longest_ms - w->longest_ms / 1000;
    watchdog_reset(w, now);
}

void watchdog_first_byte(struct watchdog *w, int64_t took) {
    if (took > w->longest_ms)
        w->longest_ms = took;
}

void watchdog_probe_sent(struct watchdog *w, int64_t now) {
    w->probe_since_ms = w->probed_ms = now;
}

void watchdog_probe_answered(struct watchdog *w) { w->probe_since_ms = 0; }

static bool cpu_busy(const struct watchdog *w, const struct watchdog_view *view) {
    if (view->cpu_ms < 0 || w->cpu_mark_ms < 0)
        return true;
    int64_t silence = view->now_ms - w->last_ms;
    return (view->cpu_ms - w->cpu_mark_ms) * 100 >= silence * BUSY_PERCENT;
}

int64_t watchdog_patience_ms(const struct watchdog *w, const struct watchdog_view *view) {
    int64_t learned = w->longest_ms * LEARN_FACTOR;
    int64_t patience = learned > view->floor_ms ? learned : view->floor_ms;
    int64_t busy = view->floor_ms * BUSY_PREFILL_FACTOR;
    if (view->prefill && cpu_busy(w, view) && patience < busy)
        patience = busy;
    return patience;
}

enum watchdog_verdict watchdog_check(struct watchdog *w, const struct watchdog_view *view) {
    int64_t silence = view->now_ms - w->last_ms;
    if (w->cpu_mark_ms < 0)
        w->cpu_mark_ms = view->cpu_ms;
    if (silence >= watchdog_patience_ms(w, view))
        return WATCHDOG_HUNG;
    int64_t frozen = view->floor_ms < FROZEN_MS ? view->floor_ms : FROZEN_MS;
    if (w->probe_since_ms)
        return view->now_ms - w->probe_since_ms >= frozen && !cpu_busy(w, view) ? WATCHDOG_FROZEN
                                                                                : WATCHDOG_FINE;
    int64_t unusual = w->longest_ms * 2 > PROBE_FIRST_MS ? w->longest_ms * 2 : PROBE_FIRST_MS;
    if (unusual > view->floor_ms / 2)
        unusual = view->floor_ms / 2;
    if (silence >= unusual && view->now_ms - w->probed_ms >= PROBE_EVERY_MS)
        return WATCHDOG_PROBE;
    return WATCHDOG_FINE;
}
