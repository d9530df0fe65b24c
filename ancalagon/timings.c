#define _GNU_SOURCE
#include "timings.h"

#include <stdbool.h>
#include <string.h>

// The object after this key, from its brace on; NULL when it is not there. Braces are rare in
// answers: looking for them first makes this cheap enough for every event.
static const char *find_object(const char *bytes, size_t length, const char *key) {
    const char *from = bytes, *end = bytes + length;
    size_t key_length = strlen(key);
    while ((from = memchr(from, '{', (size_t)(end - from)))) {
        if ((size_t)(from - bytes) >= key_length && memcmp(from - key_length, key, key_length) == 0)
            return from;
        from++;
    }
    return NULL;
}

// Engine speed, from the "timings" that llama-server puts at the end of an answer.
static bool find_number(const char *from, const char *end, const char *key, double *out) {
    const char *at = memmem(from, (size_t)(end - from), key, strlen(key));
    if (!at)
        return false;
    double value = 0, scale = 1;
    bool fraction = false;
    for (at += strlen(key); at < end && ((*at >= '0' && *at <= '9') || *at == '.'); at++) {
        if (*at == '.') {
            fraction = true;
            continue;
        }
        value = value * 10 + (*at - '0');
        scale *= fraction ? 10 : 1;
    }
    *out = value / scale;
    return true;
}

static bool parse(const char *from, const char *end, struct timings *out) {
    if (!find_number(from, end, "\"prompt_n\":", &out->prompt_n) ||
        !find_number(from, end, "\"prompt_ms\":", &out->prompt_ms) ||
        !find_number(from, end, "\"predicted_n\":", &out->predicted_n) ||
        !find_number(from, end, "\"predicted_ms\":", &out->predicted_ms))
        return false;
    find_number(from, end, "\"cache_n\":", &out->cache_n);
    if (find_number(from, end, "\"draft_n\":", &out->draft_n)) // told by engines that speculate
        find_number(from, end, "\"draft_n_accepted\":", &out->draft_accepted);
    if (out->draft_accepted > out->draft_n)
        out->draft_accepted = out->draft_n;
    return true;
}

static double more(double now, double before) { return now > before ? now - before : 0; }

static uint64_t more_tokens(double now, double before) { return (uint64_t)more(now, before); }

void timings_learn(struct metrics *metrics, struct timings *last, const char *bytes,
                   size_t length) {
    const char *from = bytes, *end = bytes + length;
    while ((from = find_object(from, (size_t)(end - from), "\"timings\":"))) {
        const char *brace = memchr(from, '}', (size_t)(end - from));
        struct timings now = {0};
        if (!brace)
            return;
        if (parse(from, brace, &now)) {
            metrics->prompt_tokens += more_tokens(now.prompt_n, last->prompt_n);
            metrics->cached_tokens += more_tokens(now.cache_n, last->cache_n);
            metrics->generated_tokens += more_tokens(now.predicted_n, last->predicted_n);
            metrics->draft_tokens += more_tokens(now.draft_n, last->draft_n);
            metrics->draft_accepted += more_tokens(now.draft_accepted, last->draft_accepted);
            metrics->prefill_s += more(now.prompt_ms, last->prompt_ms) / 1000;
            metrics->decode_s += more(now.predicted_ms, last->predicted_ms) / 1000;
            *last = now;
        }
        from = brace;
    }
}
