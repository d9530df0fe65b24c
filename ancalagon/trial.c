#define _GNU_SOURCE
#include "trial.h"

#include "base/mem.h"
#include "base/path.h"
#include "decision.h"
#include "engine.h"
#include "engine/diagnose.h"
#include "format/json.h"
#include "preset_launch.h"
#include "survey.h"
#include "trial_ask.h"
#include "trial_prompt.h"
#include "trial_watch.h"
#include "watchdog.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
    TICK_MS = 100,
    LAST_WORDS_MS = 1000,
    TAIL_BYTES = 32 * 1024, // of the engine's output, to tell want of memory from other failures
    WARM_PROMPT = 256,
    WARM_PREDICT = 16,
    MAX_PROMPT = 4 << 20, // tokens
};

struct trial_session {
    const struct config *config;
    struct loop *loop;
    char *runtime_dir;
    struct launch_context *launch;
    struct trial_watch *watch;
    struct signal_watch signals[3];
    unsigned signals_seen;
    struct trial *current; // NULL between trials
};

enum step { STEP_NOTHING, STEP_PROPS, STEP_FIRST_TOKEN, STEP_TOKENS, STEP_WARMUP, STEP_RUN };

struct trial {
    struct trial_session *session;
    const struct trial_spec *spec;
    struct trial_result *result;
    struct err *err;
    bool failed; // err is told; the first reason counts
    struct preset preset;
    struct decision decision;
    struct engine *engine;
    struct buf tail;
    struct trial_ask ask;
    struct trial_prompt prompt;
    struct watchdog watchdog;
    struct timer tick;
    struct timer last_words; // until a dying engine's exit is seen
    struct err cut;          // what is told if it does not die
    struct trial_point points[TRIAL_POINTS_MAX];
    size_t point_count;
    enum step step;
    enum trial_phase phase;
    size_t point;    // of this run
    unsigned round;  // repeats done of every point before it
    unsigned tokens; // of this phase of this run
    int64_t started_ms, run_started_ms;
    int64_t run_ms[TRIAL_POINTS_MAX]; // what the last run of a point took; 0: none yet
    double warm_prefill, warm_decode; // tokens per ms
    bool stopping;
};

// --- The session

// Folders of sessions that were killed: by then their guardian has ended their engines.
static void sweep(const char *base) {
    DIR *dir = opendir(base);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        int64_t pid;
        if (!str_starts(entry->d_name, "trial-") ||
            !str_to_int(entry->d_name + strlen("trial-"), 1, INT32_MAX, &pid) ||
            kill((pid_t)pid, 0) == 0 || errno != ESRCH)
            continue;
        char *folder = path_join(base, entry->d_name);
        DIR *inside = opendir(folder);
        for (struct dirent *file; inside && (file = readdir(inside));)
            if (str_ends(file->d_name, ".sock") || str_ends(file->d_name, ".key"))
                unlinkat(dirfd(inside), file->d_name, 0);
        if (inside)
            closedir(inside);
        rmdir(folder);
        mem_free(folder);
    }
    if (dir)
        closedir(dir);
}

static void on_signal(int signal, void *arg);

static void watch_signals(struct trial_session *session) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < 3; i++)
        signal_watch_start(&session->signals[i], session->loop, numbers[i], on_signal, session);
}

struct trial_session *trial_session_create(const struct config *config, struct err *err) {
    struct trial_session *session = mem_alloc(sizeof *session);
    char *base = path_runtime();
    session->config = config;
    session->runtime_dir = mem_printf("%s/trial-%d", base, (int)getpid());
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1); // what an engine forks away comes back to us
    bool ok = path_make_private(session->runtime_dir, err);
    if (ok)
        sweep(base);
    mem_free(base);
    session->loop = ok ? loop_create(err) : NULL;
    if (session->loop) {
        watch_signals(session);
        session->launch = launch_context_create(session->loop, session->runtime_dir, err);
    }
    if (!session->launch) {
        trial_session_destroy(session);
        return NULL;
    }
    session->watch = trial_watch_create(NULL); // a thread, so after the guardian's fork
    return session;
}

void trial_session_destroy(struct trial_session *session) {
    if (!session)
        return;
    trial_watch_destroy(session->watch);
    launch_context_destroy(session->launch);
    if (session->loop)
        for (size_t i = 0; i < 3; i++)
            signal_watch_stop(&session->signals[i]);
    loop_destroy(session->loop);
    rmdir(session->runtime_dir);
    mem_free(session->runtime_dir);
    mem_free(session);
}

