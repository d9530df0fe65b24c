// tune: the fastest settings of a preset that fit, found by measuring.
#include "base/mem.h"
#include "base/progress.h"
#include "base/str.h"
#include "beside.h"
#include "cli.h"
#include "draft_store.h"
#include "event/loop.h"
#include "format/json.h"
#include "trial.h"
#include "tune_write.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: ancalagon tune PRESET [--for chat|agent|batch|D,P] [--trials N] [--depth N]\n"
    "                      [--kv TYPES] [--no-draft] [--dry-run] [--keep] [--unload]\n"
    "                      [--json] [--config FILE]\n\n"
    "Starts PRESET's engine up to eight times, each time with other settings, measures, and writes\n"
    "the fastest that fit into the presets file. What you set there stays as it is.\n"
    "  ancalagon tune coder                  for chat: 0.8 writing, 0.2 reading\n"
    "  ancalagon tune coder --for agent      long prompts: 0.5 and 0.5\n"
    "  ancalagon tune coder --for 0.7,0.3    your own weights of writing and reading\n"
    "  --trials N      at most so many (2 to 8)\n"
    "  --depth N       prompts of so many tokens (2048; agent 8192)\n"
    "  --kv TYPES      cache types to choose from (f16,q8_0; with kv = auto also q4_0)\n"
    "  --no-draft      look for no draft model\n"
    "  --dry-run       print the section, write nothing\n"
    "  --keep          after Ctrl-C write the best so far without asking\n"
    "  --unload        if the server has a model loaded, unload it first\n\n"
    "Exit: 0 done, 1 nothing could be measured or written, 2 usage, 3 config error, 130 Ctrl-C.\n";

enum {
    PREDICT = 64,
    PREDICT_SLOW = 24,
    REPEATS = 3,
    PROMPT_LEAST = 256,
    PROMPT_MS = 20 * 1000,  // one prompt may take so long
    MEASURE_MS = 45 * 1000, // all runs of a trial
    REPEATS_MOST = 24,      // while they differ by so much that the median is not certain
    WORTH_WRITING = 101,    // per cent of the speed before
};

// Relative standard error of a trial's figures that is good enough.
static const double CERTAIN = 0.02;
// Of the present settings being as fast as what was found.
static const double DOUBT_WORTH_TELLING = 0.05, DOUBT_TOO_MUCH = 0.5;

struct options {
    const char *config, *preset;
    struct tune_options search;
    struct tune_wishes wishes;
    bool json, dry_run, keep, unload;
};

struct run {
    struct options options;
    struct tune_subject subject;
    struct tune *tune;
    struct trial_session *session;
    struct trial_point point; // the same for all trials, decided by the first
    bool point_chosen;
    struct tune_trial trial;
    struct progress line;
    int64_t started_ms, trial_ms; // of the last trial
    double plain;                 // fastest decoding without a draft, tok/s
    struct drafted {
        double decode, tokens; // fastest with it; what a step gave then
    } drafted[TUNE_DRAFTS_MAX];
    bool interrupted;
    json_t *rows;
    double top; // objective of the best row so far
};

// ---- the command line ----

static bool read_purpose(struct options *options, const char *text) {
    static const struct {
        const char *name;
        double decode, prefill;
        unsigned depth;
    } PURPOSES[] = {{"chat", 0.8, 0.2, 2048}, {"agent", 0.5, 0.5, 8192}, {"batch", 0.3, 0.7, 2048}};
    for (size_t i = 0; i < sizeof PURPOSES / sizeof *PURPOSES; i++)
        if (strcmp(PURPOSES[i].name, text) == 0) {
            options->search.decode_weight = PURPOSES[i].decode;
            options->search.prefill_weight = PURPOSES[i].prefill;
            if (!options->wishes.depth_tokens)
                options->wishes.depth_tokens = PURPOSES[i].depth;
            return true;
        }
    char *end, *last = NULL;
    options->search.decode_weight = strtod(text, &end);
    if (*end == ',')
        options->search.prefill_weight = strtod(end + 1, &last);
    double sum = options->search.decode_weight + options->search.prefill_weight;
    if (last && *last == '\0' && sum > 0 && options->search.decode_weight >= 0 &&
        options->search.prefill_weight >= 0)
        return true;
    fprintf(stderr, "ancalagon tune: --for takes chat, agent, batch or two weights (0.8,0.2)\n");
    return false;
}

