// ocr-pipeline eval DATASET: reads its photos with each configuration, a file of results for each,
// and holds them against the truth. Photos that a file has are not read again.
#include "base/mem.h"
#include "base/path.h"
#include "base/progress.h"
#include "base/str.h"
#include "base/system.h"
#include "commands.h"
#include "eval_report.h"
#include "event/loop.h"
#include "format/json.h"
#include "interrupt.h"
#include "photo_list.h"
#include "pipeline.h"
#include "report.h"
#include "results.h"
#include "vision/crew.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char help[] =
    "usage: ocr-pipeline eval DATASET [--config A] [--config B ...] [OPTIONS]\n\n"
    "How well are the photos of a folder read? DATASET/truth.csv says what they show: a line a\n"
    "photo, with a column \"file\" and those of the eleven fields that are to be judged. An empty\n"
    "cell: the plate does not say it; ?: not known, not judged.\n\n"
    "  --config FILE   settings; several are compared (default ~/.config/ancalagon/ocr.ini)\n"
    "  --truth FILE    another table\n"
    "  --out FOLDER    where results and reports go (default ocr-eval); run again, it goes on\n"
    "                  where it was stopped\n\n"
    "Prints accuracy, precision, coverage, review rate and seconds a photo with 95 % intervals, and\n"
    "whether configurations differ. FOLDER gets report.md, report.json and report.html, which has\n"
    "a crop of every miss.\n\n"
    "  tests/ocr/make-photos --seed 3 --count 100 --out set\n"
    "  ocr-pipeline eval set --config small.ini --config fast.ini\n\n"
    "Exit codes: 0 done, however much was missed; 1 failed, 2 usage, 3 config, 4 set-up is missing,\n"
    "5 a share does not answer, 6 there are no photos, 7 the disk is full.\n";

enum { LINE_BYTES = 64 << 20, TRUTH_BYTES = 256 << 20, REPORT_BYTES = 1 << 30 };

// One configuration.
struct setup {
    const char *path; // NULL: the default
    struct config *config;
    char *name, *results_path;
};

struct run {
    const char *dataset, *truth_path, *out;
    struct setup setups[EVAL_CONFIGS_MAX];
    size_t setup_count;
    struct truth *truth;
    struct progress progress;
    // Of the configuration at hand.
    const struct setup *setup;
    struct pipeline *pipeline;
    struct results *results;
    int64_t started_ms;
    size_t skipped;
    pthread_mutex_t lock; // protects what is below, and results
    size_t done;
};

// --- One photo

static void draw_progress(struct run *run, const char *photo) {
    char what[120];
    snprintf(what, sizeof what, "%.40s: %.60s", run->setup->name, path_name(photo));
    progress_count(&run->progress, run->done, run->truth->count - run->skipped, what,
                   loop_now_ms() - run->started_ms);
}

static bool finish(struct run *run, const char *photo, const json_t *report, struct err *err) {
    struct buf line;
    buf_init(&line, LINE_BYTES);
    bool good = json_write(&line, report) ||
                err_set(err, ERR_LIMIT, "%s: a result of more than %d bytes", photo, LINE_BYTES);
    pthread_mutex_lock(&run->lock);
    good = good && results_add(run->results, buf_bytes(&line), line.length, err);
    run->done++;
    draw_progress(run, photo);
    pthread_mutex_unlock(&run->lock);
    buf_fini(&line);
    return good;
}

// A photo that is gone, or a share that does not answer, says nothing of a configuration.
static bool is_not_to_blame(enum err_code code) {
    return code == ERR_NOTFOUND || code == ERR_DENIED || code == ERR_PEER || code == ERR_SYSTEM;
}

