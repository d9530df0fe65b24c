#include "telemetry/process.h"

#include "base/mem.h"
#include "telemetry/process_private.h"

bool process_group_find(struct process_group *group, pid_t pgid) {
    pid_t *pids;
    struct process_reading reading;
    size_t count = process_list(&pids);
    *group = (struct process_group){.group = pgid};
    for (size_t i = 0; i < count && group->count < PROCESS_GROUP_MAX; i++)
        if (process_read(pids[i], &reading) && reading.group == pgid)
            group->members[group->count++] = pids[i];
    mem_free(pids);
    return group->count > 0;
}

bool process_usage_of(pid_t pid, struct process_usage *out) {
    struct process_reading reading;
    bool ok = process_read(pid, &reading);
    *out = ok ? reading.usage : (struct process_usage){0};
    return ok;
}

bool process_group_usage(const struct process_group *group, struct process_usage *out) {
    bool any = false;
    *out = (struct process_usage){0};
    for (size_t i = 0; i < group->count; i++) {
        struct process_reading reading;
        if (!process_read(group->members[i], &reading) || reading.group != group->group)
            continue;
        out->cpu_ms += reading.usage.cpu_ms;
        out->rss_bytes += reading.usage.rss_bytes;
        any = true;
    }
    return any;
}
