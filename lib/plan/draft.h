// Speculation: a small model guesses some tokens, the large one checks them all in one pass. Which
// models llama-server accepts together, and whether it is worth it.
//
// Compatibility: common/speculative.cpp common_speculative_are_compatible, on vocabularies as
// src/llama-vocab.cpp reads them (llama.cpp build 11434). Never by file name.
//
// Gain: decoding is bound by the memory that each pass reads. With a = probability that a guess is
// right, n guesses: E = (1 - a^(n+1)) / (1 - a) tokens a step, for n passes of the draft and one of
// the target over n + 1 tokens. A mixture reads more experts then: all * (1 - (1 - used/all)^k).
#pragma once

#include "plan/plan.h"

enum { DRAFT_TOKENS_MAX = 16, DRAFT_VOCAB_DIFFERENCE = 128, DRAFT_FIRST_COMPARED = 5 };

#define DRAFT_WORTH 1.10 // predicted or measured, before one is used
#define DRAFT_PAYS 1.03  // seen in use, below which it is given up

// What a tokenizer amounts to, without its texts.
struct draft_vocab {
    enum draft_vocab_kind {
        DRAFT_VOCAB_NONE, // no vocabulary, or one that we do not know
        DRAFT_VOCAB_SPM,
        DRAFT_VOCAB_BPE,
        DRAFT_VOCAB_WPM,
        DRAFT_VOCAB_UGM,
        DRAFT_VOCAB_RWKV,
        DRAFT_VOCAB_PLAMO2,
    } kind;
    bool add_bos, add_eos;
    int64_t bos, eos; // -1: none
    uint64_t tokens;
};

void draft_vocab_read(const struct gguf *gguf, struct draft_vocab *out);

// All but the texts of the tokens. `why` (may be NULL): what differs, for people.
bool draft_vocab_matches(const struct draft_vocab *target, const struct draft_vocab *draft,
                         char *why, size_t size);
// The whole test; reads both vocabularies from their files, side by side.
bool draft_compatible(const struct gguf *target, const struct gguf *draft, char *why, size_t size);

// How long passes take: of the target over k tokens, of the draft over one.
struct draft_costs {
    double target_ms[DRAFT_TOKENS_MAX + 2]; // [k]; [1] is plain decoding
    double draft_ms;
    double step_ms; // of each step, besides
};

// `draft` NULL: the target's own multi-token head. Times are predicted from bytes and typical
// bandwidths; the gain needs their ratios only.
void draft_costs_predict(const struct model *target, const struct model *draft,
                         const struct plan_settings *settings, const struct plan_machine *machine,
                         struct draft_costs *out);

// Tokens a second with `n` guesses over tokens a second without, when a guess is right with
// probability `acceptance`.
double draft_tokens(double acceptance, unsigned n); // that a step gives
double draft_gain(const struct draft_costs *costs, double acceptance, unsigned n);
unsigned draft_best_n(const struct draft_costs *costs, double acceptance,
                      double *gain); // at least 1

// The same from what was seen: `generated` tokens, of which `accepted` were among `drafted`
// guesses.
double draft_gain_seen(const struct draft_costs *costs, double generated, double drafted,
                       double accepted);

// The chance of one guess that such figures show: a share of all guesses is less than that, since
// those behind a wrong one are wrong, too.
double draft_acceptance_seen(double generated, double drafted, double accepted);
// Before anything is known of a pair.
double draft_acceptance_usual(const struct model *draft);
