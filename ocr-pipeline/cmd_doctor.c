// ocr-pipeline doctor: what a run needs, tried one by one.
#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "commands.h"
#include "pipeline.h"
#include "records.h"
#include "share_photos.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: ocr-pipeline doctor [--config FILE]\n\n"
    "Tries what a run needs: settings, ONNX Runtime, networks, a picture through all of them, the\n"
    "records, the shares, the models of [vlm] and [llm].\n"
    "Exit codes: 0 all is well, 1 something is not, 3 the settings are wrong.\n";

struct check {
    const struct config *config;
    unsigned failed;
};

static void tell(struct check *check, bool good, const char *what, const char *how) {
    printf("%-4s %-16s %s\n", good ? "ok" : "FAIL", what, how);
    check->failed += !good;
}

static void check_settings(struct check *check) {
    tell(check, true, "settings",
         check->config->path ? check->config->path : "defaults; no ~/.config/ancalagon/ocr.ini");
}

static void check_library(struct check *check) {
    struct err err = {0};
    char text[512];
    struct onnx *onnx = onnx_open(check->config->runtime, &err);
    if (onnx)
        snprintf(text, sizeof text, "%s at %s", onnx_version(onnx), onnx_path(onnx));
    tell(check, onnx, "ONNX Runtime", onnx ? text : err.text);
    onnx_close(onnx);
}

// A white page: the detector's network runs, and finds nothing.
static bool read_blank(struct pipeline *pipeline, struct reading *reading, struct err *err) {
    struct image page;
    struct buf jpeg;
    image_init(&page, 800, 600);
    memset(page.pixels, 255, (size_t)800 * 600 * 3);
    buf_init(&jpeg, 1 << 20);
    bool good = image_encode_jpeg(&page, 90, &jpeg, err) &&
                pipeline_read(pipeline, buf_bytes(&jpeg), jpeg.length, "a white page", AREA_WHOLE,
                              reading, err);
    image_fini(&page);
    buf_fini(&jpeg);
    return good;
}

static void tell_model(void *arg, const char *section, const struct err *err) {
    struct check *check = arg;
    const struct model_options *options =
        strcmp(section, "vlm") == 0 ? &check->config->vlm : &check->config->llm;
    char text[512];
    snprintf(text, sizeof text, "%s at %s answers", options->model ? options->model : "its model",
             options->url);
    tell(check, !err->code, section, err->code ? err->text : text);
}

static void check_pipeline(struct check *check) {
    struct err err = {0};
    struct reading reading = {0};
    char text[160];
    struct pipeline *pipeline = pipeline_create(check->config, &err);
    tell(check, pipeline, "networks", pipeline ? check->config->recognize : err.text);
    if (!pipeline)
        return;
    tell(check, true, "plate detector", pipeline_detector(pipeline));
    bool good = read_blank(pipeline, &reading, &err);
    snprintf(text, sizeof text, "a white page took %.0f ms", reading.timings.total_ms);
    tell(check, good, "a picture", good ? text : err.text);
    reading_fini(&reading);
    models_check(pipeline_models(pipeline), tell_model, check);
    pipeline_destroy(pipeline);
}

static void check_records(struct check *check) {
    struct err err = {0};
    char text[512];
    if (!config_has_records(check->config))
        return;
    struct records *records = records_open(&check->config->records, RECORDS_ASK, &err);
    bool good = records && records_probe(records, text, sizeof text, &err);
    tell(check, good, "records", good ? text : err.text);
    records_close(records);
}

static void check_state(struct check *check) {
    struct err err = {0};
    bool good = path_make_private(check->config->state_dir, &err);
    tell(check, good, "folder for jobs", good ? check->config->state_dir : err.text);
}

static void check_shares(struct check *check) {
    for (size_t i = 0; i < check->config->share_count; i++) {
        const struct share *share = &check->config->shares[i];
        struct err err = {0};
        char what[64], how[640];
        enum share_fault fault = share_photos_try(share, &err);
        snprintf(what, sizeof what, "share %.50s", share->name);
        snprintf(how, sizeof how, "%s: %s", fault ? share_fault_code(fault) : "", err.text);
        tell(check, !fault, what, fault ? how : share->location);
    }
}

static bool take_option(void *arg, int letter) {
    const char **path = arg;
    *path = optarg;
    return letter == 'c';
}

int cmd_doctor(int argc, char **argv) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *path = NULL;
    int status = command_options(argc, argv, options, help, take_option, &path);
    if (status >= 0)
        return status;
    if (optind < argc)
        return command_fail(EXIT_USAGE, "doctor takes no \"%s\"", argv[optind]);
    struct config *config = command_config(path, &status);
    if (!config)
        return status;
    struct check check = {config, 0};
    check_settings(&check);
    check_library(&check);
    check_pipeline(&check);
    check_records(&check);
    check_state(&check);
    check_shares(&check);
    config_destroy(config);
    return check.failed ? EXIT_FAILED : EXIT_DONE;
}
