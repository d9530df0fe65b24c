#include "telemetry/rapl.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

static bool read_uj(const char *path, uint64_t *out) {
    char *text = path_read_file(path, 64, NULL, NULL);
    bool ok = text && *text >= '0' && *text <= '9';
    if (ok)
        *out = strtoull(text, NULL, 10);
    mem_free(text);
    return ok;
}

// Whole packages only: "intel-rapl:0", not its parts "intel-rapl:0:0", nor the platform ("psys").
static void add_package(struct rapl *rapl, const char *sysfs, unsigned number) {
    char *folder = mem_printf("%s/class/powercap/intel-rapl:%u", sysfs, number);
    char *name_path = path_join(folder, "name"),
         *range_path = path_join(folder, "max_energy_range_uj");
    char *energy = path_join(folder, "energy_uj");
    char *name = path_read_file(name_path, 64, NULL, NULL);
    size_t at = rapl->count;
    if (name && str_starts(name, "package") && read_uj(energy, &rapl->last_uj[at]) &&
        read_uj(range_path, &rapl->range_uj[at])) {
        rapl->files[rapl->count++] = energy;
        energy = NULL;
    }
    mem_free(name);
    mem_free(energy);
    mem_free(name_path);
    mem_free(range_path);
    mem_free(folder);
}

void rapl_init(struct rapl *rapl, const char *sysfs) {
    *rapl = (struct rapl){0};
    for (unsigned i = 0; i < RAPL_PACKAGES_MAX; i++)
        add_package(rapl, sysfs ? sysfs : "/sys", i);
}

void rapl_fini(struct rapl *rapl) {
    for (size_t i = 0; i < rapl->count; i++)
        mem_free(rapl->files[i]);
    rapl->count = 0;
}

bool rapl_joules(struct rapl *rapl, double *out) {
    bool ok = rapl->count > 0;
    *out = 0;
    for (size_t i = 0; i < rapl->count; i++) {
        uint64_t now;
        if (!read_uj(rapl->files[i], &now)) {
            ok = false;
            continue;
        }
        uint64_t used = now >= rapl->last_uj[i] ? now - rapl->last_uj[i]
                                                : now + rapl->range_uj[i] - rapl->last_uj[i];
        rapl->last_uj[i] = now;
        *out += (double)used / 1e6;
    }
    return ok;
}
