#include "plan/draft.h"

#include "base/mem.h"
#include "plan/parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// ---- vocabularies ----

static bool is_one_of(struct span text, const char *const *list) {
    for (; *list; list++)
        if (span_is(text, *list))
            return true;
    return false;
}

// What llama-vocab.cpp assumes where the file is silent.
static void set_defaults(struct draft_vocab *v, struct span model, struct span pre) {
    static const char *const BPE[] = {"gpt2", "hybriddna", "whitespace", NULL};
    static const char *const WITH_BOS[] = {"llama3",    "llama-v3",  "llama-bpe",    "falcon3",
                                           "falcon-h1", "pixtral",   "midm-2.0",     "lfm2",
                                           "tekken",    "chameleon", "jina-v5-nano", NULL};
    static const char *const NO_BOS[] = {"chatglm-bpe", "glm4", "glm5", NULL};
    v->bos = v->eos = -1;
    if (span_is(model, "llama")) {
        *v = (struct draft_vocab){DRAFT_VOCAB_SPM, true, false, 1, 2, 0};
    } else if (span_is(model, "bert")) {
        *v = (struct draft_vocab){DRAFT_VOCAB_WPM, true, false, 101, -1, 0};
    } else if (is_one_of(model, BPE)) {
        *v = (struct draft_vocab){DRAFT_VOCAB_BPE, is_one_of(pre, WITH_BOS), false, 11, 11, 0};
        if (is_one_of(pre, NO_BOS))
            v->bos = -1;
    } else if (span_is(model, "gemma4")) {
        *v = (struct draft_vocab){DRAFT_VOCAB_BPE, false, false, -1, -1, 0};
    } else if (span_is(model, "t5")) {
        *v = (struct draft_vocab){DRAFT_VOCAB_UGM, false, true, -1, 1, 0};
    } else if (span_is(model, "rwkv")) {
        *v = (struct draft_vocab){DRAFT_VOCAB_RWKV, false, false, -1, -1, 0};
    } else if (span_is(model, "plamo2")) {
        *v = (struct draft_vocab){DRAFT_VOCAB_PLAMO2, false, false, 1, 2, 0};
    }
}

// A number outside the vocabulary is passed over; a default outside it is none.
static void special_token(const struct gguf *gguf, const char *key, uint64_t tokens, int64_t *id) {
    uint64_t value;
    if (*id >= 0 && (uint64_t)*id >= tokens)
        *id = -1;
    if (gguf_uint(gguf, key, &value) && value < tokens)
        *id = (int64_t)value;
}

void draft_vocab_read(const struct gguf *gguf, struct draft_vocab *out) {
    enum gguf_value_type type;
    struct span model = gguf_text(gguf, "tokenizer.ggml.model");
    struct span pre = gguf_text(gguf, "tokenizer.ggml.pre");
    *out = (struct draft_vocab){.bos = -1, .eos = -1};
    set_defaults(out, model, pre);
    if (!gguf_array(gguf, "tokenizer.ggml.tokens", &type, &out->tokens) || type != GGUF_STRING) {
        *out = (struct draft_vocab){.bos = -1, .eos = -1};
        return;
    }
    special_token(gguf, "tokenizer.ggml.bos_token_id", out->tokens, &out->bos);
    special_token(gguf, "tokenizer.ggml.eos_token_id", out->tokens, &out->eos);
    gguf_bool(gguf, "tokenizer.ggml.add_bos_token", &out->add_bos);
    gguf_bool(gguf, "tokenizer.ggml.add_eos_token", &out->add_eos);
    if (span_is(model, "gemma4") || span_is(pre, "gemma4") ||
        span_is(pre, "granite-embed-multi-311m"))
        out->add_bos = true;
}

__attribute__((format(printf, 3, 4))) static bool differs(char *why, size_t size,
                                                          const char *format, ...) {
    if (why) {
        va_list args;
        va_start(args, format);
        vsnprintf(why, size, format, args);
        va_end(args);
    }
    return false;
}

bool draft_vocab_matches(const struct draft_vocab *a, const struct draft_vocab *b, char *why,
                         size_t size) {
    if (a->kind == DRAFT_VOCAB_NONE || b->kind == DRAFT_VOCAB_NONE)
        return differs(why, size, "no vocabulary");
    if (a->kind != b->kind)
        return differs(why, size, "another kind of tokenizer");
    if (a->add_bos != b->add_bos || (a->add_bos && a->bos != b->bos))
        return differs(why, size, "texts begin with another token");
    if (a->add_eos != b->add_eos || (a->add_eos && a->eos != b->eos))
        return differs(why, size, "texts end with another token");
    uint64_t more = a->tokens > b->tokens ? a->tokens - b->tokens : b->tokens - a->tokens;
    if (more > DRAFT_VOCAB_DIFFERENCE)
        return differs(why, size, "vocabularies of %llu and %llu tokens",
                       (unsigned long long)a->tokens, (unsigned long long)b->tokens);
    return true;
}

