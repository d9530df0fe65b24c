// bench: how fast a preset is on this machine, and what it takes; or two of them side by side.
#define _GNU_SOURCE
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "bench_run.h"
#include "beside.h"
#include "cli.h"
#include "format/json.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    DEFAULT_PROMPT = 512,
    DEFAULT_PREDICT = 128,
    DEFAULT_REPEAT = 3,
};

static const char help[] =
    "usage: ancalagon bench PRESET [--vs PRESET|ENGINE] [--prompt N] [--depth N]...\n"
    "                       [--predict N] [--repeat N] [--json|--markdown] [--unload]\n"
    "                       [--last] [--config FILE]\n\n"
    "Starts an engine for PRESET beside the server, measures it, stops it: load time, tokens per\n"
    "second reading a prompt (prefill) and writing (decode), GPU or CPU use, power, memory. Each\n"
    "figure is a median, with the least and the most. About a minute for a small model.\n\n"
    "  ancalagon bench coder\n"
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

// --- The command line

static bool read_depth(struct bench_options *options, const char *text) {
    unsigned depth;
    if (!cli_number("bench", "depth", text, 0, 1 << 20, &depth))
        return false;
    options->depth_told = true;
    if (depth == 0)
        return true;
    if (depth < 8 || options->depth_count == BENCH_DEPTHS_MAX) {
        fprintf(stderr, "ancalagon bench: up to %d depths, each of 8 tokens or more\n",
                BENCH_DEPTHS_MAX);
        return false;
    }
    options->depths[options->depth_count++] = depth;
    return true;
}

static bool read_option(void *arg, int option, const char *text) {
    struct bench_options *options = arg;
    switch (option) {
    case 'c': options->config = text; return true;
    case 'v': options->vs = text; return true;
    case 'd': return read_depth(options, text);
    case 'p':
        options->prompt_told = true;
        return cli_number("bench", "prompt", text, 8, 1 << 20, &options->prompt);
    case 'n': return cli_number("bench", "predict", text, 2, 1 << 20, &options->predict);
    case 'r': return cli_number("bench", "repeat", text, 1, SERIES_MAX, &options->repeat);
    case 'j': return options->json = true;
    case 'm': return options->markdown = true;
    case 'u': return options->unload = true;
    case 'l': return options->last = true;
    default: return false;
    }
}

// -1: go on; else the exit status.
static int parse(int argc, char **argv, struct bench_options *options) {
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'},  {"vs", required_argument, NULL, 'v'},
        {"depth", required_argument, NULL, 'd'},   {"prompt", required_argument, NULL, 'p'},
        {"predict", required_argument, NULL, 'n'}, {"repeat", required_argument, NULL, 'r'},
        {"json", no_argument, NULL, 'j'},          {"markdown", no_argument, NULL, 'm'},
        {"unload", no_argument, NULL, 'u'},        {"last", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0}};
    *options = (struct bench_options){
        .prompt = DEFAULT_PROMPT, .predict = DEFAULT_PREDICT, .repeat = DEFAULT_REPEAT};
    return cli_parse_own(argc, argv, known, help, read_option, options, &options->preset);
}

// --- What is compared

static const struct preset *want(const struct config *config, const char *name) {
    struct err err = {0};
    const struct preset *preset = config_want(config, name, &err);
    if (!preset)
        cli_fail(EXIT_USAGE, "%s", err.text);
    return preset;
}

// A preset by that name, else an engine by that path.
static bool find_other(struct bench_run *run, const char *word) {
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
    return want(run->config, word) != NULL;
}

static bool find_sides(struct bench_run *run) {
    const struct bench_options *options = &run->options;
    run->presets[0] = want(run->config, options->preset);
    if (!run->presets[0])
        return false;
    if (options->vs && !find_other(run, options->vs))
        return false;
    run->bench.side_count = options->vs ? 2 : 1;
    for (size_t s = 0; s < run->bench.side_count; s++) {
        struct bench_side *side = &run->bench.sides[s];
        snprintf(side->preset, sizeof side->preset, "%s", run->presets[s]->name);
        snprintf(side->model, sizeof side->model, "%s", path_name(run->presets[s]->model));
        side->measured_at = (int64_t)time(NULL);
    }
    return true;
}

// --- Its end

static void print(const struct bench_options *options, const struct bench *bench) {
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

static int finish(struct bench_run *run, int status) {
    const struct bench_options *options = &run->options;
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
    bench->complete = status == EXIT_DONE;
    if (!bench->complete)
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

static int show_last(const struct bench_run *run) {
    enum { KEPT = 16 };
    struct bench_side *kept = mem_alloc(KEPT * sizeof *kept);
    size_t count = bench_load_all(run->presets[0]->name, kept, KEPT);
    struct bench *bench = mem_alloc(sizeof *bench);
    *bench = run->bench;
    bench->side_count = 1;
    bench->complete = true;
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

static int run_bench(struct bench_run *run) {
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
    status = finish(run, bench_measure(run));
    if (status == EXIT_DONE)
        beside_warn(run->options.config);
    return status;
}

int cmd_bench(int argc, char **argv) {
    struct bench_run *run = mem_alloc(sizeof *run);
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
