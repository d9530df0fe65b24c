// aliases: one shell alias a preset, for here or for a machine reached by ssh.
#define _GNU_SOURCE
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli.h"
#include "config.h"
#include "control_client.h"
#include "format/json.h"
#include "short_name.h"
#include "ssh.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: ancalagon aliases [--host user@box | --for user@box] [--shell bash|zsh|fish]\n"
    "                         [--config FILE]\n\n"
    "Prints llcoder, llq36 ... (one a preset), lloff, llstatus and lllogs. In ~/.bashrc:\n"
    "  eval \"$(ancalagon aliases)\"\n\n"
    "  --host user@box    the presets of that machine, asked over ssh; the aliases act there\n"
    "  --for user@box     run on the box itself: aliases for a client that has only ssh\n"
    "  --shell NAME       whose syntax (default: from $SHELL)\n"
    "  --config FILE      presets file; with --host these presets, and nobody is asked\n\n"
    "The short name is the shortest alias of up to three characters, else the name without\n"
    "punctuation (a leading qwen is q).\n";

static const char *shell_name(const struct cli *cli) {
    const char *shell = cli->shell ? cli->shell : getenv("SHELL");
    return shell ? path_name(shell) : "sh";
}

// Unasked any other shell gets the plain form; by name only those that read it.
static bool knows_shell(const struct cli *cli) {
    static const char *const known[] = {"bash", "zsh", "fish", "sh", "dash", "ksh"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(shell_name(cli), known[i]) == 0)
            return true;
    return !cli->shell;
}

// The words are quoted for the shell that runs the alias, and that whole for the one that reads
// its definition.
static void print_alias(const struct cli *cli, const char *name, const char *const *words) {
    struct buf body, line;
    buf_init(&body, 64 * 1024);
    buf_init(&line, 256 * 1024);
    if (cli->for_host) {
        buf_adds(&body, "ssh -t -- ");
        ssh_quote(&body, cli->for_host);
        buf_adds(&body, " ");
        struct buf remote;
        buf_init(&remote, 64 * 1024);
        ssh_remote_command(&remote, words);
        ssh_quote(&body, buf_text(&remote));
        buf_fini(&remote);
    } else {
        buf_adds(&body, "lmswitch");
        if (cli->host) {
            buf_adds(&body, " --host ");
            ssh_quote(&body, cli->host);
        } else if (cli->config) {
            buf_adds(&body, " --config ");
            ssh_quote(&body, cli->config);
        }
        for (; *words; words++) {
            buf_adds(&body, " ");
            if (words[0][strspn(words[0], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789-_./")] == '\0')
                buf_adds(&body, words[0]);
            else
                ssh_quote(&body, words[0]);
        }
    }
    ssh_quote(&line, buf_text(&body));
    bool fish = strcmp(shell_name(cli), "fish") == 0;
    printf("alias %s%s%s\n", name, fish ? " " : "=", buf_text(&line));
    buf_fini(&line);
    buf_fini(&body);
}

static void print_all(const struct cli *cli, const json_t *presets) {
    size_t i;
    json_t *preset;
    struct short_names taken = {0};
    json_array_foreach(presets, i, preset) {
        const char *name = json_get_text(preset, "name", "");
        if (!*name)
            continue;
        char *alias = short_name_choose(&taken, name, json_object_get(preset, "aliases"));
        print_alias(cli, alias, (const char *const[]){name, NULL});
        mem_free(alias);
    }
    print_alias(cli, "lloff", (const char *const[]){"off", NULL});
    print_alias(cli, "llstatus", (const char *const[]){"status", NULL});
    print_alias(cli, "lllogs", (const char *const[]){"logs", "-f", NULL});
    short_names_fini(&taken);
}

static json_t *presets_here(const struct cli *cli, struct err *err) {
    struct config *config = config_load(cli->config, err);
    if (!config)
        return NULL;
    json_t *presets = json_array();
    for (size_t i = 0; i < config->presets_count; i++) {
        json_t *aliases = json_array();
        for (char **alias = config->presets[i].aliases; *alias; alias++)
            json_array_append_new(aliases, json_text(*alias));
        json_array_append_new(
            presets, json_build("{s:s, s:o}", "name", config->presets[i].name, "aliases", aliases));
    }
    config_destroy(config);
    return presets;
}

// NULL: said why, and set *status.
static json_t *presets_there(const struct cli *cli, int *status) {
    struct cli ask = *cli;
    ask.json = true;
    struct buf out;
    buf_init(&out, 4 << 20);
    *status = ssh_lmswitch(&ask, (const char *const[]){"list", NULL}, &out);
    json_t *json = *status == 0 ? json_parse(buf_bytes(&out), out.length, 0, 0, NULL) : NULL;
    if (*status == 0 && !json)
        *status = cli_fail(EXIT_UNREACHABLE, "%s did not answer with its presets", cli->host);
    buf_fini(&out);
    return json;
}

int cmd_aliases(int argc, char **argv) {
    struct cli cli;
    struct err err = {0};
    int status = cli_parse(&cli, argc, argv, CLI_HOST | CLI_FOR | CLI_SHELL, 0, 0, help);
    if (status >= 0)
        return status;
    if (cli.host && cli.for_host)
        return cli_fail(EXIT_USAGE, "--host and --for exclude each other");
    if (!knows_shell(&cli))
        return cli_fail(EXIT_USAGE, "--shell %s: write bash, zsh or fish", cli.shell);
    const char *host = cli.host ? cli.host : cli.for_host;
    if (host && (!*host || *host == '-'))
        return cli_fail(EXIT_USAGE, "\"%s\" is no host; write user@box", host);
    char *config = cli.config ? control_config_path(cli.config, NULL) : NULL;
    if (config)
        cli.config = config; // the alias is used in other folders
    json_t *presets = NULL;
    if (cli.host && !cli.config) {
        presets = presets_there(&cli, &status);
        if (!presets)
            goto out;
    } else {
        presets = presets_here(&cli, &err);
        if (!presets) {
            status = cli_fail(EXIT_CONFIG, "%s", err.text);
            goto out;
        }
    }
    print_all(&cli, json_is_object(presets) ? json_object_get(presets, "presets") : presets);
    status = EXIT_DONE;
out:
    json_decref(presets);
    mem_free(config);
    return status;
}
