#include "trial_watch.h"

#include "base/mem.h"
#include "telemetry/process.h"
#include "telemetry/rapl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    SAMPLE_EVERY_MS = 100,
    DRIVERS_MS = 3000, // for drivers to load, before the first trial goes on without
    // Drivers tell utilisation and power of up to the last second. Samples of a phase's first
    // moments are dropped, those until it has settled count only where there are no others.
    DROP_US = 250000,
    SETTLE_US = 1000000,
    MEMBERS_US = 1000000, // between looks for new processes of the engine
};

struct mean {
    double sum;
    unsigned count;
};

struct phase {
    int64_t us;
    int64_t cpu_ms, cpu_us; // used, and the time for which it is known
    int64_t machine_ms;     // by everybody, in that time
    bool machine_known;
    double joules;
    bool joules_known;
    struct {
        struct mean utilisation, power;
    } early[GPU_MAX], settled[GPU_MAX];
};

struct trial_watch {
    struct sampler *sampler;
    struct rapl rapl;
    struct process_group group;
    enum trial_watch_phase now;
    int64_t phase_began_us, since_us, members_us;
    int64_t cpu_ms, machine_ms; // at since_us; -1 unknown
    struct phase phases[WATCH_PHASES];
    uint64_t sample_number, peak_rss;
    struct gpu_sample before;
    bool before_known, waited;
    uint64_t peak_used[GPU_MAX];
    double hottest[GPU_MAX];
};

struct trial_watch *trial_watch_create(const struct gpu_roots *roots) {
    struct trial_watch *watch = mem_alloc(sizeof *watch);
    rapl_init(&watch->rapl, roots ? roots->sysfs : NULL);
    watch->sampler = sampler_start(roots, SAMPLE_EVERY_MS);
    return watch;
}

void trial_watch_destroy(struct trial_watch *watch) {
    if (!watch)
        return;
    sampler_stop(watch->sampler);
    rapl_fini(&watch->rapl);
    mem_free(watch);
}

static bool latest(struct trial_watch *watch, struct gpu_sample *out) {
    return watch->sampler && sampler_latest(watch->sampler, out);
}

void trial_watch_begin(struct trial_watch *watch) {
    if (!watch->waited && watch->sampler)
        sampler_wait(watch->sampler, DRIVERS_MS);
    watch->waited = true;
    watch->before_known = latest(watch, &watch->before);
    watch->sample_number = watch->before_known ? watch->before.number : 0;
    memset(watch->phases, 0, sizeof watch->phases);
    watch->group = (struct process_group){0};
    watch->now = WATCH_ELSE;
    watch->since_us = 0;
    watch->cpu_ms = watch->machine_ms = -1;
    watch->members_us = 0;
    watch->peak_rss = 0;
    for (size_t i = 0; i < GPU_MAX; i++) {
        watch->peak_used[i] = 0;
        watch->hottest[i] = NAN;
    }
}

void trial_watch_engine(struct trial_watch *watch, pid_t group) { watch->group.group = group; }

static int64_t look_at_processes(struct trial_watch *watch, int64_t now_us) {
    struct process_usage usage;
    if (watch->group.group <= 0)
        return -1;
    if (watch->group.count == 0 || now_us - watch->members_us > MEMBERS_US) {
        process_group_find(&watch->group, watch->group.group);
        watch->members_us = now_us;
    }
    if (!process_group_usage(&watch->group, &usage))
        return -1;
    if (usage.rss_bytes > watch->peak_rss)
        watch->peak_rss = usage.rss_bytes;
    return usage.cpu_ms;
}

// What was used since the last look belongs to the phase that went on.
static void account(struct trial_watch *watch, int64_t now_us) {
    struct phase *phase = &watch->phases[watch->now];
    double joules;
    int64_t cpu_ms = look_at_processes(watch, now_us), machine_ms = -1;
    if (!process_machine_cpu_ms(&machine_ms))
        machine_ms = -1;
    bool joules_known = rapl_joules(&watch->rapl, &joules);
    if (watch->since_us > 0) {
        int64_t took_us = now_us - watch->since_us;
        phase->us += took_us;
        if (watch->cpu_ms >= 0 && cpu_ms >= watch->cpu_ms) {
            phase->cpu_ms += cpu_ms - watch->cpu_ms;
            phase->cpu_us += took_us;
            phase->machine_known = machine_ms >= 0 && watch->machine_ms >= 0;
            phase->machine_ms += phase->machine_known ? machine_ms - watch->machine_ms : 0;
        }
        phase->joules_known = joules_known;
        phase->joules += joules_known ? joules : 0;
    }
    watch->cpu_ms = cpu_ms;
    watch->machine_ms = machine_ms;
    watch->since_us = now_us;
}

