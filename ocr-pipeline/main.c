// ocr-pipeline COMMAND ...: from photos of transformer nameplates to audited fields.
#include "commands.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"read", cmd_read, "read photos: files, folders, patterns"},
    {"serve", cmd_serve, "answer on 127.0.0.1:8091, as Google's Gemini API does"},
    {"tra", cmd_tra, "read a feeder's photos on a share, for schedulers"},
    {"alt", cmd_alt, "read a batch of poles from a file, for schedulers"},
    {"eval", cmd_eval, "how well are photos read whose truth is known? compares settings"},
    {"records", cmd_records, "import what the utility knows, to compare plates with"},
    {"doctor", cmd_doctor, "is everything there, and does it work?"},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static void usage(FILE *out) {
    fputs("usage: ocr-pipeline COMMAND [OPTIONS]\n\n"
          "Reads transformer nameplates on photos. Nothing leaves this machine.\n\n",
          out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
    fputs("\n  ocr-pipeline read photo.jpg\n"
          "  ocr-pipeline read photos/ --json --out results.jsonl\n\n"
          "Every command has --help and takes --config FILE (default ~/.config/ancalagon/ocr.ini,\n"
          "which need not be there).\n"
          "Exit codes: 0 done, 1 failed or in part, 2 usage, 3 config error, 4 set-up is missing,\n"
          "7 the disk is full.\n",
          out);
}

int command_fail(int status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("ocr-pipeline: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return status;
}

int command_status(const struct err *err) {
    return err->code == ERR_PEER ? EXIT_SHARE : err->code == ERR_FULL ? EXIT_FULL : EXIT_FAILED;
}

int command_share_status(enum share_fault fault) {
    switch (fault) {
    case SHARE_UNREACHABLE: return EXIT_SHARE;
    case SHARE_DENIED: return EXIT_DENIED;
    case SHARE_FOLDER_EMPTY: return EXIT_NOTHING;
    case SHARE_MISSING:
    case SHARE_FOLDER_MISSING: return EXIT_MISSING;
    case SHARE_SETUP: return EXIT_SETUP;
    default: return EXIT_FAILED;
    }
}

int command_options(int argc, char **argv, const struct option *options, const char *help,
                    bool (*take)(void *arg, int letter), void *arg) {
    int letter;
    opterr = 0;
    optind = 1;
    while ((letter = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        if (letter == 'h')
            return fputs(help, stdout) < 0 ? EXIT_FAILED : EXIT_DONE;
        if (letter == ':' || letter == '?' || !take(arg, letter))
            return command_fail(EXIT_USAGE, "%s %s; see: ocr-pipeline %s --help", argv[optind - 1],
                                letter == ':' ? "needs a value" : "is no option of this command",
                                argv[0]);
    }
    return -1;
}

struct config *command_config(const char *path, int *status) {
    struct err err = {0};
    struct config *config = config_load(path, &err);
    if (!config)
        *status = command_fail(EXIT_CONFIG, "%s", err.text);
    return config;
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "--help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        puts("ocr-pipeline " ANCALAGON_VERSION);
        return EXIT_DONE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        usage(argc > 1 ? stdout : stderr);
        return argc > 1 ? EXIT_DONE : EXIT_USAGE;
    }
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    return command_fail(EXIT_USAGE, "there is no command \"%s\"; see: ocr-pipeline --help", name);
}
