// What process.c asks of each system. Private to lib/telemetry.
#pragma once

#include "telemetry/process.h"

struct process_reading {
    pid_t group;
    struct process_usage usage;
};

// False: it is not there, or not ours to look at.
bool process_read(pid_t pid, struct process_reading *out);
