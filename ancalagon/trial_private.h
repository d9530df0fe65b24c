// What the files of a trial share: trial_session.c (loop, folder, signals), trial.c (the engine's
// life and how a trial ends), trial_runs.c (what is asked of it, progress). Nobody else includes
// it.
#pragma once

#include "decision.h"
#include "engine.h"
#include "trial.h"
#include "trial_ask.h"
#include "trial_noise.h"
#include "trial_prompt.h"
#include "trial_watch.h"
#include "watchdog.h"

struct trial_session {
    const struct config *config;
    struct loop *loop;
    char *runtime_dir;
    struct launch_context *launch;
    struct trial_watch *watch;
    struct signal_watch signals[3];
    size_t signal_count;
    unsigned signals_seen;
    struct trial *current; // NULL between trials
    struct trial_noise prefill_noise, decode_noise;
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
    size_t point;                                     // of this run
    unsigned round;                                   // repeats done of every point before it
    unsigned tokens;                                  // of this phase of this run
    int64_t started_ms, run_started_ms, measuring_ms; // the last: since the first measured run
    int64_t run_ms[TRIAL_POINTS_MAX]; // what the last run of a point took; 0: none yet
    double warm_prefill, warm_decode; // tokens per ms
    bool is_warm;
    bool stopping;
};

// trial.c
void trial_stop(struct trial *trial); // politely; trial_run returns when the engine is gone
// The first reason counts.
void trial_fail(struct trial *trial, enum trial_outcome outcome, const struct err *why);
void trial_fail_and_stop(struct trial *trial, const struct err *why);
void trial_lose_answer(struct trial *trial, const struct err *why);
void trial_interrupt(struct trial *trial); // by a signal; at the second one at once

// trial_runs.c
extern const struct trial_ask_ops trial_ask_ops;
void trial_begin(struct trial *trial); // the engine is ready
bool trial_check_points(const struct trial *trial, struct err *err);
void trial_take_points(struct trial *trial); // into the result
void trial_enter(struct trial *trial, enum trial_phase phase);
void trial_tell(struct trial *trial); // its progress
// How certain the figures are, into the result; what the session and this trial know of noise by
// now.
void trial_learn(struct trial *trial, struct trial_noise *prefill, struct trial_noise *decode);