static json_t *read_photo(struct run *run, const char *photo, struct err *err) {
    struct reading reading = {0};
    struct err why = {0};
    size_t length = 0;
    char *path = path_join(run->dataset, photo);
    char *bytes = photo_load(path, (size_t)run->setup->config->photo_bytes, &length, &why);
    if (!bytes && is_not_to_blame(why.code)) {
        *err = why;
        mem_free(path);
        return NULL;
    }
    if (bytes)
        pipeline_read(run->pipeline, bytes, length, photo, AREA_PLATE, &reading, &why);
    // Neither does a model's server that is down, whether or not the photo was read without it.
    const struct err *away = models_are_away(&why) ? &why : stages_missing(&reading.stages);
    json_t *report = NULL;
    if (bytes && away)
        *err = *away;
    else
        report = why.code ? report_error_json(photo, &why) : report_json(photo, &reading);
    reading_fini(&reading);
    mem_free(bytes);
    mem_free(path);
    return report;
}

static bool read_one(void *context, size_t index, unsigned worker, struct err *err) {
    struct run *run = context;
    const char *photo = run->truth->photos[index].file;
    (void)worker;
    if (interrupt_came())
        return err_set(err, ERR_NONE, "interrupted");
    if (results_has(run->results, photo))
        return true;
    json_t *report = read_photo(run, photo, err);
    bool good = report && finish(run, photo, report, err);
    json_decref(report);
    return good;
}

// --- One configuration

static int read_all(struct run *run) {
    struct err err = {0};
    run->started_ms = loop_now_ms();
    run->done = 0;
    draw_progress(run, "");
    bool good = crew_run(run->setup->config->workers, run->truth->count, read_one, run, &err);
    progress_clear(&run->progress);
    if (interrupt_came())
        return command_fail(EXIT_INTERRUPTED,
                            "stopped after %zu of %zu photos of %s; the same command goes on",
                            run->done, run->truth->count - run->skipped, run->setup->name);
    if (!good)
        return command_fail(command_status(&err), "%s; the same command goes on", err.text);
    return EXIT_DONE;
}

static int read_setup(struct run *run) {
    struct err err = {0};
    run->results = results_open(run->setup->results_path, RESULTS_JSON, &err);
    if (!run->results)
        return command_fail(command_status(&err), "%s", err.text);
    run->skipped = 0;
    for (size_t i = 0; i < run->truth->count; i++)
        run->skipped += results_has(run->results, run->truth->photos[i].file);
    if (run->skipped)
        command_fail(0, "%s: %zu of %zu photos are in %s already", run->setup->name, run->skipped,
                     run->truth->count, run->setup->results_path);
    if (run->skipped == run->truth->count)
        return EXIT_DONE;
    progress_draw(&run->progress, "loading the networks", 0, 0);
    run->pipeline = pipeline_create(run->setup->config, &err);
    progress_clear(&run->progress);
    if (!run->pipeline)
        return command_fail(err.code == ERR_NOTFOUND ? EXIT_SETUP : EXIT_FAILED, "%s: %s",
                            run->setup->name, err.text);
    return read_all(run);
}

static int read_setups(struct run *run) {
    int status = EXIT_DONE;
    interrupt_watch();
    pthread_mutex_init(&run->lock, NULL);
    for (size_t i = 0; status == EXIT_DONE && i < run->setup_count; i++) {
        run->setup = &run->setups[i];
        status = read_setup(run);
        pipeline_destroy(run->pipeline);
        results_close(run->results);
        run->pipeline = NULL;
        run->results = NULL;
    }
    pthread_mutex_destroy(&run->lock);
    return status;
}

// --- Which results are whose

static void add_stamp(struct buf *out, const char *path) {
    struct stat st;
    if (path && stat(path, &st) == 0)
        buf_printf(out, "\n%s %" PRId64 " %" PRId64, path, (int64_t)st.st_size,
                   system_changed_ns(&st));
}

// Changes when anything does that the answers depend on: the settings, the networks, this program.
static bool stamp(const struct config *config, uint64_t *out, struct err *err) {
    struct buf text;
    const char *const files[] = {config->detect,     config->orient,      config->recognize,
                                 config->dictionary, config->plate_model, config->runtime};
    char *ini = config->path ? path_read_file(config->path, INI_MAX_BYTES, NULL, err) : NULL;
    char *program = system_program();
    bool good = ini || !config->path;
    buf_init(&text, 1 << 24);
    buf_adds(&text, ini ? ini : "");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        add_stamp(&text, files[i]);
    add_stamp(&text, program);
    *out = str_hash(buf_text(&text));
    buf_fini(&text);
    mem_free(program);
    mem_free(ini);
    return good;
}

