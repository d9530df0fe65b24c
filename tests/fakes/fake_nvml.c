#include "fake_nvml.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, GPU_IS_LOST = 15 };

struct fake_nvml fake_nvml = {.cards = 2,
                              .lost = -1,
                              .used_mib = {1000, 2000},
                              .utilization = {36, 96},
                              .milliwatts = {101000, 292500},
                              .celsius = {55, 71}};

static const int names[2]; /* their addresses are the handles */

static long card_of(const void *device) { return (const int *)device - names; }

int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlDeviceGetCount_v2(unsigned *count);
int nvmlDeviceGetHandleByIndex_v2(unsigned index, const void **device);
int nvmlDeviceGetName(const void *device, char *name, unsigned size);
int nvmlDeviceGetPciInfo_v3(const void *device, void *info);
int nvmlDeviceGetMemoryInfo(const void *device, unsigned long long memory[3]);
int nvmlDeviceGetUtilizationRates(const void *device, unsigned rates[2]);
int nvmlDeviceGetPowerUsage(const void *device, unsigned *milliwatts);
int nvmlDeviceGetTemperature(const void *device, int sensor, unsigned *celsius);

int nvmlInit_v2(void) {
    if (fake_nvml.init_result == SUCCESS)
        fake_nvml.opened++;
    return fake_nvml.init_result;
}

int nvmlShutdown(void) {
    fake_nvml.closed++;
    return SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    *count = (unsigned)fake_nvml.cards;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, const void **device) {
    if ((int)index == fake_nvml.lost)
        return GPU_IS_LOST;
    *device = &names[index];
    return SUCCESS;
}

int nvmlDeviceGetName(const void *device, char *name, unsigned size) {
    snprintf(name, size, "%s",
             card_of(device) ? "NVIDIA GeForce RTX 4070 Ti SUPER" : "NVIDIA GeForce RTX 3060");
    return SUCCESS;
}

/* nvmlPciInfo_t: char[16], five unsigned (domain, bus, device, two ids), char[32] */
int nvmlDeviceGetPciInfo_v3(const void *device, void *info) {
    unsigned numbers[5] = {0, card_of(device) ? 0x2b : 0x01, 0, 0x270510de, 0};
    memset(info, 0, 68);
    memcpy((char *)info + 16, numbers, sizeof numbers);
    return SUCCESS;
}

/* nvmlMemory_t: total, free, used; in bytes */
int nvmlDeviceGetMemoryInfo(const void *device, unsigned long long memory[3]) {
    while (fake_nvml.hang)
        usleep(1000);
    memory[0] = card_of(device) ? 16376ull << 20 : 12288ull << 20;
    memory[2] = (unsigned long long)fake_nvml.used_mib[card_of(device)] << 20;
    memory[1] = memory[0] - memory[2];
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(const void *device, unsigned rates[2]) {
    rates[0] = (unsigned)fake_nvml.utilization[card_of(device)];
    rates[1] = 5;
    return fake_nvml.silent ? NOT_SUPPORTED : SUCCESS;
}

int nvmlDeviceGetPowerUsage(const void *device, unsigned *milliwatts) {
    *milliwatts = (unsigned)fake_nvml.milliwatts[card_of(device)];
    return fake_nvml.silent ? NOT_SUPPORTED : SUCCESS;
}

int nvmlDeviceGetTemperature(const void *device, int sensor, unsigned *celsius) {
    *celsius = (unsigned)fake_nvml.celsius[card_of(device)];
    fake_nvml.sweeps += card_of(device) == fake_nvml.cards - 1;
    return fake_nvml.silent || sensor != 0 ? NOT_SUPPORTED : SUCCESS;
}
