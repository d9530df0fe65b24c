// ocr-pipeline records TABLE.csv...: what the utility knows of its poles, for comparisons.
#include "base/mem.h"
#include "base/path.h"
#include "base/progress.h"
#include "commands.h"
#include "event/loop.h"
#include "records.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: ocr-pipeline records TABLE.csv... [--images] [--config FILE]\n\n"
    "Imports tables into [records] file or url, to which the plates of a pole are compared. The head\n"
    "of a table names its columns: poste, and the eleven fields or names like them. Poles that a later\n"
    "table names are replaced, others stay. A table goes in as a whole or not at all.\n\n"
    "  --images         tables of poste, image, tag: which photos show what (placa_transformador)\n"
    "  --config FILE    settings (default ~/.config/ancalagon/ocr.ini)\n";

struct importing {
    struct progress progress;
    const char *path; // of the table
    int64_t started_ms;
};

static void on_progress(void *arg, size_t done, size_t total) {
    struct importing *importing = arg;
    progress_count(&importing->progress, done, total, path_name(importing->path),
                   loop_now_ms() - importing->started_ms);
}

static bool import(struct records *records, const char *path, bool images, struct err *err) {
    size_t length;
    unsigned rows = 0;
    char *bytes = path_read_file(path, RECORDS_CSV_MAX, &length, err);
    if (!bytes)
        return false;
    struct importing importing = {.path = path, .started_ms = loop_now_ms()};
    progress_init(&importing.progress, stderr);
    records_on_progress(records, on_progress, &importing);
    bool good =
        (images ? records_import_images : records_import)(records, bytes, length, &rows, err);
    records_on_progress(records, NULL, NULL);
    progress_clear(&importing.progress);
    mem_free(bytes);
    if (good)
        printf("%s: %u rows\n", path, rows);
    else
        err_context(err, "%s", path);
    return good;
}

static int import_all(const struct config *config, char **paths, size_t count, bool images) {
    struct err err = {0};
    if (!config_has_records(config))
        return command_fail(EXIT_CONFIG, "the settings name no records: [records] file = "
                                         "records.sqlite, or url = postgresql://...");
    struct records *records = records_open(&config->records, RECORDS_FILL, &err);
    bool good = records != NULL;
    for (size_t i = 0; good && i < count; i++)
        good = import(records, paths[i], images, &err);
    records_close(records);
    return good ? EXIT_DONE
                : command_fail(err.code == ERR_FULL ? EXIT_FULL : EXIT_FAILED, "%s", err.text);
}

struct asked {
    const char *config_path;
    bool images;
};

static bool take_option(void *arg, int letter) {
    struct asked *asked = arg;
    switch (letter) {
    case 'i': asked->images = true; break;
    case 'c': asked->config_path = optarg; break;
    default: return false;
    }
    return true;
}

int cmd_records(int argc, char **argv) {
    static const struct option options[] = {{"images", no_argument, NULL, 'i'},
                                            {"config", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct asked asked = {0};
    int status = command_options(argc, argv, options, help, take_option, &asked);
    if (status >= 0)
        return status;
    if (optind >= argc)
        return command_fail(EXIT_USAGE, "import what? See: ocr-pipeline records --help");
    struct config *config = command_config(asked.config_path, &status);
    if (config)
        status = import_all(config, argv + optind, (size_t)(argc - optind), asked.images);
    config_destroy(config);
    return status;
}
