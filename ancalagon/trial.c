#define _GNU_SOURCE
#include "base/mem.h"
#include "engine/diagnose.h"
#include "preset_launch.h"
#include "survey.h"
#include "trial_private.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    TICK_MS = 100,
    LAST_WORDS_MS = 1000,
    TAIL_BYTES = 32 * 1024, // of the engine's output, to tell want of memory from other failures
};

// --- How a trial ends

void trial_stop(struct trial *trial) {
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

void trial_fail(struct trial *trial, enum trial_outcome outcome, const struct err *why) {
    if (trial->failed)
        return;
    trial->failed = true;
    trial->result->outcome = outcome;
    if (trial->err)
        *trial->err = *why;
}

void trial_fail_and_stop(struct trial *trial, const struct err *why) {
    trial_fail(trial, TRIAL_FAILED, why);
    trial_stop(trial);
}

// No whole answer came. If that is because the engine is ending, its end says more.
static void on_no_last_words(void *arg) {
    struct trial *trial = arg;
    trial_fail_and_stop(trial, &trial->cut);
}

void trial_lose_answer(struct trial *trial, const struct err *why) {
    if (!trial->ask.is_cut) {
        trial_fail_and_stop(trial, why);
        return;
    }
    trial->cut = *why;
    timer_start(&trial->last_words, LAST_WORDS_MS);
}

void trial_interrupt(struct trial *trial) {
    struct err why;
    err_set(&why, ERR_SYSTEM, "interrupted");
    trial_fail(trial, TRIAL_INTERRUPTED, &why);
    if (!trial->engine)
        return;
    if (trial->session->signals_seen > 1)
        engine_kill(trial->engine, &why);
    else
        trial_stop(trial);
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
    trial_fail(trial, TRIAL_FAILED, &why);
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
        trial_tell(trial);
}

// --- The engine

static void on_ready(struct engine *engine, unsigned slots, void *arg) {
    struct trial *trial = arg;
    if (trial->stopping)
        return;
    trial->result->load_ms = loop_now_ms() - trial->started_ms;
    trial->result->slots = slots;
    trial_enter(trial, TRIAL_WARMUP);
    if (!trial->stopping)
        trial_begin(trial);
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
        trial_fail(trial, wants_memory(trial, why) ? TRIAL_NO_MEMORY : TRIAL_FAILED, &text);
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

// With the preset's settings, what would bloat the measurement is off, unless the caller says so.
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
    trial_take_points(trial);
    buf_init(&trial->tail, TAIL_BYTES);
    trial_ask_init(&trial->ask, &trial_ask_ops, trial);
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
    if (!trial_check_points(trial, err) || !lay_over(trial, err))
        return false;
    if (!start(trial, err))
        return false;
    session->current = trial;
    trial_tell(trial);
    timer_start(&trial->tick, TICK_MS);
    loop_run(session->loop);
    session->current = NULL;
    struct trial_noise prefill, decode;
    trial_learn(trial, &prefill, &decode);
    session->prefill_noise = prefill;
    session->decode_noise = decode;
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
