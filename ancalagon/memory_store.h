// What engines turned out to take, kept from run to run in $XDG_STATE_HOME/ancalagon/memory.json:
//   cards    what a driver takes besides the model, for one card and one engine build
//   presets  what was planned for the last start of each preset that was measured, and what it took
// A file that is missing, broken or of another version is an empty store.
#pragma once

#include "base/buf.h"
#include "engine/dialect.h"
#include "engine/memory_report.h"
#include "plan/plan.h"

#include <jansson.h>
#include <stdint.h>

#define MEMORY_DIFFERS 0.02 // from here on a plan that was off is told

struct memory_seen {
    char engine[96];  // the build's version
    char key[20];     // of model and settings: has this very start been measured?
    int64_t when;     // seconds since 1970
    uint32_t ctx;     // tokens
    double predicted; // MiB, of the part that was furthest off
    double measured;
    char worst[64]; // its name
    struct memory_seen_part {
        char name[64]; // a device's, or "host"
        struct memory_sum predicted, measured;
    } part[PLAN_DEVICES_MAX + 1];
    size_t parts;
};

double memory_seen_difference(const struct memory_seen *seen); // of the worst: 0.03 is 3 % more
bool memory_seen_differs(const struct memory_seen *seen);
json_t *memory_sum_json(const struct memory_sum *sum);

struct memory_store;

struct memory_store *memory_store_open(void);
void memory_store_close(struct memory_store *store); // NULL is fine
void memory_store_touch(struct memory_store *store); // it is to be written again
// Writes the file; blocks on the disk. A store without news writes nothing.
bool memory_store_save(struct memory_store *store, struct err *err);
// The same in two steps, for those who may not block: false when there is nothing to write.
bool memory_store_text(struct memory_store *store, struct buf *text);
bool memory_store_write(const struct buf *text, struct err *err);

bool memory_store_get(const struct memory_store *store, const char *preset,
                      struct memory_seen *out);
void memory_store_put(struct memory_store *store, const char *preset,
                      const struct memory_seen *seen);

// Sets overhead_bytes of those devices whose driver's use is known for this build.
void memory_store_apply(const struct memory_store *store, const char *engine,
                        struct plan_machine *machine);
void memory_store_learn_overhead(struct memory_store *store, const char *engine,
                                 const struct plan_device *device, double overhead_mib);
