#include "plan/tune.h"

#include "base/mem.h"
#include "plan/tune_model.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLOSER_LOOKS = 64 };

struct run {
    size_t cell;
    struct tune_measured measured;
};

struct tune {
    struct tune_space space;
    struct tune_options options;
    struct tune_cell *cells;
    size_t count;
    struct tune_model *model;
    struct run run[TUNE_TRIALS_MAX];
    unsigned runs;
    size_t anchor; // the present settings, or what is nearest to them
    bool pending, done;
    struct tune_trial trial;
    size_t trial_cell;
};

// Not worth a trial: this much of the objective. Moves on several axes at once are harder to learn
// from, so each further axis must promise more.
static const double STOP_WORTH = 0.0001, PER_AXIS = 0.9, ANCHOR_WORTH = 0.05;
// How much of the first choices is for what a trial teaches of all others; the last looks only for
// the best.
static const double FOR_LATER = 0.97;
static const double BETWEEN_RUNS = 0.015; // relative
static const double FAR_BEHIND = 0.5, DRIFTED = 0.05, PER_CHANGE = 0.002, CACHE_CHANGE = 0.004;

static void weights_of(const struct tune_options *options, double *decode, double *prefill) {
    *decode = options ? options->decode_weight : 0;
    *prefill = options ? options->prefill_weight : 0;
    if (*decode <= 0 && *prefill <= 0) {
        *decode = 0.8;
        *prefill = 0.2;
    }
}

double tune_error(const struct tune_options *options, double decode, double prefill) {
    double d, p;
    weights_of(options, &d, &p);
    return hypot(d * decode, p * prefill) / hypot(d, p);
}

double tune_objective(const struct tune_options *options, double decode, double prefill) {
    double d, p;
    weights_of(options, &d, &p);
    return (d > 0 && decode > 0 ? d * log(decode) : 0) +
           (p > 0 && prefill > 0 ? p * log(prefill) : 0);
}

// ---- the space ----

static struct tune_choice choice_at(const struct tune *tune, const unsigned char *at) {
    struct tune_choice choice = {{0}};
    for (int axis = 0; axis < TUNE_AXES; axis++)
        if (tune->space.axis[axis].count)
            choice.value[axis] = tune->space.axis[axis].values[at[axis]];
    return choice;
}

static bool makes_sense(const struct tune *tune, const struct tune_choice *choice) {
    bool lengths = tune->space.axis[TUNE_DRAFT_N].count > 0;
    return !lengths || (choice->value[TUNE_DRAFT] > 0) == (choice->value[TUNE_DRAFT_N] > 0);
}

// The next combination, the last axis fastest; false after the last one.
static bool advance(const struct tune *tune, unsigned char *at) {
    for (int axis = TUNE_AXES - 1; axis >= 0; axis--) {
        if (++at[axis] < tune->space.axis[axis].count)
            return true;
        at[axis] = 0;
    }
    return false;
}

static void add_cell(struct tune *tune, const unsigned char *at) {
    struct tune_choice choice = choice_at(tune, at);
    struct tune_cell cell = {.open = true, .spare_mib = NAN};
    memcpy(cell.at, at, sizeof cell.at);
    if (makes_sense(tune, &choice) &&
        (!tune->space.fits || tune->space.fits(tune->space.arg, &choice, &cell.spare_mib)))
        tune->cells[tune->count++] = cell;
}

static unsigned differs(const struct tune_cell *a, const struct tune_cell *b) {
    unsigned axes = 0;
    for (int axis = 0; axis < TUNE_AXES; axis++)
        axes += a->at[axis] != b->at[axis];
    // A draft and its length are one decision.
    bool both =
        a->at[TUNE_DRAFT] != b->at[TUNE_DRAFT] && a->at[TUNE_DRAFT_N] != b->at[TUNE_DRAFT_N];
    // What moves memory moves layers with it.
    bool with = a->at[TUNE_OFFLOAD] != b->at[TUNE_OFFLOAD] &&
                (a->at[TUNE_UBATCH] != b->at[TUNE_UBATCH] || a->at[TUNE_KV] != b->at[TUNE_KV] ||
                 a->at[TUNE_DRAFT] != b->at[TUNE_DRAFT]);
    return axes - both - with;
}

