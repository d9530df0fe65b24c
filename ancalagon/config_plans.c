#include "base/mem.h"
#include "config_private.h"
#include "survey.h"

#include <string.h>
#include <unistd.h>

struct finding {
    struct config *config;
    const struct preset *preset;
};

static void note(void *arg, const char *text) {
    struct finding *finding = arg;
    config_problem(finding->config, CONFIG_WARNING, finding->preset->line, "%s", text);
}

void config_check_plans(struct config *config) {
    for (size_t i = 0; i < config->presets_count; i++) {
        const struct preset *preset = &config->presets[i];
        struct finding finding = {config, preset};
        struct decision decision;
        struct err err = {0};
        // What is missing has been told; what was only found lying there, nobody asked for.
        if (preset->is_scanned || access(preset->model, R_OK) != 0 ||
            access(preset->engine_path, X_OK) != 0)
            continue;
        if (!survey_decide(config, preset, true, note, &finding, &decision, &err))
            config_problem(config, CONFIG_ERROR, preset->line, "[%s] %s", preset->name, err.text);
    }
}
