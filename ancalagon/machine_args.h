// --device KIND[:SIZE] and --ram SIZE: another machine than this one, for commands that plan.
#pragma once

#include "plan/plan.h"

#include <stdbool.h>

struct dialect;

struct machine_args {
    struct plan_machine machine; // what was named, devices in order
    bool devices_told, ram_told;
};

#define MACHINE_ARGS_HELP                                                                          \
    "KIND: cuda rocm vulkan metal rpc cpu; SIZE: 16G, 12282M. Several --device: in order.\n"

void machine_args_init(struct machine_args *args);

// One option and its value, argv[0] and argv[1]. Returns how many words it took, 0 when it is none
// of these, -1 on a mistake that was told on stderr.
int machine_args_take(struct machine_args *args, char **argv);

// The machine that was named; what was not said is this one's, seen by the engine build `dialect`
// (NULL: no devices).
void machine_args_resolve(const struct machine_args *args, const struct dialect *dialect,
                          struct plan_machine *out);
