// ocr-pipeline tra FEEDER: all photos of a feeder's folder on a share, for schedulers. The work is
// read's; this says where the photos are, and tells three kinds of nothing apart.
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char help[] =
    "usage: ocr-pipeline tra FEEDER [--share NAME] [--config FILE] [OPTIONS of read]\n\n"
    "Reads all photos in the folder FEEDER of a share ([share NAME] path = FOLDER; NAME may be left\n"
    "out when there is one). Run again with the same --out it goes on where it was stopped.\n\n"
    "  ocr-pipeline tra alimentador-7 --csv --out /var/lib/ocr/alimentador-7.csv\n\n"
    "Exit codes: those of read; 5 the share does not answer, 6 it has no such folder, or no photo\n"
    "is in it.\n";

struct tra {
    const char *feeder, *share, *config_path;
    char **rest; // for read
    int count;
};

// -1: go on.
static int parse(struct tra *tra, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char **value = strcmp(argv[i], "--share") == 0    ? &tra->share
                             : strcmp(argv[i], "--config") == 0 ? &tra->config_path
                                                                : NULL;
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return fputs(help, stdout) < 0 ? EXIT_FAILED : EXIT_DONE;
        if (value && i + 1 == argc)
            return command_fail(EXIT_USAGE, "%s needs a value", argv[i]);
        if (value)
            *value = argv[++i];
        else if (argv[i][0] != '-' && !tra->feeder)
            tra->feeder = argv[i];
        else
            tra->rest[tra->count++] = argv[i];
    }
    return tra->feeder ? -1
                       : command_fail(EXIT_USAGE, "which feeder? See: ocr-pipeline tra --help");
}

static const struct share *find_share(const struct tra *tra, const struct config *config) {
    if (tra->share)
        return config_share(config, tra->share);
    return config->share_count == 1 ? &config->shares[0] : NULL;
}

static int check(const struct tra *tra, const struct share *share, const char *folder) {
    struct stat st;
    if (stat(share->path, &st) != 0)
        return command_fail(EXIT_SHARE, "the share %s does not answer: %s: %s", share->name,
                            share->path, strerror(errno));
    if (stat(folder, &st) != 0)
        return command_fail(errno == ENOENT || errno == ENOTDIR ? EXIT_NOTHING : EXIT_SHARE,
                            "%s: %s", folder, strerror(errno));
    return -1;
}

static int read_feeder(struct tra *tra, char *folder) {
    char **argv = mem_alloc(((size_t)tra->count + 5) * sizeof *argv);
    int argc = 0;
    argv[argc++] = (char *)"read";
    for (int i = 0; i < tra->count; i++)
        argv[argc++] = tra->rest[i];
    if (tra->config_path) {
        argv[argc++] = (char *)"--config";
        argv[argc++] = (char *)(uintptr_t)tra->config_path;
    }
    argv[argc++] = folder;
    int status = cmd_read(argc, argv);
    mem_free(argv);
    return status;
}

static int run(struct tra *tra) {
    int status = -1;
    struct config *config = command_config(tra->config_path, &status);
    if (!config)
        return status;
    const struct share *share = find_share(tra, config);
    char *folder = share ? path_join(share->path, tra->feeder) : NULL;
    if (!share)
        status =
            command_fail(EXIT_CONFIG, "which share? The settings have %zu: [share NAME] path = ...",
                         config->share_count);
    else if (tra->feeder[0] == '/' || strstr(tra->feeder, ".."))
        status = command_fail(EXIT_USAGE, "\"%s\" is no folder in a share", tra->feeder);
    else
        status = check(tra, share, folder);
    config_destroy(config);
    if (status < 0)
        status = read_feeder(tra, folder);
    mem_free(folder);
    return status;
}

int cmd_tra(int argc, char **argv) {
    struct tra tra = {.rest = mem_alloc((size_t)argc * sizeof(char *))};
    int status = parse(&tra, argc, argv);
    if (status < 0)
        status = run(&tra);
    mem_free(tra.rest);
    return status;
}