static bool read_depth(struct options *options, const char *text) {
    struct tune_wishes *wishes = &options->wishes;
    if (!cli_number("tune", "depth", text, 64, 1 << 20, &wishes->depth_tokens))
        return false;
    wishes->least_ctx = wishes->depth_tokens + PREDICT;
    return true;
}

static bool read_option(void *arg, int option, const char *text) {
    struct options *options = arg;
    switch (option) {
    case 'c': options->config = text; return true;
    case 'f': return read_purpose(options, text);
    case 't':
        return cli_number("tune", "trials", text, 2, TUNE_TRIALS_MAX, &options->search.trials);
    case 'd': return read_depth(options, text);
    case 'v': options->wishes.kv = text; return true;
    case 'x': return options->wishes.no_draft = true;
    case 'n': return options->dry_run = true;
    case 'k': return options->keep = true;
    case 'u': return options->unload = true;
    case 'j': return options->json = true;
    default: return false;
    }
}

// -1: go on; else the exit status.
static int parse(int argc, char **argv, struct options *options) {
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'}, {"for", required_argument, NULL, 'f'},
        {"trials", required_argument, NULL, 't'}, {"depth", required_argument, NULL, 'd'},
        {"kv", required_argument, NULL, 'v'},     {"no-draft", no_argument, NULL, 'x'},
        {"dry-run", no_argument, NULL, 'n'},      {"keep", no_argument, NULL, 'k'},
        {"unload", no_argument, NULL, 'u'},       {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
    return cli_parse_own(argc, argv, known, help, read_option, options, &options->preset);
}

// ---- one trial ----

// All trials read the same prompt lengths, or they could not be compared; the first one says how
// much this machine can do in the time that a trial may take.
static void choose_point(struct run *run, double prefill, double decode, unsigned ctx) {
    struct trial_point *point = &run->point;
    point->predict_tokens = decode > 0 && decode < 5 ? PREDICT_SLOW : PREDICT;
    while (prefill > 0 && point->prompt_tokens > PROMPT_LEAST &&
           1000.0 * point->prompt_tokens / prefill > PROMPT_MS)
        point->prompt_tokens /= 2;
    if (ctx > 64 && point->prompt_tokens + point->predict_tokens > ctx) {
        point->predict_tokens = point->predict_tokens < ctx / 4 ? point->predict_tokens : ctx / 4;
        point->prompt_tokens = ctx - ctx / 4 - point->predict_tokens;
    }
    double once = prefill > 0 && decode > 0 ? 1000.0 * point->prompt_tokens / prefill +
                                                  1000.0 * point->predict_tokens / decode
                                            : 0;
    point->repeats = REPEATS;
    while (point->repeats > 1 && once * point->repeats > MEASURE_MS)
        point->repeats--;
    run->point_chosen = true;
}

static void on_warm(struct trial_point *points, size_t *count, double prefill, double decode,
                    unsigned ctx, void *arg) {
    struct run *run = arg;
    if (!run->point_chosen)
        choose_point(run, prefill, decode, ctx);
    points[0] = run->point;
    *count = 1;
}

static bool on_progress(const struct trial_progress *progress, void *arg) {
    struct run *run = arg;
    char label[64];
    unsigned all = run->options.search.trials ? run->options.search.trials : TUNE_TRIALS_MAX;
    int64_t now = loop_now_ms(), expected = 0;
    snprintf(label, sizeof label, "trial %u of %u%s", run->trial.number, all,
             progress->phase == TRIAL_LOADING ? ": loading" : "");
    if (progress->expected_ms > 0)
        expected =
            now - run->started_ms + progress->expected_ms - progress->elapsed_ms +
            (all - run->trial.number) * (run->trial_ms ? run->trial_ms : progress->expected_ms);
    progress_draw(&run->line, label, now - run->started_ms, expected);
    return true;
}

static void tell_row(struct run *run, const struct tune_measured *measured, const char *verdict) {
    char settings[256];
    tune_describe(&run->subject, &run->trial.choice, settings, sizeof settings);
    json_array_append_new(
        run->rows,
        json_build("{s:i, s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:s}", "trial", (int)run->trial.number,
                   "settings", settings, "why", run->trial.reason, "prefill_tok_s",
                   measured->prefill, "decode_tok_s", measured->decode, "error", measured->spread,
                   "predicted_prefill_tok_s", run->trial.predicted_prefill,
                   "predicted_decode_tok_s", run->trial.predicted_decode, "verdict", verdict));
    if (run->options.json)
        return;
    progress_clear(&run->line);
    char prefill[16] = "-", decode[16] = "-";
    if (measured->outcome == TUNE_MEASURED) {
        snprintf(prefill, sizeof prefill, "%.1f", measured->prefill);
        snprintf(decode, sizeof decode, "%.1f", measured->decode);
    }
    printf("%2u  %9s  %8s  %-10s  %s\n", run->trial.number, prefill, decode, verdict, settings);
    fflush(stdout);
}

static void tell_measured(struct run *run, const struct tune_measured *measured) {
    char verdict[16] = "first";
    double here = tune_objective(&run->options.search, measured->decode, measured->prefill);
    if (isfinite(run->top)) {
        double change = exp(here - run->top) - 1;
        snprintf(verdict, sizeof verdict, run->trial.again ? "again" : "%+.0f %%", 100 * change);
    }
    run->top = fmax(run->top, here);
    tell_row(run, measured, verdict);
}

static void note_draft(struct run *run, const struct trial_point_result *point, double decode) {
    int which = run->trial.choice.value[TUNE_DRAFT];
    if (run->subject.tf.draft_present)
        return; // never without it: nothing to compare with
    if (which == 0) {
        run->plain = fmax(run->plain, decode);
        return;
    }
    struct drafted *drafted = &run->drafted[which - 1];
    unsigned all = point->predicted_n * (unsigned)point->decode_tok_s.count;
    if (decode <= drafted->decode || point->draft_accepted >= all)
        return;
    *drafted = (struct drafted){decode, (double)all / (all - point->draft_accepted)};
}

static void take_result(struct run *run, const struct trial_result *result, const struct err *err) {
    struct tune_measured measured = {.outcome = TUNE_BROKEN};
    if (result->outcome == TRIAL_NO_MEMORY)
        measured.outcome = TUNE_NO_MEMORY;
    if (result->outcome == TRIAL_MEASURED || result->outcome == TRIAL_CUT) {
        const struct trial_point_result *point = &result->points[0];
        double prefill = series_median(&point->prefill_tok_s);
        measured = (struct tune_measured){
            .outcome = TUNE_MEASURED,
            .decode = series_median(&point->decode_tok_s),
            .prefill = isnan(prefill) ? 0 : prefill,
            .spread = tune_error(&run->options.search, point->decode_error, point->prefill_error)};
        note_draft(run, point, measured.decode);
        tell_measured(run, &measured);
    } else {
        tell_row(run, &measured, measured.outcome == TUNE_NO_MEMORY ? "no memory" : "failed");
        if (!run->options.json)
            printf("               %.*s\n", 120, err->text);
    }
    tune_result(run->tune, &measured);
}

static bool run_trial(struct run *run) {
    struct trial_result *result = mem_alloc(sizeof *result);
    struct tune_change *changes = mem_alloc(TUNE_CHANGES_MAX * sizeof *changes);
    struct overlay overlays[TUNE_CHANGES_MAX + 1];
    size_t count = tune_changes(&run->subject, &run->trial.choice, changes);
    char ctx[16];
    for (size_t i = 0; i < count; i++)
        overlays[i] = (struct overlay){changes[i].key, changes[i].value};
    // A context that is open would take what a setting saves; speed is compared at one length.
    snprintf(ctx, sizeof ctx, "%u", run->subject.decision.plan.ctx_total);
    if (run->subject.decision.planned)
        overlays[count++] = (struct overlay){"ctx-size", ctx};
    struct trial_spec spec = {.preset = run->subject.preset,
                              .overlays = overlays,
                              .overlay_count = count,
                              .points = &run->point,
                              .point_count = 1,
                              .patience = {CERTAIN, REPEATS_MOST, MEASURE_MS},
                              .on_progress = on_progress,
                              .on_warm = on_warm,
                              .arg = run};
    struct err err = {0};
    int64_t began = loop_now_ms();
    trial_run(run->session, &spec, result, &err);
    run->trial_ms = loop_now_ms() - began;
    bool ended = result->outcome == TRIAL_INTERRUPTED;
    if (!ended)
        take_result(run, result, &err);
    mem_free(changes);
    mem_free(result);
    return !ended;
}

// ---- the whole ----

static int measure(struct run *run) {
    struct err err = {0};
    run->tune = tune_create(&run->subject.space, &run->options.search, &err);
    if (!run->tune)
        return cli_fail(EXIT_FAILED, "%s", err.text);
    run->session = trial_session_create(run->subject.config, &err);
    if (!run->session)
        return cli_fail(EXIT_FAILED, "%s", err.text);
    run->started_ms = loop_now_ms();
    run->top = -INFINITY;
    run->point = (struct trial_point){run->subject.tf.depth_tokens, PREDICT, 1};
    progress_init(&run->line, run->options.json ? stderr : stdout);
    if (!run->options.json)
        printf(" #    prefill    decode  verdict     settings\n"
               "        tok/s     tok/s\n");
    while (!run->interrupted && tune_next(run->tune, &run->trial))
        run->interrupted = !run_trial(run);
    progress_clear(&run->line);
    return EXIT_DONE;
}

// What drafts gave here, for draft = auto.
static void keep_drafts(const struct run *run) {
    char engine[64];
    draft_store_engine(run->subject.decision.dialect, engine, sizeof engine);
    for (size_t i = 0; i < run->subject.tf.draft_count && run->plain > 0; i++) {
        const struct drafted *drafted = &run->drafted[i];
        if (drafted->decode <= 0)
            continue;
        struct draft_key key = {run->subject.preset->name, run->subject.preset->model,
                                run->subject.tf.draft[i].model->path, engine};
        struct draft_record record;
        struct err err;
        draft_store_get(&key, &record);
        record.measured_gain = drafted->decode / run->plain;
        record.measured_tokens = drafted->tokens;
        if (!draft_store_put(&key, &record, &err))
            fprintf(stderr, "ancalagon: the gain of a draft is not kept: %s\n", err.text);
    }
}

static void tell_best(const struct tune_best *best) {
    bool alone = best->compared == 0; // what is chosen is what was measured first
    if (alone)
        printf("\nwriting %.1f tok/s, reading %.0f tok/s, and nothing measured to compare it with",
               best->decode, best->prefill);
    else if (best->present_failed)
        printf("\nthe preset as it is does not run; writing %.1f tok/s, reading %.0f tok/s",
               best->decode, best->prefill);
    else
        printf("\nwriting %.1f -> %.1f tok/s, reading %.0f -> %.0f tok/s", best->anchor_decode,
               best->decode, best->anchor_prefill, best->prefill);
    if (!isnan(best->spare_mib))
        printf("; %.0f MiB stay free", best->spare_mib);
    puts("");
    if (best->drift > 0.05)
        printf("beware: the same settings differed by %.0f %%; something else may be running\n",
               100 * best->drift);
    if (best->doubt >= DOUBT_WORTH_TELLING)
        printf(
            "not certain: from %u trial%s, the chance is %.0f %% that the preset as it is is as fast;"
            " more\ntrials or a quiet machine would tell\n",
            best->trials, best->trials == 1 ? "" : "s", 100 * best->doubt);
}

static bool confirmed(const struct run *run) {
    if (!run->interrupted || run->options.keep || !isatty(STDIN_FILENO) || run->options.json)
        return true;
    char answer[16] = "";
    printf("stopped. Write the best so far into %s? [Y/n] ", run->subject.path);
    fflush(stdout);
    return fgets(answer, sizeof answer, stdin) && answer[0] != 'n' && answer[0] != 'N';
}

static json_t *result_json(const struct run *run, const struct tune_best *best, bool written) {
    json_t *settings = json_object();
    struct tune_change *changes = mem_alloc(TUNE_CHANGES_MAX * sizeof *changes);
    size_t count = tune_changes(&run->subject, &best->choice, changes);
    for (size_t i = 0; i < count; i++)
        json_set(settings, changes[i].key, json_text(changes[i].value));
    mem_free(changes);
    return json_build("{s:s, s:O, s:o, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:i, s:b, s:b}", "preset",
                      run->subject.preset->name, "trials", run->rows, "settings", settings, "gain",
                      best->gain, "decode_tok_s", best->decode, "prefill_tok_s", best->prefill,
                      "decode_before_tok_s", best->anchor_decode, "prefill_before_tok_s",
                      best->anchor_prefill, "drift", best->drift, "doubt", best->doubt, "compared",
                      (int)best->compared, "interrupted", run->interrupted, "written", written);
}

static void print_json(const struct run *run, const struct tune_best *best, bool written) {
    json_t *json = result_json(run, best, written);
    struct buf text;
    buf_init(&text, 1 << 20);
    json_write(&text, json);
    cli_print_body(&text);
    buf_fini(&text);
    json_decref(json);
}

static void print_section(const struct run *run, const struct tune_best *best,
                          const struct tune_evidence *evidence) {
    struct buf text;
    buf_init(&text, 64 * 1024);
    tune_section(&run->subject, &best->choice, evidence, &text);
    fputs(buf_text(&text), stdout);
    buf_fini(&text);
}

// Is there something to write: faster settings, or earlier ones of ours that no longer are?
static bool worth_writing(const struct run *run, struct tune_best *best) {
    bool faster =
        best->present_failed || (best->gain * 100 >= WORTH_WRITING && best->doubt < DOUBT_TOO_MUCH);
    if (!faster) // small change: the preset as it is serves as well
        for (int axis = 0; axis < TUNE_AXES; axis++)
            best->choice.value[axis] = run->subject.space.axis[axis].values[0];
    if (run->interrupted && run->subject.tuned_before)
        return false; // what an earlier, complete tune found is worth more than half a new one
    return faster || run->subject.tuned_before;
}

static void tell_nothing_written(const struct run *run, const struct tune_best *best) {
    if (run->subject.tuned_before)
        puts("what was tuned before stays");
    else if (best->compared == 0)
        puts("the preset stays as it is");
    else if (best->doubt >= DOUBT_TOO_MUCH)
        puts("not certain enough: the preset stays as it is");
    else
        puts("the preset is as fast as anything tried; it stays as it is");
}

static int conclude(struct run *run, const struct tune_evidence *evidence, struct tune_best *best) {
    struct err err = {0};
    const struct options *options = &run->options;
    int done = run->interrupted ? EXIT_INTERRUPTED : EXIT_DONE;
    bool write = worth_writing(run, best);
    bool written = write && !options->dry_run && confirmed(run);
    if (written && !tune_write(&run->subject, &best->choice, evidence, &err)) {
        if (!options->json) {
            puts("to be pasted by hand:\n");
            print_section(run, best, evidence);
        }
        return cli_fail(EXIT_FAILED, "%s", err.text);
    }
    if (options->json) {
        print_json(run, best, written);
        return done;
    }
    tell_best(best);
    if (!write)
        tell_nothing_written(run, best);
    else if (!written)
        print_section(run, best, evidence);
    else
        printf("written to %s; for a running server: ancalagon reload\n", run->subject.path);
    return done;
}

static int refusal(const struct run *run, const struct err *err) {
    if (run->subject.preset)
        return EXIT_FAILED;
    return err->code == ERR_NOTFOUND ? EXIT_USAGE : EXIT_CONFIG;
}

static int run_tune(struct run *run) {
    struct err err = {0};
    const struct options *options = &run->options;
    int status = beside_make_room(options->config, options->unload);
    if (status != EXIT_DONE)
        return status;
    if (!tune_subject_open(&run->subject, options->config, options->preset, &options->wishes, &err))
        return cli_fail(refusal(run, &err), "%s", err.text);
    struct tune_best best;
    struct tune_evidence evidence;
    status = measure(run);
    bool found = status == EXIT_DONE && tune_best(run->tune, &best);
    if (found)
        tune_evidence(&evidence, &run->subject, &best, run->point.prompt_tokens);
    keep_drafts(run);
    trial_session_destroy(run->session); // its signals are ours again, and may end a question
    run->session = NULL;
    if (found)
        status = conclude(run, &evidence, &best);
    else if (status == EXIT_DONE)
        status = run->interrupted ? EXIT_INTERRUPTED
                                  : cli_fail(EXIT_FAILED, "no trial succeeded; nothing is written");
    if (status == EXIT_DONE)
        beside_warn(options->config);
    return status;
}

int cmd_tune(int argc, char **argv) {
    struct run *run = mem_alloc(sizeof *run);
    int status = parse(argc, argv, &run->options);
    if (status < 0) {
        run->rows = json_array();
        status = run_tune(run);
        tune_destroy(run->tune);
        tune_subject_close(&run->subject);
        json_decref(run->rows);
    }
    mem_free(run);
    return status;
}
