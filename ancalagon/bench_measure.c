// The measurement of a bench: which lengths, the sides in turn, the moving line.
#include "base/mem.h"
#include "bench_run.h"
#include "cli.h"
#include "event/loop.h"
#include "survey.h"

#include <stdio.h>
#include <string.h>

enum { DEPTH_BUDGET_MS = 45000 }; // for the depth that we choose ourselves

// --- Progress

static void label_of(const struct bench_run *run, const struct trial_progress *progress, char *out,
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
static int64_t expected_ms(const struct bench_run *run, const struct trial_progress *progress) {
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
    struct bench_run *run = arg;
    char label[160];
    label_of(run, progress, label, sizeof label);
    progress_draw(&run->line, label, loop_now_ms() - run->started_ms, expected_ms(run, progress));
    return true;
}

// --- Points

static double cost_ms(const struct bench_run *run, unsigned prompt, double prefill, double decode) {
    double once = 1000.0 * prompt / prefill + 1000.0 * run->options.predict / decode;
    return once * run->options.repeat * (double)run->bench.side_count;
}

// Speeds of a short prompt; at depth all is slower, more so on a CPU.
static unsigned affordable_depth(const struct bench_run *run, double prefill, double decode,
                                 unsigned ctx) {
    for (unsigned depth = 8192; depth >= 1024; depth /= 2)
        if (depth > run->options.prompt && (!ctx || depth + run->options.predict <= ctx) &&
            1.5 * cost_ms(run, depth, prefill, decode) < DEPTH_BUDGET_MS)
            return depth;
    return 0;
}

static void tell_length(const struct bench_run *run, double prefill, double decode) {
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
static void choose_points(struct bench_run *run, double prefill, double decode, unsigned ctx) {
    struct bench_options *options = &run->options;
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
    struct bench_run *run = arg;
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

static bool measure_side(struct bench_run *run, struct trial_session *session, bool *interrupted,
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

// Tokens of the longest request that its user asked for; 0: none, then lengths follow the context.
static unsigned told_tokens(const struct bench_options *options) {
    unsigned longest = options->prompt_told ? options->prompt : 0;
    for (size_t d = 0; options->depth_told && d < options->depth_count; d++)
        if (options->depths[d] > longest)
            longest = options->depths[d];
    return longest ? longest + options->predict : 0;
}

// As decided for the side that is up; what cannot be decided is told by its trial.
static bool has_room(const struct bench_run *run, unsigned tokens, struct err *err) {
    struct decision decision;
    struct preset preset;
    struct err ignored;
    if (!preset_overlay(run->presets[run->side], run->engines[run->side], NULL, 0, &preset, err))
        return false;
    bool known = survey_decide(run->config, &preset, false, NULL, NULL, &decision, &ignored) &&
                 decision.planned;
    preset_fini(&preset);
    return !known || tokens <= decision.plan.ctx_slot ||
           err_set(err, ERR_INVALID,
                   "a prompt of %u tokens and %u more do not fit into the preset's context of %u "
                   "for each request",
                   tokens - run->options.predict, run->options.predict, decision.plan.ctx_slot);
}

// Before any engine is started: loading may take minutes.
static bool all_have_room(struct bench_run *run, struct err *err) {
    unsigned tokens = told_tokens(&run->options);
    bool ok = true;
    for (size_t s = 0; tokens && ok && s < run->bench.side_count; s++) {
        run->side = s;
        ok = has_room(run, tokens, err);
    }
    return ok;
}

int bench_measure(struct bench_run *run) {
    struct err err = {0};
    bool interrupted = false;
    struct trial_session *session = trial_session_create(run->config, &err);
    if (!session)
        return cli_fail(EXIT_FAILED, "%s", err.text);
    bool ok = all_have_room(run, &err);
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
