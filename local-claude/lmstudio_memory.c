#define _GNU_SOURCE
#include "lmstudio_memory.h"

#include "base/mem.h"
#include "telemetry/gpu.h"
#include "telemetry/process.h"

#include <stdbool.h>
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
static bool is_lmstudio(pid_t pid) {
    static const char *const names[] = {"lm-studio", "lm studio", "lmstudio", "llmster"};
    char command[MAX_COMMAND] = "";
    size_t length = process_words(pid, command, sizeof command - 1);
    command[length] = '\0';
    size_t first = strnlen(command, length);
    const char *script = first + 1 < length ? command + first + 1 : "";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasestr(command, names[i]) || strcasestr(script, names[i]))
            return true;
    return false;
}

static uint64_t of_processes(void) {
    struct process_usage usage;
    uint64_t bytes = 0;
    pid_t *pids;
    size_t count = process_list(&pids);
    for (size_t i = 0; i < count; i++)
        if (is_lmstudio(pids[i]) && process_usage_of(pids[i], &usage))
            bytes += usage.rss_bytes;
    mem_free(pids);
    return bytes;
}

uint64_t lmstudio_memory(void) { return of_gpus() + of_processes(); }
