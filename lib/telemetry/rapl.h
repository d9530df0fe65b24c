// Energy that the CPU packages used, from /sys/class/powercap (Intel's RAPL, which AMD's newer CPUs
// have too). Since 2020 only root may read it, unless the administrator allowed others.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RAPL_PACKAGES_MAX = 8 };

struct rapl {
    char *files[RAPL_PACKAGES_MAX];       // energy_uj
    uint64_t range_uj[RAPL_PACKAGES_MAX]; // at which it starts again from 0
    uint64_t last_uj[RAPL_PACKAGES_MAX];
    size_t count; // packages that can be read; 0: power is not known here
};

void rapl_init(struct rapl *rapl, const char *sysfs); // NULL: /sys
void rapl_fini(struct rapl *rapl);
// Joules of all packages since the last call (or init); false when not known.
bool rapl_joules(struct rapl *rapl, double *out);
