#include "photo_run.h"

#include "annotate.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/progress.h"
#include "base/str.h"
#include "commands.h"
#include "crash_note.h"
#include "csv.h"
#include "event/loop.h"
#include "format/json.h"
#include "interrupt.h"
#include "pipeline.h"
#include "report.h"
#include "results.h"
#include "vision/crew.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_BYTES = 64 << 20, AGAIN_LEAST_MS = 500, AGAIN_MOST_MS = 30000, NAP_MS = 100 };

struct run {
    const struct photo_run_options *options;
    const struct photo_source *source;
    bool annotate_is_folder;
    const struct config *config;
    struct pipeline *pipeline;
    struct results *results;
    bool noted;                 // there is a note beside the results
    struct crash_photos blamed; // by the note of the last run
    pthread_mutex_t lock;       // protects what is below
    struct progress progress;
    int64_t started_ms;
    size_t done, failed, skipped;
    enum share_fault end; // what ends the run; the photo at hand is as if it had not been looked at
};

static const char *name_of(const struct run *run, size_t index) {
    return run->source->name(run->source->arg, index);
}

// --- One photo

static void draw_progress(struct run *run, const char *photo) {
    progress_count(&run->progress, run->done, run->source->count - run->skipped, path_name(photo),
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
    switch (run->options->output) {
    case OUTPUT_PEOPLE: for_people(report, out); break;
    case OUTPUT_JSON: json_write(out, report); break;
    case OUTPUT_CSV: csv_line(report, out); break;
    }
}

// A photo whose model is away is not done: the same command reads it later.
static bool is_to_keep(const struct run *run, const struct err *why) {
    return !run->options->out || !models_are_away(why);
}

static bool finish(struct run *run, const char *photo, const json_t *report, const struct err *why,
                   struct err *err) {
    struct buf line;
    buf_init(&line, LINE_BYTES);
    if (is_to_keep(run, why) && (!why->code || run->options->output != OUTPUT_PEOPLE))
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
    const char *photo = name_of(run, index), *name = path_name(photo);
    if (!run->annotate_is_folder)
        return mem_strdup(run->options->annotate);
    for (size_t i = 0; i < index; i++)
        if (strcmp(path_name(name_of(run, i)), name) == 0)
            name = photo;
    char *flat = mem_printf("%s.jpg", name + strspn(name, "./"));
    for (char *c = flat; *c; c++)
        *c = *c == '/' ? '_' : *c;
    char *path = path_join(run->options->annotate, flat);
    mem_free(flat);
    return path;
}

// What is drawn comes before the line: a photo that has its line is done. False ends the run.
static bool annotate(const struct run *run, size_t index, const char *bytes, size_t length,
                     const struct reading *reading, struct err *err) {
    if (!run->options->annotate)
        return true;
    char *path = annotated_path(run, index);
    bool good = annotate_write(path, bytes, length, name_of(run, index), reading, run->config, err);
    mem_free(path);
    return good;
}

// --- A share that does not answer is waited for; the others read on while they can

static void tell_waiting(struct run *run, const struct err *why) {
    char time[32];
    progress_duration(time, sizeof time, run->source->patience_ms);
    pthread_mutex_lock(&run->lock);
    progress_clear(&run->progress);
    command_fail(0, "%s; trying again for up to %s", why->text, time);
    pthread_mutex_unlock(&run->lock);
}

// False: interrupted.
static bool nap(int64_t ms) {
    for (; ms > 0 && !interrupt_came(); ms -= NAP_MS)
        usleep(1000 * NAP_MS);
    return !interrupt_came();
}

// False ends the run: what the photo lies on is gone, not the photo.
static bool load(struct run *run, size_t index, char **bytes, size_t *length, struct err *why,
                 struct err *err) {
    const struct photo_source *source = run->source;
    int64_t since_ms = loop_now_ms(), wait_ms = AGAIN_LEAST_MS;
    for (;;) {
        *why = (struct err){0};
        enum share_fault fault = source->load(source->arg, index, bytes, length, why);
        if (!share_fault_is_whole(fault))
            return true;
        if (fault != SHARE_UNREACHABLE || loop_now_ms() - since_ms >= source->patience_ms) {
            pthread_mutex_lock(&run->lock);
            run->end = fault;
            pthread_mutex_unlock(&run->lock);
            return err_set(err, why->code, "%s", why->text);
        }
        if (wait_ms == AGAIN_LEAST_MS)
            tell_waiting(run, why);
        if (!nap(wait_ms))
            return err_set(err, ERR_NONE, "interrupted");
        wait_ms = 2 * wait_ms < AGAIN_MOST_MS ? 2 * wait_ms : AGAIN_MOST_MS;
    }
}

static bool read_photo(struct run *run, size_t index, unsigned crashes, struct err *err) {
    const char *photo = name_of(run, index);
    struct reading reading = {0};
    struct err why = {0};
    char *bytes = NULL;
    size_t length = 0;
    if (!crash_note_gives_up(crashes, &why) && !load(run, index, &bytes, &length, &why, err))
        return false;
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

// --- Photos during which the last run crashed

static uint64_t id_of(const char *photo) { return str_hash(photo); }

static unsigned crashes_of(const struct run *run, const char *photo) {
    for (size_t i = 0; i < run->blamed.count; i++)
        if (run->blamed.list[i].id == id_of(photo))
            return run->blamed.list[i].crashes;
    return 0;
}

static bool read_watched(struct run *run, size_t index, struct err *err) {
    const char *photo = name_of(run, index);
    struct crash_photo watched = {id_of(photo), crashes_of(run, photo)};
    struct crash_watch watch;
    if (interrupt_came())
        return err_set(err, ERR_NONE, "interrupted");
    if (results_has(run->results, photo))
        return true;
    crash_note_enter(&watch, watched);
    bool good = read_photo(run, index, watched.crashes, err);
    crash_note_leave(&watch);
    return good;
}

static bool read_one(void *context, size_t index, unsigned worker, struct err *err) {
    struct run *run = context;
    return crashes_of(run, name_of(run, index)) || read_watched(run, index, err);
}

// Before the others, and one at a time: the next crash is this photo's own.
static bool read_blamed(struct run *run, struct err *err) {
    bool good = true;
    for (size_t i = 0; good && run->blamed.count && i < run->source->count; i++)
        if (crashes_of(run, name_of(run, i)))
            good = read_watched(run, i, err);
    return good;
}

// Only beside a file that a later run goes on with.
static void begin_note(struct run *run) {
    struct stat st;
    run->noted = run->options->out && stat(run->options->out, &st) == 0 && S_ISREG(st.st_mode);
    if (!run->noted)
        return;
    char *note = mem_printf("%s.running", run->options->out);
    if (crash_note_tells(note, &run->blamed) && run->blamed.count)
        command_fail(0, "the last run crashed; what it was reading comes first, one by one");
    crash_note_begin(note);
    mem_free(note);
}

static void end_note(const struct run *run) {
    if (run->noted)
        crash_note_end();
}

// --- The run

static bool make_annotate_folder(struct run *run, struct err *err) {
    struct stat st;
    if (!run->options->annotate)
        return true;
    bool folder = stat(run->options->annotate, &st) == 0 && S_ISDIR(st.st_mode);
    run->annotate_is_folder =
        folder || run->source->count > 1 ||
        !(str_ends(run->options->annotate, ".jpg") || str_ends(run->options->annotate, ".jpeg"));
    if (run->annotate_is_folder && !folder && mkdir(run->options->annotate, 0755) != 0)
        return err_errno(err, "cannot make the folder %s", run->options->annotate);
    return true;
}

static bool open_all(struct run *run, struct err *err) {
    enum results_format format = run->options->output == OUTPUT_CSV ? RESULTS_CSV : RESULTS_JSON;
    run->results = results_open(run->options->out, format, err);
    if (!run->results || !make_annotate_folder(run, err))
        return false;
    for (size_t i = 0; i < run->source->count; i++)
        run->skipped += results_has(run->results, name_of(run, i));
    if (run->skipped)
        command_fail(0, "%zu of %zu photos are in %s already", run->skipped, run->source->count,
                     run->options->out);
    return true;
}

static int read_all(struct run *run) {
    struct err err = {0};
    pthread_mutex_init(&run->lock, NULL);
    run->started_ms = loop_now_ms();
    draw_progress(run, name_of(run, 0));
    bool good = read_blamed(run, &err) &&
                crew_run(run->config->workers, run->source->count, read_one, run, &err);
    progress_clear(&run->progress);
    pthread_mutex_destroy(&run->lock);
    if (interrupt_came())
        return command_fail(EXIT_INTERRUPTED, "stopped after %zu of %zu photos%s", run->done,
                            run->source->count - run->skipped,
                            run->options->out ? "; the same command goes on" : "");
    if (!good)
        return command_fail(run->end ? command_share_status(run->end) : command_status(&err),
                            "%s%s", err.text,
                            run->options->out ? "; the same command goes on" : "");
    return run->failed ? EXIT_FAILED : EXIT_DONE;
}

static int work(struct run *run) {
    struct err err = {0};
    interrupt_watch(); // loading takes a while, too
    if (!open_all(run, &err))
        return command_fail(command_status(&err), "%s", err.text);
    if (run->skipped == run->source->count) {
        begin_note(run); // one of a run that was killed behind its last photo goes
        end_note(run);
        return EXIT_DONE;
    }
    progress_init(&run->progress, stderr);
    progress_draw(&run->progress, "loading the networks", 0, 0);
    run->pipeline = pipeline_create(run->config, &err);
    progress_clear(&run->progress);
    if (!run->pipeline)
        return command_fail(err.code == ERR_NOTFOUND ? EXIT_SETUP : EXIT_FAILED, "%s", err.text);
    begin_note(run);
    int status = read_all(run);
    end_note(run);
    return status;
}

int photo_run(const struct photo_run_options *options, struct config *config,
              const struct photo_source *source) {
    struct run run = {.options = options, .config = config, .source = source};
    if (options->fast)
        config_fast(config);
    int status = work(&run);
    pipeline_destroy(run.pipeline);
    results_close(run.results);
    return status;
}

// --- Options

bool photo_run_option(struct photo_run_options *options, int letter) {
    switch (letter) {
    case 'j': options->output = OUTPUT_JSON; break;
    case 'v': options->output = OUTPUT_CSV; break;
    case 'o': options->out = optarg; break;
    case 'a': options->annotate = optarg; break;
    case 'f': options->fast = true; break;
    case 'c': options->config_path = optarg; break;
    default: return false;
    }
    return true;
}

void photo_run_options_end(struct photo_run_options *options) {
    if (options->out && options->output == OUTPUT_PEOPLE)
        options->output = str_ends(options->out, ".csv") ? OUTPUT_CSV : OUTPUT_JSON;
}
