// ocr-pipeline tra FEEDER: all photos of a feeder's folder on a share, for schedulers.
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "commands.h"
#include "photo_run.h"
#include "share_photos.h"

#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: ocr-pipeline tra FEEDER [--share NAME | --share URL] [OPTIONS]\n\n"
    "Reads all photos in the folder FEEDER of a share: [share NAME] in the settings (NAME may be\n"
    "left out when there is one), or smb://HOST/SHARE[/FOLDER].\n\n" PHOTO_RUN_HELP
    "\n  ocr-pipeline tra alimentador-7 --csv --out /var/lib/ocr/alimentador-7.csv\n\n"
    "Run again with the same --out it goes on where it was stopped. A share that does not answer is\n"
    "waited for ([share NAME] patience), then the run ends, and its photos are still to be read.\n"
    "Exit codes: 0 all read, 1 some could not be, 2 usage, 3 config, 4 set-up is missing, 5 the share\n"
    "does not answer, 6 the folder has no photos, 7 the disk is full, 8 the share does not let us in,\n"
    "9 there is no such share, or no such folder in it.\n";

struct tra {
    struct photo_run_options options;
    const char *share_name;
    struct config *config;
    const struct share *share;
    struct share given; // by its URL
    struct share_run *run;
    struct photo_list photos;
};

static const char *name(void *arg, size_t index) {
    return ((struct tra *)arg)->photos.paths[index];
}

static enum share_fault load(void *arg, size_t index, char **bytes, size_t *length,
                             struct err *err) {
    const struct tra *tra = arg;
    return share_run_load(tra->run, tra->photos.paths[index], (size_t)tra->config->photo_bytes,
                          bytes, length, err);
}

// --- Which share

// A URL that is one of ours, or lies in one, is entered as that is.
static bool take_url(struct tra *tra, struct err *err) {
    share_init(&tra->given, "");
    if (!share_set(&tra->given, "url", tra->share_name, err))
        return false;
    char *inside = path_join(tra->given.location, "-");
    const struct share *known = config_share_of(tra->config, inside);
    if (known)
        share_adopt(&tra->given, known);
    mem_free(inside);
    tra->share = &tra->given;
    return true;
}

static int find_share(struct tra *tra) {
    struct err err = {0};
    const struct config *config = tra->config;
    if (tra->share_name && str_starts(tra->share_name, "smb://"))
        return take_url(tra, &err) ? -1 : command_fail(EXIT_USAGE, "--share: %s", err.text);
    if (tra->share_name)
        tra->share = config_share(config, tra->share_name);
    else if (config->share_count == 1)
        tra->share = &config->shares[0];
    return tra->share ? -1
                      : command_fail(EXIT_CONFIG,
                                     "which share? The settings have %zu: [share NAME] path = ..., "
                                     "or url = smb://...",
                                     config->share_count);
}

// --- The run

static int work(struct tra *tra, const char *feeder) {
    struct err err = {0};
    int status = find_share(tra);
    if (status >= 0)
        return status;
    enum share_fault fault = share_photos_list(tra->share, feeder, &tra->photos, &err);
    if (fault)
        return command_fail(command_share_status(fault), "%s: %s", share_fault_code(fault),
                            err.text);
    tra->run = share_run_create(tra->share);
    struct photo_source source = {.count = tra->photos.count,
                                  .name = name,
                                  .load = load,
                                  .arg = tra,
                                  .patience_ms = tra->share->patience_ms};
    return photo_run(&tra->options, tra->config, &source);
}

static bool take_option(void *arg, int letter) {
    struct tra *tra = arg;
    if (letter != 's')
        return photo_run_option(&tra->options, letter);
    tra->share_name = optarg;
    return true;
}

int cmd_tra(int argc, char **argv) {
    static const struct option options[] = {{"share", required_argument, NULL, 's'},
                                            PHOTO_RUN_OPTIONS};
    struct tra tra = {0};
    int status = command_options(argc, argv, options, help, take_option, &tra);
    if (status >= 0)
        return status;
    if (optind + 1 != argc)
        return command_fail(EXIT_USAGE, "which feeder? One; see: ocr-pipeline tra --help");
    if (!share_path_is_inside(argv[optind]))
        return command_fail(EXIT_USAGE, "\"%s\" is no folder in a share", argv[optind]);
    photo_run_options_end(&tra.options);
    tra.config = command_config(tra.options.config_path, &status);
    if (tra.config)
        status = work(&tra, argv[optind]);
    photo_list_fini(&tra.photos);
    share_run_destroy(tra.run);
    share_fini(&tra.given);
    config_destroy(tra.config);
    return status;
}
