// switch, off, sleep, and lmswitch, which is them by their daily name.
#include "act.h"
#include "base/mem.h"
#include "base/progress.h"
#include "cli.h"
#include "format/json.h"
#include "ssh.h"
#include "systemctl.h"
#include "units.h"

#include <stdio.h>
#include <string.h>

static const char switch_help[] =
    "usage: ancalagon switch PRESET [--json] [--no-start] [--host user@box] [--config FILE]\n\n"
    "Loads PRESET (a name or an alias) and waits until it answers. What is loaded in the same\n"
    "group finishes its requests and is unloaded first; if PRESET cannot start, it comes back.\n\n"
    "  --json             {\"preset\":..,\"state\":\"ready\",\"ms\":..} in place of words\n"
    "  --no-start         do not start the service when the server is down (see: setup)\n"
    "  --host user@box    do it on that machine, over ssh\n"
    "  --config FILE      the presets file whose server is meant\n\n"
    "Ctrl-C stops the waiting, not the switch. Exit: 0 ready, 1 could not, 4 no server runs.\n";

static const char off_help[] =
    "usage: ancalagon off [--json] [--host user@box] [--config FILE]\n\n"
    "Lets running requests finish, then unloads the engine: the memory is free. The next request\n"
    "loads a preset again. `sleep` is the same.\n";

static const char lmswitch_help[] =
    "usage: lmswitch PRESET | off | sleep | status | list | logs [-f] [PRESET]\n\n"
    "  lmswitch coder       load the preset coder and wait until it answers\n"
    "  lmswitch off         unload; the next request loads again (sleep is the same)\n"
    "  lmswitch status      what is loaded, what waits\n"
    "  lmswitch list        the presets\n"
    "  lmswitch logs -f     what the engine prints, as it comes\n\n"
    "  --host user@box      all this on another machine, over ssh\n"
    "  --json               for programs\n"
    "  --no-start           do not start the service when the server is down\n"
    "  --config FILE        presets file (default ~/.config/ancalagon/presets.ini)\n\n"
    "Exit: 0 done, 1 failed, 2 usage, 3 config error, 4 no server, 5 server trouble, 130 Ctrl-C.\n";

// With the units of `ancalagon setup` in place the server comes when it is called.
static struct control *open_or_start(const struct cli *cli, struct err *err) {
    struct control *control = control_open(cli->config, err);
    if (control || err->code != ERR_NOTFOUND || cli->no_start)
        return control;
    char *config = control_config_path(cli->config, NULL);
    bool installed = config && units_installed_for(config);
    mem_free(config);
    if (!installed)
        return NULL;
    fprintf(stderr, "starting ancalagon.service\n");
    if (systemctl_user((const char *const[]){"start", "ancalagon.service", NULL}, NULL) != 0) {
        err_set(err, ERR_NOTFOUND,
                "ancalagon.service could not be started; see: systemctl --user status ancalagon");
        return NULL;
    }
    return control_open(cli->config, err);
}

static int tell_failure(const struct cli *cli, const struct control_reply *reply,
                        const char *what) {
    if (cli->json)
        cli_print_body(&reply->body);
    return cli_fail(EXIT_FAILED, "%s: %s", what, control_reply_error(reply));
}

static void tell_ready(const struct cli *cli, const struct control_reply *reply,
                       const char *preset) {
    int64_t ms = json_get_int(reply->json, "ms", 0);
    const char *name = json_get_text(reply->json, "preset", preset);
    char took[32];
    progress_duration(took, sizeof took, ms);
    if (cli->json)
        cli_print_body(&reply->body);
    else if (ms == 0)
        printf("%s is ready\n", name);
    else
        printf("%s ready in %s\n", name, took);
}

static char *switch_body(const char *preset) {
    json_t *json = json_build("{s:s}", "preset", preset);
    struct buf text;
    buf_init(&text, 64 * 1024);
    if (json)
        json_write(&text, json);
    json_decref(json);
    return buf_take(&text, NULL);
}

