#define _GNU_SOURCE
#include "base/system.h"

#include "base/mem.h"
#include "base/path.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

char *system_program(void) {
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path);
    return length > 0 ? mem_strndup(path, (size_t)length) : NULL;
}

static int64_t in_ns(struct timespec at) { return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec; }

int64_t system_changed_ns(const struct stat *st) { return in_ns(st->st_mtim); }
int64_t system_touched_ns(const struct stat *st) { return in_ns(st->st_ctim); }

// Kinds of file systems by their magic numbers (linux/magic.h); whatever is not listed may be a
// network's.
bool system_file_is_local(const char *path) {
    static const unsigned long local[] = {0xEF53 /* ext */,         0x9123683E /* btrfs */,
                                          0x58465342 /* xfs */,     0x01021994 /* tmpfs */,
                                          0x794C7630 /* overlay */, 0x2FC12FC1 /* zfs */,
                                          0xF2F52010 /* f2fs */,    0xCA451A4E /* bcachefs */};
    struct statfs fs;
    if (statfs(path, &fs) != 0)
        return false;
    for (size_t i = 0; i < sizeof local / sizeof *local; i++)
        if (((unsigned long)fs.f_type & 0xFFFFFFFF) == local[i])
            return true;
    return false;
}

// The first of a core's threads stands for it: "0,8" or "0-1".
static int first_sibling(int cpu) {
    char *path = mem_printf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    char *text = path_read_file(path, 4096, NULL, NULL);
    int first = text ? (int)strtol(text, NULL, 10) : cpu;
    mem_free(text);
    mem_free(path);
    return first;
}

void system_cores(int *physical, int *logical) {
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

char *system_cpu_name(void) {
    char *text = path_read_file("/proc/cpuinfo", 4 << 20, NULL, NULL);
    const char *name = text ? strstr(text, "model name") : NULL;
    name = name ? strchr(name, ':') : NULL;
    char *out = name ? mem_strndup(name + 1, strcspn(name + 1, "\n")) : NULL;
    if (out && out[0] == ' ')
        memmove(out, out + 1, strlen(out));
    mem_free(text);
    return out;
}

// A line of /proc/meminfo, bytes.
static uint64_t meminfo(const char *text, const char *name) {
    const char *line = strstr(text, name);
    return line ? (uint64_t)strtoull(line + strlen(name), NULL, 10) << 10 : 0;
}

void system_memory_read(struct system_memory *out) {
    char *text = path_read_file("/proc/meminfo", 64 * 1024, NULL, NULL);
    *out = (struct system_memory){0};
    if (text)
        *out = (struct system_memory){meminfo(text, "MemTotal:"), meminfo(text, "MemAvailable:"),
                                      meminfo(text, "SwapFree:")};
    mem_free(text);
}

// proc(5): /proc/vmstat has oom_kill since Linux 4.13.
bool system_kills_read(struct system_kills *out) {
    char *boot = path_read_file("/proc/sys/kernel/random/boot_id", 4096, NULL, NULL);
    char *text = path_read_file("/proc/vmstat", 64 * 1024, NULL, NULL);
    const char *line = text ? strstr(text, "\noom_kill ") : NULL;
    bool told = boot && line;
    if (told) {
        boot[strcspn(boot, "\n")] = '\0';
        snprintf(out->boot, sizeof out->boot, "%s", boot);
        out->count = strtoll(line + strlen("\noom_kill "), NULL, 10);
    }
    mem_free(boot);
    mem_free(text);
    return told;
}

void system_return_memory(void) {
#ifdef M_MMAP_THRESHOLD // glibc
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    mallopt(M_TRIM_THRESHOLD, 128 * 1024);
    mallopt(M_ARENA_MAX, 1);
#endif
}

void system_trim_memory(void) {
#ifdef M_MMAP_THRESHOLD
    malloc_trim(0);
#endif
}

bool system_move_pages(void *from, void *to, size_t bytes) {
#ifdef MREMAP_DONTUNMAP // Linux 5.7
    return mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) == to;
#else
    return false;
#endif
}

void system_condition_init(pthread_cond_t *condition) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

bool system_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + (ms > 0 ? ms : 0) % 1000 * 1000000;
    until.tv_sec += (time_t)((ms > 0 ? ms : 0) / 1000 + ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    return pthread_cond_timedwait(condition, lock, &until) != ETIMEDOUT;
}