bool trial_interrupted(struct trial_session *session) {
    event_base_loop(loop_base(session->loop), EVLOOP_NONBLOCK); // a signal may wait there
    return session->signals_seen > 0;
}

// --- How a trial ends

static void stop_engine(struct trial *trial) {
    trial_ask_cancel(&trial->ask);
    timer_stop(&trial->last_words);
    trial->step = STEP_NOTHING;
    trial->phase = TRIAL_STOPPING;
    trial_watch_phase(trial->session->watch, WATCH_ELSE, loop_now_us());
    if (trial->stopping)
        return;
    trial->stopping = true;
    engine_stop(trial->engine);
}

static void fail(struct trial *trial, enum trial_outcome outcome, const struct err *why) {
    if (trial->failed)
        return;
    trial->failed = true;
    trial->result->outcome = outcome;
    if (trial->err)
        *trial->err = *why;
}

static void fail_and_stop(struct trial *trial, const struct err *why) {
    fail(trial, TRIAL_FAILED, why);
    stop_engine(trial);
}

// No whole answer came. If that is because the engine is ending, its end says more.
static void on_no_last_words(void *arg) {
    struct trial *trial = arg;
    fail_and_stop(trial, &trial->cut);
}

static void lose_answer(struct trial *trial, const struct err *why) {
    if (!trial->ask.is_cut) {
        fail_and_stop(trial, why);
        return;
    }
    trial->cut = *why;
    timer_start(&trial->last_words, LAST_WORDS_MS);
}

static void interrupt(struct trial *trial) {
    struct err why;
    err_set(&why, ERR_SYSTEM, "interrupted");
    fail(trial, TRIAL_INTERRUPTED, &why);
    if (!trial->engine)
        return;
    if (trial->session->signals_seen > 1)
        engine_kill(trial->engine, &why);
    else
        stop_engine(trial);
}

static void on_signal(int signal, void *arg) {
    struct trial_session *session = arg;
    session->signals_seen++;
    if (session->current)
        interrupt(session->current);
}

// --- Progress

static int64_t run_expected_ms(const struct trial *trial, size_t point) {
    const struct trial_point *p = &trial->points[point];
    if (trial->run_ms[point])
        return trial->run_ms[point];
    if (trial->warm_prefill <= 0)
        return 0;
    double ms = p->prompt_tokens / trial->warm_prefill;
    if (trial->warm_decode > 0)
        ms += p->predict_tokens / trial->warm_decode;
    return (int64_t)ms + 1;
}

static int64_t expected_ms(const struct trial *trial, int64_t now) {
    int64_t left = 0;
    if (trial->warm_prefill <= 0)
        return 0;
    for (size_t p = 0; p < trial->point_count; p++) {
        unsigned done = trial->round + (p < trial->point), repeats = trial->points[p].repeats;
        left += repeats > done ? (repeats - done) * run_expected_ms(trial, p) : 0;
    }
    // The run that goes on is counted whole above.
    int64_t spent = trial->step == STEP_RUN ? now - trial->run_started_ms : 0;
    int64_t whole = trial->step == STEP_RUN ? run_expected_ms(trial, trial->point) : 0;
    left -= spent < whole ? spent : whole;
    return now - trial->started_ms + left;
}

static void tell_progress(struct trial *trial) {
    int64_t now = loop_now_ms();
    unsigned runs = 0;
    for (size_t p = 0; p < trial->point_count; p++)
        runs += trial->points[p].repeats;
    bool is_run = trial->step == STEP_RUN;
    const struct trial_point *point = &trial->points[trial->point];
    struct trial_progress progress = {
        .phase = trial->phase,
        .point = trial->point,
        .run = is_run ? trial->result->runs_done + 1 : 0,
        .runs = runs,
        .tokens = trial->tokens,
        .of = !is_run                         ? 0
              : trial->phase == TRIAL_PREFILL ? point->prompt_tokens
                                              : point->predict_tokens,
        .elapsed_ms = now - trial->started_ms,
        .expected_ms = expected_ms(trial, now),
        .so_far = trial->result,
    };
    if (!trial->spec->on_progress || trial->stopping ||
        trial->spec->on_progress(&progress, trial->spec->arg))
        return;
    trial->result->outcome = TRIAL_CUT;
    stop_engine(trial);
}

