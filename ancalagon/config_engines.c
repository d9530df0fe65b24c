#include "base/mem.h"
#include "config_private.h"
#include "decision.h"
#include "preset_launch.h"

#include <string.h>
#include <unistd.h>

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

static void check_model(struct config *config, const struct preset *preset) {
    const char *const paths[MODEL_FILES] = {preset->model, NULL, NULL};
    struct model_files files = {0};
    struct err err = {0};
    model_files_read(&files, paths);
    if (dialect_probe(preset->engine_path, &err) && !decision_engine(config, preset, &files, &err))
        config_problem(config, CONFIG_ERROR, preset->line, "%s", err.text);
    bool named = preset->draft && strcmp(preset->draft, "auto") != 0;
    if (named && access(preset->draft, R_OK) == 0) { // else told by config_load already
        draft_files_read(&files.drafts, preset->draft, config->models_dirs,
                         files.file[MODEL_FILE_MODEL].model);
        if (files.drafts.err.code != ERR_NONE)
            config_problem(config, CONFIG_ERROR, preset->draft_line, "draft: %s",
                           files.drafts.err.text);
    }
    model_files_fini(&files);
}

void config_check_models(struct config *config) {
    for (size_t i = 0; i < config->presets_count; i++)
        check_model(config, &config->presets[i]);
}
