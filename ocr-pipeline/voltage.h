// Voltages as plates print them: taps of the primary ("13800/13200/12600", "13.800", "13,8 kV") and
// the secondary's one or two numbers ("220/127", "220Y127", "0,38/0,22 kV").
#pragma once

#include "domains.h"
#include "number.h"

#include <stdbool.h>
#include <stddef.h>

enum { TAPS_MAX = 12, PRIMARY_LEAST = 5000, PRIMARY_MOST = 37000 };

struct tap {
    int volts;
    struct part part;
    unsigned swaps; // letters that were taken for digits
    bool kilo;      // in kV
    bool split;     // cut out of digits whose strokes were not read
};
struct taps {
    struct tap taps[TAPS_MAX];
    size_t count;
};

void taps_find(const struct domains *domains, struct part part, struct taps *taps);
void taps_add(struct taps *taps, struct tap tap); // past TAPS_MAX: left out
// A usual primary, or a usual tap.
bool volts_listed(const struct domains *domains, int volts);

struct low {
    char text[24]; // the higher number first
    struct part part;
    unsigned swaps;
    bool split, pair;
};

// A pair of low voltages; `odd`: a pair all the same, though no usual one, never one of its halves;
// `single`: one number, which only a label makes a secondary.
bool low_find(const struct domains *domains, struct part part, struct low *low);
bool low_find_odd(struct part part, struct low *low);
bool low_find_single(struct part part, struct low *low);
int low_volts(const struct number *number); // 0: not three digits
bool is_low(int volts);
