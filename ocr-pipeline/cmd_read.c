// ocr-pipeline read PHOTO...: a result a photo, on the terminal or in a file that a later run goes
// on with.
#include "annotate.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/progress.h"
#include "base/str.h"
#include "commands.h"
#include "csv.h"
#include "event/loop.h"
#include "format/json.h"
#include "interrupt.h"
#include "photo_list.h"
#include "pipeline.h"
#include "report.h"
#include "results.h"
#include "vision/crew.h"

#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char help[] =
    "usage: ocr-pipeline read PHOTO... [OPTIONS]\n\n"
    "PHOTO is a file, a folder (all pictures below it) or a pattern in quotes ('field/*.jpg').\n\n"
    "  --json           one object a line and photo: fields, texts, where they are, timings\n"
    "  --csv            one line a photo: the eleven fields\n"
    "  --out FILE       write there; run again, it goes on where it was stopped\n"
    "  --annotate OUT   besides, photos with what was read drawn on them: a folder, or a file.jpg\n"
    "  --fast           the small networks: three times as fast, more mistakes\n"
    "  --config FILE    settings (default ~/.config/ancalagon/ocr.ini)\n\n"
    "Ctrl-C ends the run after the photo at hand; what is done is kept.\n"
    "Exit codes: 0 all read, 1 some could not be, 2 usage, 3 config, 4 set-up is missing, 5 a share\n"
    "does not answer, 6 there are no photos, 7 the disk is full.\n";

enum { LINE_BYTES = 64 << 20 };

enum output { OUTPUT_PEOPLE, OUTPUT_JSON, OUTPUT_CSV };

struct run {
    enum output output;
    const char *out, *annotate, *config_path;
    bool fast, annotate_is_folder;
    struct config *config;
    struct pipeline *pipeline;
    struct photo_list photos;
    struct results *results;
    pthread_mutex_t lock; // protects what is below
    struct progress progress;
    int64_t started_ms;
    size_t done, failed, skipped;
};

// --- One photo

static void draw_progress(struct run *run, const char *photo) {
    progress_count(&run->progress, run->done, run->photos.count - run->skipped, path_name(photo),
                   loop_now_ms() - run->started_ms);
}

// "  potencia_kva        75            0.98"
static void field_for_people(const char *key, const json_t *field, struct buf *out) {
    const json_t *value = json_object_get(field, "value");
    if (!value || json_is_null(value))
        return;
    buf_printf(out, "  %-20s", key);
    struct buf text;
    buf_init(&text, 4096);
    if (json_is_string(value))
        buf_adds(&text, json_string_value(value));
    else
        json_write(&text, value);
    buf_printf(out, "%-16s", buf_text(&text));
    buf_fini(&text);
    buf_printf(out, " %.2f\n", json_number_value(json_object_get(field, "confidence")));
}

static void for_people(const json_t *report, struct buf *out) {
    const json_t *fields = json_object_get(report, "fields");
    const json_t *reasons = json_object_get(report, "review_reasons");
    const char *key;
    json_t *field;
    buf_printf(out, "%s\n", json_get_text(report, "file", ""));
    size_t head = out->length;
    json_object_foreach((json_t *)(uintptr_t)fields, key, field) field_for_people(key, field, out);
    if (out->length == head)
        buf_adds(out, json_array_size(json_object_get(report, "texts"))
                          ? "  no nameplate of a transformer was recognised\n"
                          : "  no text was found\n");
    for (size_t i = 0; i < json_array_size(reasons); i++) {
        const json_t *reason = json_array_get(reasons, i);
        buf_printf(out, "  look: %s%s%s\n", json_get_text(reason, "field", ""),
                   json_object_get(reason, "field") ? ": " : "", json_get_text(reason, "text", ""));
    }
}

