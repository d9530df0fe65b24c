#include "eval_score.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

enum { RESAMPLES = 2000 };
static const uint64_t SEED = 20261127;
static const double Z = 1.959963984540054; // of the normal distribution, 97.5 %

const char *outcome_name(enum outcome outcome) {
    static const char *const NAMES[OUTCOME_COUNT] = {"unjudged", "right",    "empty", "wrong",
                                                     "missed",   "invented", "none"};
    return NAMES[outcome];
}

bool outcome_is_good(enum outcome outcome) {
    return outcome == OUTCOME_RIGHT || outcome == OUTCOME_EMPTY;
}

bool outcome_is_miss(enum outcome outcome) {
    return outcome == OUTCOME_WRONG || outcome == OUTCOME_MISSED || outcome == OUTCOME_INVENTED;
}

// --- Chance

// SplitMix64 (Steele, Lea, Flood 2014).
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static size_t next_below(uint64_t *state, size_t count) {
    return (size_t)((next_random(state) >> 32) * (uint64_t)count >> 32);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double quantile(double *values, size_t count, double share) {
    if (!count)
        return NAN;
    qsort(values, count, sizeof *values, by_size);
    double rank = ceil(share * (double)count);
    return values[rank < 1 ? 0 : (size_t)rank - 1];
}

// --- Rates and means

struct rate rate_wilson(size_t hits, size_t of) {
    struct rate rate = {hits, of, NAN, NAN, NAN};
    if (!of)
        return rate;
    double n = (double)of, p = (double)hits / n, z2 = Z * Z;
    double middle = (p + z2 / (2 * n)) / (1 + z2 / n);
    double half = Z / (1 + z2 / n) * sqrt(p * (1 - p) / n + z2 / (4 * n * n));
    rate.value = p;
    rate.low = hits == 0 ? 0 : fmax(0, middle - half);
    rate.high = hits == of ? 1 : fmin(1, middle + half);
    return rate;
}

struct rate rate_grouped(const unsigned *hits, const unsigned *of, size_t groups) {
    size_t all_hits = 0, all_of = 0, count = 0;
    for (size_t i = 0; i < groups; i++) {
        all_hits += hits[i];
        all_of += of[i];
    }
    struct rate rate = rate_wilson(all_hits, all_of);
    if (!all_of)
        return rate;
    double *shares = mem_alloc(RESAMPLES * sizeof *shares);
    uint64_t state = SEED;
    for (size_t i = 0; i < RESAMPLES; i++) {
        double some_hits = 0, some_of = 0;
        for (size_t j = 0; j < groups; j++) {
            size_t drawn = next_below(&state, groups);
            some_hits += hits[drawn];
            some_of += of[drawn];
        }
        if (some_of > 0) // else it says nothing
            shares[count++] = some_hits / some_of;
    }
    if (count) {
        rate.low = fmin(rate.low, quantile(shares, count, .025));
        rate.high = fmax(rate.high, quantile(shares, count, .975));
    }
    mem_free(shares);
    return rate;
}

static double mean_of(const double *values, size_t count, uint64_t *state) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[state ? next_below(state, count) : i];
    return sum / (double)count;
}

struct mean mean_bootstrap(const double *values, size_t count) {
    struct mean mean = {count, NAN, NAN, NAN};
    if (!count)
        return mean;
    double *means = mem_alloc(RESAMPLES * sizeof *means);
    uint64_t state = SEED;
    for (size_t i = 0; i < RESAMPLES; i++)
        means[i] = mean_of(values, count, &state);
    mean.value = mean_of(values, count, NULL);
    mean.low = quantile(means, RESAMPLES, .025);
    mean.high = quantile(means, RESAMPLES, .975);
    mem_free(means);
    return mean;
}

// --- Tests

double mcnemar_exact(size_t only_a, size_t only_b) {
    size_t n = only_a + only_b, few = only_a < only_b ? only_a : only_b;
    if (only_a == only_b)
        return 1;
    // Twice the tail of the binomial with 1/2: each term from the one before, in logarithms, for
    // 2^-n is no double from n = 1075 on.
    double term = -(double)n * log(2), sum = exp(term);
    for (size_t i = 0; i < few; i++) {
        term += log((double)(n - i)) - log((double)(i + 1));
        sum += exp(term);
    }
    return fmin(1, 2 * sum);
}

