// --device KIND[:SIZE] and --ram SIZE: another machine than this one, for commands that plan.
#pragma once

#include "plan/plan.h"

#include <stdbool.h>

struct dialect_devices;

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

// The machine that was named; what was not said is this one's, with the devices that an engine
// build listed (NULL: none).
void machine_args_resolve(const struct machine_args *args, const struct dialect_devices *listed,
                          struct plan_machine *out);
