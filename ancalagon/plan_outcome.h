// What `ancalagon plan` finds out: of a file, with the engine's defaults and what the command line
// fixes; of a preset, exactly what the server would decide.
#pragma once

#include "config.h"
#include "draft_choice.h"
#include "memory_store.h"
#include "model_files.h"
#include "plan_args.h"

#include <jansson.h>

struct plan_outcome {
    struct config *config; // NULL when a file was named
    struct preset preset;  // a copy with the command line laid over it; of a preset only
    bool is_preset;
    struct model_files files;
    struct plan_machine machine;
    struct fit fit; // of these, with the settings as chosen
    struct plan plan;
    bool runs;      // the server would start it, be it too tight to promise
    char says[320]; // against it, when the plan itself has nothing against it; else ""
    json_t *notes;
    struct fit_proposal proposals[FIT_PROPOSALS_MAX];
    size_t proposal_count;
    struct memory_seen seen; // how its last run turned out
    bool has_seen;
};

// -1: to be told; else the exit status, with all said. Call plan_outcome_fini always.
int plan_outcome_make(const struct plan_args *args, struct plan_outcome *out);
void plan_outcome_fini(struct plan_outcome *out);
