#include "base/mem.h"
#include "config_private.h"
#include "plan/draft.h"
#include "preset_launch.h"
#include "reader.h"

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

static void check_draft(struct config *config, const struct preset *preset,
                        const struct model *model) {
    struct err err = {0};
    char why[200] = "";
    if (!preset->draft || strcmp(preset->draft, "auto") == 0)
        return;
    struct gguf *draft = gguf_open(preset->draft, &err);
    if (!draft && err.code == ERR_SYSTEM)
        return; // not there: told by config_load already
    if (!draft)
        config_problem(config, CONFIG_ERROR, preset->draft_line, "draft: %s", err.text);
    else if (!draft_compatible(model->gguf, draft, why, sizeof why))
        config_problem(config, CONFIG_ERROR, preset->draft_line,
                       "draft = %s does not go with the model: %s", preset->draft, why);
    gguf_close(draft);
}

static void check_model(struct config *config, const struct preset *preset) {
    struct err err = {0};
    const char *type = NULL;
    struct model *model = model_open(preset->model, &err);
    if (!model) // the engine knows, or tells what is wrong with it
        return;
    enum gguf_type_family family = model_family(model, &type);
    if (dialect_probe(preset->engine_path, &err) && !reader_choose(config, preset, family)) {
        reader_refuse(preset->model, family, type, &err);
        config_problem(config, CONFIG_ERROR, preset->line, "%s", err.text);
    }
    check_draft(config, preset, model);
    model_close(model);
}

void config_check_models(struct config *config) {
    for (size_t i = 0; i < config->presets_count; i++)
        check_model(config, &config->presets[i]);
}
