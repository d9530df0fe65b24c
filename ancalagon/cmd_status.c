// status and list: what the server says, as a table or as it is.
#include "base/mem.h"
#include "base/progress.h"
#include "cli.h"
#include "config.h"
#include "control_client.h"
#include "format/json.h"
#include "ssh.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_MS = 10 * 1000 };

static const char status_help[] =
    "usage: ancalagon status [--json] [--host user@box] [--config FILE]\n\n"
    "What is loaded, what waits, and why the last load failed if it did.\n\n"
    "  --json             the server's own words: preset, state (off, loading, ready, stopping,\n"
    "                     failed), engine_pid, queued, requests, inflight, presets, queue ...\n"
    "  --host user@box    ask that machine, over ssh\n\n"
    "Exit: 0 the server answered, 4 none is running for this presets file.\n";

static const char list_help[] =
    "usage: ancalagon list [--json] [--host user@box] [--config FILE]\n\n"
    "The presets with their aliases and state. Works without a running server too.\n";

// Text of strangers (model names, engine errors) must not steer the terminal.
static void print_safe(const char *text) {
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        putchar(*p < 0x20 || *p == 0x7f ? ' ' : *p);
}

static void print_aliases(const json_t *preset) {
    size_t i;
    json_t *alias;
    const char *before = "";
    json_array_foreach(json_object_get(preset, "aliases"), i, alias) {
        if (!json_is_string(alias))
            continue;
        printf("%s%s", before, json_string_value(alias));
        before = ", ";
    }
}

static int widest(const json_t *presets) {
    size_t i, width = 6;
    json_t *preset;
    json_array_foreach(presets, i, preset) {
        size_t length = strlen(json_get_text(preset, "name", ""));
        if (length > width)
            width = length;
    }
    return (int)width;
}

static void print_presets(const json_t *presets) {
    size_t i;
    json_t *preset;
    int width = widest(presets);
    if (json_array_size(presets) == 0) {
        puts("no presets; put GGUF files into ~/models or write a presets file");
        return;
    }
    printf("%-*s  %-8s  %-8s  %s\n", width, "preset", "state", "group", "about");
    json_array_foreach(presets, i, preset) {
        const char *about = json_get_text(preset, "description", "");
        printf("%-*s  %-8s  %-8s  ", width, json_get_text(preset, "name", "?"),
               json_get_text(preset, "state", "-"), json_get_text(preset, "group", "-"));
        print_safe(about);
        if (json_array_size(json_object_get(preset, "aliases"))) {
            fputs(*about ? " (also: " : "(also: ", stdout);
            print_aliases(preset);
            putchar(')');
        }
        putchar('\n');
    }
}

static void print_queue(const json_t *queue) {
    size_t i;
    json_t *entry;
    json_array_foreach(queue, i, entry) {
        char waited[32], eta[32];
        progress_duration(waited, sizeof waited, json_get_int(entry, "waited_ms", 0));
        progress_duration(eta, sizeof eta, json_get_int(entry, "eta_ms", 0));
        printf("  %lld. %s for %s, since %s", (long long)json_get_int(entry, "position", 0),
               json_get_text(entry, "preset", "?"), json_get_text(entry, "client", "?"), waited);
        if (json_get_int(entry, "eta_ms", -1) >= 0)
            printf(", about %s to go", eta);
        putchar('\n');
    }
}

static void print_loading(const json_t *status) {
    const json_t *progress = json_object_get(status, "progress");
    char line[256], label[128];
    struct progress look;
    if (!json_is_object(progress))
        return;
    progress_init(&look, stdout);
    snprintf(label, sizeof label, "  loading %s", json_get_text(status, "preset", ""));
    progress_format(line, sizeof line, 78, look.blocks && isatty(STDOUT_FILENO), label,
                    json_get_int(progress, "elapsed_ms", 0),
                    json_get_int(progress, "expected_ms", 0));
    puts(line);
}

// "  speculation: 3 tokens ahead by NAME, 71 % right, 1.62 x" of the loaded preset.
static void print_speculation(const json_t *status) {
    size_t i;
    json_t *preset;
    const char *loaded = json_get_text(status, "preset", "");
    json_array_foreach(json_object_get(status, "presets"), i, preset) {
        const json_t *draft = json_object_get(preset, "draft");
        if (strcmp(json_get_text(preset, "name", ""), loaded) != 0 || !json_is_object(draft))
            continue;
        const char *path = json_get_text(draft, "draft", ""), *slash = strrchr(path, '/');
        const json_t *share = json_object_get(draft, "acceptance");
        const json_t *gain = json_object_get(draft, "gain");
        if (!json_get_bool(draft, "on", false)) {
            printf("  speculation: off%s", *json_get_text(draft, "why", "") ? ", " : "");
            print_safe(json_get_text(draft, "why", ""));
        } else {
            printf("  speculation: %lld tokens ahead by ",
                   (long long)json_get_int(draft, "tokens", 0));
            print_safe(strcmp(path, "mtp") == 0 ? "the model's own head"
                       : slash                  ? slash + 1
                                                : path);
            if (json_is_real(share))
                printf(", %.0f %% right", 100 * json_real_value(share));
            if (json_is_real(gain))
                printf(", %.2f x expected", json_real_value(gain));
        }
        putchar('\n');
    }
}

