#define _GNU_SOURCE
#include "preset_launch.h"

#include "base/mem.h"

#include <unistd.h>

void preset_launch_init(struct launch_spec *spec, const struct preset *preset,
                        const struct dialect *dialect) {
    struct setting *settings = mem_alloc((preset->settings_count + 1) * sizeof *settings);
    size_t count = 0;
    for (; count < preset->settings_count; count++)
        settings[count] =
            (struct setting){preset->settings[count].flag, preset->settings[count].value};
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
                       struct launch *launch) {
    struct launch_spec spec;
    preset_launch_init(&spec, preset, dialect);
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
