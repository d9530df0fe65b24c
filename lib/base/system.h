// What each system tells, or wants asked, in its own way: system-linux.c, system-darwin.c. How
// processes are bound to each other is event/tie.h; what they use, telemetry/process.h.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

// macOS has it, and declares it nowhere; glibc in some modes.
extern char **environ; // NOLINT(readability-redundant-declaration)

struct system_memory { // bytes; 0: not known
    uint64_t total, available, swap_free;
};

// Processes that the kernel killed for want of memory, in any cgroup, since the machine started.
struct system_kills {
    char boot[40]; // which start that was
    int64_t count;
};

// Path of the file that this process runs; the caller's, NULL when it cannot be told.
char *system_program(void);

// When a file's content was changed last (mtime), and when anything about it was (ctime).
int64_t system_changed_ns(const struct stat *st);
int64_t system_touched_ns(const struct stat *st);
// False for a file that may lie on another machine: what was true of it may be no more.
bool system_file_is_local(const char *path);

void system_cores(int *physical, int *logical); // that this process may use; at least 1 each
char *system_cpu_name(void);                    // the caller's; NULL when it is not told
void system_memory_read(struct system_memory *out);
bool system_kills_read(struct system_kills *out); // false: it is not told
// From here on malloc gives large blocks back to the system when they are freed.
void system_return_memory(void);
void system_trim_memory(void); // what was freed and is kept for later goes to the system now
// Pages of one stretch of anonymous memory go to another, which loses its own; the first is empty
// then, as after MADV_DONTNEED. Quicker than new pages, which must be filled with zeros. False: not
// here; nothing has changed.
bool system_move_pages(void *from, void *to, size_t bytes);

// A condition whose waits last as long as they say, whatever becomes of the wall clock. False: the
// time is over.
void system_condition_init(pthread_cond_t *condition);
bool system_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t ms);