static void add(struct mean *mean, double value) {
    if (isnan(value))
        return;
    mean->sum += value;
    mean->count++;
}

static void look_at_gpus(struct trial_watch *watch, int64_t now_us) {
    struct gpu_sample sample;
    if (!latest(watch, &sample) || sample.number == watch->sample_number)
        return;
    watch->sample_number = sample.number;
    struct phase *phase = &watch->phases[watch->now];
    int64_t age_us = now_us - watch->phase_began_us;
    for (size_t i = 0; i < sample.count; i++) {
        const struct gpu_reading *reading = &sample.reading[i];
        if (reading->used_bytes != GPU_UNKNOWN && reading->used_bytes > watch->peak_used[i])
            watch->peak_used[i] = reading->used_bytes;
        watch->hottest[i] = fmax(watch->hottest[i], reading->temperature_c);
        if (age_us < DROP_US)
            continue;
        bool is_early = age_us < SETTLE_US;
        add(is_early ? &phase->early[i].utilisation : &phase->settled[i].utilisation,
            reading->utilisation);
        add(is_early ? &phase->early[i].power : &phase->settled[i].power, reading->power_w);
    }
}

void trial_watch_tick(struct trial_watch *watch, int64_t now_us) {
    look_at_gpus(watch, now_us);
    account(watch, now_us);
}

void trial_watch_phase(struct trial_watch *watch, enum trial_watch_phase phase, int64_t now_us) {
    account(watch, now_us);
    watch->now = phase;
    watch->phase_began_us = now_us;
}

static double value_of(const struct mean *mean) {
    return mean->count ? mean->sum / mean->count : NAN;
}

static double best_of(const struct mean *settled, const struct mean *early) {
    return value_of(settled->count ? settled : early);
}

static struct trial_load load_of(const struct phase *phase, size_t gpus) {
    struct trial_load load = {.seconds = (double)phase->us / 1e6};
    struct mean utilisation = {0}, power = {0};
    for (size_t i = 0; i < gpus; i++) {
        add(&utilisation, best_of(&phase->settled[i].utilisation, &phase->early[i].utilisation));
        add(&power, best_of(&phase->settled[i].power, &phase->early[i].power));
    }
    load.utilisation = value_of(&utilisation);
    load.power_w = power.count ? power.sum : NAN;
    load.cpu_cores = phase->cpu_us > 0 ? (double)phase->cpu_ms * 1000 / (double)phase->cpu_us : NAN;
    if (phase->cpu_us > 0 && phase->machine_known)
        load.others_cores =
            fmax(0, (double)(phase->machine_ms - phase->cpu_ms) * 1000 / (double)phase->cpu_us);
    else
        load.others_cores = NAN;
    load.package_w = phase->joules_known && load.seconds > 0 ? phase->joules / load.seconds : NAN;
    return load;
}

static void name_devices(const struct gpu_sample *sample, const struct dialect *dialect,
                         struct trial_device *devices) {
    struct gpu_claim claims[GPU_MAX];
    size_t count = 0;
    int which[GPU_MAX];
    for (size_t i = 0; dialect && i < dialect->device_count && count < GPU_MAX; i++)
        claims[count++] =
            (struct gpu_claim){dialect->devices[i].name, dialect->devices[i].description,
                               dialect->devices[i].total_mib};
    gpu_match(sample->info, sample->count, claims, count, which);
    for (size_t i = 0; i < sample->count; i++)
        if (which[i] >= 0)
            snprintf(devices[i].engine_name, sizeof devices[i].engine_name, "%s",
                     claims[which[i]].name);
}

void trial_watch_report(struct trial_watch *watch, const struct dialect *dialect,
                        struct trial_result *result) {
    const struct gpu_sample *before = &watch->before;
    size_t count = watch->before_known ? before->count : 0;
    result->prefill = load_of(&watch->phases[WATCH_PREFILL], count);
    result->decode = load_of(&watch->phases[WATCH_DECODE], count);
    result->peak_rss_bytes = watch->peak_rss;
    result->device_count = count;
    for (size_t i = 0; i < count; i++) {
        uint64_t used = before->reading[i].used_bytes;
        struct trial_device *device = &result->devices[i];
        *device = (struct trial_device){.total_bytes = before->info[i].total_bytes,
                                        .temperature_c = watch->hottest[i]};
        snprintf(device->name, sizeof device->name, "%s", before->info[i].name);
        if (used == GPU_UNKNOWN)
            continue;
        device->others_bytes = used;
        if (watch->peak_used[i] > used)
            device->memory_bytes = watch->peak_used[i] - used;
    }
    if (count)
        name_devices(before, dialect, result->devices);
}