static int on_cpu(const struct tune *tune, const struct tune_cell *cell) {
    return choice_at(tune, cell->at).value[TUNE_OFFLOAD];
}

// The open cell nearest to the present settings; of those the one with the fewest layers away.
static size_t nearest_present(const struct tune *tune) {
    static const struct tune_cell present = {{0}, false, 0};
    size_t found = tune->count;
    for (size_t i = 0; i < tune->count; i++) {
        const struct tune_cell *cell = &tune->cells[i];
        if (!cell->open)
            continue;
        unsigned here = differs(cell, &present);
        unsigned best = found < tune->count ? differs(&tune->cells[found], &present) : UINT32_MAX;
        if (here < best || (here == best && on_cpu(tune, cell) < on_cpu(tune, &tune->cells[found])))
            found = i;
    }
    return found;
}

static bool measure_space(const struct tune_space *space, size_t *cells, struct err *err) {
    *cells = 1;
    for (int axis = 0; axis < TUNE_AXES; axis++) {
        size_t count = space->axis[axis].count;
        if (count > TUNE_VALUES_MAX || *cells > TUNE_CELLS_MAX)
            return err_set(err, ERR_LIMIT, "too many combinations of settings to choose from");
        *cells *= count ? count : 1;
    }
    return *cells <= TUNE_CELLS_MAX ||
           err_set(err, ERR_LIMIT, "too many combinations of settings to choose from");
}

static void set_options(struct tune *tune, const struct tune_options *options) {
    tune->options = options ? *options : (struct tune_options){0};
    struct tune_options *o = &tune->options;
    if (o->trials == 0 || o->trials > TUNE_TRIALS_MAX)
        o->trials = TUNE_TRIALS_MAX;
    weights_of(options, &o->decode_weight, &o->prefill_weight);
    if (o->noise <= 0)
        o->noise = 0.02;
    if (o->draft_minimum <= 0)
        o->draft_minimum = 1.10;
}

struct tune *tune_create(const struct tune_space *space, const struct tune_options *options,
                         struct err *err) {
    size_t cells;
    if (!measure_space(space, &cells, err))
        return NULL;
    struct tune *tune = mem_alloc(sizeof *tune);
    tune->space = *space;
    set_options(tune, options);
    tune->cells = mem_alloc(cells * sizeof *tune->cells);
    unsigned char at[TUNE_AXES] = {0};
    do
        add_cell(tune, at);
    while (advance(tune, at));
    if (tune->count == 0) {
        err_set(err, ERR_NOTFOUND, "no combination of the settings that may vary fits");
        tune_destroy(tune);
        return NULL;
    }
    tune->anchor = nearest_present(tune);
    tune->model = tune_model_create(&tune->space, tune->cells, tune->count, &tune->options);
    return tune;
}

void tune_destroy(struct tune *tune) {
    if (!tune)
        return;
    tune_model_destroy(tune->model);
    mem_free(tune->cells);
    mem_free(tune);
}

// ---- what was seen ----

static unsigned times_seen(const struct tune *tune, size_t cell) {
    unsigned times = 0;
    for (unsigned i = 0; i < tune->runs; i++)
        times += tune->run[i].cell == cell && tune->run[i].measured.outcome == TUNE_MEASURED;
    return times;
}

static double drift(const struct tune *tune) {
    double largest = 0;
    for (unsigned i = 0; i < tune->runs; i++)
        for (unsigned k = i + 1; k < tune->runs; k++) {
            const struct run *a = &tune->run[i], *b = &tune->run[k];
            if (a->cell == b->cell && a->measured.outcome == TUNE_MEASURED &&
                b->measured.outcome == TUNE_MEASURED)
                largest = fmax(largest, fabs(log(a->measured.decode / b->measured.decode)));
        }
    return largest;
}

static size_t learn(struct tune *tune) {
    struct tune_seen seen[TUNE_TRIALS_MAX];
    size_t count = 0;
    for (unsigned i = 0; i < tune->runs; i++) {
        const struct tune_measured *m = &tune->run[i].measured;
        if (m->outcome != TUNE_MEASURED)
            continue;
        // Runs of one process differ less than processes do.
        double noise = m->spread > 0 ? hypot(m->spread, BETWEEN_RUNS) : tune->options.noise;
        seen[count++] = (struct tune_seen){
            .cell = tune->run[i].cell,
            .value = {m->decode > 0 ? log(m->decode) : NAN, m->prefill > 0 ? log(m->prefill) : NAN},
            .noise = noise};
    }
    tune_model_learn(tune->model, seen, count);
    return count;
}

