// ocr-pipeline read PHOTO...: photos that are named.
#include "base/mem.h"
#include "commands.h"
#include "file_wait.h"
#include "photo_list.h"
#include "photo_run.h"

#include <stdio.h>

static const char help[] =
    "usage: ocr-pipeline read PHOTO... [OPTIONS]\n\n"
    "PHOTO is a file, a folder (all pictures below it) or a pattern in quotes ('field/*.jpg').\n\n" PHOTO_RUN_HELP
    "\nCtrl-C ends the run after the photo at hand; what is done is kept.\n"
    "Exit codes: 0 all read, 1 some could not be, 2 usage, 3 config, 4 set-up is missing, 5 a share\n"
    "does not answer, 6 there are no photos, 7 the disk is full.\n";

struct read {
    struct photo_run_options options;
    struct config *config;
    struct photo_list photos;
};

static const char *name(void *arg, size_t index) {
    return ((struct read *)arg)->photos.paths[index];
}

// A file that cannot be read is told as one; nothing that is named here is a share of ours.
static enum share_fault load(void *arg, size_t index, char **bytes, size_t *length,
                             struct err *err) {
    const struct read *read = arg;
    *bytes = photo_load(read->photos.paths[index], (size_t)read->config->photo_bytes, length, err);
    return SHARE_FINE;
}

static bool take_option(void *arg, int letter) {
    return photo_run_option(&((struct read *)arg)->options, letter);
}

static int work(struct read *read, char *const *arguments, size_t count) {
    struct err err = {0};
    file_wait_bound(read->config->file_wait_ms);
    if (!photo_list_make(&read->photos, arguments, count, &err))
        return command_fail(err.code == ERR_NOTFOUND || err.code == ERR_INVALID
                                ? EXIT_NOTHING
                                : command_status(&err),
                            "%s", err.text);
    struct photo_source source = {
        .count = read->photos.count, .name = name, .load = load, .arg = read};
    return photo_run(&read->options, read->config, &source);
}

int cmd_read(int argc, char **argv) {
    static const struct option options[] = {PHOTO_RUN_OPTIONS};
    struct read read = {0};
    int status = command_options(argc, argv, options, help, take_option, &read);
    if (status >= 0)
        return status;
    if (optind >= argc)
        return command_fail(EXIT_USAGE, "read what? See: ocr-pipeline read --help");
    photo_run_options_end(&read.options);
    read.config = command_config(read.options.config_path, &status);
    if (read.config)
        status = work(&read, argv + optind, (size_t)(argc - optind));
    photo_list_fini(&read.photos);
    config_destroy(read.config);
    return status;
}
