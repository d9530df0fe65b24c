#include "plan_print.h"

#include "base/mem.h"
#include "base/path.h"
#include "format/json.h"
#include "plan_outcome.h"
#include "preset_plan.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define MIB (1024.0 * 1024.0)

static json_t *mib(uint64_t bytes) {
    return bytes == PLAN_UNKNOWN
               ? json_null()
               : json_real((double)(int64_t)((double)bytes / MIB * 100 + .5) / 100);
}

static json_t *part_json(const char *name, const char *kind, const struct plan_part *part,
                         uint64_t capacity) {
    return json_build("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", name, "kind", kind,
                      "weights_mib", mib(part->weights), "kv_mib", mib(part->kv), "state_mib",
                      mib(part->state), "compute_mib", mib(part->compute), "overhead_mib",
                      mib(part->overhead), "total_mib", mib(plan_total(part)), "capacity_mib",
                      mib(capacity));
}

static json_t *settings_json(const struct fit *fit, const struct plan_settings *s,
                             const struct plan *plan) {
    uint32_t all = fit->model->layers + 1;
    char k[16], v[16];
    return json_build("{s:I, s:I, s:b, s:I, s:I, s:I, s:I, s:s, s:s, s:b}", "ctx",
                      (json_int_t)plan->ctx_total, "parallel", (json_int_t)s->parallel,
                      "kv_unified", (int)s->unified, "batch", (json_int_t)s->batch, "ubatch",
                      (json_int_t)s->ubatch, "ngl",
                      (json_int_t)(fit->machine->devices == 0 ? 0
                                   : s->ngl > all             ? all
                                                              : s->ngl),
                      "n_cpu_moe", (json_int_t)(s->ncmoe == UINT32_MAX ? all - 1 : s->ncmoe),
                      "kv_k", plan_type_name(s->k, k), "kv_v", plan_type_name(s->v, v),
                      "flash_attn", (int)s->flash_attention);
}

