// hold: what ancalagon@PRESET.service runs. Loads the preset, is "active" for as long as it stays
// loaded, unloads it when the unit is stopped. So the unit tells the truth whoever switches:
// systemd, lmswitch, or a request.
#define _GNU_SOURCE
#include "base/mem.h"
#include "cli.h"
#include "control_client.h"
#include "format/json.h"
#include "format/sse.h"
#include "notify.h"
#include "systemctl.h"
#include "units.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: ancalagon hold PRESET [--config FILE]\n\n"
    "Loads PRESET and stays until it is no longer the loaded one. SIGTERM unloads it.\n"
    "This is what the unit ancalagon@PRESET.service runs (see: ancalagon setup).\n";

enum { MAX_EVENT = 4 << 20 };

struct hold {
    struct control *control;
    struct notify notify;
    struct signal_watch terminate, interrupt;
    struct sse events;
    char *preset;   // as given, then by its own name
    json_t *status; // the newest
    bool ready, stopping, asking, ended;
    int exit_status;
    struct err err;
};

static void end(struct hold *hold, int status) {
    if (!hold->ended)
        hold->exit_status = status;
    hold->ended = true;
    control_stop(hold->control);
}

static const json_t *entry_of(const struct hold *hold, const char *name) {
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(hold->status, "presets"), i,
                       entry) if (strcmp(json_get_text(entry, "name", ""), name) == 0) return entry;
    return NULL;
}

static const char *state_of(const struct hold *hold) {
    return json_get_text(entry_of(hold, hold->preset), "state", "off");
}

static bool is_up(const char *state) {
    return strcmp(state, "ready") == 0 || strcmp(state, "loading") == 0 ||
           strcmp(state, "stopping") == 0;
}

// An event may have been on its way since before we were ready, so a fresh answer decides.
static void on_status(void *arg, struct control_reply *reply, const struct err *why) {
    struct hold *hold = arg;
    hold->asking = false;
    if (why || !reply->json || hold->stopping)
        return; // if the server is gone the events end too
    json_decref(hold->status);
    hold->status = json_incref(reply->json);
    const char *state = state_of(hold);
    if (is_up(state))
        return;
    bool failed = strcmp(state, "failed") == 0;
    notify_status(&hold->notify, failed ? "%s failed: %s" : "%s is no longer loaded", hold->preset,
                  json_get_text(entry_of(hold, hold->preset), "error", ""));
    end(hold, failed ? EXIT_FAILED : EXIT_DONE);
}

static void on_event(void *arg, const struct sse_event *event) {
    struct hold *hold = arg;
    json_t *status = json_parse(event->data.data, event->data.length, 0, 0, NULL);
    if (!json_is_object(status)) {
        json_decref(status);
        return;
    }
    json_decref(hold->status);
    hold->status = status;
    if (!hold->ready || hold->stopping || hold->asking || is_up(state_of(hold)))
        return;
    // A server that cannot be asked any more is going: then the events end, too.
    hold->asking =
        control_start(hold->control, "GET", "/status", NULL, NULL, on_status, hold, &hold->err);
}

static void on_event_bytes(void *arg, const char *bytes, size_t length) {
    struct hold *hold = arg;
    sse_feed(&hold->events, bytes, length);
}

static void on_events_end(void *arg, struct control_reply *reply, const struct err *why) {
    struct hold *hold = arg;
    if (hold->stopping) { // the server goes too, and takes the engine with it
        end(hold, EXIT_DONE);
        return;
    }
    end(hold, cli_fail(EXIT_FAILED, "the server went away; %s is not loaded", hold->preset));
}

static void on_switched(void *arg, struct control_reply *reply, const struct err *why) {
    struct hold *hold = arg;
    if (hold->stopping)
        return;
    if (why) {
        end(hold, cli_fail_control(why));
    } else if (reply->status >= 400) {
        notify_status(&hold->notify, "%s", control_reply_error(reply));
        end(hold,
            cli_fail(EXIT_FAILED, "cannot load %s: %s", hold->preset, control_reply_error(reply)));
    } else {
        char *name = mem_strdup(json_get_text(reply->json, "preset", hold->preset));
        mem_free(hold->preset);
        hold->preset = name;
        hold->ready = true;
        notify_status(&hold->notify, "%s is loaded", hold->preset);
        notify_ready(&hold->notify);
    }
}

static void on_off(void *arg, struct control_reply *reply, const struct err *why) {
    end(arg, EXIT_DONE); // unloaded, or the server is gone and the engine with it
}