static void enter(struct trial *trial, enum trial_phase phase) {
    enum trial_watch_phase watched = phase == TRIAL_PREFILL  ? WATCH_PREFILL
                                     : phase == TRIAL_DECODE ? WATCH_DECODE
                                                             : WATCH_ELSE;
    trial->phase = phase;
    trial->tokens = 0;
    trial_watch_phase(trial->session->watch, watched, loop_now_us());
    tell_progress(trial);
}

// --- The watchdog, by the server's rule

static void check_life(struct trial *trial, int64_t now) {
    struct watchdog_view view = {
        .now_ms = now,
        .floor_ms = trial->session->config->stall_timeout_ms,
        .cpu_ms = engine_cpu_ms(trial->engine),
        .prefill = trial->phase != TRIAL_DECODE,
    };
    struct err why;
    switch (watchdog_check(&trial->watchdog, &view)) {
    case WATCHDOG_FINE: return;
    case WATCHDOG_PROBE:
        watchdog_probe_sent(&trial->watchdog, now);
        engine_probe(trial->engine);
        return;
    case WATCHDOG_FROZEN:
        err_set(&why, ERR_TIMEOUT, "the engine stopped answering and uses no CPU (frozen)");
        break;
    case WATCHDOG_HUNG:
        err_set(&why, ERR_TIMEOUT, "the engine made no token and no prompt progress for %lld s",
                (long long)(now - trial->watchdog.last_ms) / 1000);
        break;
    }
    fail(trial, TRIAL_FAILED, &why);
    trial->stopping = true;
    trial_ask_cancel(&trial->ask);
    engine_kill(trial->engine, &why);
}

static void on_tick(void *arg) {
    struct trial *trial = arg;
    timer_start(&trial->tick, TICK_MS);
    trial_watch_tick(trial->session->watch, loop_now_us());
    if (trial->ask.call)
        check_life(trial, loop_now_ms());
    if (!trial->stopping)
        tell_progress(trial);
}

// --- Runs

static void ask(struct trial *trial, enum step step, const char *what, bool is_stream) {
    struct err err;
    trial->step = step;
    watchdog_reset(&trial->watchdog, loop_now_ms());
    if (!trial_ask_start(&trial->ask, engine_peer(trial->engine), engine_auth(trial->engine), what,
                         is_stream, &err))
        lose_answer(trial, &err);
}

static unsigned longest_prompt(const struct trial *trial) {
    unsigned longest = WARM_PROMPT;
    for (size_t p = 0; p < trial->point_count; p++)
        if (trial->points[p].prompt_tokens > longest)
            longest = trial->points[p].prompt_tokens;
    return longest;
}

static void ask_tokens(struct trial *trial) {
    size_t length;
    char *text = trial_prompt_ask(&trial->prompt, longest_prompt(trial));
    length = strlen(text);
    buf_clear(&trial->ask.body);
    buf_add(&trial->ask.body, text, length);
    mem_free(text);
    ask(trial, STEP_TOKENS, "POST /tokenize", false);
}

static void ask_run(struct trial *trial, enum step step, unsigned prompt, unsigned predict) {
    struct buf *body = &trial->ask.body;
    buf_clear(body);
    buf_adds(body, "{\"prompt\":");
    trial_prompt_write(&trial->prompt, prompt, body);
    buf_printf(body,
               ",\"n_predict\":%u,\"ignore_eos\":true,\"temperature\":0,\"cache_prompt\":false,"
               "\"id_slot\":0,\"stream\":true,\"return_progress\":true}",
               predict);
    trial->run_started_ms = loop_now_ms();
    ask(trial, step, "POST /completion", true);
    if (!trial->stopping)
        enter(trial, step == STEP_RUN ? TRIAL_PREFILL : TRIAL_WARMUP);
}

static void ask_warmup(struct trial *trial) {
    const struct trial_point *first = &trial->points[0];
    unsigned prompt = WARM_PROMPT, predict = WARM_PREDICT;
    if (trial->point_count && first->prompt_tokens < prompt)
        prompt = first->prompt_tokens;
    if (trial->point_count && first->predict_tokens < predict)
        predict = first->predict_tokens;
    ask_run(trial, STEP_WARMUP, prompt, predict);
}

