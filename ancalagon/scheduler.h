// Who runs, who waits, what is loaded: the rules of one group of presets, of which at most one is
// up. A pure state machine: no clock, no sockets, no processes. Events come in as calls with the
// time (milliseconds), decisions go out through `struct scheduler_effects`; tests drive it bare.
//
// - A ticket is a request. It waits in the lane of its preset until it is admitted; it must leave
//   exactly once, admitted or not.
// - Tickets of the loaded preset are admitted at once. When another preset's oldest ticket has
//   waited max_hold_ms (counted from when the loaded one got ready at the earliest), admission
//   stops, what runs is drained, and the presets change places.
// - The engine gets as many requests as it serves at a time (the preset's word, else its own); the
//   others wait here, where a client with less running goes first. An engine that turns out to
//   answer more at once than it said is given more.
// - A start that fails refuses the tickets that waited for it and brings the previous preset back.
//   An engine that dies is started again, later after each failure; too many in a row open a
//   breaker: its tickets are refused at once until a pause has passed. A start that succeeds ends
//   the row of failed starts, only a whole answer that of deaths.
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

enum lane_state { LANE_OFF, LANE_LOADING, LANE_READY, LANE_STOPPING };

struct lane; // one preset in this group

struct ticket {
    TAILQ_ENTRY(ticket) link;
    struct lane *lane; // NULL when it is in no scheduler
    uint64_t client;   // who asks; equal numbers share their turn
    int64_t since_ms;  // when it came
    bool light;        // takes no slot of the engine (tokenize and the like)
    bool admitted, answering;
    void *owner;
};

struct scheduler_effects {
    // Start the lane's engine; answer later with scheduler_ready or scheduler_failed.
    void (*start)(struct lane *lane, void *arg);
    // Stop it; answer later with scheduler_stopped.
    void (*stop)(struct lane *lane, void *arg);
    void (*admit)(struct ticket *ticket, void *arg);
    // The ticket is out of the scheduler already; retry_ms is when to try again, 0 = do not.
    void (*refuse)(struct ticket *ticket, const struct err *why, int64_t retry_ms, void *arg);
    // Something that `status` shows has changed.
    void (*changed)(void *arg);
    // End what runs on the lane (each ticket leaves): it has been drained for drain_ms.
    void (*cut)(struct lane *lane, void *arg);
};

struct scheduler_rules {
    int64_t max_hold_ms;
    int64_t drain_ms;       // 0 = what runs may end in its own time
    unsigned max_queue;     // waiting tickets of the whole group; more are refused
    unsigned breaker_after; // failures in a row
    int64_t breaker_ms;     // first pause; doubles up to 16 times itself
    int64_t backoff_ms;     // first pause before a restart nobody waits for; doubles
    int64_t forgive_ms;     // up this long: failures are forgotten
};
extern const struct scheduler_rules scheduler_default_rules;

struct scheduler;

struct scheduler *scheduler_create(const char *group, const struct scheduler_rules *rules,
                                   const struct scheduler_effects *effects, void *arg);
void scheduler_destroy(struct scheduler *scheduler); // no tickets, no engines any more
void scheduler_set_rules(struct scheduler *scheduler, const struct scheduler_rules *rules);
const char *scheduler_group(const struct scheduler *scheduler);

// Lanes. `owner` is the caller's.
struct lane *lane_create(struct scheduler *scheduler, const char *name, void *owner);
void lane_destroy(struct lane *lane);                           // off and without tickets
void lane_set_idle_off(struct lane *lane, int64_t idle_off_ms); // 0 = never
void lane_set_limit(struct lane *lane, unsigned limit); // requests at the engine; 0 = it tells
const char *lane_name(const struct lane *lane);
void *lane_owner(const struct lane *lane);
struct scheduler *lane_scheduler(const struct lane *lane);
enum lane_state lane_state(const struct lane *lane);
unsigned lane_waiting(const struct lane *lane);
unsigned lane_running(const struct lane *lane);
unsigned lane_failures(const struct lane *lane);                  // in a row
int64_t lane_breaker_ms(const struct lane *lane, int64_t now_ms); // pause left, 0 = closed
const struct err *lane_error(const struct lane *lane); // last failure; code ERR_NONE when none
int64_t lane_state_since_ms(const struct lane *lane);
struct lane *scheduler_current(const struct scheduler *scheduler); // the one that is not off
struct lane *scheduler_target(const struct scheduler *scheduler);  // what a switch is heading for
unsigned scheduler_waiting(const struct scheduler *scheduler);

// Tickets. Enqueue may admit or refuse before it returns.
void scheduler_enqueue(struct lane *lane, struct ticket *ticket, int64_t now_ms);
void scheduler_answering(struct ticket *ticket, int64_t now_ms); // its first byte came
void scheduler_leave(struct ticket *ticket, int64_t now_ms);     // done or gone; no-op when out
void lane_set_error(struct lane *lane, const struct err *why);   // it was not even tried
void lane_succeeded(struct lane *lane); // a whole answer came: failures are no longer in a row

// Demands of the operator. A demand outranks the queue: admission to the loaded preset stops.
void scheduler_demand(struct lane *lane, int64_t now_ms);
// Unloads, refusing what waits; what runs is drained, or not, as the caller decides by cancelling.
// Requests that come meanwhile wait until it is off, and load again.
void scheduler_off(struct scheduler *scheduler, int64_t now_ms);
// The same for good: whoever comes afterwards is refused, nothing is started any more.
void scheduler_close(struct scheduler *scheduler, int64_t now_ms);
// False once the wish to unload has been fulfilled, or overruled by a demand.
bool scheduler_is_off(const struct scheduler *scheduler);
// Between the two nothing is started: an engine that counts as one of this group is still alive.
void scheduler_hold(struct scheduler *scheduler);
void scheduler_release(struct scheduler *scheduler, int64_t now_ms);
// The config changed such that the running engine no longer fits its preset: drain and restart.
void scheduler_restart(struct lane *lane, int64_t now_ms);
// Its engine is about to end (killed, or seen dead): nothing more is admitted until it has.
void scheduler_condemn(struct lane *lane);
// Admitted, but the engine ended before it did anything: back to its place in the queue. Only while
// the lane is condemned.
void scheduler_requeue(struct ticket *ticket);
// The preset left the config: what waits is refused, what runs is drained, then it stays off.
void scheduler_retire(struct lane *lane, int64_t now_ms);

// What became of an effect. slots: requests the engine serves at a time, 0 = unknown.
void scheduler_ready(struct lane *lane, unsigned slots, int64_t now_ms);
void scheduler_failed(struct lane *lane, const struct err *why, int64_t now_ms); // start failed
void scheduler_died(struct lane *lane, const struct err *why, int64_t now_ms);   // was ready
void scheduler_stopped(struct lane *lane, int64_t now_ms);

// Time passes. Returns when to call again (absolute), or -1 when nothing is due.
int64_t scheduler_tick(struct scheduler *scheduler, int64_t now_ms);
