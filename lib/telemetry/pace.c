#define _GNU_SOURCE
#include "telemetry/pace.h"

#include "base/mem.h"

#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
    THREADS_MAX = 128,
    WARM_US =
        10 * 1000, // until all threads run, and those of the engine that still spin have slept
    LOOK_US = 60 * 1000,
    STRIP = 128 << 10, // in every core's own cache
    ROW = 1024,
    MEMORY_LEAST = 96 << 20,
    MEMORY_MOST = 512 << 20,
};

static const double REFERENCE = 12e9; // bytes multiplied in a second of one core at a pace of 1

typedef uint16_t words __attribute__((vector_size(16)));
typedef uint8_t bytes __attribute__((vector_size(8)));

struct worker {
    pthread_t thread;
    uint8_t *strips; // of its own, larger than a core's share of any cache
    size_t length;
    int64_t begin_us, end_us; // when all of them are measured
    double rate;              // bytes in a second of its CPU time
    uint16_t sum;             // so that the work is not optimised away
};

struct pace {
    uint8_t *memory;
    size_t length;
    unsigned threads;
    struct worker workers[THREADS_MAX];
};

static double seconds_of(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int64_t now_us(void) { return (int64_t)(1e6 * seconds_of(CLOCK_MONOTONIC)); }

static words product(const uint8_t *eight, const words *row) {
    bytes weights;
    memcpy(&weights, eight, sizeof weights);
    return __builtin_convertvector(weights, words) * *row;
}

// As a matrix times a vector: each byte of the strip with a word of `row`.
static uint16_t multiply(const uint8_t *strip, const words *row) {
    words a = {0}, b = {0}, c = {0}, d = {0};
    for (const uint8_t *at = strip; at < strip + STRIP; at += ROW)
        for (size_t k = 0; k < ROW / 8; k += 4) {
            a += product(at + 8 * k, row + k);
            b += product(at + 8 * k + 8, row + k + 1);
            c += product(at + 8 * k + 16, row + k + 2);
            d += product(at + 8 * k + 24, row + k + 3);
        }
    words all = a + b + c + d;
    return (uint16_t)(all[0] + all[1] + all[2] + all[3] + all[4] + all[5] + all[6] + all[7]);
}

static void *work(void *arg) {
    struct worker *worker = arg;
    words row[ROW / 8];
    double strips = 0, cpu = 0, began = NAN;
    memset(row, 3, sizeof row);
    for (size_t at = 0;; at = at + 2 * STRIP <= worker->length ? at + STRIP : 0) {
        worker->sum ^= multiply(worker->strips + at, row);
        worker->sum ^= multiply(worker->strips + at, row); // in the cache since
        int64_t now = now_us();
        strips += 2;
        cpu = seconds_of(CLOCK_THREAD_CPUTIME_ID);
        if (isnan(began) && now >= worker->begin_us) {
            began = cpu;
            strips = 0;
        } else if (now >= worker->end_us) {
            break;
        }
    }
    worker->rate = cpu > began ? strips * STRIP / (cpu - began) : NAN;
    return NULL;
}

static size_t memory_wanted(void) {
    long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    if (cache <= MEMORY_LEAST / 3)
        return MEMORY_LEAST;
    return cache < MEMORY_MOST / 3 ? 3 * (size_t)cache : MEMORY_MOST;
}

struct pace *pace_create(unsigned threads) {
    struct pace *pace = mem_alloc(sizeof *pace);
    pace->threads = threads < 1 ? 1 : threads > THREADS_MAX ? THREADS_MAX : threads;
    size_t each = memory_wanted() / pace->threads / STRIP * STRIP;
    pace->length = each * pace->threads;
    pace->memory =
        mmap(NULL, pace->length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pace->memory == MAP_FAILED) {
        mem_free(pace);
        return NULL;
    }
    memset(pace->memory, 5, pace->length); // pages that nobody wrote are no memory
    for (unsigned i = 0; i < pace->threads; i++)
        pace->workers[i] = (struct worker){.strips = pace->memory + each * i, .length = each};
    return pace;
}

void pace_destroy(struct pace *pace) {
    if (!pace)
        return;
    munmap(pace->memory, pace->length);
    mem_free(pace);
}

// The engine's threads wait for each other at every step, so the slowest counts most.
static double harmonic_mean(const struct pace *pace) {
    double sum = 0;
    for (unsigned i = 0; i < pace->threads; i++)
        sum += 1 / pace->workers[i].rate;
    return pace->threads / sum;
}

double pace_measure(struct pace *pace) {
    int64_t begin = now_us() + WARM_US;
    unsigned started = 0;
    for (; started < pace->threads; started++) {
        struct worker *worker = &pace->workers[started];
        worker->begin_us = begin;
        worker->end_us = begin + LOOK_US;
        if (pthread_create(&worker->thread, NULL, work, worker) != 0)
            break;
    }
    for (unsigned i = 0; i < started; i++)
        pthread_join(pace->workers[i].thread, NULL);
    return started == pace->threads ? harmonic_mean(pace) / REFERENCE : NAN;
}

bool pace_adjust(const struct series *raw, const struct series *pace, double reference,
                 double share, struct series *out) {
    bool known = raw->count > 0 && raw->count == pace->count && reference > 0;
    *out = *raw;
    for (size_t i = 0; i < raw->count && known; i++)
        known = pace->values[i] > 0;
    for (size_t i = 0; i < raw->count && known; i++)
        out->values[i] = raw->values[i] * pow(reference / pace->values[i], share);
    return known;
}