// The next run in turn: every point once, then every point again. False: all are done.
static bool find_run(struct trial *trial) {
    for (bool any = true; any; trial->round++, trial->point = 0) {
        any = false;
        for (size_t p = 0; p < trial->point_count; p++) {
            if (trial->points[p].repeats <= trial->round)
                continue;
            any = true;
            if (p >= trial->point) {
                trial->point = p;
                return true;
            }
        }
    }
    return false;
}

static void run_next(struct trial *trial) {
    if (!find_run(trial)) {
        trial->result->outcome = TRIAL_MEASURED;
        stop_engine(trial);
        return;
    }
    const struct trial_point *point = &trial->points[trial->point];
    ask_run(trial, STEP_RUN, point->prompt_tokens, point->predict_tokens);
}

static bool check_points(const struct trial *trial, struct err *err) {
    unsigned ctx = trial->result->slot_ctx;
    for (size_t p = 0; p < trial->point_count; p++) {
        const struct trial_point *point = &trial->points[p];
        uint64_t tokens = (uint64_t)point->prompt_tokens + point->predict_tokens;
        if (point->prompt_tokens < 8 || point->prompt_tokens > MAX_PROMPT ||
            !point->predict_tokens || !point->repeats || point->repeats > SERIES_MAX)
            return err_set(err, ERR_INVALID,
                           "cannot measure %u tokens after a prompt of %u, %u times: a prompt has "
                           "8 tokens or more, and there are at most %d repeats",
                           point->predict_tokens, point->prompt_tokens, point->repeats, SERIES_MAX);
        if (ctx && tokens > ctx)
            return err_set(err, ERR_INVALID,
                           "a prompt of %u tokens and %u more do not fit into the preset's context "
                           "of %u for each request",
                           point->prompt_tokens, point->predict_tokens, ctx);
    }
    return true;
}

static void take_points(struct trial *trial) {
    trial->result->point_count = trial->point_count;
    for (size_t p = 0; p < trial->point_count; p++)
        trial->result->points[p].point = trial->points[p];
}

static void learn_warmup(struct trial *trial, const struct trial_timings *t) {
    struct err err;
    if (t->prompt_ms > 0)
        trial->warm_prefill = t->prompt_n / t->prompt_ms;
    if (t->predicted_ms > 0 && t->predicted_n > 1)
        trial->warm_decode = (t->predicted_n - 1) / t->predicted_ms;
    if (trial->spec->on_warm)
        trial->spec->on_warm(trial->points, &trial->point_count, 1000 * trial->warm_prefill,
                             1000 * trial->warm_decode, trial->result->slot_ctx, trial->spec->arg);
    take_points(trial);
    if (!check_points(trial, &err)) {
        fail(trial, TRIAL_REFUSED, &err);
        stop_engine(trial);
    } else if (trial->prompt.count < longest_prompt(trial)) {
        ask_tokens(trial);
    } else {
        run_next(trial);
    }
}

static void learn_run(struct trial *trial, const struct trial_timings *t) {
    struct trial_point_result *result = &trial->result->points[trial->point];
    if (t->prompt_n && t->prompt_ms > 0)
        series_add(&result->prefill_tok_s, 1000 * t->prompt_n / t->prompt_ms);
    if (t->predicted_n > 1 && t->predicted_ms > 0)
        series_add(&result->decode_tok_s, 1000 * (t->predicted_n - 1) / t->predicted_ms);
    result->prompt_n = t->prompt_n;
    result->predicted_n = t->predicted_n;
    if (t->cached_n > result->cached_n)
        result->cached_n = t->cached_n;
    result->draft_n += t->draft_n;
    result->draft_accepted += t->draft_accepted;
    trial->run_ms[trial->point] = loop_now_ms() - trial->run_started_ms;
    trial->result->runs_done++;
    trial->point++;
    run_next(trial);
}

static void learn_props(struct trial *trial, const json_t *props) {
    const json_t *settings = json_object_get(props, "default_generation_settings");
    int64_t ctx = json_get_int(settings, "n_ctx", 0);
    trial->result->slot_ctx = ctx > 0 && ctx < INT32_MAX ? (unsigned)ctx : 0;
    buf_clear(&trial->ask.body);
    buf_adds(&trial->ask.body, "{\"content\":\"\",\"add_special\":true}");
    ask(trial, STEP_FIRST_TOKEN, "POST /tokenize", false);
}

static void learn_tokens(struct trial *trial, const json_t *answer) {
    struct err err;
    if (!trial_prompt_learn(&trial->prompt, answer, longest_prompt(trial), &err))
        fail_and_stop(trial, &err);
    else if (trial->warm_prefill > 0)
        run_next(trial);
    else
        ask_warmup(trial);
}

