#include "tune_oracle.h"

#include <math.h>
#include <string.h>

static uint64_t next(struct dice *dice) { // splitmix64
    uint64_t z = dice->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

double dice_uniform(struct dice *dice, double low, double high) {
    return low + (high - low) * ((double)(next(dice) >> 11) * 0x1p-53);
}

static double between(struct dice *dice, double low, double high) { // in ln
    return exp(dice_uniform(dice, log(low), log(high)));
}

static bool chance(struct dice *dice, double p) { return dice_uniform(dice, 0, 1) < p; }

double dice_normal(struct dice *dice) {
    double u = dice_uniform(dice, 1e-12, 1), v = dice_uniform(dice, 0, 1);
    return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

static void draw_threads(struct machine *m, struct dice *d) {
    static const int CORES[] = {2, 4, 6, 8, 12, 16, 24};
    m->cores = CORES[(int)dice_uniform(d, 0, 7)];
    m->logical = chance(d, 0.7) ? 2 * m->cores : m->cores;
    m->saturated = dice_uniform(d, 0.3, 1.0);
    m->ht_loss = dice_uniform(d, -0.06, 0.3);
    m->full_loss = chance(d, 0.5) ? dice_uniform(d, 0, 0.25) : 0;
    m->dip = chance(d, 0.1) ? dice_uniform(d, 0.02, 0.1) : 0;
}

static void draw_memory(struct machine *m, struct dice *d) {
    m->layers = (int)dice_uniform(d, 24, 65);
    m->layer_mib = between(d, 120, 900);
    m->base_mib = dice_uniform(d, 1500, 4500);
    m->ubatch_mib = dice_uniform(d, 0.1, 0.6); // a token of ubatch
    m->kv_mib[0] = dice_uniform(d, 200, 3000);
    m->kv_mib[1] = m->kv_mib[0] * 17 / 32;
    m->kv_mib[2] = m->kv_mib[0] * 9 / 32;
    double all = m->base_mib + m->layers * m->layer_mib;
    m->vram_mib =
        m->base_mib + m->kv_mib[0] + 300 + dice_uniform(d, 0.15, 0.95) * (all - m->base_mib);
    if (m->family == FAMILY_GPU || m->family == FAMILY_DRAFT)
        m->vram_mib = all + m->kv_mib[0] + dice_uniform(d, 500, 6000);
    if (m->family != FAMILY_CPU && chance(d, 0.15)) {
        m->spill_mib = dice_uniform(d, 50, 800);
        m->spill_s = between(d, 0.1, 1) * 1048576 / between(d, 6e9, 45e9); // what a token reads
    }
}

void machine_draw(struct machine *m, enum family family, uint64_t seed) {
    struct dice d = {seed * 1000003 + (uint64_t)family * 7919 + 1};
    *m = (struct machine){.family = family};
    draw_threads(m, &d);
    draw_memory(m, &d);
    double read = between(&d, 0.8e9, 5e9), gpu = between(&d, 250e9, 1500e9);
    double cpu = between(&d, 25e9, 110e9), pcie = between(&d, 6e9, 45e9);
    m->start_s = dice_uniform(&d, 0.5e-3, 4e-3);
    double active = m->layer_mib * 1048576 * (family == FAMILY_DENSE ? 1 : between(&d, 0.04, 0.25));
    read = family == FAMILY_DENSE ? m->layers * active * 1.1 : read * 0.5 + m->layers * active;
    m->gpu_s = read / gpu;
    m->read_bytes = read * dice_uniform(&d, 0.8, 1.25); // as the tuner believes
    m->layer_bytes = active * dice_uniform(&d, 0.8, 1.25);
    m->leaves = active / read;
    m->layer_s = active / cpu + dice_uniform(&d, 20e-6, 80e-6);
    m->fixed = (int)dice_uniform(&d, 0.1 * m->layers, m->layers + 1);
    m->pcie_s = m->layer_mib * 1048576 / pcie;
    m->flop_s = between(&d, 1.0 / 8000, 1.0 / 700);
    m->u0 = between(&d, 30, 500);
    m->u1 = between(&d, 500, 6000);
    m->u_loss = dice_uniform(&d, 0, 0.12);
    m->u_decode = chance(&d, 0.3) ? dice_uniform(&d, 0, 0.04) : 0;
    for (int i = 0; i < 3; i++) {
        bool slow = i > 0 && chance(&d, 0.05);
        m->kv_decode[i] = i == 0 ? 1
                          : slow ? dice_uniform(&d, 0.3, 0.7)
                                 : dice_uniform(&d, 0.88, 1.06);
        m->kv_prefill[i] = i == 0 ? 1 : slow ? 0.4 : dice_uniform(&d, 0.85, 1.02);
    }
    m->flash_decode = dice_uniform(&d, 0.82, 1.04); // without
    m->flash_prefill = dice_uniform(&d, 0.6, 1.05);
    for (int i = 0; i < 3; i++) {
        m->draft_accept[i] = dice_uniform(&d, 0.3, 0.85);
        m->draft_s[i] = m->gpu_s * dice_uniform(&d, 0.04, 0.3);
    }
    m->verify = dice_uniform(&d, 0.02, 0.25); // of a token, for each guess more
    if (family == FAMILY_CPU) {
        m->gpu_s = read / cpu;
        m->flop_s = between(&d, 1.0 / 400, 1.0 / 20);
        m->u_loss /= 2;
        m->u0 /= 6; // cores are busy with few tokens
    }
}

static double threads_factor(const struct machine *m, double threads, bool compute) {
    double used = fmin(threads, m->cores), full = compute ? 1 : m->saturated;
    double speed = fmin(used / (full * m->cores), 1);
    if (threads > m->cores && m->logical > m->cores) {
        double twice = (threads - m->cores) / (m->logical - m->cores);
        speed *= 1 - m->ht_loss * sqrt(twice);
    }
    if (threads >= m->logical)
        speed *= 1 - m->full_loss;
    if ((int)threads % 4 == 2 && threads > 4)
        speed *= 1 - m->dip;
    return 1 / speed;
}

static int pick(const struct tune_choice *choice, int axis, int fallback) {
    return choice->value[axis] ? choice->value[axis] : fallback;
}

static int on_cpu_of(const struct machine *m, const struct tune_choice *c) {
    return m->family == FAMILY_FIXED ? m->fixed : c->value[TUNE_OFFLOAD];
}

static double spare(const struct machine *m, const struct tune_choice *c) {
    return m->vram_mib - m->base_mib - m->kv_mib[c->value[TUNE_KV]] -
           (m->layers - on_cpu_of(m, c)) * m->layer_mib -
           m->ubatch_mib * pick(c, TUNE_UBATCH, 512) - (c->value[TUNE_DRAFT] ? 400 : 0);
}

void machine_speed(const struct machine *m, const struct tune_choice *c, double *decode,
                   double *prefill) {
    double threads = pick(c, TUNE_THREADS, m->cores), ub = pick(c, TUNE_UBATCH, 512);
    double on_cpu = on_cpu_of(m, c), token = m->start_s;
    bool cpu = m->family == FAMILY_CPU, flash = c->value[TUNE_FLASH] != 2;
    token += m->gpu_s * (cpu ? threads_factor(m, threads, false) : 1) * (1 - on_cpu * m->leaves) +
             on_cpu * m->layer_s * threads_factor(m, threads, false);
    double batch = m->pcie_s * on_cpu + m->start_s +
                   ub * m->flop_s * (cpu ? threads_factor(m, threads, true) : 1) * (1 + m->u0 / ub);
    if (ub > m->u1)
        batch *= 1 + m->u_loss * log2(ub / m->u1);
    double lack =
        m->family == FAMILY_CPU || m->family == FAMILY_FIXED ? 0 : m->spill_mib - spare(m, c);
    if (lack > 0) {
        token += m->spill_s * lack;
        batch += m->spill_s * lack;
    }
    int n = c->value[TUNE_DRAFT_N];
    if (c->value[TUNE_DRAFT]) {
        double a = m->draft_accept[c->value[TUNE_DRAFT] - 1];
        double guessed = (1 - pow(a, n + 1)) / (1 - a);
        token = (n * m->draft_s[c->value[TUNE_DRAFT] - 1] + token * (1 + m->verify * n)) / guessed;
    }
    *decode = (1 - m->u_decode * log2(ub / 512)) / token * m->kv_decode[c->value[TUNE_KV]] *
              (flash ? 1 : m->flash_decode);
    *prefill = ub / batch * m->kv_prefill[c->value[TUNE_KV]] * (flash ? 1 : m->flash_prefill);
}

static void add(struct tune_list *list, int value) {
    for (size_t i = 0; i < list->count; i++)
        if (list->values[i] == value)
            return;
    if (value >= 0 && list->count < TUNE_VALUES_MAX)
        list->values[list->count++] = value;
}

static bool fits(void *arg, const struct tune_choice *choice, double *spare_mib) {
    const struct machine *m = arg;
    bool roomy = m->family == FAMILY_CPU || m->family == FAMILY_FIXED;
    *spare_mib = roomy ? 8192 : spare(m, choice);
    return *spare_mib >= 0 || m->family == FAMILY_FIXED;
}

void machine_space(const struct machine *m, struct tune_space *space) {
    static const int UBATCH[] = {512, 128, 256, 1024, 2048, 4096};
    bool offloads = m->family == FAMILY_MIXTURE || m->family == FAMILY_DENSE;
    *space = (struct tune_space){.fits = fits, .arg = (void *)m};
    for (size_t i = 0; i < 6; i++)
        add(&space->axis[TUNE_UBATCH], UBATCH[i]);
    for (int i = 0; i < 3; i++)
        add(&space->axis[TUNE_KV], i);
    if (offloads) {
        struct tune_choice c = {{0}};
        double room;
        while (!fits((void *)m, &c, &room) && c.value[TUNE_OFFLOAD] < m->layers)
            c.value[TUNE_OFFLOAD]++;
        add(&space->axis[TUNE_OFFLOAD], c.value[TUNE_OFFLOAD]);
        for (int n = 0; n <= m->layers; n++)
            add(&space->axis[TUNE_OFFLOAD], n);
    }
    if (offloads || m->family == FAMILY_FIXED || m->family == FAMILY_CPU) {
        const int threads[] = {m->cores,         m->cores - 1, m->cores / 2,  m->cores * 3 / 4,
                               m->cores * 3 / 2, m->logical,   m->logical - 1};
        for (size_t i = 0; i < 7; i++)
            if (threads[i] >= 1 && threads[i] <= m->logical)
                add(&space->axis[TUNE_THREADS], threads[i]);
    }
    if (m->family == FAMILY_GPU || m->family == FAMILY_CPU) {
        add(&space->axis[TUNE_FLASH], 1);
        add(&space->axis[TUNE_FLASH], 2); // off
    }
    if (m->family == FAMILY_DRAFT) {
        for (int i = 0; i <= 3; i++)
            add(&space->axis[TUNE_DRAFT], i);
        static const int LENGTHS[] = {0, 4, 2, 8, 16};
        for (size_t i = 0; i < 5; i++)
            add(&space->axis[TUNE_DRAFT_N], LENGTHS[i]);
        space->axis[TUNE_KV].count = 1;
    }
    space->hints = (struct tune_hints){.cpu_only = m->family == FAMILY_CPU,
                                       .layers_on_cpu = on_cpu_of(m, &(struct tune_choice){{0}}),
                                       .gpu_bytes = m->read_bytes,
                                       .layer_bytes = m->layer_bytes,
                                       .cores_physical = m->cores,
                                       .cores_logical = m->logical};
}
