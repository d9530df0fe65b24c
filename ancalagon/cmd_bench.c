// bench: how fast a preset is on this machine, and what it takes; or two of them side by side.
#define _GNU_SOURCE
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "bench.h"
#include "beside.h"
#include "cli.h"
#include "config.h"
#include "event/loop.h"
#include "format/json.h"
#include "progress.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    DEFAULT_PROMPT = 512,
    DEFAULT_PREDICT = 128,
    DEFAULT_REPEAT = 3,
    DEPTHS_MAX = TRIAL_POINTS_MAX - 1,
    DEPTH_BUDGET_MS = 45000, // for the depth that we choose ourselves
    CONTROL_TIMEOUT_MS = 120000,
};

static const char help[] =
    "usage: ancalagon bench PRESET [--vs PRESET|ENGINE] [--prompt N] [--depth N]...\n"
    "                       [--predict N] [--repeat N] [--json|--markdown] [--unload]\n"
    "                       [--last] [--config FILE]\n\n"
    "Starts an engine for PRESET beside the server, measures it, stops it: load time, tokens per\n"
    "second reading a prompt (prefill) and writing (decode), GPU or CPU use, power, memory. Each\n"
    "figure is a median, with the least and the most. About a minute for a small model.\n\n"
    "  ancalagon bench coder                          \n"
    "  ancalagon bench coder --vs qwen36              two presets, turn by turn, with the ratio\n"
    "  ancalagon bench coder --vs ~/fork/llama-server the same preset with another engine\n\n"
    "  --prompt N      tokens of the short prompt (512)\n"
    "  --depth N       measure after a prompt of N tokens too; may be repeated; 0: none. Without\n"
    "                  it, the longest of 8K, 4K, 2K, 1K that takes less than a minute\n"
    "  --predict N     tokens to write each time (128)\n"
    "  --repeat N      runs of each (3); the first one after loading is never counted\n"
    "  --json          for programs\n"
    "  --markdown      a table to paste\n"
    "  --unload        if the server has a model loaded, unload it first (it would falsify this)\n"
    "  --last          only show what was measured last, for each engine build\n\n"
    "Ctrl-C prints what was measured so far. Exit: 0 measured, 1 could not, 2 usage, 3 config.\n";

struct options {
    const char *config, *preset, *vs;
    unsigned prompt, predict, repeat;
    unsigned depths[DEPTHS_MAX];
    size_t depth_count;
    bool depth_told, prompt_told, json, markdown, unload, last;
};

struct run {
    struct options options;
    struct config *config;
    struct bench bench;
    const struct preset *presets[BENCH_SIDES];
    char *engines[BENCH_SIDES]; // NULL: the preset's own
    struct trial_point points[TRIAL_POINTS_MAX];
    size_t point_count;
    bool points_chosen;
    struct progress line;
    size_t side; // being measured
    unsigned round, rounds;
    int64_t started_ms, trial_ms[BENCH_SIDES]; // what a trial of a side took last; 0: none yet
};

// --- The command line

static bool read_number(const char *name, const char *text, int64_t min, int64_t max,
                        unsigned *out) {
    uint64_t value;
    if (!str_to_size(text, &value) || (int64_t)value < min || (int64_t)value > max) {
        fprintf(stderr, "ancalagon bench: --%s takes a number from %lld to %lld, not \"%s\"\n",
                name, (long long)min, (long long)max, text);
        return false;
    }
    *out = (unsigned)value;
    return true;
}

static bool read_depth(struct options *options, const char *text) {
    unsigned depth;
    if (!read_number("depth", text, 0, 1 << 20, &depth))
        return false;
    options->depth_told = true;
    if (depth == 0)
        return true;
    if (depth < 8 || options->depth_count == DEPTHS_MAX) {
        fprintf(stderr, "ancalagon bench: up to %d depths, each of 8 tokens or more\n", DEPTHS_MAX);
        return false;
    }
    options->depths[options->depth_count++] = depth;
    return true;
}

static bool read_option(struct options *options, int option, const char *text) {
    switch (option) {
    case 'c': options->config = text; return true;
    case 'v': options->vs = text; return true;
    case 'd': return read_depth(options, text);
    case 'p':
        options->prompt_told = true;
        return read_number("prompt", text, 8, 1 << 20, &options->prompt);
    case 'n': return read_number("predict", text, 2, 1 << 20, &options->predict);
    case 'r': return read_number("repeat", text, 1, SERIES_MAX, &options->repeat);
    case 'j': return options->json = true;
    case 'm': return options->markdown = true;
    case 'u': return options->unload = true;
    case 'l': return options->last = true;
    default: return false;
    }
}

