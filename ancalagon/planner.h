// Has a preset decided (decision.h) without holding the loop up: its files are read, and its
// devices asked, in a thread; the arithmetic is done on the loop, when they are known. What was
// read is kept, so that the next decision costs a look at the files' dates.
//
// A preset is decided when it is asked for, before anything is stopped for it, and again at its
// start unless that follows at once. After an engine has ended, the start waits until the memory
// that was counted on is free.
#pragma once

#include "base/err.h"

#include <stdint.h>
#include <sys/queue.h>

struct planner; // of one service
struct service;

// Somebody who wants a preset and waits to hear whether it can be had. Embedded in its owner.
struct intent {
    TAILQ_ENTRY(intent) link;
    struct planner *planner;                           // NULL: nothing is awaited
    void (*decided)(void *arg, const struct err *why); // NULL: it can be had
    void *arg;
    unsigned round; // of decisions, in which it was asked
};

struct planner *planner_create(struct service *service);
void planner_destroy(struct planner *planner);
void planner_forget(struct planner *planner); // the preset changed: what was decided is void

// May answer before it returns; at once when the preset is loaded or being loaded already.
void planner_ask(struct planner *planner, struct intent *intent,
                 void (*decided)(void *arg, const struct err *why), void *arg);
// Also of a loaded one: could it be loaded as its preset reads now?
void planner_check(struct planner *planner, struct intent *intent,
                   void (*decided)(void *arg, const struct err *why), void *arg);
void planner_withdraw(struct intent *intent); // no-op when nothing is awaited

// Ends in service_begin, perhaps before it returns. One at a time.
void planner_start(struct planner *planner);
// True when a start was under way: it will not happen.
bool planner_cancel(struct planner *planner);
