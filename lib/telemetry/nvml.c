// NVIDIA's management library, loaded at run time. Types and numbers are NVML's own (NVIDIA, "NVML
// API Reference Guide", https://docs.nvidia.com/deploy/nvml-api/): nvmlReturn_t 0 is success,
// nvmlDevice_t is an opaque pointer, and the versioned names below exist since driver 418.
#include "base/mem.h"
#include "telemetry/backend.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

enum { NVML_SUCCESS = 0, NVML_TEMPERATURE_GPU = 0 };

struct nvml_memory { // nvmlMemory_t, bytes
    unsigned long long total, free, used;
};

struct nvml_utilization { // nvmlUtilization_t, %
    unsigned gpu, memory;
};

struct nvml_pci { // nvmlPciInfo_t as nvmlDeviceGetPciInfo_v3 fills it
    char legacy_bus_id[16];
    unsigned domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
};

struct nvml_calls {
    int (*init)(void);
    int (*shutdown)(void);
    int (*count)(unsigned *count);
    int (*handle)(unsigned index, void **device);
    int (*name)(void *device, char *name, unsigned size);
    int (*pci)(void *device, struct nvml_pci *pci);
    int (*memory)(void *device, struct nvml_memory *memory);
    int (*utilization)(void *device, struct nvml_utilization *rates);
    int (*power)(void *device, unsigned *milliwatts);
    int (*temperature)(void *device, int sensor, unsigned *celsius);
};

struct backend {
    void *library;
    struct nvml_calls calls;
    void *devices[GPU_MAX];
    size_t count;
};

// Only the first four must be there: a card that does not tell its power still has memory.
static bool find_calls(void *library, struct nvml_calls *calls) {
    const struct {
        const char *name;
        void *slot;
    } table[] = {
        {"nvmlInit_v2", &calls->init},
        {"nvmlShutdown", &calls->shutdown},
        {"nvmlDeviceGetCount_v2", &calls->count},
        {"nvmlDeviceGetHandleByIndex_v2", &calls->handle},
        {"nvmlDeviceGetName", &calls->name},
        {"nvmlDeviceGetPciInfo_v3", &calls->pci},
        {"nvmlDeviceGetMemoryInfo", &calls->memory},
        {"nvmlDeviceGetUtilizationRates", &calls->utilization},
        {"nvmlDeviceGetPowerUsage", &calls->power},
        {"nvmlDeviceGetTemperature", &calls->temperature},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        void *symbol = dlsym(library, table[i].name);
        memcpy(table[i].slot, &symbol, sizeof symbol); // POSIX's way to a function pointer
    }
    return calls->init && calls->shutdown && calls->count && calls->handle;
}

static struct backend *nvml_open(const char *where) {
    void *library = dlopen(where, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return NULL;
    struct backend *backend = mem_alloc(sizeof *backend);
    unsigned count = 0;
    backend->library = library;
    if (!find_calls(library, &backend->calls) || backend->calls.init() != NVML_SUCCESS) {
        dlclose(library);
        mem_free(backend);
        return NULL;
    }
    if (backend->calls.count(&count) != NVML_SUCCESS)
        count = 0;
    // A card that has fallen off the bus has no handle; the others stay.
    for (unsigned i = 0; i < count && backend->count < GPU_MAX; i++)
        if (backend->calls.handle(i, &backend->devices[backend->count]) == NVML_SUCCESS)
            backend->count++;
    return backend;
}

static void nvml_close(struct backend *backend) {
    backend->calls.shutdown();
    dlclose(backend->library);
    mem_free(backend);
}

static size_t nvml_count(const struct backend *backend) { return backend->count; }

static void nvml_info(struct backend *backend, size_t index, struct gpu_info *out) {
    const struct nvml_calls *calls = &backend->calls;
    void *device = backend->devices[index];
    struct nvml_pci pci = {0};
    struct nvml_memory memory = {0};
    *out = (struct gpu_info){.vendor = GPU_NVIDIA, .total_bytes = GPU_UNKNOWN};
    if (!calls->name || calls->name(device, out->name, sizeof out->name) != NVML_SUCCESS)
        snprintf(out->name, sizeof out->name, "NVIDIA GPU");
    out->name[sizeof out->name - 1] = '\0';
    if (calls->pci && calls->pci(device, &pci) == NVML_SUCCESS)
        snprintf(out->bus, sizeof out->bus, "%04x:%02x:%02x.0", pci.domain & 0xffff, pci.bus & 0xff,
                 pci.device & 0xff);
    if (calls->memory && calls->memory(device, &memory) == NVML_SUCCESS)
        out->total_bytes = memory.total;
}

static void nvml_read(struct backend *backend, size_t index, struct gpu_reading *out) {
    const struct nvml_calls *calls = &backend->calls;
    void *device = backend->devices[index];
    struct nvml_memory memory;
    struct nvml_utilization rates;
    unsigned number;
    if (calls->memory && calls->memory(device, &memory) == NVML_SUCCESS) {
        out->used_bytes = memory.used;
        out->free_bytes = memory.free;
    }
    if (calls->utilization && calls->utilization(device, &rates) == NVML_SUCCESS)
        out->utilisation = rates.gpu;
    if (calls->power && calls->power(device, &number) == NVML_SUCCESS)
        out->power_w = number / 1000.0;
    if (calls->temperature &&
        calls->temperature(device, NVML_TEMPERATURE_GPU, &number) == NVML_SUCCESS)
        out->temperature_c = number;
}

const struct backend_ops nvml_ops = {nvml_open, nvml_close, nvml_count, nvml_info, nvml_read};