static void on_done(const json_t *answer, const struct trial_timings *timings,
                    const struct err *why, void *arg) {
    struct trial *trial = arg;
    enum step step = trial->step;
    trial->step = STEP_NOTHING;
    if (why && step != STEP_PROPS && step != STEP_FIRST_TOKEN) {
        lose_answer(trial, why);
        return;
    }
    switch (step) {
    case STEP_NOTHING: return;
    case STEP_PROPS: learn_props(trial, answer); return;
    case STEP_FIRST_TOKEN:
        trial_prompt_learn_first(&trial->prompt, answer);
        ask_tokens(trial);
        return;
    case STEP_TOKENS: learn_tokens(trial, answer); return;
    case STEP_WARMUP: learn_warmup(trial, timings); return;
    case STEP_RUN: learn_run(trial, timings); return;
    }
}

static void on_prompt(unsigned tokens, void *arg) {
    struct trial *trial = arg;
    watchdog_progress(&trial->watchdog, loop_now_ms());
    if (trial->step == STEP_RUN && trial->phase == TRIAL_PREFILL)
        trial->tokens = tokens;
}

static void on_token(void *arg) {
    struct trial *trial = arg;
    watchdog_progress(&trial->watchdog, loop_now_ms());
    if (trial->step != STEP_RUN)
        return;
    if (trial->phase == TRIAL_PREFILL)
        enter(trial, TRIAL_DECODE);
    trial->tokens++;
}

static const struct trial_ask_ops ask_ops = {on_prompt, on_token, on_done};

// --- The engine

static void on_ready(struct engine *engine, unsigned slots, void *arg) {
    struct trial *trial = arg;
    if (trial->stopping)
        return;
    trial->result->load_ms = loop_now_ms() - trial->started_ms;
    trial->result->slots = slots;
    enter(trial, TRIAL_WARMUP);
    if (!trial->stopping)
        ask(trial, STEP_PROPS, "GET /props", false);
}

static bool wants_memory(struct trial *trial, const struct err *why) {
    struct diagnosis diagnosis;
    diagnose(buf_text(&trial->tail), NULL, &diagnosis);
    return diagnosis.cause == CAUSE_OUT_OF_MEMORY || diagnosis.cause == CAUSE_CANNOT_FIT ||
           strstr(why->text, "memory was full");
}

static void on_exit_(struct engine *engine, const struct err *why, void *arg) {
    struct trial *trial = arg;
    if (!trial->stopping) {
        struct err text = *why;
        bool loading = trial->phase == TRIAL_LOADING;
        err_context(&text, loading ? "the engine did not start" : "the engine ended");
        fail(trial, wants_memory(trial, why) ? TRIAL_NO_MEMORY : TRIAL_FAILED, &text);
    }
    trial_ask_cancel(&trial->ask);
    trial->engine = NULL;
    engine_destroy(engine);
    loop_stop(trial->session->loop);
}

static void on_line(const char *line, void *arg) {
    struct trial *trial = arg;
    struct buf *tail = &trial->tail;
    size_t length = strlen(line);
    if (tail->length + length + 1 > TAIL_BYTES)
        buf_drain(tail, tail->length > TAIL_BYTES / 2 ? tail->length - TAIL_BYTES / 2 : 0);
    buf_add(tail, line, length);
    buf_adds(tail, "\n");
}

static void on_probe(struct engine *engine, bool moved, void *arg) {
    struct trial *trial = arg;
    if (moved)
        watchdog_progress(&trial->watchdog, loop_now_ms());
    else
        watchdog_probe_answered(&trial->watchdog);
}

static const struct engine_ops engine_ops = {on_ready, on_exit_, on_line, on_probe};

// --- A trial

// What would falsify or bloat the measurement, where neither preset nor caller says otherwise.
static bool lay_over(struct trial *trial, struct err *err) {
    const struct trial_spec *spec = trial->spec;
    struct overlay *overlays = mem_alloc((spec->overlay_count + 1) * sizeof *overlays);
    size_t count = 0;
    bool cache = false;
    for (size_t i = 0; i < spec->overlay_count; i++) {
        overlays[count++] = spec->overlays[i];
        cache |= strcmp(spec->overlays[i].setting, "cache-ram") == 0;
    }
    if (!cache) // every prompt is new: copies of old ones cost time and memory for nothing
        overlays[count++] = (struct overlay){"cache-ram", "0"};
    bool ok = preset_overlay(spec->preset, spec->engine_path, overlays, count, &trial->preset, err);
    mem_free(overlays);
    return ok;
}

