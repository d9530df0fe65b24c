#include "plan/tune_fit.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

enum { CELLS_WANTED = 24000, UNASKED = 0, FITS = 1, FITS_NOT = 2 };

// Threads and repacking take no memory, so that one question serves many combinations.
struct tune_fit_room {
    const struct tune_space *space;
    size_t count;
    unsigned char *state;
    double *spare_mib;
};

static const int MEMORY_AXES[] = {TUNE_OFFLOAD, TUNE_UBATCH, TUNE_KV,
                                  TUNE_FLASH,   TUNE_DRAFT,  TUNE_DRAFT_N};

bool tune_fit_by_layer(const struct tune_fit *tf) {
    return tf->fit.model && tf->fit.model->experts == 0;
}

void tune_fit_settings(const struct tune_fit *tf, const struct tune_choice *choice,
                       struct plan_settings *settings, const struct model **draft) {
    *settings = tf->fit.settings;
    *draft = tf->fit.draft;
    if (!tf->keep_offload && tf->fit.machine->devices > 0) {
        uint32_t on_cpu = (uint32_t)choice->value[TUNE_OFFLOAD], all = tf->fit.model->layers + 1;
        settings->ngl = tune_fit_by_layer(tf) && on_cpu > 0 ? all - on_cpu : UINT32_MAX;
        settings->ncmoe = tune_fit_by_layer(tf) ? 0 : on_cpu;
    }
    if (choice->value[TUNE_UBATCH])
        settings->ubatch = (uint32_t)choice->value[TUNE_UBATCH];
    if (settings->batch < settings->ubatch)
        settings->batch = settings->ubatch;
    if (tf->kv_count)
        settings->k = settings->v = tf->kv[choice->value[TUNE_KV]];
    if (choice->value[TUNE_FLASH])
        settings->flash_attention = choice->value[TUNE_FLASH] == 1;
    if (tf->draft_count && !tf->draft_present) {
        int which = choice->value[TUNE_DRAFT];
        settings->draft = which > 0 ? PLAN_DRAFT_MODEL : PLAN_DRAFT_NONE;
        *draft = which > 0 ? tf->draft[which - 1].model : NULL;
    }
    if (choice->value[TUNE_DRAFT_N])
        settings->draft_tokens = (uint32_t)choice->value[TUNE_DRAFT_N];
}

static void ask(const struct tune_fit *tf, const struct tune_choice *choice, unsigned char *state,
                double *spare_mib) {
    struct fit fit = tf->fit;
    struct plan plan;
    tune_fit_settings(tf, choice, &fit.settings, &fit.draft);
    bool fits = tf->offload_follows ? fit_offload(&fit, &plan) : fit_plan(&fit, &plan);
    *state = fits ? FITS : FITS_NOT;
    *spare_mib = *state == FITS && plan.spare_bytes != INT64_MAX
                     ? (double)plan.spare_bytes / (1024 * 1024)
                     : NAN;
}

static size_t index_of(const struct tune_list *list, int value) {
    for (size_t i = 0; i < list->count; i++)
        if (list->values[i] == value)
            return i;
    return 0;
}

static bool is_present(const struct tune_fit *tf, const struct tune_choice *choice) {
    for (int axis = 0; axis < TUNE_AXES; axis++) {
        const struct tune_list *list = &tf->room->space->axis[axis];
        if (list->count && choice->value[axis] != list->values[0])
            return false;
    }
    return true;
}

static bool may_be(void *arg, const struct tune_choice *choice, double *spare_mib) {
    struct tune_fit *tf = arg;
    size_t at = 0;
    for (size_t i = 0; i < sizeof MEMORY_AXES / sizeof *MEMORY_AXES; i++) {
        const struct tune_list *list = &tf->room->space->axis[MEMORY_AXES[i]];
        if (list->count)
            at = at * list->count + index_of(list, choice->value[MEMORY_AXES[i]]);
    }
    if (tf->room->state[at] == UNASKED)
        ask(tf, choice, &tf->room->state[at], &tf->room->spare_mib[at]);
    *spare_mib = tf->room->spare_mib[at];
    // What the server would start may be tried, also where our margins say that it is tight.
    return tf->room->state[at] == FITS || is_present(tf, choice);
}

static void add(struct tune_list *list, int64_t value) {
    for (size_t i = 0; i < list->count; i++)
        if (list->values[i] == value)
            return;
    if (list->count < TUNE_VALUES_MAX)
        list->values[list->count++] = (int)value;
}

// ---- the axes ----

static uint32_t present_on_cpu(const struct tune_fit *tf) {
    const struct plan_settings *s = &tf->fit.settings;
    uint32_t layers = tf->fit.model ? tf->fit.model->layers : 0;
    if (!tune_fit_by_layer(tf))
        return s->ncmoe < layers ? s->ncmoe : layers;
    return s->ngl > layers ? 0 : layers + 1 - s->ngl;
}