// -1: go on; else the exit status.
static int parse(int argc, char **argv, struct options *options) {
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'},  {"vs", required_argument, NULL, 'v'},
        {"depth", required_argument, NULL, 'd'},   {"prompt", required_argument, NULL, 'p'},
        {"predict", required_argument, NULL, 'n'}, {"repeat", required_argument, NULL, 'r'},
        {"json", no_argument, NULL, 'j'},          {"markdown", no_argument, NULL, 'm'},
        {"unload", no_argument, NULL, 'u'},        {"last", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0}};
    int option;
    *options = (struct options){
        .prompt = DEFAULT_PROMPT, .predict = DEFAULT_PREDICT, .repeat = DEFAULT_REPEAT};
    optind = 1;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return EXIT_DONE;
        }
        if (!read_option(options, option, optarg))
            return option == '?' ? cli_fail(EXIT_USAGE, "see: ancalagon bench --help") : EXIT_USAGE;
    }
    if (argc - optind != 1)
        return cli_fail(EXIT_USAGE, "bench takes one preset; see: ancalagon bench --help");
    options->preset = argv[optind];
    return -1;
}

// --- What is compared

static bool no_preset(const struct config *config, const char *name) {
    fprintf(stderr, "ancalagon: there is no preset \"%s\" in %s; there are:", name, config->path);
    for (size_t i = 0; i < config->presets_count && i < 20; i++)
        fprintf(stderr, " %s", config->presets[i].name);
    fputc('\n', stderr);
    return false;
}

// A preset by that name, else an engine by that path.
static bool find_other(struct run *run, const char *word) {
    run->presets[1] = config_find(run->config, word);
    if (run->presets[1])
        return true;
    char *home = path_expand(word);
    run->engines[1] = path_absolute(home, NULL);
    mem_free(home);
    if (run->engines[1] && access(run->engines[1], X_OK) == 0) {
        run->presets[1] = run->presets[0];
        return true;
    }
    if (strchr(word, '/')) {
        fprintf(stderr, "ancalagon: --vs %s: there is no such program\n", word);
        return false;
    }
    return no_preset(run->config, word);
}

static bool find_sides(struct run *run) {
    const struct options *options = &run->options;
    run->presets[0] = config_find(run->config, options->preset);
    if (!run->presets[0])
        return no_preset(run->config, options->preset);
    if (options->vs && !find_other(run, options->vs))
        return false;
    run->bench.side_count = options->vs ? 2 : 1;
    for (size_t s = 0; s < run->bench.side_count; s++) {
        struct bench_side *side = &run->bench.sides[s];
        const char *slash = strrchr(run->presets[s]->model, '/');
        snprintf(side->preset, sizeof side->preset, "%s", run->presets[s]->name);
        snprintf(side->model, sizeof side->model, "%s", slash ? slash + 1 : run->presets[s]->model);
        side->measured_at = (int64_t)time(NULL);
    }
    return true;
}

// --- Progress

static void label_of(const struct run *run, const struct trial_progress *progress, char *out,
                     size_t size) {
    const struct trial_point *point = &run->points[progress->point];
    char who[PRESET_NAME_MAX + 24], run_of[48] = "";
    snprintf(who, sizeof who, "%s%s", run->bench.side_count == 2 ? (run->side ? "B " : "A ") : "",
             run->presets[run->side]->name);
    if (run->rounds > 1)
        snprintf(run_of, sizeof run_of, ", round %u of %u", run->round + 1, run->rounds);
    else if (progress->run)
        snprintf(run_of, sizeof run_of, ", run %u of %u", progress->run, progress->runs);
    switch (progress->phase) {
    case TRIAL_LOADING: snprintf(out, size, "%s: loading%s", who, run_of); return;
    case TRIAL_WARMUP: snprintf(out, size, "%s: warming up%s", who, run_of); return;
    case TRIAL_PREFILL:
        snprintf(out, size, "%s: reading %u tokens%s", who, point->prompt_tokens, run_of);
        return;
    case TRIAL_DECODE:
        snprintf(out, size, "%s: writing after %u%s", who, point->prompt_tokens, run_of);
        return;
    case TRIAL_STOPPING: snprintf(out, size, "%s: stopping%s", who, run_of); return;
    }
}

// Of the whole bench, from what trials took and this one will.
static int64_t expected_ms(const struct run *run, const struct trial_progress *progress) {
    int64_t now = loop_now_ms(), left = progress->expected_ms - progress->elapsed_ms;
    if (progress->expected_ms <= 0)
        return 0;
    for (size_t s = 0; s < run->bench.side_count; s++) {
        int64_t takes = run->trial_ms[s] ? run->trial_ms[s] : progress->expected_ms;
        unsigned trials = run->rounds - run->round - (s <= run->side);
        left += takes * trials;
    }
    return now - run->started_ms + left;
}

