#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "telemetry/process_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The first `size` bytes of a file of /proc, which has no size that could be told beforehand.
static size_t read_bytes(const char *path, char *out, size_t size) {
    size_t length = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && length < size) {
        ssize_t got = read(fd, out + length, size - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    if (fd >= 0)
        close(fd);
    return length;
}

static bool read_text(const char *path, char *text, size_t size) {
    size_t length = read_bytes(path, text, size - 1);
    text[length] = '\0';
    return length > 0;
}

static size_t read_of(pid_t pid, const char *name, char *out, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return read_bytes(path, out, size);
}

size_t process_words(pid_t pid, char *out, size_t size) {
    return read_of(pid, "cmdline", out, size);
}

size_t process_environment(pid_t pid, char *out, size_t size) {
    return read_of(pid, "environ", out, size);
}

size_t process_list(pid_t **out) {
    size_t count = 0, room = 256;
    pid_t *pids = mem_alloc(room * sizeof *pids);
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    int64_t pid;
    while (folder && (entry = readdir(folder))) {
        if (!str_to_int(entry->d_name, 1, INT32_MAX, &pid))
            continue;
        if (count == room)
            pids = mem_resize(pids, (room *= 2) * sizeof *pids);
        pids[count++] = (pid_t)pid;
    }
    if (folder)
        closedir(folder);
    *out = pids;
    return count;
}

// proc(5): pid (comm) state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime
// stime cutime cstime priority nice threads itrealvalue starttime vsize rss
bool process_read(pid_t pid, struct process_reading *out) {
    char text[1024];
    int group;
    unsigned long user, system; // clock ticks
    long rss;                   // pages
    text[read_of(pid, "stat", text, sizeof text - 1)] = '\0';
    const char *rest = strrchr(text, ')'); // the name before it may hold anything
    if (!rest || sscanf(rest + 1,
                        " %*c %*d %d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d "
                        "%*d %*u %*u %ld",
                        &group, &user, &system, &rss) != 4)
        return false;
    long ticks = sysconf(_SC_CLK_TCK), page = sysconf(_SC_PAGESIZE);
    out->group = group;
    out->usage.cpu_ms = (int64_t)(user + system) * 1000 / (ticks > 0 ? ticks : 100);
    out->usage.rss_bytes = rss > 0 ? (uint64_t)rss * (uint64_t)page : 0;
    return true;
}

// proc(5), /proc/stat: cpu user nice system idle iowait irq softirq steal, in clock ticks
bool process_machine_cpu_ms(int64_t *out) {
    char text[512];
    unsigned long long user, nice, system, irq, soft, steal = 0;
    if (!read_text("/proc/stat", text, sizeof text))
        return false;
    if (sscanf(text, "cpu %llu %llu %llu %*u %*u %llu %llu %llu", &user, &nice, &system, &irq,
               &soft, &steal) < 5)
        return false;
    long ticks = sysconf(_SC_CLK_TCK);
    *out = (int64_t)(user + nice + system + irq + soft + steal) * 1000 / (ticks > 0 ? ticks : 100);
    return true;
}

uint64_t process_anonymous_bytes(pid_t pid) {
    char text[8 * 1024];
    text[read_of(pid, "status", text, sizeof text - 1)] = '\0';
    const char *line = strstr(text, "\nRssAnon:");
    return line ? (uint64_t)strtoull(line + strlen("\nRssAnon:"), NULL, 10) << 10 : 0;
}
