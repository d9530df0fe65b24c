// reload and stop: the two commands that are about the server itself.
#define _GNU_SOURCE
#include "base/mem.h"
#include "base/progress.h"
#include "cli.h"
#include "control_client.h"
#include "event/tie.h"
#include "format/json.h"
#include "units.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char reload_help[] =
    "usage: ancalagon reload [--json] [--config FILE]\n\n"
    "The running server reads its presets file again. Engines whose preset did not change keep\n"
    "running. With mistakes in the file nothing changes (exit 3).\n";

static const char stop_help[] =
    "usage: ancalagon stop [--config FILE]\n\n"
    "Ends the running server and its engines, and waits until it is gone.\n";

enum { RELOAD_MS = 60 * 1000, STOP_MS = 120 * 1000, DRAW_EVERY_MS = 100 };

int cmd_reload(int argc, char **argv) {
    struct cli cli;
    struct err err = {0};
    struct control_reply reply = {0};
    int status = cli_parse(&cli, argc, argv, CLI_JSON | CLI_NO_START, 0, 0, reload_help);
    if (status >= 0)
        return status;
    status = EXIT_DONE;
    struct control *control = control_open(cli.config, &err);
    if (!control || !control_ask(control, "POST", "/reload", "{}", RELOAD_MS, &reply, &err)) {
        status = cli_fail_control(&err);
    } else if (reply.status >= 400) {
        if (cli.json)
            cli_print_body(&reply.body);
        status = cli_fail(reply.status >= 500 ? EXIT_FAILED : EXIT_CONFIG, "nothing changed: %s",
                          control_reply_error(&reply));
    } else if (cli.json) {
        cli_print_body(&reply.body);
    } else {
        const char *waits = json_get_text(reply.json, "needs_restart", "");
        printf("reloaded: %lld presets\n", (long long)json_get_int(reply.json, "presets", 0));
        if (waits[0])
            printf("not yet in force: %s; that needs a restart of the server\n", waits);
    }
    control_reply_fini(&reply);
    control_close(control);
    return status;
}

// The pid is that of the process that listens on the control socket, by the kernel's word.
static int open_server(const struct control *control) {
    pid_t pid = control_server_pid(control);
    return pid > 0 ? tie_watch(pid) : -1;
}

static bool wait_for_end(int watch) {
    struct progress progress;
    progress_init(&progress, stdout);
    struct pollfd end = {.fd = watch, .events = POLLIN};
    int64_t began = loop_now_ms(), now = began;
    int found = 0;
    while (found <= 0 && now - began < STOP_MS) {
        found = poll(&end, 1, DRAW_EVERY_MS);
        now = loop_now_ms();
        if (found == 0)
            progress_draw(&progress, "stopping the server", now - began, 0);
    }
    progress_clear(&progress);
    return found > 0;
}

int cmd_stop(int argc, char **argv) {
    struct cli cli;
    struct err err = {0};
    int status = cli_parse(&cli, argc, argv, CLI_NO_START, 0, 0, stop_help);
    if (status >= 0)
        return status;
    struct control *control = control_open(cli.config, &err);
    if (!control)
        return cli_fail_control(&err);
    int pid = (int)control_server_pid(control), watch = open_server(control);
    if (watch < 0 || !tie_signal(watch, pid, SIGTERM)) {
        status = errno == ESRCH ? EXIT_DONE
                                : cli_fail(EXIT_FAILED, "cannot stop the server (pid %d): %s", pid,
                                           strerror(errno));
    } else if (!wait_for_end(watch)) {
        status = cli_fail(EXIT_FAILED, "the server (pid %d) has not ended after %d s", pid,
                          STOP_MS / 1000);
    } else {
        status = EXIT_DONE;
        puts("stopped");
        if (units_installed_for(control_config(control)))
            puts("The next request starts it again; to prevent that:\n"
                 "  systemctl --user stop ancalagon.socket");
    }
    if (watch >= 0)
        close(watch);
    control_close(control);
    return status;
}
