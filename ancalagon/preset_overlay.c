#include "preset_overlay.h"

#include "base/mem.h"
#include "base/str.h"
#include "engine/settings.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

// One name for all spellings of a setting, so that preset and overlay meet. "no-mmap" is "mmap":
// the question counts, whatever the answer.
static const char *question(const char *name) {
    static const char *const short_names[][2] = {{"ctx", "ctx-size"}, {"n-parallel", "parallel"}};
    for (size_t i = 0; i < sizeof short_names / sizeof *short_names; i++)
        if (strcmp(short_names[i][0], name) == 0)
            return short_names[i][1];
    const struct setting_rule *rule = setting_rule_find(name);
    if (!rule && str_starts(name, "no-"))
        return question(name + strlen("no-"));
    return rule ? rule->name : name;
}

static void copy_fields(struct preset *out, const struct preset *preset, const char *engine_path) {
    size_t aliases = 0;
    while (preset->aliases[aliases])
        aliases++;
    *out = *preset;
    out->name = mem_strdup(preset->name);
    out->description = mem_strdup(preset->description);
    out->group = mem_strdup(preset->group);
    // A build that is told is that one, not one of those that could do it as well.
    out->engine = mem_strdup(engine_path ? engine_path : preset->engine);
    out->engine_path = mem_strdup(engine_path ? engine_path : preset->engine_path);
    out->model = mem_strdup(preset->model);
    out->draft = mem_strdup(preset->draft);
    out->aliases = mem_alloc((aliases + 1) * sizeof *out->aliases);
    for (size_t i = 0; i < aliases; i++)
        out->aliases[i] = mem_strdup(preset->aliases[i]);
    out->settings = NULL;
    out->settings_count = 0;
}

static void add(struct preset *out, const char *flag, const char *value, unsigned line) {
    out->settings[out->settings_count++] =
        (struct preset_setting){mem_strdup(flag), mem_strdup(value), line};
}

// Here "draft" is the preset's key of that name: NULL, "none", "auto" or a path.
static bool is_draft_key(const struct overlay *overlay) {
    return strcmp(overlay->setting, "draft") == 0;
}

static bool is_laid_over(const struct overlay *overlays, size_t count, const char *flag) {
    const char *asked = question(flag);
    bool is_cache_type = strcmp(asked, "cache-type-k") == 0 || strcmp(asked, "cache-type-v") == 0;
    for (size_t i = 0; i < count; i++)
        if ((strcmp(question(overlays[i].setting), asked) == 0 && !is_draft_key(&overlays[i])) ||
            (is_cache_type && strcmp(overlays[i].setting, "kv") == 0))
            return true;
    return false;
}

// The preset's draft key gives way to whatever is laid over that says what speculates.
static void lay_over_draft(struct preset *out, const struct overlay *overlays, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const char *name = question(overlays[i].setting), *value = overlays[i].value;
        if (!is_draft_key(&overlays[i]) && strcmp(name, "model-draft") != 0 &&
            strcmp(name, "spec-type") != 0)
            continue;
        mem_free(out->draft);
        out->draft = is_draft_key(&overlays[i]) && value && strcmp(value, "none") != 0
                         ? mem_strdup(value)
                         : NULL;
    }
}

static bool add_overlay(struct preset *out, const struct overlay *overlay, struct err *err) {
    const char *name = question(overlay->setting);
    char number[24];
    uint64_t size;
    const char *value = overlay->value;
    if (strcmp(name, "kv") == 0) {
        add(out, "cache-type-k", value, 0);
        add(out, "cache-type-v", value, 0);
        return true;
    }
    if (strcmp(name, "ctx-size") == 0 && strcmp(value, "max") != 0) {
        if (!str_to_size(value, &size) || size > INT_MAX)
            return err_set(err, ERR_INVALID, "ctx-size = %.40s is no number of tokens", value);
        snprintf(number, sizeof number, "%" PRIu64, size);
        value = number;
    }
    // A negative that is laid over keeps its own name; elsewhere presets know it as n-gpu-layers.
    bool is_negative = str_starts(overlay->setting, "no-");
    add(out,
        is_negative                       ? overlay->setting
        : strcmp(name, "gpu-layers") == 0 ? "n-gpu-layers"
                                          : name,
        value, 0);
    return true;
}

static void refresh_views(struct preset *out) {
    const char *ctx = preset_get(out, "ctx-size"), *slots = preset_get(out, "parallel");
    int64_t number;
    uint64_t size;
    out->ctx_tokens = ctx && str_to_size(ctx, &size) ? (int64_t)size : 0;
    out->kv_type = preset_get(out, "cache-type-k");
    out->parallel = slots && str_to_int(slots, -1, INT_MAX, &number) ? (int)number : -1;
}

bool preset_overlay(const struct preset *preset, const char *engine_path,
                    const struct overlay *overlays, size_t count, struct preset *out,
                    struct err *err) {
    copy_fields(out, preset, engine_path);
    out->settings = mem_alloc((preset->settings_count + 2 * count + 1) * sizeof *out->settings);
    for (size_t i = 0; i < preset->settings_count; i++) {
        const struct preset_setting *from = &preset->settings[i];
        if (!is_laid_over(overlays, count, from->flag))
            add(out, from->flag, from->value, from->line);
    }
    for (size_t i = 0; i < count; i++)
        if (overlays[i].value && !is_draft_key(&overlays[i]) &&
            !add_overlay(out, &overlays[i], err)) {
            preset_fini(out);
            return false;
        }
    lay_over_draft(out, overlays, count);
    refresh_views(out);
    return true;
}
