// ocr-pipeline records TABLE.csv...: what the utility knows of its poles, for comparisons.
#include "base/mem.h"
#include "base/path.h"
#include "commands.h"
#include "records.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: ocr-pipeline records TABLE.csv... [--images] [--config FILE]\n\n"
    "Imports tables into [records] file, to which the plates of a pole are compared. The head of a\n"
    "table names its columns: poste, and the eleven fields or names like them. Poles that a later\n"
    "table names are replaced, others stay. A table goes in as a whole or not at all.\n\n"
    "  --images         tables of poste, image, tag: which photos show what (placa_transformador)\n"
    "  --config FILE    settings (default ~/.config/ancalagon/ocr.ini)\n";

static bool import(struct records *records, const char *path, bool images, struct err *err) {
    size_t length;
    unsigned rows = 0;
    char *bytes = path_read_file(path, RECORDS_CSV_MAX, &length, err);
    if (!bytes)
        return false;
    bool good =
        (images ? records_import_images : records_import)(records, bytes, length, &rows, err);
    mem_free(bytes);
    if (good)
        printf("%s: %u rows\n", path, rows);
    else
        err_context(err, "%s", path);
    return good;
}

static int import_all(const struct config *config, char **paths, size_t count, bool images) {
    struct err err = {0};
    if (!config->records_file)
        return command_fail(EXIT_CONFIG, "the settings name no file for records: [records] file = "
                                         "records.sqlite");
    struct records *records = records_open(config->records_file, &err);
    bool good = records != NULL;
    for (size_t i = 0; good && i < count; i++)
        good = import(records, paths[i], images, &err);
    records_close(records);
    return good ? EXIT_DONE : command_fail(EXIT_FAILED, "%s", err.text);
}

int cmd_records(int argc, char **argv) {
    static const struct option options[] = {{"images", no_argument, NULL, 'i'},
                                            {"config", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *path = NULL;
    bool images = false;
    int letter, status = 0;
    opterr = 0;
    optind = 1;
    while ((letter = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        if (letter == 'h')
            return fputs(help, stdout) < 0 ? EXIT_FAILED : EXIT_DONE;
        if (letter != 'i' && letter != 'c')
            return command_refuse(argv, letter);
        images |= letter == 'i';
        path = letter == 'c' ? optarg : path;
    }
    if (optind >= argc)
        return command_fail(EXIT_USAGE, "import what? See: ocr-pipeline records --help");
    struct config *config = command_config(path, &status);
    if (config)
        status = import_all(config, argv + optind, (size_t)(argc - optind), images);
    config_destroy(config);
    return status;
}