// "settings/small.ini" -> "small"; the path where another one is called so, too.
static char *name_of(const struct run *run, size_t index) {
    const char *path = run->setups[index].path;
    if (!path)
        return mem_strdup("default");
    const char *name = path_name(path);
    size_t length = strlen(name) - (str_ends(name, ".ini") ? strlen(".ini") : 0);
    for (size_t i = 0; i < run->setup_count; i++)
        if (i != index && strcmp(path_name(run->setups[i].path), name) == 0)
            return mem_strdup(path);
    return mem_strndup(name, length);
}

static int load_setup(struct run *run, size_t index) {
    struct setup *setup = &run->setups[index];
    struct err err = {0};
    uint64_t hash;
    int status = EXIT_DONE;
    setup->config = command_config(setup->path, &status);
    if (!setup->config)
        return status;
    if (!stamp(setup->config, &hash, &err))
        return command_fail(EXIT_CONFIG, "%s", err.text);
    setup->name = name_of(run, index);
    char *flat = mem_printf("%s-%016" PRIx64 ".jsonl", setup->name, hash);
    for (char *c = flat; *c; c++)
        *c = *c == '/' ? '_' : *c;
    setup->results_path = path_join(run->out, flat);
    mem_free(flat);
    for (size_t i = 0; i < index; i++)
        if (strcmp(run->setups[i].results_path, setup->results_path) == 0)
            return command_fail(EXIT_USAGE, "%s is there twice", setup->path);
    return EXIT_DONE;
}

// --- The dataset

static int check_photos(const struct run *run) {
    struct stat st;
    for (size_t i = 0; i < run->truth->count; i++) {
        const struct truth_photo *photo = &run->truth->photos[i];
        char *path = path_join(run->dataset, photo->file);
        int number = stat(path, &st) == 0 ? 0 : errno;
        mem_free(path);
        if (number)
            return command_fail(number == ENOENT || number == ENOTDIR ? EXIT_NOTHING : EXIT_FAILED,
                                "%s:%u: %s: %s", run->truth_path, photo->line, photo->file,
                                strerror(number));
    }
    return EXIT_DONE;
}

static int load_truth(struct run *run) {
    struct err err = {0};
    size_t length;
    struct stat st;
    bool there = stat(run->truth_path, &st) == 0 || errno != ENOENT;
    char *bytes = path_read_file(run->truth_path, TRUTH_BYTES, &length, &err);
    if (!bytes)
        return command_fail(there ? EXIT_FAILED : EXIT_NOTHING, "%s%s", err.text,
                            there ? "" : "; it says what the photos show, see eval --help");
    run->truth = truth_parse(bytes, length, &err);
    mem_free(bytes);
    if (!run->truth)
        return command_fail(err.code == ERR_NOTFOUND ? EXIT_NOTHING : EXIT_FAILED, "%s: %s",
                            run->truth_path, err.text);
    return check_photos(run);
}

// --- What it comes to

static bool write_file(const struct run *run, const char *name, const struct buf *text,
                       struct err *err) {
    char *path = path_join(run->out, name);
    bool good = path_write_file(path, buf_bytes(text), text->length, 0644, err);
    mem_free(path);
    return good;
}

static bool write_tables(const struct run *run, const struct eval *eval, struct err *err) {
    struct buf text;
    buf_init(&text, REPORT_BYTES);
    eval_markdown(eval, &text);
    bool good = write_file(run, "report.md", &text, err);
    if (good && fwrite(buf_bytes(&text), 1, text.length, stdout) != text.length)
        good = err_errno(err, "cannot write to standard output");
    buf_clear(&text);
    json_t *json = eval_json(eval);
    good = good && (json_write(&text, json) || err_set(err, ERR_LIMIT, "the report is too large"));
    good = good && buf_adds(&text, "\n") && write_file(run, "report.json", &text, err);
    json_decref(json);
    buf_fini(&text);
    return good;
}