static bool on_progress(const struct trial_progress *progress, void *arg) {
    struct run *run = arg;
    char label[160];
    label_of(run, progress, label, sizeof label);
    progress_draw(&run->line, label, loop_now_ms() - run->started_ms, expected_ms(run, progress));
    return true;
}

// --- Points

static double cost_ms(const struct run *run, unsigned prompt, double prefill, double decode) {
    double once = 1000.0 * prompt / prefill + 1000.0 * run->options.predict / decode;
    return once * run->options.repeat * (double)run->bench.side_count;
}

// Speeds of a short prompt; at depth all is slower, more so on a CPU.
static unsigned affordable_depth(const struct run *run, double prefill, double decode,
                                 unsigned ctx) {
    for (unsigned depth = 8192; depth >= 1024; depth /= 2)
        if (depth > run->options.prompt && (!ctx || depth + run->options.predict <= ctx) &&
            1.5 * cost_ms(run, depth, prefill, decode) < DEPTH_BUDGET_MS)
            return depth;
    return 0;
}

static void tell_length(const struct run *run, double prefill, double decode) {
    double ms = 0;
    char about[32];
    for (size_t p = 0; p < run->point_count; p++)
        ms += cost_ms(run, run->points[p].prompt_tokens, prefill, decode);
    progress_duration(about, sizeof about, (int64_t)ms);
    fprintf(stderr, "%zu length%s x %u run%s%s: about %s\n", run->point_count,
            run->point_count == 1 ? "" : "s", run->options.repeat,
            run->options.repeat == 1 ? "" : "s", run->bench.side_count == 2 ? " of each" : "",
            about);
}

// The first trial decides for all: what its user left open depends on the machine.
static void choose_points(struct run *run, double prefill, double decode, unsigned ctx) {
    struct options *options = &run->options;
    if (!options->prompt_told && ctx && options->prompt + options->predict > ctx && ctx > 16) {
        options->prompt = ctx / 2;
        options->predict = options->predict < ctx / 4 ? options->predict : ctx / 4;
    }
    unsigned each = options->repeat / run->rounds;
    run->points[0] = (struct trial_point){options->prompt, options->predict, each};
    run->point_count = 1;
    if (!options->depth_told && prefill > 0 && decode > 0)
        if ((options->depths[0] = affordable_depth(run, prefill, decode, ctx)))
            options->depth_count = 1;
    for (size_t d = 0; d < options->depth_count; d++)
        run->points[run->point_count++] =
            (struct trial_point){options->depths[d], options->predict, each};
    run->points_chosen = true;
    progress_clear(&run->line);
    if (prefill > 0 && decode > 0)
        tell_length(run, prefill, decode);
}

static void on_warm(struct trial_point *points, size_t *count, double prefill, double decode,
                    unsigned ctx, void *arg) {
    struct run *run = arg;
    if (!run->points_chosen)
        choose_points(run, prefill, decode, ctx);
    // A depth that nobody asked for need not fit the other side.
    if (!run->options.depth_told && run->point_count == 2 && ctx &&
        run->points[1].prompt_tokens + run->points[1].predict_tokens > ctx)
        run->point_count = 1;
    memcpy(points, run->points, sizeof run->points);
    *count = run->point_count;
}

// --- The measurement

static bool measure_side(struct run *run, struct trial_session *session, bool *interrupted,
                         struct err *err) {
    struct trial_result *result = mem_alloc(sizeof *result);
    struct trial_point first = {run->options.prompt, run->options.predict, 1};
    struct trial_spec spec = {.preset = run->presets[run->side],
                              .engine_path = run->engines[run->side],
                              .points = run->points_chosen ? run->points : &first,
                              .point_count = run->points_chosen ? run->point_count : 1,
                              .on_progress = on_progress,
                              .on_warm = on_warm,
                              .arg = run};
    int64_t began = loop_now_ms();
    bool ok = trial_run(session, &spec, result, err);
    run->trial_ms[run->side] = loop_now_ms() - began;
    bench_side_add(&run->bench.sides[run->side], result);
    *interrupted = result->outcome == TRIAL_INTERRUPTED;
    mem_free(result);
    return ok;
}

