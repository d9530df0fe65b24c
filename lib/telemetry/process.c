#include "telemetry/process.h"

#include "base/str.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct stat_line {
    int group;
    unsigned long user, system; // clock ticks
    long rss;                   // pages
};

// The first size - 1 bytes of a small file; false when there is nothing to read.
static bool read_text(const char *path, char *text, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, size - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return false;
    text[n] = '\0';
    return true;
}

// proc(5): pid (comm) state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime
// stime cutime cstime priority nice threads itrealvalue starttime vsize rss
static bool read_stat(pid_t pid, struct stat_line *out) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (!read_text(path, text, sizeof text))
        return false;
    const char *rest = strrchr(text, ')'); // the name before it may hold anything
    return rest && sscanf(rest + 1,
                          " %*c %*d %d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d "
                          "%*d %*u %*u %ld",
                          &out->group, &out->user, &out->system, &out->rss) == 4;
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

bool process_group_find(struct process_group *group, pid_t pgid) {
    *group = (struct process_group){.group = pgid};
    DIR *dir = opendir("/proc");
    struct stat_line line;
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        int64_t pid;
        if (group->count < PROCESS_GROUP_MAX && str_to_int(entry->d_name, 1, INT32_MAX, &pid) &&
            read_stat((pid_t)pid, &line) && line.group == (int)pgid)
            group->members[group->count++] = (pid_t)pid;
    }
    if (dir)
        closedir(dir);
    return group->count > 0;
}

static void add_usage(struct process_usage *out, const struct stat_line *line) {
    long ticks = sysconf(_SC_CLK_TCK), page = sysconf(_SC_PAGESIZE);
    out->cpu_ms += (int64_t)(line->user + line->system) * 1000 / (ticks > 0 ? ticks : 100);
    out->rss_bytes += line->rss > 0 ? (uint64_t)line->rss * (uint64_t)page : 0;
}

bool process_usage_of(pid_t pid, struct process_usage *out) {
    struct stat_line line;
    *out = (struct process_usage){0};
    if (!read_stat(pid, &line))
        return false;
    add_usage(out, &line);
    return true;
}

bool process_group_usage(const struct process_group *group, struct process_usage *out) {
    bool any = false;
    *out = (struct process_usage){0};
    for (size_t i = 0; i < group->count; i++) {
        struct stat_line line;
        if (!read_stat(group->members[i], &line) || line.group != (int)group->group)
            continue;
        add_usage(out, &line);
        any = true;
    }
    return any;
}