static bool names_rival(const struct hold *hold, const char *unit, size_t length) {
    static const char prefix[] = "ancalagon@", suffix[] = ".service";
    if (length <= strlen(prefix) + strlen(suffix) || strncmp(unit, prefix, strlen(prefix)) != 0)
        return false;
    char *instance = mem_strndup(unit + strlen(prefix), length - strlen(prefix) - strlen(suffix));
    char *name = units_instance_name(instance);
    const char *ours = json_get_text(entry_of(hold, hold->preset), "group", "");
    const char *theirs = json_get_text(entry_of(hold, name), "group", "?");
    bool rival = strcmp(name, hold->preset) != 0 && strcmp(ours, theirs) == 0;
    mem_free(name);
    mem_free(instance);
    return rival;
}

// Are we stopped because another preset's unit starts? Then unloading is part of its switch: the
// server drains us, and takes us back if the other cannot start, as it does for lmswitch.
// Lines of list-jobs: "  12 ancalagon@qwen36.service start waiting".
static bool rival_is_starting(const struct hold *hold) {
    struct buf jobs;
    buf_init(&jobs, 64 * 1024);
    bool found = false;
    if (systemctl_user((const char *const[]){"list-jobs", "--no-legend", "--plain", NULL}, &jobs) ==
        0) {
        for (const char *line = buf_text(&jobs); *line && !found;) {
            size_t length = strcspn(line, "\n");
            char *copy = mem_strndup(line, length);
            const char *unit = copy + strspn(copy, " 0123456789");
            size_t unit_length = strcspn(unit, " ");
            const char *type = unit + unit_length + strspn(unit + unit_length, " ");
            found = strncmp(type, "start ", 6) == 0 && names_rival(hold, unit, unit_length);
            mem_free(copy);
            line += length + (line[length] == '\n');
        }
    }
    buf_fini(&jobs);
    return found;
}

static void on_terminate(int signal, void *arg) {
    struct hold *hold = arg;
    if (hold->stopping)
        return;
    hold->stopping = true;
    notify_stopping(&hold->notify);
    if (rival_is_starting(hold)) {
        end(hold, EXIT_DONE);
        return;
    }
    json_t *json = json_build("{s:s}", "only", hold->preset);
    struct buf body;
    buf_init(&body, 4096);
    json_write(&body, json);
    json_decref(json);
    if (!control_start(hold->control, "POST", "/off", buf_text(&body), NULL, on_off, hold, NULL))
        end(hold, EXIT_DONE);
    buf_fini(&body);
}

static bool begin(struct hold *hold) {
    json_t *json = json_build("{s:s}", "preset", hold->preset);
    struct buf body;
    buf_init(&body, 4096);
    json_write(&body, json);
    json_decref(json);
    notify_status(&hold->notify, "loading %s", hold->preset);
    bool ok = control_start(hold->control, "GET", "/events", NULL, on_event_bytes, on_events_end,
                            hold, &hold->err) &&
              control_start(hold->control, "POST", "/switch", buf_text(&body), NULL, on_switched,
                            hold, &hold->err);
    buf_fini(&body);
    return ok;
}

int cmd_hold(int argc, char **argv) {
    struct cli cli;
    struct hold hold = {0};
    int status = cli_parse(&cli, argc, argv, 0, 1, 1, help);
    if (status >= 0)
        return status;
    if (!notify_init(&hold.notify, &hold.err))
        cli_fail(0, "%s", hold.err.text);
    hold.preset = units_instance_name(cli.args[0]);
    hold.control = control_open(cli.config, &hold.err);
    if (!hold.control) {
        status = cli_fail_control(&hold.err);
        goto out;
    }
    struct loop *loop = control_loop(hold.control);
    sse_init(&hold.events, MAX_EVENT, on_event, &hold);
    signal_watch_start(&hold.terminate, loop, SIGTERM, on_terminate, &hold);
    signal_watch_start(&hold.interrupt, loop, SIGINT, on_terminate, &hold);
    if (!begin(&hold))
        end(&hold, cli_fail_control(&hold.err));
    while (!hold.ended)
        control_run(hold.control);
    status = hold.exit_status;
    signal_watch_stop(&hold.terminate);
    signal_watch_stop(&hold.interrupt);
    sse_fini(&hold.events);
out:
    control_close(hold.control);
    notify_fini(&hold.notify);
    json_decref(hold.status);
    mem_free(hold.preset);
    return status;
}
