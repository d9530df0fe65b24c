// A request to the control socket that takes its time (switch, off), with a progress line drawn
// from the server's own events until it is answered.
#pragma once

#include "control_client.h"

#include <stdbool.h>

struct act_result {
    struct control_reply reply; // valid when `answered`
    bool answered, interrupted;
};

// `label` stands on the line until the first event says more: "switching to coder". False when the
// server could not be asked or did not answer; Ctrl-C sets `interrupted` and returns true.
bool act_run(struct control *control, const char *target, const char *body, const char *label,
             struct act_result *result, struct err *err);
void act_result_fini(struct act_result *result);
