// One measured trial: an engine process started for a preset with settings laid over it, warmed up,
// asked for so many tokens after prompts of so many, watched meanwhile, and stopped.
//
//   session = trial_session_create(config, &err);          // once a command, before any thread
//   while (...)
//       ok = trial_run(session, &spec, &result, &err);     // blocks; as often as one likes
//   trial_session_destroy(session);
//
// The engine runs as the server would run it (decision, command line, sandbox, private socket,
// guardian), in a runtime folder of its own, so that it neither meets a running server nor is met
// by its clients. trial_run returns only when that engine is gone and its socket removed. SIGINT,
// SIGTERM and SIGHUP belong to the session while it lives: they end the trial that runs (politely;
// a second one at once) and every later one; whoever kills us with SIGKILL leaves a guardian that
// kills the engine and removes the folder.
//
// What is measured. Every run is one streamed POST /completion: a prompt of exactly so many tokens
// of varied prose that begins as no earlier one did (and cache_prompt off, host prompt cache off,
// always slot 0), temperature 0, ignore_eos, n_predict. The figures are the engine's own `timings`:
//   prefill = prompt_n / prompt_ms          over the whole prompt, from an empty context to its end
//   decode  = (predicted_n - 1) / predicted_ms      the first token comes with the prompt's batch
// One run of the first point, as short as makes sense, is made and thrown away after each load.
// An engine that stops making progress is killed by the server's own rule (watchdog.h).
//
// Owner: the caller owns spec and result (plain structs, nothing to free). One thread.
#pragma once

#include "base/err.h"
#include "base/series.h"
#include "config.h"
#include "preset_overlay.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRIAL_POINTS_MAX 16u
#define TRIAL_DEVICES_MAX 16u

struct trial_session;
struct trial_result;

// The config must outlive the session. NULL: the loop, the guardian or the folder failed.
struct trial_session *trial_session_create(const struct config *config, struct err *err);
// Forgets all probed builds (dialect.h). NULL is fine.
void trial_session_destroy(struct trial_session *session);
// Has a signal come? Also good between trials.
bool trial_interrupted(struct trial_session *session);

// A length at which to measure. Runs of all points are taken in turn (all points once, then again),
// so that a machine that slows down slows them alike. prompt + predict must fit into one slot's
// context.
struct trial_point {
    unsigned prompt_tokens;  // at least 8
    unsigned predict_tokens; // at least 2 for a decode figure; 1: prefill only
    unsigned repeats;        // 1 to SERIES_MAX; the median is reported
};

enum trial_phase {
    TRIAL_LOADING,
    TRIAL_WARMUP,
    TRIAL_PREFILL,
    TRIAL_DECODE,
    TRIAL_STOPPING,
};

// Told about every 100 ms and at each change.
struct trial_progress {
    enum trial_phase phase;
    size_t point;        // of the run that goes on
    unsigned run, runs;  // measured runs: which of how many; 0 during load and warm-up
    unsigned tokens, of; // of the phase that goes on
    int64_t elapsed_ms;  // since the start of the trial
    int64_t expected_ms; // of the whole trial, better with every run; 0: no idea yet
    const struct trial_result *so_far;
};

// After the repeats of all points, those whose figures are not yet certain are run again, as long
// as the standard error of one of their medians is above `error` (relative) and the measured runs
// have not taken `ms`. Zeros: as often as asked.
struct trial_patience {
    double error;
    unsigned repeats; // of a point, at most
    int64_t ms;
};

struct trial_spec {
    const struct preset *preset;
    const char *engine_path; // another build for this preset; NULL: its own
    const struct overlay *overlays;
    size_t overlay_count;
    const struct trial_point *points;
    size_t point_count;
    struct trial_patience patience;
    // May return false to end the trial early (TRIAL_CUT): what was measured so far stands. May be
    // NULL.
    bool (*on_progress)(const struct trial_progress *progress, void *arg);
    // Once, between the warm-up and the first measured run, with the rates of the warm-up and the
    // context of a slot: may change the points (at most TRIAL_POINTS_MAX). May be NULL.
    void (*on_warm)(struct trial_point *points, size_t *count, double prefill_tok_s,
                    double decode_tok_s, unsigned slot_ctx, void *arg);
    void *arg;
};

enum trial_outcome {
    TRIAL_MEASURED,    // every point, every repeat
    TRIAL_CUT,         // on_progress said so
    TRIAL_INTERRUPTED, // by a signal
    TRIAL_REFUSED,     // never started: settings that this build or this model cannot do
    TRIAL_NO_MEMORY,   // the plan said so, or the engine did
    TRIAL_FAILED,      // it would not start, died, hung, or answered nonsense
};

struct trial_point_result {
    struct trial_point point; // as asked
    struct series prefill_tok_s, decode_tok_s;
    double prefill_error, decode_error; // relative standard error of the medians
    unsigned prompt_n, predicted_n;     // as the engine counted them, last run
    unsigned cached_n;                // the most prompt tokens that came from a cache: 0, or beware
    unsigned draft_n, draft_accepted; // sums; 0: no speculation
};

// Means over one phase (prefill or decode) of all measured runs. NAN: not known here.
struct trial_load {
    double seconds;      // how long was watched; short ones say little
    double cpu_cores;    // used by the engine's processes
    double others_cores; // used by everybody else
    double package_w;    // CPU packages (RAPL), when readable
    double utilisation;  // % of all GPUs with a reading, averaged
    double power_w;      // summed over GPUs
};

struct trial_device {
    char name[96];         // the vendor's
    char engine_name[32];  // "CUDA0", when it could be matched; else ""
    uint64_t memory_bytes; // the most that was in use, less what was before the start
    uint64_t total_bytes;
    uint64_t others_bytes; // in use before the start
    double temperature_c;  // the highest; NAN unknown
};

struct trial_result {
    enum trial_outcome outcome;
    int64_t load_ms; // from the start to ready; -1: it never was
    unsigned slots;  // 0: the engine does not say
    unsigned slot_ctx;
    struct trial_point_result points[TRIAL_POINTS_MAX];
    size_t point_count;
    unsigned runs_done;
    struct trial_load prefill, decode;
    uint64_t peak_rss_bytes; // of all its processes together, mapped model included; 0 unknown
    struct trial_device devices[TRIAL_DEVICES_MAX]; // only those that can be read
    size_t device_count;
    char engine_version[96]; // of the build that ran
    char engine_path[512];
};

// True for TRIAL_MEASURED and TRIAL_CUT. Else err says why, for the person who must act; the result
// holds what was measured until then.
bool trial_run(struct trial_session *session, const struct trial_spec *spec,
               struct trial_result *result, struct err *err);
