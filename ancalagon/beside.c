#include "beside.h"

#include "cli.h"
#include "control_client.h"
#include "format/json.h"
#include "preset.h"

#include <stdio.h>

enum { CONTROL_TIMEOUT_MS = 120 * 1000, UNLOADS_MAX = 16 };

static bool is_loaded(const json_t *status, char *name, size_t size) {
    size_t i;
    const json_t *preset;
    json_array_foreach(json_object_get(status, "presets"), i, preset) {
        if (json_get_int(preset, "engine_pid", 0) == 0)
            continue;
        snprintf(name, size, "%s", json_get_text(preset, "name", "?"));
        return true;
    }
    return false;
}

// Whether the server has an engine up; no server: none. EXIT_DONE, or why it cannot be told.
static int look(struct control *control, char *name, size_t size) {
    struct control_reply reply;
    struct err err;
    *name = '\0';
    if (!control_ask(control, "GET", "/status", NULL, 5000, &reply, &err))
        return cli_fail_control(&err);
    is_loaded(reply.json, name, size);
    control_reply_fini(&reply);
    return EXIT_DONE;
}

static int unload(struct control *control, const char *name) {
    struct control_reply reply;
    struct err err;
    fprintf(stderr, "unloading %s\n", name);
    if (!control_ask(control, "POST", "/off", "{}", CONTROL_TIMEOUT_MS, &reply, &err))
        return cli_fail_control(&err);
    int status = reply.status < 400 ? EXIT_DONE
                                    : cli_fail(EXIT_FAILED, "cannot unload %s: %s", name,
                                               control_reply_error(&reply));
    control_reply_fini(&reply);
    return status;
}

int beside_make_room(const char *config, bool may_unload) {
    struct err err;
    char name[PRESET_NAME_MAX + 1];
    struct control *control = control_open(config, &err);
    if (!control)
        return err.code == ERR_NOTFOUND ? EXIT_DONE : cli_fail_control(&err);
    int status = look(control, name, sizeof name);
    for (unsigned i = 0; status == EXIT_DONE && *name && may_unload && i < UNLOADS_MAX; i++) {
        status = unload(control, name); // one group at a time
        if (status == EXIT_DONE)
            status = look(control, name, sizeof name);
    }
    if (status == EXIT_DONE && *name)
        status = cli_fail(EXIT_FAILED,
                          "the server has %s loaded, which would falsify the figures and may not "
                          "leave room; unload it (lmswitch off), or give --unload",
                          name);
    control_close(control);
    return status;
}

void beside_warn(const char *config) {
    struct err err;
    char name[PRESET_NAME_MAX + 1];
    struct control *control = control_open(config, &err);
    if (control && look(control, name, sizeof name) == EXIT_DONE && *name)
        fprintf(stderr,
                "beware: a request made the server load %s meanwhile; the figures may be "
                "too low\n",
                name);
    control_close(control);
}
