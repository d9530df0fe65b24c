// engines: what each llama-server build that the presets name can do. Asks the binaries themselves.
#include "base/mem.h"
#include "cli.h"
#include "config.h"
#include "engine/dialect.h"
#include "format/json.h"

#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: ancalagon engines [--json] [--config FILE]\n\n"
    "What each llama-server build of the presets speaks: family, version, whether it listens on\n"
    "unix sockets, cache types, devices. Needs no server; runs each build with --help once.\n\n"
    "Exit: 0 all builds answer, 1 one does not, 3 config error.\n";

static json_t *presets_of(const struct config *config, const char *path) {
    json_t *names = json_array();
    for (size_t i = 0; i < config->presets_count; i++)
        if (strcmp(config->presets[i].engine_path, path) == 0)
            json_array_append_new(names, json_text(config->presets[i].name));
    return names;
}

static json_t *cache_types(const struct dialect *dialect) {
    json_t *types = json_array();
    const struct help_flag *flag = help_find(&dialect->help, "--cache-type-k");
    for (size_t i = 0; flag && i < flag->values.count; i++)
        json_array_append_new(types, json_text(flag->values.items[i]));
    return types;
}

static json_t *devices(const struct dialect *dialect) {
    json_t *list = json_array();
    for (size_t i = 0; i < dialect->device_count; i++) {
        const struct dialect_device *device = &dialect->devices[i];
        json_array_append_new(list, json_build("{s:s, s:s, s:I, s:I}", "name", device->name,
                                               "description", device->description, "total_mib",
                                               (json_int_t)device->total_mib, "free_mib",
                                               (json_int_t)device->free_mib));
    }
    return list;
}

// One build, as it is printed with --json.
static json_t *describe(const struct config *config, const char *path) {
    struct err err = {0};
    const struct dialect *dialect = dialect_probe(path, &err);
    if (!dialect)
        return json_build("{s:s, s:o, s:s}", "path", path, "presets", presets_of(config, path),
                          "error", err.text);
    return json_build("{s:s, s:o, s:s, s:s, s:I, s:b, s:b, s:I, s:o, s:o, s:n}", "path", path,
                      "presets", presets_of(config, path), "family",
                      dialect_family_name(dialect->family), "version", dialect->version, "build",
                      (json_int_t)dialect->build, "unix_sockets", (int)dialect->unix_socket,
                      "guessed", (int)dialect->guessed, "flags", (json_int_t)dialect->help.count,
                      "cache_types", cache_types(dialect), "devices", devices(dialect), "error");
}

static void print_list(const char *label, const json_t *list) {
    size_t i;
    json_t *text;
    printf("  %-12s", label);
    json_array_foreach(list, i, text) printf("%s%s", i ? ", " : "", json_string_value(text));
    puts(json_array_size(list) ? "" : "-");
}

static void print_engine(const json_t *engine) {
    size_t i;
    json_t *device;
    const char *error = json_string_value(json_object_get(engine, "error"));
    printf("%s\n", json_string_value(json_object_get(engine, "path")));
    print_list("presets", json_object_get(engine, "presets"));
    if (error) {
        printf("  %-12s%s\n\n", "error", error);
        return;
    }
    const char *version = json_string_value(json_object_get(engine, "version"));
    printf("  %-12s%s\n", "family", json_string_value(json_object_get(engine, "family")));
    printf("  %-12s%s\n", "version", *version ? version : "-");
    printf("  %-12s%s\n", "listens on",
           json_is_true(json_object_get(engine, "unix_sockets")) ? "a unix socket"
                                                                 : "loopback, with a key");
    printf(
        "  %-12s%lld%s\n", "flags", (long long)json_integer_value(json_object_get(engine, "flags")),
        json_is_true(json_object_get(engine, "guessed")) ? " (its --help was not understood)" : "");
    print_list("cache types", json_object_get(engine, "cache_types"));
    json_array_foreach(json_object_get(engine, "devices"), i, device)
        printf("  %-12s%s  %s  %lld of %lld MiB free\n", i ? "" : "devices",
               json_string_value(json_object_get(device, "name")),
               json_string_value(json_object_get(device, "description")),
               (long long)json_integer_value(json_object_get(device, "free_mib")),
               (long long)json_integer_value(json_object_get(device, "total_mib")));
    if (json_array_size(json_object_get(engine, "devices")) == 0)
        printf("  %-12s%s\n", "devices", "CPU only");
    putchar('\n');
}

static json_t *describe_all(const struct config *config) {
    json_t *engines = json_array();
    for (size_t i = 0; i < config->presets_count; i++) {
        const char *path = config->presets[i].engine_path;
        bool seen = false;
        for (size_t j = 0; j < i && !seen; j++)
            seen = strcmp(config->presets[j].engine_path, path) == 0;
        if (!seen)
            json_array_append_new(engines, describe(config, path));
    }
    return engines;
}

int cmd_engines(int argc, char **argv) {
    struct cli cli;
    struct err err = {0};
    int status = cli_parse(&cli, argc, argv, CLI_JSON, 0, 0, help);
    if (status >= 0)
        return status;
    struct config *config = config_load(cli.config, &err);
    if (!config)
        return cli_fail(EXIT_CONFIG, "%s", err.text);
    json_t *engines = describe_all(config), *engine;
    size_t i;
    status = EXIT_DONE;
    json_array_foreach(engines, i, engine) {
        if (!json_is_null(json_object_get(engine, "error")))
            status = EXIT_FAILED;
        if (!cli.json)
            print_engine(engine);
    }
    if (cli.json) {
        json_dumpf(engines, stdout, JSON_COMPACT);
        putchar('\n');
    } else if (json_array_size(engines) == 0) {
        puts("no presets, so no engines");
    }
    json_decref(engines);
    dialect_forget();
    config_destroy(config);
    return status;
}
