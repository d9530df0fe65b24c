// Why an engine did not start, or ended: from the last lines it printed and the way it ended, to
// one sentence about the cause and one about what to do.
#pragma once

#include "event/child.h"

enum cause {
    CAUSE_UNKNOWN,
    CAUSE_STOPPED, // we asked for it
    CAUSE_OUT_OF_MEMORY,
    CAUSE_UNKNOWN_FLAG,
    CAUSE_REMOVED_FLAG,
    CAUSE_BAD_VALUE,
    CAUSE_MISSING_FILE,
    CAUSE_BAD_FILE,
    CAUSE_UNKNOWN_ARCHITECTURE,
    CAUSE_UNKNOWN_TENSOR_TYPE,
    CAUSE_CANNOT_BIND,
    CAUSE_MISSING_LIBRARY,
    CAUSE_CANNOT_FIT,
    CAUSE_CANNOT_EXECUTE,
    CAUSE_WRONG_CPU,
    CAUSE_GPU, // driver or device trouble
    CAUSE_TEMPLATE,
    CAUSE_CRASHED,
    CAUSE_KILLED,
};

struct diagnosis {
    enum cause cause;
    char text[640]; // what happened, with the engine's own words
    char fix[320];  // what to do; "" when there is nothing to say
};

// `log`: its last lines, oldest first, separated by newlines (of a long text the last few hundred
// count); `status` NULL when the process has not ended.
void diagnose(const char *log, const struct child_exit *status, struct diagnosis *out);

// For a process that never came to be: what spawn said.
void diagnose_start(const struct err *err, struct diagnosis *out);

// Another start with the same settings will end the same way.
bool cause_is_lasting(enum cause cause);

const char *cause_name(enum cause cause); // "out-of-memory", for logs and metrics
