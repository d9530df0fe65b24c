// The process between us and a tethered program (tether.h).
#pragma once

struct tether_spec;

struct keeper_ends {
    int life;                           // read: "settled" as a byte, our end as its end
    const int *input, *output, *errors; // pipes of the program: read end, write end
};

// In a fresh fork; never returns.
_Noreturn void keeper_run(const struct tether_spec *spec, const struct keeper_ends *ends);