// Of equals the one nearest to what its user has; a smaller cache type loses a little precision.
static double strangeness(const struct tune *tune, size_t cell) {
    static const struct tune_cell present = {{0}, false, 0};
    bool cache = tune->cells[cell].at[TUNE_KV] != 0;
    return PER_CHANGE * differs(&tune->cells[cell], &present) + (cache ? CACHE_CHANGE : 0);
}

// What a cell is worth after all trials. That a trial was disturbed may be suspected, and is a
// reason to repeat it; but nothing is chosen for more than it has shown.
static double standing(const struct tune *tune, size_t cell) {
    double shown = -INFINITY, bar = tune_model_bar(tune->model, cell);
    for (unsigned i = 0; i < tune->runs; i++) {
        const struct tune_measured *m = &tune->run[i].measured;
        if (tune->run[i].cell == cell && m->outcome == TUNE_MEASURED)
            shown = fmax(shown, tune_objective(&tune->options, m->decode, m->prefill) - bar);
    }
    return fmin(tune_model_objective(tune->model, cell), shown + tune->options.noise) -
           strangeness(tune, cell);
}

static size_t best_cell(const struct tune *tune) {
    size_t best = tune->count;
    double top = -INFINITY;
    for (unsigned i = 0; i < tune->runs; i++) {
        if (tune->run[i].measured.outcome != TUNE_MEASURED)
            continue;
        double here = standing(tune, tune->run[i].cell);
        if (here > top) {
            top = here;
            best = tune->run[i].cell;
        }
    }
    return best;
}

// ---- the next trial ----

static void add_word(char *text, size_t size, const char *word) {
    size_t length = strlen(text);
    snprintf(text + length, size - length, "%s%s", length ? ", " : "", word);
}

static void say_move(const struct tune *tune, size_t from, size_t to, char *text, size_t size) {
    static const char *const WORDS[TUNE_AXES] = {[TUNE_THREADS] = "threads",
                                                 [TUNE_UBATCH] = "ubatch",
                                                 [TUNE_KV] = "cache type",
                                                 [TUNE_FLASH] = "flash attention",
                                                 [TUNE_REPACK] = "weights repacked",
                                                 [TUNE_DRAFT] = "draft",
                                                 [TUNE_DRAFT_N] = "length of the draft"};
    const struct tune_cell *a = &tune->cells[from], *b = &tune->cells[to];
    int more = on_cpu(tune, b) - on_cpu(tune, a);
    char layers[48];
    text[0] = '\0';
    if (more != 0) {
        snprintf(layers, sizeof layers, "%d %s on the CPU", more < 0 ? -more : more,
                 more < 0 ? "layers fewer" : "layers more");
        add_word(text, size, layers);
    }
    for (int axis = TUNE_OFFLOAD + 1; axis < TUNE_AXES; axis++)
        if (a->at[axis] != b->at[axis] && !(axis == TUNE_DRAFT_N && strstr(text, "draft")))
            add_word(text, size, WORDS[axis]);
}

static void predict(const struct tune *tune, size_t cell, double *decode, double *prefill) {
    double mean[TUNE_OUTPUTS];
    tune_model_mean(tune->model, cell, mean);
    *decode = exp(mean[TUNE_DECODE]);
    *prefill = exp(mean[TUNE_PREFILL]);
}

static void propose(struct tune *tune, size_t cell, size_t best) {
    struct tune_trial *trial = &tune->trial;
    *trial = (struct tune_trial){.number = tune->runs + 1,
                                 .choice = choice_at(tune, tune->cells[cell].at),
                                 .again = times_seen(tune, cell) > 0};
    tune->trial_cell = cell;
    tune->pending = true;
    if (best == tune->count)
        snprintf(trial->reason, sizeof trial->reason, "%s",
                 tune->runs                                 ? "with more room in memory"
                 : tune->space.axis[TUNE_OFFLOAD].count > 1 ? "as little on the CPU as fits"
                                                            : "as it is");
    else if (trial->again)
        snprintf(trial->reason, sizeof trial->reason, "%s",
                 cell == best           ? "the best again"
                 : cell == tune->anchor ? "the first again: has the machine changed?"
                                        : "again: it is close");
    else
        say_move(tune, best, cell, trial->reason, sizeof trial->reason);
    if (best == tune->count)
        return;
    predict(tune, cell, &trial->predicted_decode, &trial->predicted_prefill);
}