// An empty token gets a name by its number (llama-vocab.cpp), the same on both sides.
static bool same_text(struct span a, struct span b) {
    return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

static bool same_tokens(struct gguf_list *a, struct gguf_list *b, uint64_t count, char *why,
                        size_t size) {
    struct err err = {0};
    struct span x, y;
    for (uint64_t i = 0; i < count; i++) {
        if (!gguf_list_next(a, &x, &err) || !gguf_list_next(b, &y, &err))
            return differs(why, size, "%s", err.text);
        if (i >= DRAFT_FIRST_COMPARED && !same_text(x, y))
            return differs(why, size, "token %llu is another one", (unsigned long long)i);
    }
    return true;
}

bool draft_compatible(const struct gguf *target, const struct gguf *draft, char *why, size_t size) {
    struct draft_vocab a, b;
    struct err err = {0};
    draft_vocab_read(target, &a);
    draft_vocab_read(draft, &b);
    if (!draft_vocab_matches(&a, &b, why, size))
        return false;
    if (gguf_lists_equal(target, draft, "tokenizer.ggml.tokens"))
        return true;
    struct gguf_list *x = gguf_list_open(target, "tokenizer.ggml.tokens", &err);
    struct gguf_list *y = gguf_list_open(draft, "tokenizer.ggml.tokens", &err);
    bool same = x && y ? same_tokens(x, y, a.tokens < b.tokens ? a.tokens : b.tokens, why, size)
                       : differs(why, size, "%s", err.text);
    gguf_list_close(x);
    gguf_list_close(y);
    return same;
}

// ---- costs ----

// Bytes a second, and what a further token in the same pass costs of the first one's time: on a
// device almost nothing, on a CPU most of it (measured: four times for two tokens on 2 cores).
static const struct {
    double gb_per_s, further;
} SPEEDS[] = {
    [PLAN_CPU] = {50, 0.75},    [PLAN_CUDA] = {600, 0.03},  [PLAN_ROCM] = {600, 0.05},
    [PLAN_VULKAN] = {400, 0.1}, [PLAN_METAL] = {300, 0.05}, [PLAN_RPC] = {100, 0.1},
};

// Work that no bandwidth explains: starting kernels for a layer, and the step's own bookkeeping.
#define LAYER_MS 0.02
#define STEP_MS 0.6
#define STEP_HOST_MS 4.0

// Bytes that a pass over one token reads in one place, dense ones and all experts.
struct reads {
    double dense, experts;
};

struct all_reads {
    struct reads device[PLAN_DEVICES_MAX], host;
    double layers;
};

static struct reads *reads_at(struct all_reads *all, int place) {
    return place == PLACE_HOST ? &all->host : &all->device[place];
}

static int place_of(const struct model_tensor *t, const struct plan_settings *s,
                    const struct placement *place) {
    if (t->place == MODEL_PLACE_OUTPUT)
        return place->output;
    if ((t->part == MODEL_PART_EXPERTS && t->layer < s->ncmoe) ||
        (t->part == MODEL_PART_FFN && t->layer < s->ncffn))
        return PLACE_HOST;
    return place->layer[t->layer];
}

static bool is_head(const struct model *model, const struct model_tensor *t) {
    return t->place == MODEL_PLACE_LAYER && model->layer[t->layer].mtp;
}

static bool is_output_matrix(const struct model *model, const struct model_tensor *t) {
    const char *name = t->gguf->name;
    return strcmp(name, "output.weight") == 0 ||
           (model->tied && strcmp(name, "token_embd.weight") == 0);
}

// `head`: the multi-token head (with the output matrix) in place of the layers.
static void count_reads(const struct model *model, const struct plan_settings *settings,
                        const struct plan_machine *machine, bool head, struct all_reads *out) {
    struct placement *place = mem_alloc(sizeof *place);
    place_layers(model, settings, machine, place);
    *out = (struct all_reads){.layers = head ? 1 : model->layers - model->layers_mtp};
    for (size_t i = 0; i < model->tensor_count; i++) {
        const struct model_tensor *t = &model->tensors[i];
        bool matrix = is_output_matrix(model, t);
        if (!matrix && (t->place == MODEL_PLACE_UNUSED || t->place == MODEL_PLACE_INPUT))
            continue; // rows of a table
        if (!matrix && is_head(model, t) != head)
            continue;
        struct reads *reads = reads_at(out, matrix ? place->output : place_of(t, settings, place));
        *(t->part == MODEL_PART_EXPERTS ? &reads->experts : &reads->dense) +=
            (double)t->gguf->bytes;
    }
    mem_free(place);
}

static double time_of(const struct model *model, const struct reads *reads, enum plan_kind kind,
                      unsigned tokens) {
    double used = model->experts ? (double)model->experts_used / model->experts : 1;
    if (used <= 0 || used > 1)
        used = 1;
    double untouched = 1; // share of the experts that no token wants
    for (unsigned i = 0; i < tokens; i++)
        untouched *= 1 - used;
    double per_ms = SPEEDS[kind].gb_per_s * 1e6;
    double dense = reads->dense * (1 + SPEEDS[kind].further * (tokens - 1));
    // Every token works through its own experts; reading them is the least that it takes.
    double work = reads->experts * used * (1 + SPEEDS[kind].further * (tokens - 1));
    double read = reads->experts * (1 - untouched);
    return (dense + (work > read ? work : read)) / per_ms;
}

static double pass_ms(const struct model *model, const struct all_reads *all,
                      const struct plan_machine *machine, unsigned tokens) {
    double ms = time_of(model, &all->host, PLAN_CPU, tokens) + all->layers * LAYER_MS;
    for (size_t i = 0; i < machine->devices; i++)
        ms += time_of(model, &all->device[i], machine->device[i].kind, tokens);
    return ms;
}

void draft_costs_predict(const struct model *target, const struct model *draft,
                         const struct plan_settings *settings, const struct plan_machine *machine,
                         struct draft_costs *out) {
    struct all_reads reads;
    count_reads(target, settings, machine, false, &reads);
    for (unsigned k = 1; k <= DRAFT_TOKENS_MAX + 1; k++)
        out->target_ms[k] = pass_ms(target, &reads, machine, k);
    out->target_ms[0] = 0;
    out->step_ms =
        machine->devices && reads.host.dense + reads.host.experts == 0 ? STEP_MS : STEP_HOST_MS;
    struct plan_settings own = *settings; // a draft goes to the devices whole
    own.ngl = UINT32_MAX;
    own.ncmoe = own.ncffn = 0;
    count_reads(draft ? draft : target, draft ? &own : settings, machine, !draft, &reads);
    out->draft_ms = pass_ms(draft ? draft : target, &reads, machine, 1);
}

double draft_tokens(double a, unsigned n) {
    double sum = 1, term = 1;
    for (unsigned i = 0; i < n; i++)
        sum += term *= a;
    return sum;
}

// The target over a number of tokens that need not be whole.
static double target_ms(const struct draft_costs *costs, double tokens) {
    if (tokens <= 1)
        return costs->target_ms[1];
    if (tokens >= DRAFT_TOKENS_MAX + 1)
        return costs->target_ms[DRAFT_TOKENS_MAX + 1];
    unsigned below = (unsigned)tokens;
    double part = tokens - below;
    return costs->target_ms[below] * (1 - part) + costs->target_ms[below + 1] * part;
}

static double gain_of(const struct draft_costs *costs, double tokens, double guesses) {
    double step = guesses * costs->draft_ms + target_ms(costs, guesses + 1) + costs->step_ms;
    return step > 0 ? tokens * costs->target_ms[1] / step : 0;
}

double draft_gain(const struct draft_costs *costs, double acceptance, unsigned n) {
    return gain_of(costs, draft_tokens(acceptance, n), n);
}

unsigned draft_best_n(const struct draft_costs *costs, double acceptance, double *gain) {
    unsigned best = 1;
    for (unsigned n = 2; n <= DRAFT_TOKENS_MAX; n++)
        if (draft_gain(costs, acceptance, n) > draft_gain(costs, acceptance, best))
            best = n;
    if (gain)
        *gain = draft_gain(costs, acceptance, best);
    return best;
}

double draft_gain_seen(const struct draft_costs *costs, double generated, double drafted,
                       double accepted) {
    double steps = generated - accepted; // each step gives one token besides those guessed right
    if (steps < 1)
        steps = 1;
    return gain_of(costs, generated / steps, drafted / steps);
}

double draft_acceptance_seen(double generated, double drafted, double accepted) {
    double steps = generated - accepted < 1 ? 1 : generated - accepted;
    double guesses = drafted / steps + .5, low = 0, high = 1;
    unsigned n = guesses < 1                  ? 1
                 : guesses > DRAFT_TOKENS_MAX ? DRAFT_TOKENS_MAX
                                              : (unsigned)guesses;
    for (int i = 0; i < 40; i++) {
        double middle = (low + high) / 2;
        *(draft_tokens(middle, n) - 1 < accepted / steps ? &low : &high) = middle;
    }
    return (low + high) / 2;
}

double draft_acceptance_usual(const struct model *draft) { return draft ? 0.65 : 0.75; }
