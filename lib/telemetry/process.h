// What processes use, and what they are: CPU time and memory of a process group (an engine behind a
// wrapper script is several processes), command line and environment of one.
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

// Looks through all processes for the group's members; again when it may have changed. False: none.
bool process_group_find(struct process_group *group, pid_t pgid);
// CPU time that everybody used since the machine started, time stolen by its host included.
bool process_machine_cpu_ms(int64_t *out);
// One process alone; false: it is not there.
bool process_usage_of(pid_t pid, struct process_usage *out);
bool process_group_usage(const struct process_group *group, struct process_usage *out);
// Resident now and of no file; 0: not known.
uint64_t process_anonymous_bytes(pid_t pid);

// Everything that runs here; how many. The list is the caller's (mem_free).
size_t process_list(pid_t **out);
// The first `size` bytes of its command line and of its environment, each word ended by a NUL
// ("A=1\0B=2\0"). How many came; 0: it is gone, or not ours to look at.
size_t process_words(pid_t pid, char *out, size_t size);
size_t process_environment(pid_t pid, char *out, size_t size);
