// How fast the machine computes at this moment, apart from any engine. With neighbours (a virtual
// machine, a busy desktop) or heat, one and the same engine differs by ten per cent from one minute
// to the next; a probe before and after each run sees much of that, and figures taken at different
// times can be compared at equal pace.
//
// The probe does as an engine does: on each thread it multiplies bytes with words, every strip of
// 128 KiB once from memory and once from the core's own cache, and counts bytes in a second of the
// thread's CPU time. CPU time, for the moments that the scheduler gives to other programs differ
// from one 60 ms to the next by more than the machine's pace does, and say little of the run after
// it.
//
#pragma once

#include "base/series.h"

#include <stdbool.h>

struct pace;

// Takes 3 x the last-level cache, at least 96 MiB, until pace_destroy; filling it may take half a
// second. Threads: as many as the engine computes with. NULL: no memory for it.
struct pace *pace_create(unsigned threads);
void pace_destroy(struct pace *pace); // NULL is fine

// Blocks for about 80 ms. 1 is a core that multiplies 12 GB/s; a ratio of two figures is what has a
// meaning. NAN: no thread could be started.
double pace_measure(struct pace *pace);

// Speeds as they would have been at another pace: raw x (reference / pace) ^ share, value by value;
// `share` is of the work that CPUs do. False, and out = raw, when not each of them has a pace.
bool pace_adjust(const struct series *raw, const struct series *pace, double reference,
                 double share, struct series *out);
