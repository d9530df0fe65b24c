// check-config: every mistake of the presets file, with its line and what to write instead.
#include "base/mem.h"
#include "cli.h"
#include "config.h"
#include "format/json.h"

#include <stdio.h>

static const char help[] =
    "usage: ancalagon check-config [--json] [--config FILE]\n\n"
    "Prints FILE:LINE: error|warning: what is wrong and how to mend it. Asks the engines\n"
    "what they speak, and reckons what each preset takes; needs no server.\n\n"
    "Exit: 0 no errors (warnings are allowed), 3 errors.\n";

static const char *severity(const struct config_problem *problem) {
    return problem->severity == CONFIG_ERROR ? "error" : "warning";
}

static void print_json(const struct config *config) {
    json_t *problems = json_array();
    for (size_t i = 0; i < config->problems_count; i++) {
        const struct config_problem *problem = &config->problems[i];
        json_array_append_new(problems, json_build("{s:s, s:i, s:s, s:s}", "file", config->path,
                                                   "line", (int)problem->line, "severity",
                                                   severity(problem), "text", problem->text));
    }
    json_t *json = json_build("{s:s, s:i, s:i, s:o}", "file", config->path, "presets",
                              (int)config->presets_count, "errors", (int)config->errors_count,
                              "problems", problems);
    json_dumpf(json, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(json);
}

static void print_text(const struct config *config) {
    struct buf out;
    buf_init(&out, 4 << 20);
    config_describe_problems(config, &out);
    fwrite(buf_bytes(&out), 1, out.length, stdout);
    buf_fini(&out);
    if (config->errors_count == 0)
        printf("%s: good, %zu preset%s, listens on %s:%u\n", config->path, config->presets_count,
               config->presets_count == 1 ? "" : "s", config->listen_host, config->listen_port);
    else
        printf("%zu error%s\n", config->errors_count, config->errors_count == 1 ? "" : "s");
}

int cmd_check_config(int argc, char **argv) {
    struct cli cli;
    struct err err = {0};
    int status = cli_parse(&cli, argc, argv, CLI_JSON, 0, 0, help);
    if (status >= 0)
        return status;
    struct config *config = config_inspect(cli.config, &err);
    if (!config)
        return cli_fail(EXIT_CONFIG, "%s", err.text);
    config_check_engines(config);
    config_check_plans(config);
    if (cli.json)
        print_json(config);
    else
        print_text(config);
    status = config->errors_count ? EXIT_CONFIG : EXIT_DONE;
    config_destroy(config);
    return status;
}
