#pragma once
/* A stand-in for libnvidia-ml.so.1 with two cards, for tests of lib/telemetry. The test loads the
 * same file and turns the knobs of `fake_nvml`. */
struct fake_nvml {
    volatile int init_result; /* what nvmlInit_v2 returns */
    volatile int cards;
    volatile int lost;   /* this card has fallen off the bus; -1 none */
    volatile int silent; /* readings are "not supported", memory excepted */
    volatile int hang;   /* nvmlDeviceGetMemoryInfo does not return while this is set */
    volatile int used_mib[2];
    volatile int utilization[2], milliwatts[2], celsius[2];
    volatile int opened, closed;
    volatile int sweeps; /* how often the last card was asked its temperature, the last question */
};