static bool write_page(struct run *run, const struct eval *eval, struct err *err) {
    const struct config *config = run->setups[0].config;
    struct image_limits limits = config_image_limits(config);
    struct buf text;
    buf_init(&text, REPORT_BYTES);
    bool good = image_system_init(1, err) &&
                eval_page(eval, limits.file_bytes, &limits, &run->progress, &text, err) &&
                write_file(run, "report.html", &text, err);
    buf_fini(&text);
    return good;
}

static bool load_answers(struct run *run, struct eval *eval, struct err *err) {
    for (size_t i = 0; i < run->setup_count; i++) {
        struct eval_config *config = &eval->configs[i];
        config->name = run->setups[i].name;
        config->path = run->setups[i].path;
        config->answers = answers_load(run->setups[i].results_path, run->truth, err);
        if (!config->answers)
            return false;
        score_photos(&config->score, config->answers->photos, run->truth->count);
    }
    return true;
}

static int tell(struct run *run) {
    struct eval eval = {.dataset = run->dataset, .truth = run->truth, .count = run->setup_count};
    struct err err = {0};
    bool good = load_answers(run, &eval, &err) && write_tables(run, &eval, &err) &&
                write_page(run, &eval, &err);
    for (size_t i = 0; i < eval.count; i++)
        answers_destroy(eval.configs[i].answers);
    if (interrupt_came())
        return command_fail(EXIT_INTERRUPTED, "stopped before the page was written; the same "
                                              "command goes on");
    if (!good)
        return command_fail(command_status(&err), "%s; the same command goes on", err.text);
    command_fail(0, "misses and their crops: %s/report.html", run->out);
    return EXIT_DONE;
}

// --- The run

static int work(struct run *run) {
    assert(run->out);
    int status = load_truth(run);
    for (size_t i = 0; status == EXIT_DONE && i < run->setup_count; i++)
        status = load_setup(run, i);
    if (status != EXIT_DONE)
        return status;
    struct err err = {0};
    if (mkdir(run->out, 0755) != 0 && errno != EEXIST) {
        err_errno(&err, "cannot make the folder %s", run->out);
        return command_fail(command_status(&err), "%s", err.text);
    }
    progress_init(&run->progress, stderr);
    status = read_setups(run);
    return status == EXIT_DONE ? tell(run) : status;
}

static bool take_option(void *arg, int letter) {
    struct run *run = arg;
    switch (letter) {
    case 't': run->truth_path = optarg; break;
    case 'o': run->out = optarg; break;
    case 'c':
        if (run->setup_count < EVAL_CONFIGS_MAX)
            run->setups[run->setup_count].path = optarg;
        run->setup_count++;
        break;
    default: return false;
    }
    return true;
}

// -1: go on.
static int parse(struct run *run, int argc, char **argv) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"truth", required_argument, NULL, 't'},
                                            {"out", required_argument, NULL, 'o'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int status = command_options(argc, argv, options, help, take_option, run);
    if (status >= 0)
        return status;
    if (run->setup_count > EVAL_CONFIGS_MAX)
        return command_fail(EXIT_USAGE, "more than %d configurations", EVAL_CONFIGS_MAX);
    if (optind + 1 != argc)
        return command_fail(EXIT_USAGE, "eval takes one folder; see: ocr-pipeline eval --help");
    run->dataset = argv[optind];
    run->out = run->out ? run->out : "ocr-eval";
    run->setup_count += run->setup_count == 0; // the default one
    return -1;
}

int cmd_eval(int argc, char **argv) {
    struct run run = {0};
    int status = parse(&run, argc, argv);
    if (status >= 0)
        return status;
    char *truth_path = path_join(run.dataset, "truth.csv");
    run.truth_path = run.truth_path ? run.truth_path : truth_path;
    status = work(&run);
    for (size_t i = 0; i < run.setup_count; i++) {
        config_destroy(run.setups[i].config);
        mem_free(run.setups[i].name);
        mem_free(run.setups[i].results_path);
    }
    truth_destroy(run.truth);
    mem_free(truth_path);
    return status;
}