void holm(double *p, size_t count) {
    bool *done = mem_alloc(count * sizeof *done);
    double before = 0;
    for (size_t i = 0; i < count; i++) { // from the smallest on
        size_t least = count;
        for (size_t j = 0; j < count; j++)
            if (!done[j] && (least == count || p[j] < p[least]))
                least = j;
        done[least] = true;
        before = p[least] = fmax(before, fmin(1, p[least] * (double)(count - i)));
    }
    mem_free(done);
}

// --- One configuration

static size_t answered(const size_t *counts) {
    return counts[OUTCOME_RIGHT] + counts[OUTCOME_WRONG] + counts[OUTCOME_INVENTED];
}
static size_t printed(const size_t *counts) {
    return counts[OUTCOME_RIGHT] + counts[OUTCOME_WRONG] + counts[OUTCOME_MISSED];
}
static size_t judged(const size_t *counts) {
    return printed(counts) + counts[OUTCOME_EMPTY] + counts[OUTCOME_INVENTED] +
           counts[OUTCOME_NONE];
}

static void score_field(struct field_score *out, const struct eval_photo *photos, size_t count,
                        enum field field) {
    size_t doubted = 0;
    for (size_t i = 0; i < count; i++) {
        bool counts = photos[i].outcomes[field] != OUTCOME_UNJUDGED;
        out->counts[photos[i].outcomes[field]]++;
        doubted += counts && (photos[i].doubted[field] || photos[i].failed);
    }
    const size_t *n = out->counts;
    out->accuracy = rate_wilson(n[OUTCOME_RIGHT] + n[OUTCOME_EMPTY], judged(n));
    out->precision = rate_wilson(n[OUTCOME_RIGHT], answered(n));
    out->coverage = rate_wilson(n[OUTCOME_RIGHT] + n[OUTCOME_WRONG], printed(n));
    out->recall = rate_wilson(n[OUTCOME_RIGHT], printed(n));
    out->review = rate_wilson(doubted, judged(n));
}

static void count_photo(const struct eval_photo *photo, size_t counts[OUTCOME_COUNT]) {
    for (int i = 0; i < OUTCOME_COUNT; i++)
        counts[i] = 0;
    for (int i = 0; i < FIELD_COUNT; i++)
        counts[photo->outcomes[i]]++;
}

static bool is_whole(const size_t *counts) {
    return judged(counts) == counts[OUTCOME_RIGHT] + counts[OUTCOME_EMPTY];
}

// The hits and cases of one photo, for each rate over all fields.
enum pooled { ACCURACY, PRECISION, COVERAGE, RECALL, TOLD, POOLED };

struct pool {
    unsigned *hits[POOLED], *of[POOLED]; // one a photo
};

static void pool_photo(struct pool *pool, size_t index, const size_t *n, bool reviewed) {
    size_t false_values = n[OUTCOME_WRONG] + n[OUTCOME_INVENTED];
    const size_t values[POOLED][2] = {
        [ACCURACY] = {n[OUTCOME_RIGHT] + n[OUTCOME_EMPTY], judged(n)},
        [PRECISION] = {n[OUTCOME_RIGHT], answered(n)},
        [COVERAGE] = {n[OUTCOME_RIGHT] + n[OUTCOME_WRONG], printed(n)},
        [RECALL] = {n[OUTCOME_RIGHT], printed(n)},
        [TOLD] = {reviewed ? false_values : 0, false_values},
    };
    for (int i = 0; i < POOLED; i++) {
        pool->hits[i][index] = (unsigned)values[i][0];
        pool->of[i][index] = (unsigned)values[i][1];
    }
}