// "memory: planned 15622 MiB, measured 15601 (-0.1 %)" of the loaded preset.
static void print_memory(const json_t *presets, const char *name) {
    size_t i;
    json_t *preset;
    json_array_foreach(presets, i, preset) {
        const json_t *memory = json_object_get(preset, "memory");
        if (strcmp(json_get_text(preset, "name", ""), name) != 0 || !json_is_object(memory))
            continue;
        printf("memory: planned %.0f MiB, measured %.0f (%+.1f %%)%s\n",
               json_number_value(json_object_get(memory, "predicted_mib")),
               json_number_value(json_object_get(memory, "measured_mib")),
               json_number_value(json_object_get(memory, "difference_percent")),
               json_get_bool(memory, "differs", false) ? ": it differs; see ancalagon plan" : "");
    }
}

static void print_status(const json_t *status) {
    const char *preset = json_get_text(status, "preset", NULL);
    const char *error = json_get_text(status, "error", NULL);
    int64_t pid = json_get_int(status, "engine_pid", 0);
    char uptime[32];
    progress_duration(uptime, sizeof uptime, json_get_int(status, "uptime_s", 0) * 1000);
    printf("%s%s%s", preset ? preset : "", preset ? " " : "", json_get_text(status, "state", "?"));
    if (pid)
        printf("  engine pid %lld", (long long)pid);
    putchar('\n');
    print_loading(status);
    if (pid)
        print_speculation(status);
    if (error) {
        fputs("  why: ", stdout);
        print_safe(error);
        putchar('\n');
    }
    if (preset)
        print_memory(json_object_get(status, "presets"), preset);
    printf("requests: %lld so far, %lld running, %lld waiting\n",
           (long long)json_get_int(status, "requests", 0),
           (long long)json_get_int(status, "inflight", 0),
           (long long)json_get_int(status, "queued", 0));
    print_queue(json_object_get(status, "queue"));
    printf("server: http://%s  pid %lld  up %s  version %s\n\n",
           json_get_text(status, "listen", "?"), (long long)json_get_int(status, "pid", 0), uptime,
           json_get_text(status, "version", "?"));
    print_presets(json_object_get(status, "presets"));
}

static int check(const struct control_reply *reply) {
    if (reply->status >= 400)
        return cli_fail(EXIT_UNREACHABLE, "the server answered %u: %s", reply->status,
                        control_reply_error(reply));
    if (!reply->json)
        return cli_fail(EXIT_UNREACHABLE, "the server's answer is not JSON");
    return EXIT_DONE;
}

int do_status(const struct cli *cli) {
    if (cli->host)
        return ssh_lmswitch(cli, (const char *const[]){"status", NULL}, NULL);
    struct err err = {0};
    struct control_reply reply = {0};
    struct control *control = control_open(cli->config, &err);
    int status = EXIT_DONE;
    if (!control || !control_ask(control, "GET", "/status", NULL, ANSWER_MS, &reply, &err))
        status = cli_fail_control(&err);
    else if ((status = check(&reply)) != EXIT_DONE)
        ;
    else if (cli->json)
        cli_print_body(&reply.body);
    else
        print_status(reply.json);
    control_reply_fini(&reply);
    control_close(control);
    return status;
}

// The presets as the server would list them, from the file alone.
static json_t *presets_of_config(const struct config *config) {
    json_t *presets = json_array();
    for (size_t i = 0; i < config->presets_count; i++) {
        const struct preset *preset = &config->presets[i];
        json_t *aliases = json_array();
        for (char **alias = preset->aliases; *alias; alias++)
            json_array_append_new(aliases, json_text(*alias));
        json_array_append_new(presets, json_build("{s:s, s:o, s:s, s:s, s:s, s:s}", "name",
                                                  preset->name, "aliases", aliases, "description",
                                                  preset->description, "group", preset->group,
                                                  "state", "off", "model", preset->model));
    }
    return presets;
}

static int list_without_server(const struct cli *cli) {
    struct err err = {0};
    struct config *config = config_load(cli->config, &err);
    if (!config)
        return cli_fail(EXIT_CONFIG, "%s", err.text);
    json_t *presets = presets_of_config(config);
    if (cli->json) {
        json_dumpf(presets, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        print_presets(presets);
        puts("\nno server is running for this file; start it with: ancalagon serve");
    }
    json_decref(presets);
    config_destroy(config);
    return EXIT_DONE;
}

int do_list(const struct cli *cli) {
    if (cli->host)
        return ssh_lmswitch(cli, (const char *const[]){"list", NULL}, NULL);
    struct err err = {0};
    struct control_reply reply = {0};
    struct control *control = control_open(cli->config, &err);
    if (!control && err.code == ERR_NOTFOUND)
        return list_without_server(cli);
    int status = EXIT_DONE;
    if (!control || !control_ask(control, "GET", "/presets", NULL, ANSWER_MS, &reply, &err))
        status = cli_fail_control(&err);
    else if ((status = check(&reply)) != EXIT_DONE)
        ;
    else if (cli->json)
        cli_print_body(&reply.body);
    else
        print_presets(json_is_object(reply.json) ? json_object_get(reply.json, "presets")
                                                 : reply.json);
    control_reply_fini(&reply);
    control_close(control);
    return status;
}

int cmd_status(int argc, char **argv) {
    struct cli cli;
    int status = cli_parse(&cli, argc, argv, CLI_JSON | CLI_HOST | CLI_NO_START, 0, 0, status_help);
    return status >= 0 ? status : do_status(&cli);
}

int cmd_list(int argc, char **argv) {
    struct cli cli;
    int status = cli_parse(&cli, argc, argv, CLI_JSON | CLI_HOST | CLI_NO_START, 0, 0, list_help);
    return status >= 0 ? status : do_list(&cli);
}