static int measure(struct run *run) {
    struct err err = {0};
    bool ok = true, interrupted = false;
    struct trial_session *session = trial_session_create(run->config, &err);
    if (!session)
        return cli_fail(EXIT_FAILED, "%s", err.text);
    progress_init(&run->line, stderr);
    run->rounds = run->bench.side_count == 2 ? run->options.repeat : 1; // A B A B, by loads
    run->started_ms = loop_now_ms();
    for (run->round = 0; ok && run->round < run->rounds; run->round++)
        for (run->side = 0; ok && run->side < run->bench.side_count; run->side++) {
            ok = measure_side(run, session, &interrupted, &err);
            if (!ok)
                break; // the side that failed is told below
        }
    progress_clear(&run->line);
    trial_session_destroy(session);
    if (interrupted)
        return EXIT_INTERRUPTED;
    return ok ? EXIT_DONE
              : cli_fail(EXIT_FAILED, "%s: %s", run->presets[run->side]->name, err.text);
}

// --- Its end

static void print(const struct options *options, const struct bench *bench) {
    struct buf out;
    buf_init(&out, 4 << 20);
    if (options->json) {
        json_t *json = bench_json(bench);
        json_write(&out, json);
        buf_adds(&out, "\n");
        json_decref(json);
    } else if (options->markdown) {
        bench_print_markdown(bench, &out);
    } else {
        bench_print(bench, &out);
    }
    fwrite(buf_bytes(&out), 1, out.length, stdout);
    fflush(stdout);
    buf_fini(&out);
}

static void print_change(const struct bench_side *now, const struct bench_side *last) {
    char when[32] = "";
    time_t at = (time_t)last->measured_at;
    struct tm tm;
    if (localtime_r(&at, &tm))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M", &tm);
    for (size_t p = 0; p < now->point_count; p++) {
        const struct trial_point_result *old = bench_point(last, &now->points[p].point);
        if (old)
            printf("%slast time (%s) after %u: prefill %.4g, decode %.4g tok/s\n", p ? "" : "\n",
                   when, old->point.prompt_tokens, series_median(&old->prefill_tok_s),
                   series_median(&old->decode_tok_s));
    }
}

static int finish(struct run *run, int status) {
    const struct options *options = &run->options;
    struct bench *bench = &run->bench;
    struct bench_side *last = mem_alloc(sizeof *last);
    while (bench->side_count && bench_side_empty(&bench->sides[bench->side_count - 1]))
        bench->side_count--;
    if (bench->side_count == 0) {
        if (status == EXIT_INTERRUPTED)
            fputs("interrupted before anything was measured\n", stderr);
        mem_free(last);
        return status;
    }
    if (status != EXIT_DONE)
        fputs("incomplete: what was measured until then\n", stderr);
    print(options, bench);
    for (size_t s = 0; s < bench->side_count; s++) {
        const struct bench_side *side = &bench->sides[s];
        bool known = bench_load(side->preset, side->engine_path, side->engine_version, last);
        if (known && bench->side_count == 1 && !options->json && !options->markdown)
            print_change(side, last);
        if (status == EXIT_DONE)
            bench_save(side);
    }
    mem_free(last);
    return status;
}

static int show_last(const struct run *run) {
    enum { KEPT = 16 };
    struct bench_side *kept = mem_alloc(KEPT * sizeof *kept);
    size_t count = bench_load_all(run->presets[0]->name, kept, KEPT);
    struct bench *bench = mem_alloc(sizeof *bench);
    *bench = run->bench;
    bench->side_count = 1;
    for (size_t i = 0; i < count; i++) {
        bench->sides[0] = kept[i];
        if (i > 0 && !run->options.json)
            putchar('\n');
        print(&run->options, bench);
    }
    mem_free(bench);
    mem_free(kept);
    return count ? EXIT_DONE
                 : cli_fail(EXIT_FAILED, "%s was not measured yet; see: ancalagon bench %s",
                            run->presets[0]->name, run->presets[0]->name);
}

static int run_bench(struct run *run) {
    struct err err = {0};
    run->config = config_load(run->options.config, &err);
    if (!run->config)
        return cli_fail(EXIT_CONFIG, "%s", err.text);
    if (!find_sides(run))
        return EXIT_USAGE;
    bench_machine(&run->bench);
    if (run->options.last)
        return show_last(run);
    int status = beside_make_room(run->options.config, run->options.unload);
    if (status != EXIT_DONE)
        return status;
    status = finish(run, measure(run));
    if (status == EXIT_DONE)
        beside_warn(run->options.config);
    return status;
}

int cmd_bench(int argc, char **argv) {
    struct run *run = mem_alloc(sizeof *run);
    int status = parse(argc, argv, &run->options);
    if (status < 0) {
        status = run_bench(run);
        config_destroy(run->config);
        for (size_t s = 0; s < BENCH_SIDES; s++)
            mem_free(run->engines[s]);
    }
    mem_free(run);
    return status;
}