static void score_all(struct score *out, const struct eval_photo *photos, size_t count) {
    unsigned *room = mem_alloc((2 * POOLED * count + 1) * sizeof *room);
    struct pool pool;
    size_t reviewed = 0, whole = 0, naught = 0, counts[OUTCOME_COUNT];
    for (size_t i = 0; i < POOLED; i++) {
        pool.hits[i] = room + 2 * i * count;
        pool.of[i] = room + (2 * i + 1) * count;
    }
    for (size_t i = 0; i < count; i++) {
        count_photo(&photos[i], counts);
        pool_photo(&pool, i, counts, photos[i].reviewed);
        bool good = is_whole(counts) && !photos[i].failed;
        reviewed += photos[i].reviewed;
        whole += good;
        naught += good && photos[i].reviewed;
        for (int j = 0; j < OUTCOME_COUNT; j++)
            out->all.counts[j] += counts[j];
    }
    struct rate *const rates[POOLED] = {&out->all.accuracy, &out->all.precision, &out->all.coverage,
                                        &out->all.recall, &out->told};
    for (int i = 0; i < POOLED; i++)
        *rates[i] = rate_grouped(pool.hits[i], pool.of[i], count);
    out->all.review = rate_wilson(reviewed, count);
    out->whole = rate_wilson(whole, count);
    out->for_naught = rate_wilson(naught, whole);
    mem_free(room);
}

static void score_seconds(struct score *out, const struct eval_photo *photos, size_t count) {
    double *seconds = mem_alloc((count + 1) * sizeof *seconds);
    size_t good = 0;
    for (size_t i = 0; i < count; i++)
        if (!photos[i].failed)
            seconds[good++] = photos[i].seconds;
    out->failed = count - good;
    out->seconds = mean_bootstrap(seconds, good);
    out->seconds_median = quantile(seconds, good, .5);
    out->seconds_p95 = quantile(seconds, good, .95);
    mem_free(seconds);
}

void score_photos(struct score *out, const struct eval_photo *photos, size_t count) {
    *out = (struct score){.photos = count};
    for (int i = 0; i < FIELD_COUNT; i++)
        score_field(&out->fields[i], photos, count, (enum field)i);
    score_all(out, photos, count);
    score_seconds(out, photos, count);
}

// --- Two configurations

static void contrast_count(struct contrast *contrast, bool a, bool b) {
    contrast->only_a += a && !b;
    contrast->only_b += b && !a;
}

static bool photo_is_whole(const struct eval_photo *photo) {
    size_t counts[OUTCOME_COUNT];
    count_photo(photo, counts);
    return is_whole(counts) && !photo->failed;
}

// What is judged nowhere is no test, and corrects nothing.
static void correct(struct contrast *fields, const bool *judged) {
    double p[FIELD_COUNT];
    size_t count = 0;
    for (int i = 0; i < FIELD_COUNT; i++) {
        fields[i].p = fields[i].p_holm = mcnemar_exact(fields[i].only_a, fields[i].only_b);
        if (judged[i])
            p[count++] = fields[i].p;
    }
    holm(p, count);
    for (int i = FIELD_COUNT - 1; i >= 0; i--)
        if (judged[i])
            fields[i].p_holm = p[--count];
}

void score_compare(struct comparison *out, const struct eval_photo *a, const struct eval_photo *b,
                   size_t count) {
    bool judged[FIELD_COUNT] = {false};
    *out = (struct comparison){0};
    for (size_t i = 0; i < count; i++) {
        for (int j = 0; j < FIELD_COUNT; j++) {
            enum outcome x = a[i].outcomes[j], y = b[i].outcomes[j];
            if (x == OUTCOME_UNJUDGED || y == OUTCOME_UNJUDGED)
                continue;
            judged[j] = true;
            contrast_count(&out->fields[j], outcome_is_good(x), outcome_is_good(y));
            contrast_count(&out->all, outcome_is_good(x), outcome_is_good(y));
        }
        contrast_count(&out->whole, photo_is_whole(&a[i]), photo_is_whole(&b[i]));
    }
    correct(out->fields, judged);
    out->all.p = out->all.p_holm = mcnemar_exact(out->all.only_a, out->all.only_b);
    out->whole.p = out->whole.p_holm = mcnemar_exact(out->whole.only_a, out->whole.only_b);
}
