#include "memory_watch.h"

#include "base/buf.h"
#include "base/str.h"
#include "preset_plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MIB (1024.0 * 1024.0)

static void add_numbers(struct buf *text, const struct plan_part *part) {
    buf_printf(text, " %llu %llu %llu %llu", (unsigned long long)part->weights,
               (unsigned long long)part->kv, (unsigned long long)part->state,
               (unsigned long long)part->compute);
}

// Equal for starts that must turn out equal.
static void make_key(const struct preset *preset, const struct decision *decision, char key[20]) {
    struct buf text;
    buf_init(&text, 64 * 1024);
    buf_printf(&text, "%s %s %u", decision->dialect->version, preset->model,
               decision->plan.ctx_total);
    for (size_t i = 0; i < decision->plan.devices; i++) {
        buf_printf(&text, " %s", decision->machine.device[i].card);
        add_numbers(&text, &decision->plan.device[i]);
    }
    add_numbers(&text, &decision->plan.host);
    snprintf(key, 20, "%016llx", (unsigned long long)str_hash(buf_text(&text)));
    buf_fini(&text);
}

// The scale as its help tells it; without one the build is talkative enough, or too much so.
static bool has_trace_level(const struct dialect *dialect) {
    const struct help_flag *flag = dialect_flag(dialect, "--verbosity");
    return flag && strstr(flag->text, "4: trace") && strstr(flag->text, "5: debug");
}

static bool user_speaks(const struct preset *preset) {
    static const char *const flags[] = {"verbosity", "verbose", "log-verbose", "v", "log-jsonl"};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (preset_plan_get(preset, flags[i]))
            return true;
    return false;
}

void memory_watch_begin(struct memory_watch *watch, const struct memory_store *store,
                        const struct preset *preset, struct decision *decision) {
    char key[20];
    *watch = (struct memory_watch){0};
    if (!decision->planned)
        return;
    make_key(preset, decision, key);
    watch->known =
        memory_store_get(store, preset->name, &watch->seen) && strcmp(watch->seen.key, key) == 0;
    if (!watch->known && has_trace_level(decision->dialect) && !user_speaks(preset) &&
        !decision_get(decision, preset, "verbosity"))
        decision_add(decision, "verbosity", "4");
}

void memory_watch_line(struct memory_watch *watch, const char *line) {
    memory_report_line(&watch->report, line);
}

static double total(const struct memory_sum *sum) {
    return sum->weights_mib + sum->kv_mib + sum->state_mib + sum->compute_mib;
}

static void compare(struct memory_seen *seen, const char *name, const struct plan_part *planned,
                    const struct memory_sum *measured, bool with_weights, bool is_host) {
    struct memory_seen_part *part = &seen->part[seen->parts++];
    snprintf(part->name, sizeof part->name, "%s", name);
    part->predicted =
        (struct memory_sum){(double)planned->weights / MIB, (double)planned->kv / MIB,
                            (double)planned->state / MIB, (double)planned->compute / MIB, true};
    if (is_host) // the output buffer; on a device it is the driver's, which no buffer shows
        part->predicted.compute_mib += (double)planned->overhead / MIB;
    part->measured = *measured;
    double expected = total(&part->predicted), found = total(measured);
    if (!with_weights) { // mapped: the engine tells the range that it maps, not what it reads
        expected -= part->predicted.weights_mib;
        found -= measured->weights_mib;
    }
    if (expected > 0 && (seen->predicted <= 0 ||
                         fabs(found / expected - 1) > fabs(seen->measured / seen->predicted - 1))) {
        seen->predicted = expected;
        seen->measured = found;
        snprintf(seen->worst, sizeof seen->worst, "%s", name);
    }
}

bool memory_watch_loaded(struct memory_watch *watch, struct memory_store *store,
                         const struct preset *preset, const struct decision *decision, char *text,
                         size_t size) {
    const struct plan *plan = &decision->plan;
    struct memory_sum host = memory_report_sum(&watch->report, NULL);
    watch->loaded = true;
    memory_report_forget_table(&watch->report);
    if (!decision->planned || !host.seen)
        return false;
    struct memory_seen seen = {.when = (int64_t)time(NULL), .ctx = plan->ctx_total};
    snprintf(seen.engine, sizeof seen.engine, "%s", decision->dialect->version);
    make_key(preset, decision, seen.key);
    for (size_t i = 0; i < plan->devices; i++) {
        const char *name = decision->machine.device[i].name;
        struct memory_sum sum = memory_report_sum(&watch->report, name);
        compare(&seen, name, &plan->device[i], &sum, true, false);
    }
    compare(&seen, "host", &plan->host, &host, plan->devices == 0, true);
    watch->seen = seen;
    watch->known = true;
    memory_store_put(store, preset->name, &seen);
    double difference = memory_seen_difference(&seen);
    snprintf(text, size, "%s: planned %.0f MiB, measured %.0f, %+.1f %%", seen.worst,
             seen.predicted, seen.measured, difference * 100);
    return memory_seen_differs(&seen);
}

// "Unaccounted" is of everybody: what was taken before this engine came is not its driver's.
void memory_watch_ended(struct memory_watch *watch, struct memory_store *store,
                        const struct decision *decision) {
    for (size_t i = 0; watch->loaded && i < decision->machine.devices; i++) {
        const struct plan_device *device = &decision->machine.device[i];
        const struct memory_row *row = memory_report_row(&watch->report, device->name);
        if (!row || device->kind == PLAN_RPC || device->capacity_bytes == PLAN_UNKNOWN ||
            row->unaccounted_mib < 0 || row->unaccounted_mib > row->total_mib)
            continue;
        double before = device->total_bytes > device->capacity_bytes
                            ? (double)(device->total_bytes - device->capacity_bytes) / MIB
                            : 0;
        memory_store_learn_overhead(store, decision->dialect->version, device,
                                    row->unaccounted_mib - before);
    }
}
