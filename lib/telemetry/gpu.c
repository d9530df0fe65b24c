#include "telemetry/gpu.h"

#include "base/mem.h"
#include "base/str.h"
#include "telemetry/backend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BACKENDS = 2 };

struct gpus {
    struct backend *backends[BACKENDS];
    struct {
        size_t backend, index;
        struct gpu_info info;
    } list[GPU_MAX];
    size_t count;
};

static const struct backend_ops *const all_ops[BACKENDS] = {&nvml_ops, &amdgpu_ops};

struct gpus *gpus_open(const struct gpu_roots *roots) {
    static const char *const usual[BACKENDS] = {"libnvidia-ml.so.1", "/sys"};
    const char *const given[BACKENDS] = {roots ? roots->nvml : NULL, roots ? roots->sysfs : NULL};
    struct gpus *gpus = mem_alloc(sizeof *gpus);
    for (size_t b = 0; b < BACKENDS; b++) {
        const char *where = given[b] ? given[b] : usual[b];
        gpus->backends[b] = *where ? all_ops[b]->open(where) : NULL;
        size_t count = gpus->backends[b] ? all_ops[b]->count(gpus->backends[b]) : 0;
        for (size_t i = 0; i < count && gpus->count < GPU_MAX; i++) {
            gpus->list[gpus->count].backend = b;
            gpus->list[gpus->count].index = i;
            all_ops[b]->info(gpus->backends[b], i, &gpus->list[gpus->count++].info);
        }
    }
    return gpus;
}

void gpus_close(struct gpus *gpus) {
    if (!gpus)
        return;
    for (size_t b = 0; b < BACKENDS; b++)
        if (gpus->backends[b])
            all_ops[b]->close(gpus->backends[b]);
    mem_free(gpus);
}

size_t gpus_count(const struct gpus *gpus) { return gpus->count; }

const struct gpu_info *gpus_info(const struct gpus *gpus, size_t index) {
    return &gpus->list[index].info;
}

void gpus_read(struct gpus *gpus, size_t index, struct gpu_reading *out) {
    *out = (struct gpu_reading){GPU_UNKNOWN, GPU_UNKNOWN, NAN, NAN, NAN};
    size_t backend = gpus->list[index].backend;
    all_ops[backend]->read(gpus->backends[backend], gpus->list[index].index, out);
}

static bool may_be(const struct gpu_info *gpu, const struct gpu_claim *claim) {
    if (str_starts(claim->name, "CUDA"))
        return gpu->vendor == GPU_NVIDIA;
    if (str_starts(claim->name, "ROCm") || str_starts(claim->name, "HIP"))
        return gpu->vendor == GPU_AMD;
    return str_starts(claim->name, "Vulkan"); // RPC devices are elsewhere
}

// How surely they are the same: the name says most; memory, of which a driver keeps a little for
// itself, tells cards of one series apart.
static int likeness(const struct gpu_info *gpu, const struct gpu_claim *claim) {
    int likeness = 1;
    int64_t total_mib = gpu->total_bytes == GPU_UNKNOWN ? 0 : (int64_t)(gpu->total_bytes >> 20);
    if (claim->description && strstr(claim->description, gpu->name))
        likeness += 4;
    if (claim->total_mib > 0 && total_mib > 0 &&
        llabs(claim->total_mib - total_mib) * 20 < total_mib)
        likeness += 2;
    return likeness;
}

void gpu_match(const struct gpu_info *gpus, size_t count, const struct gpu_claim *claims,
               size_t claim_count, int out[]) {
    for (size_t g = 0; g < count; g++)
        out[g] = -1;
    // The surest pairs first; among equal ones the order decides.
    for (int wanted = 7; wanted >= 1; wanted--)
        for (size_t c = 0; c < claim_count; c++) {
            bool taken = false;
            for (size_t g = 0; g < count; g++)
                taken |= out[g] == (int)c;
            for (size_t g = 0; g < count && !taken; g++)
                if (out[g] < 0 && may_be(&gpus[g], &claims[c]) &&
                    likeness(&gpus[g], &claims[c]) == wanted) {
                    out[g] = (int)c;
                    taken = true;
                }
        }
}
