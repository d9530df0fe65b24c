#include "base/mem.h"
#include "telemetry/process_private.h"

#include <libproc.h>
#include <mach/mach.h>
#include <mach/mach_time.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysctl.h>

enum { TICKS_PER_S = 100 }; // of host_statistics, as clock(3) counted once

size_t process_list(pid_t **out) {
    int room = proc_listallpids(NULL, 0); // and as many more as may be started meanwhile
    room = room > 0 ? room + 64 : 1;
    pid_t *pids = mem_alloc((size_t)room * sizeof *pids);
    int count = proc_listallpids(pids, room * (int)sizeof *pids);
    *out = pids;
    return count > 0 ? (size_t)count : 0;
}

// Their unit differs from machine to machine.
static int64_t in_ms(uint64_t time) {
    static mach_timebase_info_data_t base;
    if (base.denom == 0 && mach_timebase_info(&base) != KERN_SUCCESS)
        return 0;
    return (int64_t)((double)time * base.numer / base.denom / 1e6);
}

bool process_read(pid_t pid, struct process_reading *out) {
    struct proc_bsdinfo info;
    struct rusage_info_v0 used;
    if (proc_pidinfo(pid, PROC_PIDTBSDINFO, 0, &info, sizeof info) != (int)sizeof info ||
        proc_pid_rusage(pid, RUSAGE_INFO_V0, (rusage_info_t *)&used) != 0)
        return false;
    out->group = (pid_t)info.pbi_pgid;
    out->usage.cpu_ms = in_ms(used.ri_user_time + used.ri_system_time);
    out->usage.rss_bytes = used.ri_resident_size;
    return true;
}

bool process_machine_cpu_ms(int64_t *out) {
    host_cpu_load_info_data_t load;
    mach_msg_type_number_t count = HOST_CPU_LOAD_INFO_COUNT;
    mach_port_t host = mach_host_self();
    kern_return_t rc = host_statistics(host, HOST_CPU_LOAD_INFO, (host_info_t)&load, &count);
    mach_port_deallocate(mach_task_self(), host);
    if (rc != KERN_SUCCESS)
        return false;
    int64_t ticks = (int64_t)load.cpu_ticks[CPU_STATE_USER] + load.cpu_ticks[CPU_STATE_SYSTEM] +
                    load.cpu_ticks[CPU_STATE_NICE];
    *out = ticks * 1000 / TICKS_PER_S;
    return true;
}

// What would have to be written out if it were taken away: near to what Linux calls anonymous.
uint64_t process_anonymous_bytes(pid_t pid) {
    struct rusage_info_v0 used;
    return proc_pid_rusage(pid, RUSAGE_INFO_V0, (rusage_info_t *)&used) == 0
               ? used.ri_phys_footprint
               : 0;
}

// sysctl(3), KERN_PROCARGS2: how many words (an int), the program's path, NULs up to the first
// word, the words, the environment; each ended by a NUL. Of other users' processes there is
// nothing, and of some of Apple's own no environment.
static size_t read_arguments(pid_t pid, bool environment, char *out, size_t size) {
    int name[] = {CTL_KERN, KERN_ARGMAX, 0}, words = 0, max = 0;
    size_t length = sizeof max;
    if (sysctl(name, 2, &max, &length, NULL, 0) != 0 || max <= 0)
        return 0;
    char *bytes = mem_alloc((size_t)max + 1);
    name[1] = KERN_PROCARGS2;
    name[2] = pid;
    length = (size_t)max;
    if (sysctl(name, 3, bytes, &length, NULL, 0) != 0 || length < sizeof words)
        length = sizeof words; // which are none
    memcpy(&words, bytes, sizeof words);
    size_t at = sizeof words;
    at += strnlen(bytes + at, length - at);
    while (at < length && bytes[at] == '\0')
        at++;
    size_t begin = at;
    for (; words > 0 && at < length; words--)
        at += strnlen(bytes + at, length - at) + 1;
    at = at < length ? at : length;
    size_t from = environment ? at : begin, end = environment ? length : at;
    size_t kept = end - from < size ? end - from : size;
    memcpy(out, bytes + from, kept);
    mem_free(bytes);
    return kept;
}

size_t process_words(pid_t pid, char *out, size_t size) {
    return read_arguments(pid, false, out, size);
}

size_t process_environment(pid_t pid, char *out, size_t size) {
    return read_arguments(pid, true, out, size);
}
