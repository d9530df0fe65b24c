#define _GNU_SOURCE
#include "lmstudio_memory.h"

#include "base/str.h"
#include "telemetry/gpu.h"
#include "telemetry/process.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { MAX_COMMAND = 4096 };

static uint64_t of_gpus(void) {
    struct gpus *gpus = gpus_open(NULL);
    struct gpu_reading reading;
    uint64_t bytes = 0;
    for (size_t i = 0; i < gpus_count(gpus); i++) {
        gpus_read(gpus, i, &reading);
        if (reading.used_bytes != GPU_UNKNOWN)
            bytes += reading.used_bytes;
    }
    gpus_close(gpus);
    return bytes;
}

// The application, its node helpers and the headless llmster, by the program and the script that
// they run, the first two words: the others may name anything.
static bool is_lmstudio(const char *pid) {
    static const char *const names[] = {"lm-studio", "lm studio", "lmstudio", "llmster"};
    char path[64], command[MAX_COMMAND] = "";
    snprintf(path, sizeof path, "/proc/%.20s/cmdline", pid);
    FILE *file = fopen(path, "re"); // of no size that could be told beforehand
    size_t length = file ? fread(command, 1, sizeof command - 1, file) : 0;
    if (file)
        fclose(file);
    size_t first = strnlen(command, length);
    const char *script = first + 1 < length ? command + first + 1 : "";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasestr(command, names[i]) || strcasestr(script, names[i]))
            return true;
    return false;
}

static uint64_t of_processes(void) {
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    struct process_usage usage;
    uint64_t bytes = 0;
    int64_t pid;
    while (proc && (entry = readdir(proc)))
        if (str_to_int(entry->d_name, 1, INT32_MAX, &pid) && is_lmstudio(entry->d_name) &&
            process_usage_of((pid_t)pid, &usage))
            bytes += usage.rss_bytes;
    if (proc)
        closedir(proc);
    return bytes;
}

uint64_t lmstudio_memory(void) { return of_gpus() + of_processes(); }
