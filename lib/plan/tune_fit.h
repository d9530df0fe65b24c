// What of a preset may be tuned on a machine: the values of each axis, which combinations fit (by
// the planner), and what physics expects of them.
#pragma once

#include "plan/fit.h"
#include "plan/tune.h"

enum { TUNE_KV_MAX = 4, TUNE_DRAFTS_MAX = 4 };

struct tune_fit {
    // Settings as they are now; context and slots stay as they are. Model NULL: not understood,
    // then nothing is offloaded and everything counts as fitting.
    struct fit fit;
    int cores_physical, cores_logical;
    uint32_t threads;      // as they are now
    uint32_t depth_tokens; // of the context at which speed counts
    // Cache types to choose from, the present one first.
    const struct gguf_type_info *kv[TUNE_KV_MAX];
    size_t kv_count;
    // Drafts to choose from, the smallest first; gain: predicted, 0 unknown.
    struct {
        const struct model *model;
        double gain;
    } draft[TUNE_DRAFTS_MAX];
    size_t draft_count;
    bool draft_present; // the first one is used now, and stays

    // Axes that must not be varied, and those that may be although most people would not.
    bool keep_offload, keep_threads, keep_ubatch, keep_draft_n;
    bool vary_flash, vary_repack;
    bool offload_follows; // kept, but the server chooses the layers anew for each choice
    uint32_t ubatch_max;  // 0: as the depth allows

    struct tune_fit_room *room; // private: what was asked of the planner; tune_fit_fini
};

// The space points into *tf, which must outlive the tuner. False when nothing may be varied.
bool tune_fit_space(struct tune_fit *tf, struct tune_space *space, struct err *err);
// The settings of a choice, over the present ones; draft NULL without one.
void tune_fit_settings(const struct tune_fit *tf, const struct tune_choice *choice,
                       struct plan_settings *settings, const struct model **draft);
// Is the offload axis in whole layers (gpu-layers), not in experts (n-cpu-moe)?
bool tune_fit_by_layer(const struct tune_fit *tf);
void tune_fit_fini(struct tune_fit *tf);