// Everything is compared with the first trial. When that one looks disturbed, it is worth a second
// look, unless it is so far behind that no disturbance explains it.
static double look_again(const struct tune *tune, size_t cell, size_t best) {
    bool may = cell == tune->anchor && tune->runs >= 2 && times_seen(tune, cell) == 1 &&
               standing(tune, best) - standing(tune, cell) < FAR_BEHIND;
    return may ? ANCHOR_WORTH * tune_model_disturbed(tune->model, 0) : 0;
}

static double worth(const struct tune *tune, size_t cell, size_t best, bool glance) {
    unsigned seen = times_seen(tune, cell), axes = differs(&tune->cells[cell], &tune->cells[best]);
    if (seen > 1 && drift(tune) <= DRIFTED)
        return 0;
    if (seen > 0)
        return tune_model_worth(tune->model, cell, true, glance);
    if (axes > 2)
        return 0;
    return tune_model_worth(tune->model, cell, false, glance) * pow(PER_AXIS, (double)axes - 1);
}

struct candidate {
    size_t cell;
    double worth;
};

static int by_worth(const void *a, const void *b) {
    double x = ((const struct candidate *)a)->worth, y = ((const struct candidate *)b)->worth;
    return (x < y) - (x > y);
}

// A glance at all: those worth something, the most promising first.
static size_t glance(const struct tune *tune, size_t best, size_t *cells) {
    struct candidate *list = mem_alloc(tune->count * sizeof *list);
    size_t count = 0;
    for (size_t i = 0; i < tune->count; i++) {
        double here = tune->cells[i].open ? worth(tune, i, best, true) : 0;
        if (here > 0)
            list[count++] = (struct candidate){i, here};
    }
    qsort(list, count, sizeof *list, by_worth);
    count = count < CLOSER_LOOKS ? count : CLOSER_LOOKS;
    for (size_t i = 0; i < count; i++)
        cells[i] = list[i].cell;
    mem_free(list);
    return count;
}

// A closer look at the most promising, by what they are worth themselves and for the trials left.
static size_t most_worth(const struct tune *tune, size_t best, double *top) {
    size_t cells[CLOSER_LOOKS], count = glance(tune, best, cells), found = tune->count;
    double left = tune->options.trials - tune->runs - 1.0, ahead[CLOSER_LOOKS] = {0};
    double later = FOR_LATER * left / (TUNE_TRIALS_MAX - 2);
    if (left > 0)
        tune_model_ahead(tune->model, cells, count, ahead);
    double most = 0;
    *top = 0;
    for (size_t i = 0; i < count; i++) {
        double own = worth(tune, cells[i], best, false);
        double here = (1 - later) * own + later * ahead[i] + look_again(tune, cells[i], best);
        *top = fmax(*top, fmax(own, ahead[i]));
        if (here > most) {
            most = here;
            found = cells[i];
        }
    }
    return found;
}

bool tune_next(struct tune *tune, struct tune_trial *trial) {
    if (tune->done || (!tune->pending && tune->runs >= tune->options.trials))
        return false;
    if (!tune->pending) {
        if (learn(tune) == 0) {
            tune->anchor = nearest_present(tune);
            if (tune->anchor == tune->count)
                return false;
            propose(tune, tune->anchor, tune->count);
        } else {
            size_t best = best_cell(tune);
            double top;
            tune_model_hold(tune->model, best);
            size_t cell = most_worth(tune, best, &top);
            if (cell == tune->count || top < STOP_WORTH)
                return false;
            propose(tune, cell, best);
        }
    }
    *trial = tune->trial;
    return true;
}

// ---- results ----

