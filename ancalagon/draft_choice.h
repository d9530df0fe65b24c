// What speculates for a preset with `draft = ...`, on this machine: a draft model beside its model,
// the model's own multi-token head, or nothing, and why. Chosen from headers and from what was
// measured, before anything is started.
#pragma once

#include "draft_files.h"
#include "engine/dialect.h"
#include "plan/draft.h"
#include "plan/fit.h"
#include "preset.h"

struct draft_choice {
    enum { DRAFT_NONE, DRAFT_MODEL, DRAFT_HEAD } kind;
    bool fixed;    // the preset names the file: it is never given up
    bool measured; // the gain is no prediction
    unsigned n;    // tokens guessed at once
    double gain;   // decoding speed with over without
    double tokens; // a step gives, by that gain's figures
    struct draft_costs costs;
    char engine[64]; // draft_store_engine
    char path[1024]; // of a DRAFT_MODEL
    char n_text[8];  // n, as a setting
    char why[200];   // why none, or what is expected
};

// What the choice is made for.
struct draft_search {
    const struct preset *preset;     // with a draft key
    const struct draft_files *files; // read for it
    const struct dialect *dialect;
    const struct fit *asked;   // as the preset says, nothing decided
    const struct fit *decided; // ... and what fits without a draft
    const struct plan *plan;   // of that
    // Decides again, with what speculates in `fit`. False: it does not fit.
    bool (*decide)(void *arg, struct fit *fit, struct plan *plan, struct err *err);
    void *arg;
};

// False only when the preset names a file that cannot be used. With something chosen, `fit` and
// `plan` are as decided with it; the draft model in `fit` is one of the files.
bool draft_choice_make(const struct draft_search *search, struct draft_choice *out, struct fit *fit,
                       struct plan *plan, struct err *err);

// Where nothing is planned: a file that the preset names is used as it is, without a reckoned gain.
void draft_choice_unplanned(const struct preset *preset, struct draft_choice *out);

// Settings for the engine; at most DRAFT_SETTINGS_MAX. Returns how many.
struct setting;
enum { DRAFT_SETTINGS_MAX = 3 };
size_t draft_choice_settings(const struct draft_choice *choice, const struct dialect *dialect,
                             struct setting *out);

// The gain that a run's figures amount to.
double draft_choice_gain_seen(const struct draft_choice *choice, double generated, double drafted,
                              double accepted);
