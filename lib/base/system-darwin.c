#include "base/system.h"

#include "base/mem.h"

#include <errno.h>
#include <libproc.h>
#include <mach/mach.h>
#include <sys/mount.h>
#include <sys/sysctl.h>
#include <unistd.h>

char *system_program(void) {
    char path[PROC_PIDPATHINFO_MAXSIZE];
    int length = proc_pidpath(getpid(), path, sizeof path);
    return length > 0 ? mem_strndup(path, (size_t)length) : NULL;
}

static int64_t in_ns(struct timespec at) { return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec; }

int64_t system_changed_ns(const struct stat *st) { return in_ns(st->st_mtimespec); }
int64_t system_touched_ns(const struct stat *st) { return in_ns(st->st_ctimespec); }

bool system_file_is_local(const char *path) {
    struct statfs fs;
    return statfs(path, &fs) == 0 && (fs.f_flags & MNT_LOCAL) != 0;
}

static int count_of(const char *name) {
    int count = 0;
    size_t size = sizeof count;
    return sysctlbyname(name, &count, &size, NULL, 0) == 0 && count > 0 ? count : 1;
}

void system_cores(int *physical, int *logical) {
    *physical = count_of("hw.physicalcpu");
    *logical = count_of("hw.logicalcpu");
}

char *system_cpu_name(void) {
    char name[256];
    size_t size = sizeof name - 1;
    if (sysctlbyname("machdep.cpu.brand_string", name, &size, NULL, 0) != 0)
        return NULL;
    return mem_strndup(name, size);
}

// Pages that nobody would miss: free, or put aside until somebody wants them.
static uint64_t available_bytes(void) {
    vm_statistics64_data_t pages;
    mach_msg_type_number_t count = HOST_VM_INFO64_COUNT;
    mach_port_t host = mach_host_self();
    kern_return_t rc = host_statistics64(host, HOST_VM_INFO64, (host_info64_t)&pages, &count);
    mach_port_deallocate(mach_task_self(), host);
    if (rc != KERN_SUCCESS)
        return 0;
    return ((uint64_t)pages.free_count + pages.inactive_count + pages.purgeable_count) *
           (uint64_t)vm_page_size;
}

void system_memory_read(struct system_memory *out) {
    struct xsw_usage swap = {0};
    size_t size = sizeof out->total;
    *out = (struct system_memory){.available = available_bytes()};
    if (sysctlbyname("hw.memsize", &out->total, &size, NULL, 0) != 0)
        out->total = 0;
    size = sizeof swap;
    if (sysctlbyname("vm.swapusage", &swap, &size, NULL, 0) == 0)
        out->swap_free = swap.xsu_avail;
}

// Jetsam keeps no count for others.
bool system_kills_read(struct system_kills *out) { return false; }

void system_return_memory(void) {} // this malloc does
void system_trim_memory(void) {}
bool system_move_pages(void *from, void *to, size_t bytes) { return false; }

void system_condition_init(pthread_cond_t *condition) { pthread_cond_init(condition, NULL); }

bool system_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t ms) {
    struct timespec wait = {(time_t)((ms > 0 ? ms : 0) / 1000),
                            (long)((ms > 0 ? ms : 0) % 1000 * 1000000)};
    return pthread_cond_timedwait_relative_np(condition, lock, &wait) != ETIMEDOUT;
}
