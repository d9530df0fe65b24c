// AMD's cards, from the files that the amdgpu driver keeps in sysfs (Linux kernel documentation,
// gpu/amdgpu: "GPU Power/Thermal Controls and Monitoring" and "Misc AMDGPU driver information"):
//   class/drm/cardN/device/vendor               0x1002
//     mem_info_vram_total, mem_info_vram_used   bytes
//     gpu_busy_percent                          %
//     hwmon/hwmonM/power1_average, power1_input microwatts (which one: by card)
//     hwmon/hwmonM/temp1_input                  thousandths of a degree
//     uevent                                    PCI_SLOT_NAME=0000:03:00.0
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "telemetry/backend.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE = 4096 };

struct backend {
    struct card {
        unsigned number;
        char *folder; // .../cardN/device
        char *hwmon;  // NULL: none
    } cards[GPU_MAX];
    size_t count;
};

static char *read_text(const char *folder, const char *name) {
    char *path = path_join(folder, name);
    char *text = path_read_file(path, MAX_FILE, NULL, NULL);
    mem_free(path);
    if (text)
        text[strcspn(text, "\r\n")] = '\0';
    return text;
}

static bool read_number(const char *folder, const char *name, uint64_t *out) {
    char *text = folder ? read_text(folder, name) : NULL;
    char *end = text;
    uint64_t value = text && *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : 0;
    bool ok = text && end != text && *end == '\0';
    if (ok)
        *out = value;
    mem_free(text);
    return ok;
}

// The first of .../hwmon/hwmon*: amdgpu makes one.
static char *find_hwmon(const char *folder) {
    char *base = path_join(folder, "hwmon"), *found = NULL;
    DIR *dir = opendir(base);
    for (struct dirent *entry; dir && !found && (entry = readdir(dir));)
        if (str_starts(entry->d_name, "hwmon"))
            found = path_join(base, entry->d_name);
    if (dir)
        closedir(dir);
    mem_free(base);
    return found;
}

static void add_card(struct backend *backend, const char *drm, unsigned number) {
    char *folder = mem_printf("%s/card%u/device", drm, number);
    char *vendor = read_text(folder, "vendor");
    uint64_t total;
    if (vendor && strcmp(vendor, "0x1002") == 0 &&
        read_number(folder, "mem_info_vram_total", &total)) {
        backend->cards[backend->count++] = (struct card){number, folder, find_hwmon(folder)};
        folder = NULL;
    }
    mem_free(vendor);
    mem_free(folder);
}

static int by_number(const void *a, const void *b) {
    const struct card *one = a, *other = b;
    return (one->number > other->number) - (one->number < other->number);
}

static struct backend *amdgpu_open(const char *where) {
    char *drm = path_join(where, "class/drm");
    DIR *dir = opendir(drm);
    struct backend *backend = dir ? mem_alloc(sizeof *backend) : NULL;
    for (struct dirent *entry; dir && backend->count < GPU_MAX && (entry = readdir(dir));) {
        int64_t number; // "card0", not its connectors "card0-DP-1"
        if (str_starts(entry->d_name, "card") && str_to_int(entry->d_name + 4, 0, 4095, &number))
            add_card(backend, drm, (unsigned)number);
    }
    if (dir)
        closedir(dir);
    mem_free(drm);
    if (backend)
        qsort(backend->cards, backend->count, sizeof *backend->cards, by_number);
    return backend;
}

static void amdgpu_close(struct backend *backend) {
    for (size_t i = 0; i < backend->count; i++) {
        mem_free(backend->cards[i].folder);
        mem_free(backend->cards[i].hwmon);
    }
    mem_free(backend);
}

static size_t amdgpu_count(const struct backend *backend) { return backend->count; }

static void find_bus(const char *folder, char *out, size_t size) {
    char *path = path_join(folder, "uevent");
    char *text = path_read_file(path, MAX_FILE, NULL, NULL);
    const char *slot = text ? strstr(text, "PCI_SLOT_NAME=") : NULL;
    if (slot) {
        slot += strlen("PCI_SLOT_NAME=");
        snprintf(out, size, "%.*s", (int)strcspn(slot, "\r\n"), slot);
    }
    mem_free(text);
    mem_free(path);
}

static void amdgpu_info(struct backend *backend, size_t index, struct gpu_info *out) {
    const char *folder = backend->cards[index].folder;
    *out = (struct gpu_info){.vendor = GPU_AMD, .total_bytes = GPU_UNKNOWN};
    read_number(folder, "mem_info_vram_total", &out->total_bytes);
    find_bus(folder, out->bus, sizeof out->bus);
    // Only server cards tell a product name.
    char *name = read_text(folder, "product_name"), *id = read_text(folder, "device");
    if (name && *name)
        snprintf(out->name, sizeof out->name, "%s", name);
    else
        snprintf(out->name, sizeof out->name, "AMD GPU%s%s", id ? " " : "", id ? id : "");
    mem_free(name);
    mem_free(id);
}

static void amdgpu_read(struct backend *backend, size_t index, struct gpu_reading *out) {
    const struct card *card = &backend->cards[index];
    uint64_t number, total;
    if (read_number(card->folder, "mem_info_vram_used", &number)) {
        out->used_bytes = number;
        if (read_number(card->folder, "mem_info_vram_total", &total) && total >= number)
            out->free_bytes = total - number;
    }
    if (read_number(card->folder, "gpu_busy_percent", &number) && number <= 100)
        out->utilisation = (double)number;
    if (read_number(card->hwmon, "power1_average", &number) ||
        read_number(card->hwmon, "power1_input", &number))
        out->power_w = (double)number / 1e6;
    if (read_number(card->hwmon, "temp1_input", &number))
        out->temperature_c = (double)number / 1e3;
}

const struct backend_ops amdgpu_ops = {amdgpu_open, amdgpu_close, amdgpu_count, amdgpu_info,
                                       amdgpu_read};
