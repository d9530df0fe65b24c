#define _GNU_SOURCE
#include "cores.h"

#include "base/mem.h"
#include "base/path.h"

#include <sched.h>
#include <stdlib.h>

// The first of a core's threads stands for it: "0,8" or "0-1".
static int first_sibling(int cpu) {
    char *path = mem_printf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    char *text = path_read_file(path, 4096, NULL, NULL);
    int first = text ? (int)strtol(text, NULL, 10) : cpu;
    mem_free(text);
    mem_free(path);
    return first;
}

void cores_count(int *physical, int *logical) {
    cpu_set_t mine, cores;
    CPU_ZERO(&mine);
    CPU_ZERO(&cores);
    if (sched_getaffinity(0, sizeof mine, &mine) != 0)
        CPU_SET(0, &mine);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &mine)) {
            int first = first_sibling(cpu);
            CPU_SET(first >= 0 && first < CPU_SETSIZE ? first : cpu, &cores);
        }
    *logical = CPU_COUNT(&mine);
    *physical = CPU_COUNT(&cores);
}
