#include "base/mem.h"
#include "config_private.h"
#include "preset_launch.h"

#include <string.h>

static unsigned line_of(const struct preset *preset, const char *flag) {
    for (size_t i = 0; i < preset->settings_count; i++)
        if (strcmp(preset->settings[i].flag, flag) == 0)
            return preset->settings[i].line;
    return preset->line;
}

static void check_preset(struct config *config, const struct preset *preset) {
    struct err err;
    const struct dialect *dialect = dialect_probe(preset->engine_path, &err);
    if (!dialect)
        return; // told by config_load already
    struct launch launch;
    preset_launch_try(preset, dialect, NULL, &launch);
    for (size_t i = 0; i < launch.problems.count; i++) {
        const struct problem *problem = &launch.problems.items[i];
        config_problem(config, problem->is_error ? CONFIG_ERROR : CONFIG_WARNING,
                       line_of(preset, problem->setting), "%s", problem->text);
    }
    launch_fini(&launch);
}

void config_check_engines(struct config *config) {
    for (size_t i = 0; i < config->presets_count; i++)
        check_preset(config, &config->presets[i]);
}