static json_t *proposals_json(const struct fit *fit, const struct plan_outcome *outcome) {
    json_t *list = json_array();
    for (size_t i = 0; i < outcome->proposal_count; i++) {
        const struct fit_proposal *p = &outcome->proposals[i];
        json_t *one = settings_json(fit, &p->settings, &p->plan);
        json_object_set_new(one, "words", json_text(p->words));
        if (p->plan.devices)
            json_object_set_new(one, "device_mib", mib(plan_total(&p->plan.device[0])));
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *model_json(const struct model *m) {
    return json_build("{s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:I}", "path", m->path, "name",
                      m->name, "architecture", m->arch, "quantisation", model_quantisation(m),
                      "weights_mib", mib(model_weights_bytes(m)), "layers", (json_int_t)m->layers,
                      "ctx_train", (json_int_t)m->ctx_train, "experts", (json_int_t)m->experts,
                      "experts_used", (json_int_t)m->experts_used);
}

static json_t *seen_json(const struct plan_outcome *out) {
    const struct memory_seen *seen = &out->seen;
    json_t *parts = json_array();
    for (size_t i = 0; i < seen->parts; i++)
        json_array_append_new(parts,
                              json_build("{s:s, s:o, s:o}", "name", seen->part[i].name, "predicted",
                                         memory_sum_json(&seen->part[i].predicted), "measured",
                                         memory_sum_json(&seen->part[i].measured)));
    return json_build("{s:s, s:I, s:I, s:s, s:f, s:f, s:f, s:b, s:o}", "engine", seen->engine,
                      "when", (json_int_t)seen->when, "ctx", (json_int_t)seen->ctx, "worst",
                      seen->worst, "predicted_mib", seen->predicted, "measured_mib", seen->measured,
                      "difference_percent", memory_seen_difference(seen) * 100, "differs",
                      memory_seen_differs(seen), "parts", parts);
}

// Why it would not run, or should not; "" when nothing is against it.
static const char *reason(const struct plan_outcome *out) {
    return out->says[0] ? out->says : out->plan.reason;
}

static bool fits(const struct plan_outcome *out) { return out->plan.fits && !out->says[0]; }

void plan_print_json(const struct plan_outcome *out) {
    const struct plan *plan = &out->plan;
    const struct fit *fit = &out->fit;
    json_t *devices = json_array();
    for (size_t i = 0; i < plan->devices; i++)
        json_array_append_new(devices,
                              part_json(fit->machine->device[i].name,
                                        plan_kind_name(fit->machine->device[i].kind),
                                        &plan->device[i], fit->machine->device[i].capacity_bytes));
    char nearest[160] = "";
    if (!plan->fits)
        fit_nearest(fit, nearest, sizeof nearest);
    json_t *all = json_build(
        "{s:o, s:o, s:I, s:I, s:o, s:o, s:b, s:b, s:s, s:s, s:b, s:O, s:o}", "model",
        model_json(fit->model), "settings", settings_json(fit, &fit->settings, plan), "ctx",
        (json_int_t)plan->ctx_total, "ctx_slot", (json_int_t)plan->ctx_slot, "devices", devices,
        "host", part_json("host", "cpu", &plan->host, fit->machine->ram_bytes), "fits",
        (int)fits(out), "runs", (int)out->runs, "reason", reason(out), "nearest", nearest,
        "estimated", (int)plan->estimated, "notes", out->notes, "proposals",
        proposals_json(fit, out));
    if (out->has_seen)
        json_object_set_new(all, "measured", seen_json(out));
    json_dumpf(all, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
    putchar('\n');
    json_decref(all);
}

static void print_part(const char *name, const struct plan_part *part, uint64_t capacity) {
    printf("%-12s %8.0f %8.0f %7.0f %8.0f %7.0f %8.0f", name, (double)part->weights / MIB,
           (double)part->kv / MIB, (double)part->state / MIB, (double)part->compute / MIB,
           (double)part->overhead / MIB, (double)plan_total(part) / MIB);
    if (capacity != PLAN_UNKNOWN)
        printf("  of %.0f", (double)capacity / MIB);
    putchar('\n');
}

static void print_settings(const struct fit *fit, const struct plan *plan) {
    const struct plan_settings *s = &fit->settings;
    printf("%s, %s, %.1f GB, trained for %u tokens", fit->model->arch,
           model_quantisation(fit->model), (double)model_weights_bytes(fit->model) / 1e9,
           fit->model->ctx_train);
    if (fit->model->experts)
        printf(", %u experts (%u at a time)", fit->model->experts, fit->model->experts_used);
    printf("\ncontext %u tokens", plan->ctx_total);
    if (s->parallel > 1)
        printf(s->unified ? ", shared by %u slots" : ", in %u slots", s->parallel);
    char k[16], v[16];
    printf(", KV cache %s%s%s", plan_type_name(s->k, k), s->k == s->v ? "" : " / ",
           s->k == s->v ? "" : plan_type_name(s->v, v));
    if (fit->machine->devices && fit->model->experts && s->ncmoe)
        printf(", experts of %u layers on the CPU", s->ncmoe);
    if (fit->machine->devices)
        printf(", %u of %u layers on devices", plan->layers_offloaded, fit->model->layers);
    puts("\n");
}

static void print_section(const struct fit *fit, const struct fit_proposal *p) {
    uint32_t all = fit->model->layers + 1;
    struct err err = {0};
    char *path = path_absolute(fit->model->path, &err), type[16];
    printf("\nFor presets.ini:\n[mymodel]\nmodel = %s\nctx = %u\nkv = %s\nparallel = %u\n",
           path ? path : fit->model->path, p->plan.ctx_total, plan_type_name(p->settings.k, type),
           p->settings.parallel);
    if (fit->machine->devices)
        printf("gpu-layers = %u\n", p->settings.ngl > all ? all : p->settings.ngl);
    if (p->settings.ncmoe)
        printf("n-cpu-moe = %u\n", p->settings.ncmoe);
    mem_free(path);
}

static void print_proposals(const struct plan_outcome *out) {
    const struct fit *fit = &out->fit;
    if (out->proposal_count == 0)
        return;
    puts("\nWhat fits, the recommended one first (one slot):");
    printf("  %9s  %-5s %6s  device MiB\n", "context", "KV", "on CPU");
    for (size_t i = 0; i < out->proposal_count; i++) {
        const struct fit_proposal *p = &out->proposals[i];
        char type[16];
        uint32_t all = fit->model->layers + 1;
        uint32_t cpu = p->settings.ncmoe           ? p->settings.ncmoe
                       : p->settings.ngl > all - 1 ? 0
                                                   : all - p->settings.ngl;
        double device = p->plan.devices ? (double)plan_total(&p->plan.device[0]) / MIB : 0;
        printf("%s %9u  %-5s %6u %10.0f  %s\n", i ? " " : "*", p->plan.ctx_total,
               plan_type_name(p->settings.k, type),
               fit->machine->devices ? cpu : fit->model->layers, device, p->words);
    }
    print_section(fit, &out->proposals[0]);
}

static void print_verdict(const struct plan_outcome *out) {
    char nearest[160] = "";
    if (fits(out)) {
        puts("\nIt fits.");
        return;
    }
    if (!out->plan.fits && !out->says[0])
        fit_nearest(&out->fit, nearest, sizeof nearest);
    if (out->runs)
        printf("\nToo tight to promise: %s.\nThe server starts it all the same: the settings are "
               "yours.\n",
               reason(out));
    else
        printf("\nIt does not %s: %s.\n", out->says[0] ? "work" : "fit", reason(out));
    if (*nearest)
        printf("What would: %s.\n", nearest);
}

static void print_seen(const struct plan_outcome *out) {
    const struct memory_seen *seen = &out->seen;
    char day[32] = "";
    time_t when = (time_t)seen->when;
    struct tm local;
    if (!out->has_seen)
        return;
    if (localtime_r(&when, &local))
        strftime(day, sizeof day, "%Y-%m-%d", &local);
    printf("\nlast measured %s, context %u, engine %s:\n", day, seen->ctx, seen->engine);
    for (size_t i = 0; i < seen->parts; i++) {
        const struct memory_sum *p = &seen->part[i].predicted, *m = &seen->part[i].measured;
        printf("%-12s %8.0f %8.0f %7.0f %8.0f                   planned %.0f MiB\n",
               seen->part[i].name, m->weights_mib, m->kv_mib, m->state_mib, m->compute_mib,
               p->weights_mib + p->kv_mib + p->state_mib + p->compute_mib);
    }
    printf("furthest off: %s, planned %.0f MiB, measured %.0f (%+.1f %%)%s\n", seen->worst,
           seen->predicted, seen->measured, memory_seen_difference(seen) * 100,
           memory_seen_differs(seen) ? ": it differs" : "");
}

void plan_print_text(const struct plan_outcome *out) {
    const struct plan *plan = &out->plan;
    const struct fit *fit = &out->fit;
    print_settings(fit, plan);
    printf("%-12s %8s %8s %7s %8s %7s %8s  MiB\n", "", "weights", "KV", "state", "compute",
           "driver", "total");
    for (size_t i = 0; i < plan->devices; i++)
        print_part(fit->machine->device[i].name, &plan->device[i],
                   fit->machine->device[i].capacity_bytes);
    print_part("host", &plan->host, fit->machine->ram_bytes);
    print_verdict(out);
    size_t i;
    json_t *note;
    json_array_foreach(out->notes, i, note) printf("Note: %s.\n", json_string_value(note));
    print_seen(out);
    print_proposals(out);
}
