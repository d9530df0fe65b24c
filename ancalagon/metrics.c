#include "metrics.h"

#include <stddef.h>
#include <string.h>

// Seconds: from a token on a fast card to loading a large model from a slow disk.
static const double bounds[HISTOGRAM_BUCKETS] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                                 1,     2.5,  5,     10,   30,  60,   300};

void histogram_add(struct histogram *histogram, int64_t ms) {
    double s = (double)ms / 1000;
    size_t i = 0;
    while (i < HISTOGRAM_BUCKETS && s > bounds[i])
        i++;
    histogram->counts[i]++;
    histogram->sum_s += s;
    histogram->total++;
}

enum kind { COUNTER, SECONDS };

static const struct {
    const char *name, *help;
    enum kind kind;
    size_t offset;
} counters[] = {
    {"requests", "Requests received", COUNTER, offsetof(struct metrics, requests)},
    {"completed", "Requests the engine answered whole", COUNTER,
     offsetof(struct metrics, completed)},
    {"refused", "Requests answered with an error before the engine saw them", COUNTER,
     offsetof(struct metrics, refused)},
    {"broken", "Requests that failed because the engine did", COUNTER,
     offsetof(struct metrics, broken)},
    {"cancelled", "Requests whose client left", COUNTER, offsetof(struct metrics, cancelled)},
    {"swaps", "Times the engine was loaded", COUNTER, offsetof(struct metrics, loads)},
    {"load_failures", "Times the engine could not be loaded", COUNTER,
     offsetof(struct metrics, load_failures)},
    {"restarts", "Times a loaded engine died", COUNTER, offsetof(struct metrics, restarts)},
    {"stalls", "Times the watchdog killed a hung engine", COUNTER,
     offsetof(struct metrics, stalls)},
    {"prompt_tokens", "Prompt tokens processed", COUNTER, offsetof(struct metrics, prompt_tokens)},
    {"cached_tokens", "Prompt tokens taken from the engine's cache", COUNTER,
     offsetof(struct metrics, cached_tokens)},
    {"generated_tokens", "Tokens generated", COUNTER, offsetof(struct metrics, generated_tokens)},
    {"draft_tokens", "Tokens guessed by speculation", COUNTER,
     offsetof(struct metrics, draft_tokens)},
    {"draft_accepted_tokens", "Guessed tokens that were right", COUNTER,
     offsetof(struct metrics, draft_accepted)},
    {"prefill_seconds", "Engine time spent on prompts", SECONDS,
     offsetof(struct metrics, prefill_s)},
    {"decode_seconds", "Engine time spent generating", SECONDS, offsetof(struct metrics, decode_s)},
};

static const struct {
    const char *name, *help;
    size_t offset;
} histograms[] = {
    {"queue_wait_seconds", "From arrival to the engine", offsetof(struct metrics, queue_wait)},
    {"first_byte_seconds", "From arrival to the engine's first byte",
     offsetof(struct metrics, first_byte)},
    {"swap_seconds", "From starting an engine to ready", offsetof(struct metrics, load)},
};

static void write_histogram(struct buf *out, const char *name, const char *preset,
                            const struct histogram *histogram) {
    uint64_t below = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        below += histogram->counts[i];
        buf_printf(out, "ancalagon_%s_bucket{preset=\"%s\",le=\"%g\"} %llu\n", name, preset,
                   bounds[i], (unsigned long long)below);
    }
    buf_printf(out, "ancalagon_%s_bucket{preset=\"%s\",le=\"+Inf\"} %llu\n", name, preset,
               (unsigned long long)histogram->total);
    buf_printf(out,
               "ancalagon_%s_sum{preset=\"%s\"} %.3f\nancalagon_%s_count{preset=\"%s\"} %llu\n",
               name, preset, histogram->sum_s, name, preset, (unsigned long long)histogram->total);
}

static void head(struct buf *out, const char *name, const char *suffix, const char *help,
                 const char *type) {
    buf_printf(out, "# HELP ancalagon_%s%s %s\n# TYPE ancalagon_%s%s %s\n", name, suffix, help,
               name, suffix, type);
}

static void write_gauge(struct buf *out, const char *name, const char *preset, double value) {
    buf_printf(out, "ancalagon_%s{preset=\"%s\"} %.6g\n", name, preset, value);
}

static void write_gauges(struct buf *out, const struct metrics *const *metrics,
                         const struct metrics_now *now, size_t count) {
    head(out, "waiting", "", "Requests waiting now", "gauge");
    for (size_t i = 0; i < count; i++)
        write_gauge(out, "waiting", now[i].preset, now[i].waiting);
    head(out, "running", "", "Requests at the engine now", "gauge");
    for (size_t i = 0; i < count; i++)
        write_gauge(out, "running", now[i].preset, now[i].running);
    head(out, "ready", "", "1 when the engine is loaded", "gauge");
    for (size_t i = 0; i < count; i++)
        write_gauge(out, "ready", now[i].preset, strcmp(now[i].state, "ready") == 0);
    head(out, "prefill_tokens_per_second", "", "Average over the server's life", "gauge");
    for (size_t i = 0; i < count; i++)
        if (metrics[i]->prefill_s > 0)
            write_gauge(out, "prefill_tokens_per_second", now[i].preset,
                        (double)(metrics[i]->prompt_tokens) / metrics[i]->prefill_s);
    head(out, "decode_tokens_per_second", "", "Average over the server's life", "gauge");
    for (size_t i = 0; i < count; i++)
        if (metrics[i]->decode_s > 0)
            write_gauge(out, "decode_tokens_per_second", now[i].preset,
                        (double)metrics[i]->generated_tokens / metrics[i]->decode_s);
    head(out, "draft_acceptance", "",
         "Share of guessed tokens that were right, over the server's life", "gauge");
    for (size_t i = 0; i < count; i++)
        if (metrics[i]->draft_tokens > 0)
            write_gauge(out, "draft_acceptance", now[i].preset,
                        (double)metrics[i]->draft_accepted / (double)metrics[i]->draft_tokens);
}

void metrics_write(struct buf *out, const struct metrics *const *metrics,
                   const struct metrics_now *now, size_t count) {
    for (size_t c = 0; c < sizeof counters / sizeof *counters; c++) {
        head(out, counters[c].name, "_total", counters[c].help, "counter");
        for (size_t i = 0; i < count; i++) {
            const char *at = (const char *)metrics[i] + counters[c].offset;
            if (counters[c].kind == COUNTER)
                buf_printf(out, "ancalagon_%s_total{preset=\"%s\"} %llu\n", counters[c].name,
                           now[i].preset, (unsigned long long)*(const uint64_t *)(const void *)at);
            else
                buf_printf(out, "ancalagon_%s_total{preset=\"%s\"} %.3f\n", counters[c].name,
                           now[i].preset, *(const double *)(const void *)at);
        }
    }
    for (size_t h = 0; h < sizeof histograms / sizeof *histograms; h++) {
        head(out, histograms[h].name, "", histograms[h].help, "histogram");
        for (size_t i = 0; i < count; i++)
            write_histogram(out, histograms[h].name, now[i].preset,
                            (const struct histogram *)(const void *)((const char *)metrics[i] +
                                                                     histograms[h].offset));
    }
    write_gauges(out, metrics, now, count);
}
