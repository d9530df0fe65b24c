// Machines to tune on without having them: recorded sweeps, and plausible ones drawn at random.
// Shares nothing with lib/plan's model of speed.
#pragma once

#include "plan/tune.h"

#include <stdint.h>

struct dice {
    uint64_t state;
};
double dice_uniform(struct dice *dice, double low, double high);
double dice_normal(struct dice *dice);

enum family {
    FAMILY_MIXTURE, // experts on the CPU: layers, threads, ubatch, cache type
    FAMILY_DENSE,   // layers on the CPU
    FAMILY_GPU,     // all on the GPU: ubatch, cache type, flash attention
    FAMILY_CPU,     // no GPU: threads, ubatch, cache type, flash attention
    FAMILY_FIXED,   // a mixture whose layers its user fixed
    FAMILY_DRAFT,   // all on the GPU, with drafts to choose from
    FAMILIES,
};

struct machine {
    enum family family;
    int layers, fixed, cores, logical; // fixed: layers on the CPU of a FAMILY_FIXED
    double vram_mib, base_mib, layer_mib, ubatch_mib, kv_mib[3];
    double gpu_s, layer_s, start_s; // a token: all on the GPU, of a layer on the CPU, without work
    double leaves, read_bytes, layer_bytes;    // a layer's part of gpu_s; what is told of it
    double saturated, ht_loss, full_loss, dip; // threads
    double pcie_s, flop_s, u0, u1, u_loss;     // prefill: a layer's stream, a token; ubatch
    double u_decode;                           // decode lost for each doubling of ubatch
    double kv_decode[3], kv_prefill[3], flash_decode, flash_prefill;
    double draft_accept[3], draft_s[3], verify;
    double spill_mib, spill_s; // below so much room, each MiB too little costs
};

void machine_draw(struct machine *m, enum family family, uint64_t seed);
void machine_space(const struct machine *m, struct tune_space *space); // arg: the machine
void machine_speed(const struct machine *m, const struct tune_choice *choice, double *decode,
                   double *prefill);
