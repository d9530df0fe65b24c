// ancalagon COMMAND ...; as lmswitch (a link to the same program) the short form of its daily use.
#include "base/path.h"
#include "commands.h"
#include "event/guardian.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help; // NULL: not listed
} commands[] = {
    {"serve", cmd_serve, "run the server in the foreground"},
    {"switch", cmd_switch, "load a preset (lmswitch NAME)"},
    {"off", cmd_off, "unload it (lmswitch off)"},
    {"sleep", cmd_sleep, NULL},
    {"status", cmd_status, "what is loaded, what waits"},
    {"list", cmd_list, "the presets"},
    {"logs", cmd_logs, "what the engine printed [-f]"},
    {"reload", cmd_reload, "read the presets file again"},
    {"stop", cmd_stop, "end the running server"},
    {"check-config", cmd_check_config, "find mistakes in the presets file"},
    {"plan", cmd_plan, "what memory a model takes, and what fits"},
    {"models", cmd_models, "what lies in the models folder, and what fits"},
    {"bench", cmd_bench, "how fast a preset is here, and what it takes"},
    {"tune", cmd_tune, "find the fastest settings of a preset, by measuring"},
    {"engines", cmd_engines, "what each llama-server build speaks"},
    {"aliases", cmd_aliases, "shell aliases, one a preset"},
    {"setup", cmd_setup, "run by itself: systemd user units"},
    {"private", cmd_private, "one model for the program that starts it"},
    {"hold", cmd_hold, NULL},
};

static void usage(FILE *out) {
    fputs("usage: ancalagon COMMAND [OPTIONS]\n\n"
          "Serves one local model at a time on one port, through llama-server.\n\n",
          out);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (commands[i].help)
            fprintf(out, "  %-14s %s\n", commands[i].name, commands[i].help);
    fputs("\nEvery command has --help and takes --config FILE (default\n"
          "~/.config/ancalagon/presets.ini), by which it finds the running server.\n"
          "Exit codes: 0 done, 1 failed, 2 usage, 3 config error, 4 no server, 5 server trouble.\n",
          out);
}

int main(int argc, char **argv) {
    const char *self = path_name(argv[0]);
    if (strcmp(self, "ancalagon-guard") == 0) // started by the server itself
        return guardian_run(argc > 1 ? argv[1] : NULL, argc > 2 ? argv[2] : NULL);
    if (strcmp(self, "lmswitch") == 0)
        return cmd_lmswitch(argc, argv);
    const char *name = argc > 1 ? argv[1] : "--help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        puts("ancalagon " ANCALAGON_VERSION);
        return 0;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        usage(argc > 1 ? stdout : stderr);
        return argc > 1 ? 0 : 2;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "ancalagon: there is no command \"%s\"; see: ancalagon --help\n", name);
    return 2;
}
