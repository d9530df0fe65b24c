// What the machine's GPUs say of themselves: memory, utilisation, power, temperature. NVIDIA
// through NVML (loaded when it is there, no build dependency), AMD through amdgpu's files in sysfs.
// No GPU, or no driver that speaks, is an empty list and no error.
//
// Every call may hang in a driver that does; sampler.h asks from a thread of its own.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GPU_MAX 16u
#define GPU_UNKNOWN UINT64_MAX // bytes that a driver does not tell

enum gpu_vendor { GPU_NVIDIA, GPU_AMD };

struct gpu_info {
    enum gpu_vendor vendor;
    char name[96];
    char bus[20]; // PCI address as the kernel writes it, "0000:01:00.0"; "" unknown
    uint64_t total_bytes;
};

// NAN and GPU_UNKNOWN where the driver does not say.
struct gpu_reading {
    uint64_t used_bytes, free_bytes;
    double utilisation; // % of the last second or so in which something ran
    double power_w;
    double temperature_c;
};

// Where to look; NULL: the usual places. Tests bring a library and a tree of their own.
struct gpu_roots {
    const char *nvml;  // path of the library; "" leaves NVIDIA out
    const char *sysfs; // in place of /sys; "" leaves AMD out
};

struct gpus;

struct gpus *gpus_open(const struct gpu_roots *roots); // roots NULL: the usual places
void gpus_close(struct gpus *gpus);                    // NULL is fine
size_t gpus_count(const struct gpus *gpus);
const struct gpu_info *gpus_info(const struct gpus *gpus, size_t index);
void gpus_read(struct gpus *gpus, size_t index, struct gpu_reading *out);

// A device as an engine names it ("CUDA0", "NVIDIA GeForce RTX 4070 Ti SUPER", MiB or 0).
struct gpu_claim {
    const char *name, *description;
    int64_t total_mib;
};
// Which claim is which GPU: by vendor, then by the model's name and its memory, then in order. For
// each GPU the index of its claim, or -1. Engines may count in another order than the driver, so
// two cards of one model may be swapped.
void gpu_match(const struct gpu_info *gpus, size_t count, const struct gpu_claim *claims,
               size_t claim_count, int out[]);