static bool needs_as_much(const struct tune *tune, const struct tune_cell *cell,
                          const struct tune_cell *failed) {
    if (!isnan(cell->spare_mib) && !isnan(failed->spare_mib))
        return cell->spare_mib <= failed->spare_mib + 64; // the plan was short by at least that
    struct tune_choice a = choice_at(tune, cell->at), b = choice_at(tune, failed->at);
    return a.value[TUNE_OFFLOAD] <= b.value[TUNE_OFFLOAD] &&
           a.value[TUNE_UBATCH] >= b.value[TUNE_UBATCH] && (a.value[TUNE_KV] == b.value[TUNE_KV]) &&
           (a.value[TUNE_DRAFT] == b.value[TUNE_DRAFT]);
}

static void close_by_memory(struct tune *tune, const struct tune_cell *failed) {
    for (size_t i = 0; i < tune->count; i++)
        if (needs_as_much(tune, &tune->cells[i], failed))
            tune->cells[i].open = false;
}

// A value that no trial that worked has had is to blame, and so is not tried again.
static void close_by_value(struct tune *tune, const struct tune_cell *failed) {
    for (int axis = 0; axis < TUNE_AXES; axis++) {
        bool worked = axis == TUNE_OFFLOAD || failed->at[axis] == 0;
        for (unsigned i = 0; i < tune->runs && !worked; i++)
            worked = tune->run[i].measured.outcome == TUNE_MEASURED &&
                     tune->cells[tune->run[i].cell].at[axis] == failed->at[axis];
        for (size_t i = 0; i < tune->count && !worked; i++)
            if (tune->cells[i].at[axis] == failed->at[axis])
                tune->cells[i].open = false;
    }
}

void tune_result(struct tune *tune, const struct tune_measured *measured) {
    if (!tune->pending || tune->runs == TUNE_TRIALS_MAX)
        return;
    struct tune_cell *cell = &tune->cells[tune->trial_cell];
    struct tune_measured kept = *measured;
    if (kept.outcome == TUNE_MEASURED && kept.decode <= 0 && kept.prefill <= 0)
        kept.outcome = TUNE_BROKEN;
    if (kept.outcome != TUNE_MEASURED)
        cell->open = false;
    if (kept.outcome == TUNE_NO_MEMORY)
        close_by_memory(tune, cell);
    if (kept.outcome == TUNE_BROKEN)
        close_by_value(tune, cell);
    tune->run[tune->runs++] = (struct run){tune->trial_cell, kept};
    tune->pending = false;
}

void tune_stop(struct tune *tune) { tune->done = true; }

static void add_mean(const struct tune *tune, size_t cell, double *decode, double *prefill) {
    double n = 0;
    *decode = *prefill = 0;
    for (unsigned i = 0; i < tune->runs; i++) {
        if (tune->run[i].cell != cell || tune->run[i].measured.outcome != TUNE_MEASURED)
            continue;
        *decode += tune->run[i].measured.decode;
        *prefill += tune->run[i].measured.prefill;
        n++;
    }
    *decode /= n > 0 ? n : 1;
    *prefill /= n > 0 ? n : 1;
}

bool tune_best(const struct tune *tune, struct tune_best *best) {
    struct tune *self = (struct tune *)tune; // the model is a cache of what the trials say
    if (learn(self) == 0)
        return false;
    size_t cell = best_cell(tune);
    *best = (struct tune_best){.choice = choice_at(tune, tune->cells[cell].at),
                               .spare_mib = tune->cells[cell].spare_mib,
                               .drift = drift(tune),
                               .trials = tune->runs};
    add_mean(tune, cell, &best->decode, &best->prefill);
    add_mean(tune, tune->anchor, &best->anchor_decode, &best->anchor_prefill);
    predict(tune, cell, &best->predicted_decode, &best->predicted_prefill);
    best->gain = exp(tune_objective(&tune->options, best->decode, best->prefill) -
                     tune_objective(&tune->options, best->anchor_decode, best->anchor_prefill));
    best->doubt = cell == tune->anchor ? 0 : tune_model_doubt(tune->model, cell, tune->anchor);
    for (unsigned i = 0; i < tune->runs; i++)
        best->compared +=
            tune->run[i].measured.outcome == TUNE_MEASURED && tune->run[i].cell != tune->anchor;
    for (unsigned i = 0; i < tune->runs; i++)
        best->failed += tune->run[i].measured.outcome != TUNE_MEASURED;
    best->present_failed = tune->run[0].measured.outcome != TUNE_MEASURED;
    return true;
}