static int do_switch(const struct cli *cli, const char *preset) {
    if (cli->host)
        return ssh_lmswitch(cli, (const char *const[]){preset, NULL}, NULL);
    struct err err = {0};
    struct control *control = open_or_start(cli, &err);
    if (!control)
        return cli_fail_control(&err);
    char label[128];
    snprintf(label, sizeof label, "switching to %s", preset);
    struct progress line;
    progress_init(&line, stdout);
    if (!line.shown && !cli->json) {
        puts(label);
        fflush(stdout);
    }
    char *body = switch_body(preset);
    struct act_result result;
    int status = EXIT_DONE;
    if (!act_run(control, "/switch", body, label, &result, &err)) {
        status = cli_fail_control(&err);
    } else if (result.interrupted) {
        status = cli_fail(EXIT_INTERRUPTED,
                          "not waiting any longer; the switch to %s goes on in the server "
                          "(see: lmswitch status)",
                          preset);
    } else if (result.reply.status >= 400) {
        char what[128];
        snprintf(what, sizeof what, "cannot load %s", preset);
        status = tell_failure(cli, &result.reply, what);
    } else {
        tell_ready(cli, &result.reply, preset);
    }
    act_result_fini(&result);
    mem_free(body);
    control_close(control);
    return status;
}

static int do_off(const struct cli *cli, const char *word) {
    if (cli->host)
        return ssh_lmswitch(cli, (const char *const[]){word, NULL}, NULL);
    struct err err = {0};
    struct control *control = control_open(cli->config, &err);
    if (!control)
        return cli_fail_control(&err);
    char target[16];
    snprintf(target, sizeof target, "/%s", word);
    struct act_result result;
    int status = EXIT_DONE;
    if (!act_run(control, target, "{}", "unloading", &result, &err))
        status = cli_fail_control(&err);
    else if (result.interrupted)
        status = cli_fail(EXIT_INTERRUPTED, "not waiting any longer; the server goes on unloading");
    else if (result.reply.status >= 400)
        status = tell_failure(cli, &result.reply, "cannot unload");
    else if (cli->json)
        cli_print_body(&result.reply.body);
    else
        puts("off: nothing is loaded");
    act_result_fini(&result);
    control_close(control);
    return status;
}

int cmd_switch(int argc, char **argv) {
    struct cli cli;
    int status = cli_parse(&cli, argc, argv, CLI_JSON | CLI_HOST | CLI_NO_START, 1, 1, switch_help);
    return status >= 0 ? status : do_switch(&cli, cli.args[0]);
}

int cmd_off(int argc, char **argv) {
    struct cli cli;
    int status = cli_parse(&cli, argc, argv, CLI_JSON | CLI_HOST | CLI_NO_START, 0, 0, off_help);
    return status >= 0 ? status : do_off(&cli, "off");
}

int cmd_sleep(int argc, char **argv) {
    struct cli cli;
    int status = cli_parse(&cli, argc, argv, CLI_JSON | CLI_HOST | CLI_NO_START, 0, 0, off_help);
    return status >= 0 ? status : do_off(&cli, "sleep");
}

int cmd_lmswitch(int argc, char **argv) {
    struct cli cli;
    unsigned options = CLI_JSON | CLI_HOST | CLI_NO_START | CLI_FOLLOW;
    char *program[] = {"lmswitch", NULL};
    argv[0] = program[0];
    cli_be("lmswitch");
    int status = cli_parse(&cli, argc, argv, options, 1, 2, lmswitch_help);
    if (status >= 0)
        return status;
    const char *word = cli.args[0];
    bool is_logs = strcmp(word, "logs") == 0;
    if (cli.arg_count == 2 && !is_logs)
        return cli_fail(EXIT_USAGE, "%s does not expect \"%s\"; see lmswitch --help", word,
                        cli.args[1]);
    if (cli.follow && !is_logs)
        return cli_fail(EXIT_USAGE, "only logs can be followed; see lmswitch --help");
    if (is_logs)
        return do_logs(&cli, cli.args[1]);
    if (strcmp(word, "status") == 0)
        return do_status(&cli);
    if (strcmp(word, "list") == 0)
        return do_list(&cli);
    if (strcmp(word, "off") == 0 || strcmp(word, "sleep") == 0)
        return do_off(&cli, word);
    return do_switch(&cli, word);
}
