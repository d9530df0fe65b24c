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

void timings_learn(struct metrics *metrics, const char *bytes, size_t length) {
    const char *from = find_object(bytes, length, "\"timings\":");
    if (!from)
        return;
    const char *end = memchr(from, '}', length - (size_t)(from - bytes));
    double prompt_n, prompt_ms, predicted_n, predicted_ms, cache_n = 0;
    double draft_n = 0, draft_accepted = 0; // told by engines that speculate
    if (!end || !find_number(from, end, "\"prompt_n\":", &prompt_n) ||
        !find_number(from, end, "\"prompt_ms\":", &prompt_ms) ||
        !find_number(from, end, "\"predicted_n\":", &predicted_n) ||
        !find_number(from, end, "\"predicted_ms\":", &predicted_ms))
        return;
    find_number(from, end, "\"cache_n\":", &cache_n);
    if (find_number(from, end, "\"draft_n\":", &draft_n))
        find_number(from, end, "\"draft_n_accepted\":", &draft_accepted);
    metrics->draft_tokens += (uint64_t)draft_n;
    metrics->draft_accepted += (uint64_t)(draft_accepted < draft_n ? draft_accepted : draft_n);
    metrics->prompt_tokens += (uint64_t)prompt_n;
    metrics->cached_tokens += (uint64_t)cache_n;
    metrics->generated_tokens += (uint64_t)predicted_n;
    metrics->prefill_s += prompt_ms / 1000;
    metrics->decode_s += predicted_ms / 1000;
}
