// What gpu.c asks of each kind of driver. Private to lib/telemetry.
#pragma once

#include "telemetry/gpu.h"

struct backend;

struct backend_ops {
    // NULL when there is nothing of this kind here.
    struct backend *(*open)(const char *where);
    void (*close)(struct backend *backend);
    size_t (*count)(const struct backend *backend);
    void (*info)(struct backend *backend, size_t index, struct gpu_info *out);
    void (*read)(struct backend *backend, size_t index, struct gpu_reading *out);
};

extern const struct backend_ops nvml_ops;   // where: the library
extern const struct backend_ops amdgpu_ops; // where: "/sys"