// Fewest layers on the CPU with these settings; more than there are when nothing helps.
static uint32_t least_on_cpu(const struct tune_fit *tf, const struct tune_choice *choice) {
    uint32_t low = 0, high = tf->fit.model->layers + 2;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct tune_choice trial = *choice;
        unsigned char state;
        double spare;
        trial.value[TUNE_OFFLOAD] = (int)middle;
        ask(tf, &trial, &state, &spare);
        if (state == FITS)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static int extreme(const struct tune_list *list, bool largest) {
    int found = list->count ? list->values[0] : 0;
    for (size_t i = 1; i < list->count; i++)
        if (largest ? list->values[i] > found : list->values[i] < found)
            found = list->values[i];
    return found;
}

// From the fewest that any combination needs to some more than the greediest one needs: what lies
// beyond only gets slower. Fine where it matters, coarse above.
static void add_offload(const struct tune_fit *tf, struct tune_space *space) {
    struct tune_list *list = &space->axis[TUNE_OFFLOAD];
    if (tf->keep_offload || !tf->fit.model || tf->fit.machine->devices == 0)
        return;
    struct tune_choice lean = {{0}}, greedy = {{0}};
    lean.value[TUNE_UBATCH] = extreme(&space->axis[TUNE_UBATCH], false);
    greedy.value[TUNE_UBATCH] = extreme(&space->axis[TUNE_UBATCH], true);
    for (size_t i = 1; i < tf->kv_count; i++) {
        const struct gguf_type_info *here = tf->kv[i], *least = tf->kv[lean.value[TUNE_KV]];
        if (here->block_bytes * least->block < least->block_bytes * here->block)
            lean.value[TUNE_KV] = (int)i;
    }
    uint32_t layers = tf->fit.model->layers, low = least_on_cpu(tf, &lean);
    uint32_t high = least_on_cpu(tf, &greedy);
    high = high + high / 4 + 2;
    add(list, present_on_cpu(tf));
    if (low == 0 && least_on_cpu(tf, &greedy) == 0 && present_on_cpu(tf) == 0)
        return; // all on the devices, whatever else is chosen
    for (uint32_t n = low, step = 1; n <= high && n <= layers; n += step) {
        add(list, n);
        step = n < low + 24 ? 1 : n < low + 48 ? 2 : 4;
    }
}

static bool works_on_cpu(const struct tune_fit *tf, const struct tune_space *space) {
    return tf->fit.machine->devices == 0 || extreme(&space->axis[TUNE_OFFLOAD], true) > 0 ||
           present_on_cpu(tf) > 0;
}

static void add_threads(const struct tune_fit *tf, struct tune_space *space) {
    struct tune_list *list = &space->axis[TUNE_THREADS];
    int cores = tf->cores_physical, logical = tf->cores_logical;
    if (tf->keep_threads || cores <= 0 || !works_on_cpu(tf, space))
        return;
    add(list, tf->threads ? tf->threads : (uint32_t)cores);
    for (int n = 1; n <= logical && logical <= 8; n++)
        add(list, n);
    const int some[] = {cores,     cores - 1, cores - 2,   cores * 3 / 4, cores / 2,
                        cores / 4, logical,   logical - 1, cores * 5 / 4, cores * 3 / 2};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        if (some[i] >= 1 && some[i] <= logical)
            add(list, some[i]);
}

// A batch beyond the prompts that count changes nothing for them.
static void add_ubatch(const struct tune_fit *tf, struct tune_space *space) {
    struct tune_list *list = &space->axis[TUNE_UBATCH];
    uint32_t most = tf->ubatch_max ? tf->ubatch_max : tf->depth_tokens;
    bool cpu_only = tf->fit.machine->devices == 0;
    if (tf->keep_ubatch)
        return;
    add(list, tf->fit.settings.ubatch);
    for (uint32_t n = cpu_only ? 32 : 128; n <= (cpu_only ? 2048 : 8192) && n <= most; n *= 2)
        if (!tf->fit.settings.ctx || n <= tf->fit.settings.ctx)
            add(list, n);
}

static void add_draft(const struct tune_fit *tf, struct tune_space *space) {
    static const int LENGTHS[] = {3, 2, 4, 6, 8, 12, 16};
    if (!tf->draft_count)
        return;
    struct tune_list *drafts = &space->axis[TUNE_DRAFT], *lengths = &space->axis[TUNE_DRAFT_N];
    if (!tf->draft_present)
        add(drafts, 0);
    for (size_t i = 0; i < (tf->draft_present ? 1 : tf->draft_count); i++)
        add(drafts, (int64_t)i + 1);
    add(lengths, tf->draft_present ? tf->fit.settings.draft_tokens : 0);
    if (tf->keep_draft_n)
        add(lengths, tf->fit.settings.draft_tokens);
    for (size_t i = 0; i < 7 && !tf->keep_draft_n; i++)
        add(lengths, LENGTHS[i]);
    for (size_t i = 0; i < drafts->count; i++)
        if (drafts->values[i] > 0)
            space->hints.draft_gain[i] = tf->draft[drafts->values[i] - 1].gain;
}

// ---- physics ----

static void add_bytes(const struct tune_fit *tf, struct tune_hints *hints) {
    const struct model *model = tf->fit.model;
    double experts = 0, rest = 0;
    for (size_t i = 0; i < model->tensor_count; i++) {
        const struct model_tensor *tensor = &model->tensors[i];
        double bytes = (double)tensor->gguf->bytes;
        if (tensor->part == MODEL_PART_EXPERTS && model->experts)
            experts += bytes * model->experts_used / model->experts;
        else if (tensor->place == MODEL_PLACE_LAYER || tensor->place == MODEL_PLACE_OUTPUT)
            rest += bytes;
    }
    hints->gpu_bytes = experts + rest;
    hints->layer_bytes =
        (tune_fit_by_layer(tf) ? rest : experts) / (model->layers ? model->layers : 1);
    for (size_t i = 0; i < tf->kv_count; i++) {
        struct fit fit = tf->fit;
        struct plan plan;
        double kv;
        fit.settings.k = fit.settings.v = tf->kv[i];
        fit_plan(&fit, &plan);
        kv = (double)plan.host.kv;
        for (size_t d = 0; d < plan.devices; d++)
            kv += (double)plan.device[d].kv;
        double used = plan.ctx_total ? fmin((double)tf->depth_tokens / plan.ctx_total, 1) : 1;
        hints->kv_bytes[i] = kv * used;
    }
}

// The values that matter least go first, until the whole can be looked through.
static void shrink(struct tune_space *space) {
    static const int SPARABLE[] = {TUNE_DRAFT_N, TUNE_THREADS, TUNE_OFFLOAD, TUNE_UBATCH};
    for (;;) {
        size_t cells = 1;
        struct tune_list *longest = NULL;
        for (int axis = 0; axis < TUNE_AXES; axis++)
            cells *= space->axis[axis].count ? space->axis[axis].count : 1;
        for (size_t i = 0; i < sizeof SPARABLE / sizeof *SPARABLE; i++) {
            struct tune_list *list = &space->axis[SPARABLE[i]];
            size_t excess = SPARABLE[i] == TUNE_OFFLOAD ? list->count / 3 : list->count;
            if (list->count > 3 && (!longest || excess > longest->count))
                longest = list;
        }
        if (cells <= CELLS_WANTED || !longest)
            return;
        longest->count--;
    }
}

static bool anything_varies(const struct tune_space *space) {
    for (int axis = 0; axis < TUNE_AXES; axis++)
        if (space->axis[axis].count > 1)
            return true;
    return false;
}

bool tune_fit_space(struct tune_fit *tf, struct tune_space *space, struct err *err) {
    *space = (struct tune_space){.fits = tf->fit.model ? may_be : NULL, .arg = tf};
    add_ubatch(tf, space);
    for (size_t i = 0; i < tf->kv_count; i++)
        add(&space->axis[TUNE_KV], (int64_t)i);
    for (int on = 1; on <= 2; on++) {
        if (tf->vary_flash)
            add(&space->axis[TUNE_FLASH], on);
        if (tf->vary_repack)
            add(&space->axis[TUNE_REPACK], on);
    }
    add_draft(tf, space);
    add_offload(tf, space);
    add_threads(tf, space);
    shrink(space);
    if (!anything_varies(space))
        return err_set(err, ERR_NOTFOUND, "the preset fixes everything that could be tuned");
    space->hints.cpu_only = tf->fit.machine->devices == 0;
    space->hints.layers_on_cpu = (int)present_on_cpu(tf);
    space->hints.cores_physical = tf->cores_physical;
    space->hints.cores_logical = tf->cores_logical;
    if (tf->fit.model)
        add_bytes(tf, &space->hints);
    size_t room = 1;
    for (size_t i = 0; i < sizeof MEMORY_AXES / sizeof *MEMORY_AXES; i++)
        room *= space->axis[MEMORY_AXES[i]].count ? space->axis[MEMORY_AXES[i]].count : 1;
    tune_fit_fini(tf);
    tf->room = mem_alloc(sizeof *tf->room);
    *tf->room = (struct tune_fit_room){.space = space,
                                       .count = room,
                                       .state = mem_alloc(room),
                                       .spare_mib = mem_alloc(room * sizeof(double))};
    return true;
}

void tune_fit_fini(struct tune_fit *tf) {
    if (!tf->room)
        return;
    mem_free(tf->room->state);
    mem_free(tf->room->spare_mib);
    mem_free(tf->room);
    tf->room = NULL;
}