static bool can_start(const struct trial *trial, struct err *err) {
    struct launch launch;
    bool ok =
        preset_launch_try(&trial->preset, trial->decision.dialect, &trial->decision, &launch) ||
        preset_launch_error(&launch.problems, err);
    launch_fini(&launch);
    return ok;
}

static bool start(struct trial *trial, struct err *err) {
    struct trial_session *session = trial->session;
    struct trial_result *result = trial->result;
    if (!survey_decide(session->config, &trial->preset, false, NULL, NULL, &trial->decision, err)) {
        result->outcome = err->code == ERR_LIMIT ? TRIAL_NO_MEMORY : TRIAL_REFUSED;
        return false;
    }
    const struct dialect *dialect = trial->decision.dialect;
    snprintf(result->engine_version, sizeof result->engine_version, "%s", dialect->version);
    snprintf(result->engine_path, sizeof result->engine_path, "%s", dialect->path);
    if (!can_start(trial, err))
        return false;
    trial_watch_begin(session->watch);
    trial->started_ms = loop_now_ms();
    trial->engine = engine_start(session->launch, &trial->preset, &trial->decision,
                                 session->config->stop_grace_ms, &engine_ops, trial, err);
    if (!trial->engine) {
        result->outcome = TRIAL_FAILED;
        return false;
    }
    trial_watch_engine(session->watch, engine_pid(trial->engine));
    return true;
}

static void init(struct trial *trial, struct trial_session *session, const struct trial_spec *spec,
                 struct trial_result *result, struct err *err) {
    *trial = (struct trial){.session = session, .spec = spec, .result = result, .err = err};
    *result = (struct trial_result){.outcome = TRIAL_REFUSED, .load_ms = -1};
    trial->point_count =
        spec->point_count < TRIAL_POINTS_MAX ? spec->point_count : TRIAL_POINTS_MAX;
    for (size_t p = 0; p < trial->point_count; p++)
        trial->points[p] = spec->points[p];
    take_points(trial);
    buf_init(&trial->tail, TAIL_BYTES);
    trial_ask_init(&trial->ask, &ask_ops, trial);
    trial_prompt_init(&trial->prompt, (uint64_t)loop_now_us() ^ (uint64_t)getpid() << 40);
    timer_init(&trial->tick, session->loop, on_tick, trial);
    timer_init(&trial->last_words, session->loop, on_no_last_words, trial);
}

static bool run(struct trial *trial, struct err *err) {
    struct trial_session *session = trial->session;
    if (trial_interrupted(session)) {
        trial->result->outcome = TRIAL_INTERRUPTED;
        return err_set(err, ERR_SYSTEM, "interrupted");
    }
    if (!check_points(trial, err) || !lay_over(trial, err))
        return false;
    if (!start(trial, err))
        return false;
    session->current = trial;
    tell_progress(trial);
    timer_start(&trial->tick, TICK_MS);
    loop_run(session->loop);
    session->current = NULL;
    trial_watch_report(session->watch, trial->decision.dialect, trial->result);
    return !trial->failed;
}

bool trial_run(struct trial_session *session, const struct trial_spec *spec,
               struct trial_result *result, struct err *err) {
    struct trial *trial = mem_alloc(sizeof *trial);
    struct err local = {0};
    init(trial, session, spec, result, err ? err : &local);
    bool ok = run(trial, trial->err);
    timer_stop(&trial->tick);
    timer_stop(&trial->last_words);
    trial_ask_fini(&trial->ask);
    trial_prompt_fini(&trial->prompt);
    buf_fini(&trial->tail);
    if (trial->preset.name)
        preset_fini(&trial->preset);
    mem_free(trial);
    return ok;
}

const char *trial_outcome_name(enum trial_outcome outcome) {
    static const char *const names[] = {
        [TRIAL_MEASURED] = "measured",       [TRIAL_CUT] = "cut",
        [TRIAL_INTERRUPTED] = "interrupted", [TRIAL_REFUSED] = "refused",
        [TRIAL_NO_MEMORY] = "no-memory",     [TRIAL_FAILED] = "failed",
    };
    return names[outcome];
}