static void write_report(const struct run *run, const json_t *report, struct buf *out) {
    switch (run->output) {
    case OUTPUT_PEOPLE: for_people(report, out); break;
    case OUTPUT_JSON: json_write(out, report); break;
    case OUTPUT_CSV: csv_line(report, out); break;
    }
}

// A photo whose model is away is not done: the same command reads it later.
static bool is_to_keep(const struct run *run, const struct err *why) {
    return !run->out || !models_are_away(why);
}

static bool finish(struct run *run, const char *photo, const json_t *report, const struct err *why,
                   struct err *err) {
    struct buf line;
    buf_init(&line, LINE_BYTES);
    if (is_to_keep(run, why) && (!why->code || run->output != OUTPUT_PEOPLE))
        write_report(run, report, &line);
    pthread_mutex_lock(&run->lock);
    progress_clear(&run->progress);
    if (why->code)
        command_fail(0, "%s%s%s", strstr(why->text, photo) ? "" : photo,
                     strstr(why->text, photo) ? "" : ": ", why->text);
    bool good = !line.length || results_add(run->results, buf_bytes(&line), line.length, err);
    run->done++;
    run->failed += why->code != ERR_NONE;
    draw_progress(run, photo);
    pthread_mutex_unlock(&run->lock);
    buf_fini(&line);
    return good;
}

// Of two photos with the same name, the later one keeps its folders in it.
static char *annotated_path(const struct run *run, size_t index) {
    const char *photo = run->photos.paths[index], *name = path_name(photo);
    if (!run->annotate_is_folder)
        return mem_strdup(run->annotate);
    for (size_t i = 0; i < index; i++)
        if (strcmp(path_name(run->photos.paths[i]), name) == 0)
            name = photo;
    char *flat = mem_printf("%s.jpg", name + strspn(name, "./"));
    for (char *c = flat; *c; c++)
        *c = *c == '/' ? '_' : *c;
    char *path = path_join(run->annotate, flat);
    mem_free(flat);
    return path;
}

// What is drawn comes before the line: a photo that has its line is done. False ends the run.
static bool annotate(const struct run *run, size_t index, const char *bytes, size_t length,
                     const struct reading *reading, struct err *err) {
    if (!run->annotate)
        return true;
    char *path = annotated_path(run, index);
    bool good =
        annotate_write(path, bytes, length, run->photos.paths[index], reading, run->config, err);
    mem_free(path);
    return good;
}

static bool read_one(void *context, size_t index, unsigned worker, struct err *err) {
    struct run *run = context;
    const char *photo = run->photos.paths[index];
    struct reading reading = {0};
    struct err why = {0};
    size_t length = 0;
    if (interrupt_came())
        return err_set(err, ERR_NONE, "interrupted");
    if (results_has(run->results, photo))
        return true;
    char *bytes = photo_load(photo, (size_t)run->config->photo_bytes, &length, &why);
    bool good = true;
    if (bytes && pipeline_read(run->pipeline, bytes, length, photo, AREA_PLATE, &reading, &why))
        good = annotate(run, index, bytes, length, &reading, err);
    json_t *report = why.code ? report_error_json(photo, &why) : report_json(photo, &reading);
    good = good && finish(run, photo, report, &why, err);
    json_decref(report);
    reading_fini(&reading);
    mem_free(bytes);
    return good;
}

// --- The run

static bool make_annotate_folder(struct run *run, struct err *err) {
    struct stat st;
    if (!run->annotate)
        return true;
    bool folder = stat(run->annotate, &st) == 0 && S_ISDIR(st.st_mode);
    run->annotate_is_folder =
        folder || run->photos.count > 1 ||
        !(str_ends(run->annotate, ".jpg") || str_ends(run->annotate, ".jpeg"));
    if (run->annotate_is_folder && !folder && mkdir(run->annotate, 0755) != 0)
        return err_errno(err, "cannot make the folder %s", run->annotate);
    return true;
}

