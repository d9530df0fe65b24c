// The machine's pace around the runs of a trial, taken in a thread while the engine idles; and what
// figures come to at equal pace.
#include "base/mem.h"
#include "base/system.h"
#include "trial_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Where a GPU does a part of the work, nobody knows how large the CPUs' part is: the middle is
// never wrong by more than half.
static const double SHARE_OF_PART = 0.5;

struct probe {
    struct trial *trial;
    struct pace *pace; // the session's, lent; its own once nobody waits
    double value;
};

static double share_of(const struct decision *decision) {
    const char *told = getenv("ANCALAGON_PACE");
    if (told && strcmp(told, "off") == 0)
        return 0;
    if (!decision->planned)
        return decision->dialect->device_count ? 0 : 1;
    if (decision->plan.layers_hosted == 0)
        return 0;
    return decision->plan.layers_offloaded ? SHARE_OF_PART : 1;
}

void trial_pace_begin(struct trial *trial) { trial->pace_share = share_of(&trial->decision); }

// The pace of the run before: between what was taken before it and what was taken after.
static void give_pace(struct trial *trial, double after) {
    struct trial_point_result *run = trial->unpaced;
    trial->unpaced = NULL;
    if (run && !isnan(trial->pace))
        series_add(&run->pace, isnan(after) ? trial->pace : sqrt(trial->pace * after));
}

// Runs are compared by their pace or not at all.
static void give_up(struct trial *trial) {
    trial->pace_share = 0;
    for (size_t p = 0; p < trial->point_count; p++)
        trial->result->points[p].pace.count = 0;
}

static void probe_run(void *arg) {
    struct probe *probe = arg;
    int physical, logical;
    if (!probe->pace) {
        system_cores(&physical, &logical);
        probe->pace = pace_create((unsigned)physical);
    }
    probe->value = probe->pace ? pace_measure(probe->pace) : NAN;
}

static void probe_done(void *arg) {
    struct probe *probe = arg;
    struct trial *trial = probe->trial;
    trial->session->pace = probe->pace;
    trial->probe = NULL;
    give_pace(trial, probe->value);
    trial->pace = probe->value;
    if (isnan(probe->value))
        give_up(trial);
    mem_free(probe);
    trial_go_on(trial);
}

static void probe_drop(void *arg) {
    struct probe *probe = arg;
    pace_destroy(probe->pace);
    mem_free(probe);
}

void trial_pace_take(struct trial *trial) {
    static const struct work_ops ops = {probe_run, probe_done, probe_drop};
    struct probe *probe = mem_alloc(sizeof *probe);
    struct err ignored;
    *probe = (struct probe){.trial = trial, .pace = trial->session->pace};
    trial->probe = work_start(trial->session->loop, &ops, probe, &ignored);
    if (!trial->probe) {
        mem_free(probe);
        give_up(trial);
        trial_go_on(trial);
        return;
    }
    trial->session->pace = NULL;
    trial_enter(trial, TRIAL_PACE);
}

void trial_pace_end(struct trial *trial) {
    work_abandon(trial->probe);
    trial->probe = NULL;
    give_pace(trial, NAN);
}

// ---- at equal pace ----

bool trial_at_pace(const struct trial_point_result *point, double reference,
                   struct series *prefill_tok_s, struct series *decode_tok_s) {
    const struct series *pace = &point->pace;
    double share = point->pace_share;
    bool reads = pace_adjust(&point->prefill_tok_s, pace, reference, share, prefill_tok_s);
    bool writes = pace_adjust(&point->decode_tok_s, pace, reference, share, decode_tok_s);
    return reads || writes;
}

static void learn(struct trial_noises *noises, const struct trial_point_result *point,
                  double share) {
    struct trial_point_result at_pace = *point;
    struct series prefill, decode;
    at_pace.pace_share = share;
    trial_at_pace(&at_pace, 1, &prefill, &decode);
    trial_noise_learn(&noises->raw_prefill, &point->prefill_tok_s);
    trial_noise_learn(&noises->raw_decode, &point->decode_tok_s);
    trial_noise_learn(&noises->paced_prefill, &prefill);
    trial_noise_learn(&noises->paced_decode, &decode);
}

static struct trial_noises all_noises(const struct trial *trial) {
    struct trial_noises noises = trial->session->noises;
    for (size_t p = 0; p < trial->result->point_count; p++)
        learn(&noises, &trial->result->points[p], trial->pace_share);
    return noises;
}

void trial_learn_errors(struct trial *trial) {
    struct trial_noises noises = all_noises(trial);
    bool helps = noises.paced_prefill.squares + noises.paced_decode.squares <
                 noises.raw_prefill.squares + noises.raw_decode.squares;
    struct series prefill, decode;
    for (size_t p = 0; p < trial->result->point_count; p++) {
        struct trial_point_result *point = &trial->result->points[p];
        point->pace_share = helps ? trial->pace_share : 0;
        trial_at_pace(point, 1, &prefill, &decode);
        point->prefill_error =
            trial_noise_error(helps ? &noises.paced_prefill : &noises.raw_prefill, &prefill);
        point->decode_error =
            trial_noise_error(helps ? &noises.paced_decode : &noises.raw_decode, &decode);
    }
}

void trial_learn_noise(struct trial *trial) { trial->session->noises = all_noises(trial); }
