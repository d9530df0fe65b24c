// What is asked of a trial's engine: its context, tokens for prompts, the warm-up, the runs in
// turn.
#include "base/mem.h"
#include "format/json.h"
#include "trial_private.h"

#include <math.h>

enum {
    WARM_PROMPT = 256,
    WARM_PREDICT = 16,
    MAX_PROMPT = 4 << 20, // tokens
};

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

void trial_tell(struct trial *trial) {
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
    trial_stop(trial);
}

void trial_enter(struct trial *trial, enum trial_phase phase) {
    enum trial_watch_phase watched = phase == TRIAL_PREFILL  ? WATCH_PREFILL
                                     : phase == TRIAL_DECODE ? WATCH_DECODE
                                                             : WATCH_ELSE;
    trial->phase = phase;
    trial->tokens = 0;
    trial_watch_phase(trial->session->watch, watched, loop_now_us());
    trial_tell(trial);
}

// --- Runs

static void ask(struct trial *trial, enum step step, const char *what, bool is_stream) {
    struct err err;
    trial->step = step;
    watchdog_reset(&trial->watchdog, loop_now_ms());
    if (!trial_ask_start(&trial->ask, engine_peer(trial->engine), engine_auth(trial->engine), what,
                         is_stream, &err))
        trial_lose_answer(trial, &err);
}

void trial_begin(struct trial *trial) { ask(trial, STEP_PROPS, "GET /props", false); }

static unsigned longest_prompt(const struct trial *trial) {
    unsigned longest = WARM_PROMPT;
    for (size_t p = 0; p < trial->point_count; p++)
        if (trial->points[p].prompt_tokens > longest)
            longest = trial->points[p].prompt_tokens;
    return longest;
}

static void ask_tokens(struct trial *trial) {
    char *text = trial_prompt_ask(&trial->prompt, longest_prompt(trial));
    buf_clear(&trial->ask.body);
    buf_adds(&trial->ask.body, text);
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
        trial_enter(trial, step == STEP_RUN ? TRIAL_PREFILL : TRIAL_WARMUP);
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

static struct trial_noise noise_of(const struct trial *trial, bool is_decode) {
    const struct trial_session *session = trial->session;
    struct trial_noise noise = is_decode ? session->decode_noise : session->prefill_noise;
    for (size_t p = 0; p < trial->result->point_count; p++) {
        const struct trial_point_result *point = &trial->result->points[p];
        trial_noise_learn(&noise, is_decode ? &point->decode_tok_s : &point->prefill_tok_s);
    }
    return noise;
}

void trial_learn(struct trial *trial, struct trial_noise *prefill, struct trial_noise *decode) {
    *prefill = noise_of(trial, false);
    *decode = noise_of(trial, true);
    for (size_t p = 0; p < trial->result->point_count; p++) {
        struct trial_point_result *point = &trial->result->points[p];
        point->prefill_error = trial_noise_error(prefill, &point->prefill_tok_s);
        point->decode_error = trial_noise_error(decode, &point->decode_tok_s);
    }
}

// Another round of all points, while one of them is not certain enough and there is time.
static bool add_round(struct trial *trial) {
    const struct trial_patience *patience = &trial->spec->patience;
    int64_t ms = loop_now_ms() - trial->measuring_ms;
    double error = 0;
    unsigned repeats = 0;
    struct trial_noise prefill, decode;
    trial_learn(trial, &prefill, &decode);
    for (size_t p = 0; p < trial->point_count; p++) {
        const struct trial_point_result *result = &trial->result->points[p];
        error = fmax(error, fmax(result->prefill_error, result->decode_error));
        repeats = trial->points[p].repeats > repeats ? trial->points[p].repeats : repeats;
        ms += trial->run_ms[p];
    }
    if (error <= patience->error || repeats >= patience->repeats || repeats >= SERIES_MAX ||
        ms > patience->ms)
        return false;
    for (size_t p = 0; p < trial->point_count; p++)
        trial->points[p].repeats = trial->result->points[p].point.repeats = repeats + 1;
    trial->round = repeats;
    trial->point = 0;
    return true;
}

static void run_next(struct trial *trial) {
    if (!trial->result->runs_done)
        trial->measuring_ms = loop_now_ms();
    if (!find_run(trial) && !add_round(trial)) {
        trial->result->outcome = TRIAL_MEASURED;
        trial_stop(trial);
        return;
    }
    const struct trial_point *point = &trial->points[trial->point];
    ask_run(trial, STEP_RUN, point->prompt_tokens, point->predict_tokens);
}

bool trial_check_points(const struct trial *trial, struct err *err) {
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

void trial_take_points(struct trial *trial) {
    trial->result->point_count = trial->point_count;
    for (size_t p = 0; p < trial->point_count; p++)
        trial->result->points[p].point = trial->points[p];
}

static void learn_warmup(struct trial *trial, const struct trial_timings *t) {
    struct err err;
    trial->is_warm = true;
    if (t->prompt_ms > 0)
        trial->warm_prefill = t->prompt_n / t->prompt_ms;
    if (t->predicted_ms > 0 && t->predicted_n > 1)
        trial->warm_decode = (t->predicted_n - 1) / t->predicted_ms;
    if (trial->spec->on_warm)
        trial->spec->on_warm(trial->points, &trial->point_count, 1000 * trial->warm_prefill,
                             1000 * trial->warm_decode, trial->result->slot_ctx, trial->spec->arg);
    trial_take_points(trial);
    if (!trial_check_points(trial, &err)) {
        trial_fail(trial, TRIAL_REFUSED, &err);
        trial_stop(trial);
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
        trial_fail_and_stop(trial, &err);
    else if (trial->is_warm)
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
        trial_lose_answer(trial, why);
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
        trial_enter(trial, TRIAL_DECODE);
    trial->tokens++;
}

const struct trial_ask_ops trial_ask_ops = {on_prompt, on_token, on_done};
