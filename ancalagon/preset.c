#include "preset.h"

#include "base/mem.h"

#include <string.h>

const char *preset_get(const struct preset *preset, const char *flag) {
    for (size_t i = 0; i < preset->settings_count; i++)
        if (strcmp(preset->settings[i].flag, flag) == 0)
            return preset->settings[i].value;
    return NULL;
}

// Flags are unique within a preset, so equal counts and every one found means equal sets.
bool preset_same_engine(const struct preset *a, const struct preset *b) {
    if (strcmp(a->engine_path, b->engine_path) != 0 || strcmp(a->model, b->model) != 0 ||
        a->plan != b->plan || a->settings_count != b->settings_count ||
        strcmp(a->draft ? a->draft : "", b->draft ? b->draft : "") != 0)
        return false;
    for (size_t i = 0; i < a->settings_count; i++) {
        const char *other = preset_get(b, a->settings[i].flag);
        if (!other || strcmp(other, a->settings[i].value) != 0)
            return false;
    }
    return true;
}

void preset_fini(struct preset *preset) {
    for (char **alias = preset->aliases; alias && *alias; alias++)
        mem_free(*alias);
    for (size_t i = 0; i < preset->settings_count; i++) {
        mem_free(preset->settings[i].flag);
        mem_free(preset->settings[i].value);
    }
    mem_free(preset->aliases);
    mem_free(preset->settings);
    mem_free(preset->name);
    mem_free(preset->description);
    mem_free(preset->group);
    mem_free(preset->engine);
    mem_free(preset->engine_path);
    mem_free(preset->model);
    mem_free(preset->draft);
    *preset = (struct preset){0};
}