static bool open_all(struct run *run, struct err *err) {
    enum results_format format = run->output == OUTPUT_CSV ? RESULTS_CSV : RESULTS_JSON;
    run->results = results_open(run->out, format, err);
    if (!run->results || !make_annotate_folder(run, err))
        return false;
    for (size_t i = 0; i < run->photos.count; i++)
        run->skipped += results_has(run->results, run->photos.paths[i]);
    if (run->skipped)
        command_fail(0, "%zu of %zu photos are in %s already", run->skipped, run->photos.count,
                     run->out);
    return true;
}

static int read_all(struct run *run) {
    struct err err = {0};
    interrupt_watch();
    pthread_mutex_init(&run->lock, NULL);
    run->started_ms = loop_now_ms();
    draw_progress(run, run->photos.paths[0]);
    bool good = crew_run(run->config->workers, run->photos.count, read_one, run, &err);
    progress_clear(&run->progress);
    pthread_mutex_destroy(&run->lock);
    if (interrupt_came())
        return command_fail(EXIT_INTERRUPTED, "stopped after %zu of %zu photos%s", run->done,
                            run->photos.count - run->skipped,
                            run->out ? "; the same command goes on" : "");
    if (!good)
        return command_fail(command_status(&err), "%s%s", err.text,
                            run->out ? "; the same command goes on" : "");
    return run->failed ? EXIT_FAILED : EXIT_DONE;
}

static int work(struct run *run, char *const *arguments, size_t count) {
    struct err err = {0};
    if (!photo_list_make(&run->photos, arguments, count, &err))
        return command_fail(err.code == ERR_NOTFOUND || err.code == ERR_INVALID
                                ? EXIT_NOTHING
                                : command_status(&err),
                            "%s", err.text);
    if (!open_all(run, &err))
        return command_fail(command_status(&err), "%s", err.text);
    if (run->skipped == run->photos.count)
        return EXIT_DONE;
    progress_init(&run->progress, stderr);
    progress_draw(&run->progress, "loading the networks", 0, 0);
    run->pipeline = pipeline_create(run->config, &err);
    progress_clear(&run->progress);
    if (!run->pipeline)
        return command_fail(err.code == ERR_NOTFOUND ? EXIT_SETUP : EXIT_FAILED, "%s", err.text);
    return read_all(run);
}

static bool take_option(void *arg, int letter) {
    struct run *run = arg;
    switch (letter) {
    case 'j': run->output = OUTPUT_JSON; break;
    case 'v': run->output = OUTPUT_CSV; break;
    case 'o': run->out = optarg; break;
    case 'a': run->annotate = optarg; break;
    case 'f': run->fast = true; break;
    case 'c': run->config_path = optarg; break;
    default: return false;
    }
    return true;
}

// -1: go on.
static int parse(struct run *run, int argc, char **argv) {
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},      {"csv", no_argument, NULL, 'v'},
        {"out", required_argument, NULL, 'o'}, {"annotate", required_argument, NULL, 'a'},
        {"fast", no_argument, NULL, 'f'},      {"config", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},      {NULL, 0, NULL, 0}};
    int status = command_options(argc, argv, options, help, take_option, run);
    if (status >= 0)
        return status;
    if (optind >= argc)
        return command_fail(EXIT_USAGE, "read what? See: ocr-pipeline read --help");
    if (run->out && run->output == OUTPUT_PEOPLE)
        run->output = str_ends(run->out, ".csv") ? OUTPUT_CSV : OUTPUT_JSON;
    return -1;
}

int cmd_read(int argc, char **argv) {
    struct run run = {0};
    int status = parse(&run, argc, argv);
    if (status >= 0)
        return status;
    run.config = command_config(run.config_path, &status);
    if (run.config) {
        if (run.fast)
            config_fast(run.config);
        status = work(&run, argv + optind, (size_t)(argc - optind));
    }
    pipeline_destroy(run.pipeline);
    results_close(run.results);
    photo_list_fini(&run.photos);
    config_destroy(run.config);
    return status;
}
