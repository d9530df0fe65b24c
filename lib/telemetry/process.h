// CPU time and memory of a process group, from /proc: an engine behind a wrapper script is several
// processes.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROCESS_GROUP_MAX = 32 };

struct process_group {
    pid_t group;
    pid_t members[PROCESS_GROUP_MAX];
    size_t count;
};

struct process_usage {
    int64_t cpu_ms;     // used so far by those that live
    uint64_t rss_bytes; // resident now, files that are mapped included
};

// Looks through /proc for the group's members; again when it may have changed. False: none.
bool process_group_find(struct process_group *group, pid_t pgid);
// CPU time that everybody used since the machine started, time stolen by its host included.
bool process_machine_cpu_ms(int64_t *out);
// One process alone; false: it is not there.
bool process_usage_of(pid_t pid, struct process_usage *out);
bool process_group_usage(const struct process_group *group, struct process_usage *out);
