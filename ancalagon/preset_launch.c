#define _GNU_SOURCE
#include "preset_launch.h"

#include "base/mem.h"
#include "base/system.h"

#include <string.h>
#include <unistd.h>

static bool is_decided(const struct decision *decision, const char *flag) {
    for (size_t i = 0; decision && i < decision->count; i++)
        if (strcmp(decision->settings[i].flag, flag) == 0)
            return true;
    return false;
}

void preset_launch_init(struct launch_spec *spec, const struct preset *preset,
                        const struct dialect *dialect, const struct decision *decision) {
    size_t room = preset->settings_count + DECISION_SETTINGS_MAX + DRAFT_SETTINGS_MAX + 1;
    size_t count = 0;
    struct setting *settings = mem_alloc(room * sizeof *settings);
    for (size_t i = 0; i < preset->settings_count; i++) {
        const struct preset_setting *from = &preset->settings[i];
        if (!is_decided(decision, from->flag) && !decision_is_open(from->flag, from->value))
            settings[count++] = (struct setting){from->flag, from->value};
    }
    for (size_t i = 0; decision && i < decision->count; i++)
        settings[count++] =
            (struct setting){decision->settings[i].flag, decision->settings[i].value};
    if (decision)
        count += draft_choice_settings(&decision->draft, dialect, settings + count);
    if (!preset_get(preset, "alias")) // else answers would name the model by its path
        settings[count++] = (struct setting){"alias", preset->name};
    *spec = (struct launch_spec){.dialect = dialect,
                                 .model = preset->model,
                                 .settings = settings,
                                 .setting_count = count,
                                 .environment = environ};
}

void preset_launch_fini(struct launch_spec *spec) {
    mem_free((void *)spec->settings);
    spec->settings = NULL;
}

bool preset_launch_try(const struct preset *preset, const struct dialect *dialect,
                       const struct decision *decision, struct launch *launch) {
    struct launch_spec spec;
    preset_launch_init(&spec, preset, dialect, decision);
    spec.socket = dialect->unix_socket ? "e.sock" : NULL;
    spec.port = 1;
    spec.api_key = "-";
    bool ok = launch_build(&spec, launch);
    preset_launch_fini(&spec);
    return ok;
}

bool preset_launch_error(const struct problems *problems, struct err *err) {
    for (size_t i = 0; i < problems->count; i++)
        if (problems->items[i].is_error)
            return err_set(err, ERR_INVALID, "%s", problems->items[i].text);
    return err_set(err, ERR_INVALID, "the engine cannot do what the preset asks");
}
