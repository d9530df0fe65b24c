#include "scheduler.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

enum { MAX_TURNS = 64 };

TAILQ_HEAD(ticket_list, ticket);

struct lane {
    TAILQ_ENTRY(lane) link;
    struct scheduler *scheduler;
    char *name;
    void *owner;
    enum lane_state state;
    int64_t since_ms;           // of the state
    struct ticket_list waiting; // by arrival
    struct ticket_list running;
    unsigned waiting_count, running_count;
    unsigned heavy;     // running tickets that take a slot
    unsigned answering; // of those, how many have had their first byte
    unsigned slots;     // what the engine says it serves at a time; 0 = it does not say
    unsigned limit;     // what the preset says; 0 = nothing
    int64_t idle_off_ms, idle_since_ms;
    // Failures:
    unsigned failures;
    unsigned failed_loads; // of those, since it was last ready
    int64_t not_before_ms; // backoff of a restart that nobody waits for
    int64_t breaker_until_ms;
    bool revive;         // died while loaded: start again
    bool stale;          // restart when drained
    int64_t draining_ms; // since when it is closed although something runs; 0 = it is not
    bool condemned;      // its engine is being killed: admit nothing to it
    bool retired;        // unload when drained, take nothing new
    struct err error;
};

TAILQ_HEAD(lane_list, lane);

struct scheduler {
    char *group;
    struct scheduler_rules rules;
    const struct scheduler_effects *effects;
    void *arg;
    struct lane_list lanes;
    struct lane *current;  // the one lane that is not off
    struct lane *demand;   // the operator's wish, until it is ready or failed
    struct lane *previous; // was ready before the switch under way
    bool off;              // the operator wants nothing loaded
    bool closed;           // for good
    unsigned holds;        // while there are any, nothing is started
    unsigned waiting;
    // When clients last got a slot; who is not among them has waited longest.
    struct {
        uint64_t client, turn;
    } turns[MAX_TURNS];
    uint64_t turn;
    bool stepping, again;
};

const struct scheduler_rules scheduler_default_rules = {
    .max_hold_ms = 60 * 1000,
    .max_queue = 1024,
    .breaker_after = 5,
    .breaker_ms = 30 * 1000,
    .backoff_ms = 1000,
    .forgive_ms = 60 * 1000,
};

static void step(struct scheduler *s, int64_t now);

struct scheduler *scheduler_create(const char *group, const struct scheduler_rules *rules,
                                   const struct scheduler_effects *effects, void *arg) {
    struct scheduler *s = mem_alloc(sizeof *s);
    s->group = mem_strdup(group);
    s->rules = *rules;
    s->effects = effects;
    s->arg = arg;
    TAILQ_INIT(&s->lanes);
    return s;
}

void scheduler_destroy(struct scheduler *s) {
    if (!s)
        return;
    while (!TAILQ_EMPTY(&s->lanes))
        lane_destroy(TAILQ_FIRST(&s->lanes));
    mem_free(s->group);
    mem_free(s);
}

void scheduler_set_rules(struct scheduler *s, const struct scheduler_rules *rules) {
    s->rules = *rules;
}

const char *scheduler_group(const struct scheduler *s) { return s->group; }

struct lane *lane_create(struct scheduler *s, const char *name, void *owner) {
    struct lane *lane = mem_alloc(sizeof *lane);
    lane->scheduler = s;
    lane->name = mem_strdup(name);
    lane->owner = owner;
    TAILQ_INIT(&lane->waiting);
    TAILQ_INIT(&lane->running);
    TAILQ_INSERT_TAIL(&s->lanes, lane, link);
    return lane;
}

void lane_destroy(struct lane *lane) {
    struct scheduler *s = lane->scheduler;
    assert(lane->state == LANE_OFF && !lane->waiting_count && !lane->running_count);
    if (s->demand == lane)
        s->demand = NULL;
    if (s->previous == lane)
        s->previous = NULL;
    TAILQ_REMOVE(&s->lanes, lane, link);
    mem_free(lane->name);
    mem_free(lane);
}

void lane_set_idle_off(struct lane *lane, int64_t idle_off_ms) { lane->idle_off_ms = idle_off_ms; }
void lane_set_limit(struct lane *lane, unsigned limit) { lane->limit = limit; }
const char *lane_name(const struct lane *lane) { return lane->name; }
void *lane_owner(const struct lane *lane) { return lane->owner; }
struct scheduler *lane_scheduler(const struct lane *lane) {
    return lane->scheduler;
}
enum lane_state lane_state(const struct lane *lane) { return lane->state; }
unsigned lane_waiting(const struct lane *lane) { return lane->waiting_count; }
unsigned lane_running(const struct lane *lane) { return lane->running_count; }
unsigned lane_failures(const struct lane *lane) { return lane->failures; }
const struct err *lane_error(const struct lane *lane) { return &lane->error; }
int64_t lane_state_since_ms(const struct lane *lane) { return lane->since_ms; }
struct lane *scheduler_current(const struct scheduler *s) {
    return s->current;
}
unsigned scheduler_waiting(const struct scheduler *s) { return s->waiting; }

int64_t lane_breaker_ms(const struct lane *lane, int64_t now) {
    return lane->breaker_until_ms > now ? lane->breaker_until_ms - now : 0;
}

static void set_state(struct lane *lane, enum lane_state state, int64_t now) {
    struct scheduler *s = lane->scheduler;
    lane->state = state;
    lane->since_ms = now;
    lane->condemned = false;
    lane->draining_ms = 0;
    if (state == LANE_OFF && s->current == lane)
        s->current = NULL;
    else if (state != LANE_OFF)
        s->current = lane;
    s->effects->changed(s->arg);
}

// --- Tickets

static void take_out(struct ticket *ticket) {
    struct lane *lane = ticket->lane;
    if (ticket->admitted) {
        TAILQ_REMOVE(&lane->running, ticket, link);
        lane->running_count--;
        lane->heavy -= !ticket->light;
        lane->answering -= ticket->answering;
    } else {
        TAILQ_REMOVE(&lane->waiting, ticket, link);
        lane->waiting_count--;
        lane->scheduler->waiting--;
    }
    ticket->lane = NULL;
}

// Nothing is decided before all of them are out: else a caller that reacts to its refusal could
// have the lane started for those that are refused next. The caller steps afterwards.
static void refuse_waiting(struct lane *lane, const struct err *why, int64_t retry_ms) {
    struct scheduler *s = lane->scheduler;
    struct ticket *ticket;
    bool stepping = s->stepping;
    s->stepping = true;
    while ((ticket = TAILQ_FIRST(&lane->waiting))) {
        take_out(ticket);
        s->effects->refuse(ticket, why, retry_ms, s->arg);
    }
    s->stepping = stepping;
}

static void say_retired(const struct lane *lane, struct err *why) {
    err_set(why, ERR_NOTFOUND, "preset %s was taken out of the config", lane->name);
}

static uint64_t last_turn(const struct scheduler *s, uint64_t client) {
    for (size_t i = 0; i < MAX_TURNS; i++)
        if (s->turns[i].client == client)
            return s->turns[i].turn;
    return 0;
}

// Forgets the client whose turn is longest ago when there are too many.
static void note_turn(struct scheduler *s, uint64_t client) {
    size_t place = 0;
    for (size_t i = 0; i < MAX_TURNS; i++) {
        if (s->turns[i].client == client) {
            place = i;
            break;
        }
        if (s->turns[i].turn < s->turns[place].turn)
            place = i;
    }
    s->turns[place].client = client;
    s->turns[place].turn = ++s->turn;
}

static void admit(struct ticket *ticket) {
    struct lane *lane = ticket->lane;
    if (lane->slots || lane->limit)
        note_turn(lane->scheduler, ticket->client);
    TAILQ_REMOVE(&lane->waiting, ticket, link);
    lane->waiting_count--;
    lane->scheduler->waiting--;
    TAILQ_INSERT_TAIL(&lane->running, ticket, link);
    lane->running_count++;
    lane->heavy += !ticket->light;
    ticket->admitted = true;
    lane->scheduler->effects->admit(ticket, lane->scheduler->arg);
}

void scheduler_enqueue(struct lane *lane, struct ticket *ticket, int64_t now) {
    struct scheduler *s = lane->scheduler;
    struct err why;
    if (s->closed) {
        err_set(&why, ERR_BUSY, "the server is shutting down");
        s->effects->refuse(ticket, &why, 0, s->arg);
        return;
    }
    if (s->waiting >= s->rules.max_queue) {
        err_set(&why, ERR_BUSY, "%u requests are waiting already", s->waiting);
        s->effects->refuse(ticket, &why, 1000, s->arg);
        return;
    }
    if (lane->retired) {
        say_retired(lane, &why);
        s->effects->refuse(ticket, &why, 0, s->arg);
        return;
    }
    if (lane_breaker_ms(lane, now)) {
        why = lane->error;
        err_context(&why, "preset %s failed %u times in a row", lane->name, lane->failures);
        s->effects->refuse(ticket, &why, lane_breaker_ms(lane, now), s->arg);
        return;
    }
    ticket->lane = lane;
    ticket->since_ms = now;
    ticket->admitted = ticket->answering = false;
    TAILQ_INSERT_TAIL(&lane->waiting, ticket, link);
    lane->waiting_count++;
    s->waiting++;
    if (s->current && s->current->state == LANE_LOADING)
        s->off = false; // it may as well go on
    step(s, now);
}

void scheduler_answering(struct ticket *ticket, int64_t now) {
    struct lane *lane = ticket->lane;
    if (!lane || !ticket->admitted || ticket->answering || ticket->light)
        return;
    ticket->answering = true;
    lane->answering++;
    if (lane->waiting_count)
        step(lane->scheduler, now);
}

void scheduler_leave(struct ticket *ticket, int64_t now) {
    struct lane *lane = ticket->lane;
    if (!lane)
        return;
    take_out(ticket);
    if (lane->running_count == 0)
        lane->idle_since_ms = now;
    step(lane->scheduler, now);
}

void lane_set_error(struct lane *lane, const struct err *why) { lane->error = *why; }
void lane_succeeded(struct lane *lane) { lane->failures = lane->failed_loads = 0; }

// --- Choosing

// Would another heavy ticket only wait inside the engine, whose own queue is not fair? What the
// preset says is final. What the engine says is not: while all that it has are being answered, it
// may be able to answer one more.
static bool is_full(const struct lane *lane) {
    if (lane->limit)
        return lane->heavy >= lane->limit;
    return lane->slots && lane->heavy >= lane->slots && lane->answering < lane->heavy;
}

static unsigned running_of(const struct lane *lane, uint64_t client) {
    unsigned count = 0;
    const struct ticket *ticket;
    TAILQ_FOREACH (ticket, &lane->running, link)
        count += ticket->client == client && !ticket->light;
    return count;
}

// The oldest ticket of the client that has the least running; among equals, of the one whose last
// turn is longest ago. Light ones go ahead.
static struct ticket *pick(struct lane *lane) {
    struct ticket *best = NULL, *ticket;
    unsigned best_running = 0;
    uint64_t best_turn = 0;
    bool full = is_full(lane);
    if (!full && !lane->slots && !lane->limit)
        return TAILQ_FIRST(&lane->waiting); // nobody is held back: plain FIFO
    TAILQ_FOREACH (ticket, &lane->waiting, link) {
        if (ticket->light)
            return ticket;
        if (full)
            continue;
        if (best && ticket->client == best->client)
            continue;
        unsigned running = running_of(lane, ticket->client);
        uint64_t turn = last_turn(lane->scheduler, ticket->client);
        if (!best || running < best_running || (running == best_running && turn < best_turn)) {
            best = ticket;
            best_running = running;
            best_turn = turn;
        }
    }
    return best;
}

// The other lane that has waited longest, or NULL. One that just made room comes last, even when
// its oldest ticket is older (it had no slot for it): else it would be loaded again at once.
static struct lane *rival(const struct scheduler *s) {
    struct lane *best = NULL, *lane;
    TAILQ_FOREACH (lane, &s->lanes, link) {
        struct ticket *first = TAILQ_FIRST(&lane->waiting);
        if (lane == s->current || !first || (lane == s->previous && best))
            continue;
        if (!best || best == s->previous || first->since_ms < TAILQ_FIRST(&best->waiting)->since_ms)
            best = lane;
    }
    return best;
}

struct lane *scheduler_target(const struct scheduler *s) {
    struct lane *other = rival(s), *lane;
    if (s->demand)
        return s->demand;
    if (s->current && s->current->state != LANE_STOPPING)
        return s->current;
    if (other)
        return other;
    TAILQ_FOREACH (lane, &s->lanes, link)
        if (lane->revive || lane->stale)
            return lane;
    return NULL;
}

// From when on the loaded lane must make room for the rival.
static int64_t hold_ends(const struct scheduler *s, const struct lane *other) {
    int64_t asked = TAILQ_FIRST(&other->waiting)->since_ms;
    int64_t from = asked > s->current->since_ms ? asked : s->current->since_ms;
    return from + s->rules.max_hold_ms;
}

static void begin_stop(struct scheduler *s, int64_t now) {
    struct lane *lane = s->current;
    set_state(lane, LANE_STOPPING, now);
    s->effects->stop(lane, s->arg);
}

static void begin_start(struct scheduler *s, struct lane *lane, int64_t now) {
    struct lane *each;
    TAILQ_FOREACH (each, &s->lanes, link) // one is up at a time: older wishes are void
        each->revive = each->stale = false;
    s->off = false; // it has been: this is something new
    lane->slots = 0;
    set_state(lane, LANE_LOADING, now);
    s->effects->start(lane, s->arg);
}

// No more tickets for the loaded lane: it has to go.
static bool is_closed(const struct scheduler *s, const struct lane *other, int64_t now) {
    const struct lane *lane = s->current;
    return s->off || lane->stale || lane->retired || (s->demand && s->demand != lane) ||
           (other && now >= hold_ends(s, other));
}

// The loaded lane is closed and still busy: it may take its time, up to drain_ms if that is set.
static void drain(struct scheduler *s, bool closed, int64_t now) {
    struct lane *lane = s->current;
    if (!closed)
        lane->draining_ms = 0;
    else if (!lane->draining_ms)
        lane->draining_ms = now;
    else if (s->rules.drain_ms && now - lane->draining_ms >= s->rules.drain_ms)
        s->effects->cut(lane, s->arg);
}

static void step_ready(struct scheduler *s, int64_t now) {
    struct lane *lane = s->current, *other = rival(s);
    if (lane->condemned)
        return; // its end is under way
    bool closed = is_closed(s, other, now);
    struct ticket *ticket = closed ? NULL : pick(lane);
    if (ticket) {
        admit(ticket); // after which everything may be different
        s->again = true;
        return;
    }
    if (lane->running_count > 0) {
        drain(s, closed, now);
        return;
    }
    bool idle = lane->idle_off_ms > 0 && !lane->waiting_count &&
                now - lane->idle_since_ms >= lane->idle_off_ms;
    if (closed || (other && !lane->waiting_count) || idle) {
        bool comes_back = (other || s->demand) && !lane->stale && !lane->retired;
        s->previous = comes_back ? lane : NULL;
        begin_stop(s, now);
    }
}

static struct lane *due_revival(const struct scheduler *s, int64_t now) {
    struct lane *lane;
    TAILQ_FOREACH (lane, &s->lanes, link)
        if ((lane->revive && lane->not_before_ms <= now) || lane->stale)
            return lane;
    return NULL;
}

static void step_once(struct scheduler *s, int64_t now) {
    struct lane *lane = s->current;
    if (!lane) {
        struct lane *next = s->demand ? s->demand : rival(s);
        if (!next && !s->off)
            next = due_revival(s, now);
        if (next && (s->closed || s->holds))
            return;
        if (next)
            begin_start(s, next, now);
        else
            s->previous = NULL; // it made room for somebody who has left
    } else if (lane->state == LANE_READY) {
        step_ready(s, now);
    } else if (lane->state == LANE_LOADING && !lane->waiting_count &&
               (s->off || lane->retired || (s->demand && s->demand != lane))) {
        begin_stop(s, now); // nobody wants it any more
    }
}

// Effects may call back (a refused admission leaves at once): such calls only ask for another turn.
static void step(struct scheduler *s, int64_t now) {
    s->again = true;
    if (s->stepping)
        return;
    s->stepping = true;
    while (s->again) {
        s->again = false;
        step_once(s, now);
    }
    s->stepping = false;
}

// --- Demands

void scheduler_demand(struct lane *lane, int64_t now) {
    struct scheduler *s = lane->scheduler;
    if (lane->retired || s->closed)
        return;
    s->off = false;
    lane->breaker_until_ms = 0; // the operator knows better
    s->demand = s->current == lane && lane->state == LANE_READY && !lane->stale ? NULL : lane;
    step(s, now);
}

void scheduler_off(struct scheduler *s, int64_t now) {
    struct err why;
    err_set(&why, ERR_BUSY, "switched off by the operator");
    s->off = true;
    s->demand = s->previous = NULL;
    struct lane *lane;
    TAILQ_FOREACH (lane, &s->lanes, link) {
        lane->revive = lane->stale = false;
        refuse_waiting(lane, &why, 0);
    }
    step(s, now);
}

void scheduler_close(struct scheduler *s, int64_t now) {
    s->closed = true;
    scheduler_off(s, now);
}

bool scheduler_is_off(const struct scheduler *s) { return s->off; }

void scheduler_hold(struct scheduler *s) { s->holds++; }

void scheduler_release(struct scheduler *s, int64_t now) {
    assert(s->holds > 0);
    s->holds--;
    step(s, now);
}

void scheduler_condemn(struct lane *lane) { lane->condemned = lane->state == LANE_READY; }

void scheduler_requeue(struct ticket *ticket) {
    struct lane *lane = ticket->lane;
    assert(ticket->admitted);
    take_out(ticket);
    ticket->lane = lane;
    ticket->admitted = ticket->answering = false;
    struct ticket *other; // by arrival again: several may come back
    TAILQ_FOREACH (other, &lane->waiting, link)
        if (other->since_ms > ticket->since_ms)
            break;
    if (other)
        TAILQ_INSERT_BEFORE(other, ticket, link);
    else
        TAILQ_INSERT_TAIL(&lane->waiting, ticket, link);
    lane->waiting_count++;
    lane->scheduler->waiting++;
}

void scheduler_restart(struct lane *lane, int64_t now) {
    if (lane->state == LANE_LOADING || lane->state == LANE_READY) {
        lane->stale = true;
        step(lane->scheduler, now);
    }
}

void scheduler_retire(struct lane *lane, int64_t now) {
    struct err why;
    say_retired(lane, &why);
    lane->retired = true;
    lane->revive = lane->stale = false;
    if (lane->scheduler->previous == lane)
        lane->scheduler->previous = NULL;
    if (lane->scheduler->demand == lane)
        lane->scheduler->demand = NULL;
    refuse_waiting(lane, &why, 0);
    step(lane->scheduler, now);
}

// --- What became of an effect

void scheduler_ready(struct lane *lane, unsigned slots, int64_t now) {
    struct scheduler *s = lane->scheduler;
    assert(lane->state == LANE_LOADING);
    lane->slots = slots;
    lane->idle_since_ms = now;
    lane->error = (struct err){.code = ERR_NONE};
    lane->breaker_until_ms = 0;
    lane->failures -= lane->failed_loads; // loads fail no longer in a row; deaths may
    lane->failed_loads = 0;
    if (s->demand == lane)
        s->demand = NULL;
    s->previous = NULL;
    set_state(lane, LANE_READY, now);
    step(s, now);
}

// Counts a failure; true when it opened the breaker.
static bool count_failure(struct lane *lane, const struct err *why, int64_t now) {
    const struct scheduler_rules *rules = &lane->scheduler->rules;
    lane->error = *why;
    lane->failures++;
    unsigned doublings = lane->failures > 7 ? 6 : lane->failures - 1;
    lane->not_before_ms = lane->failures == 1 ? now : now + (rules->backoff_ms << (doublings - 1));
    if (lane->failures < rules->breaker_after)
        return false;
    unsigned beyond = lane->failures - rules->breaker_after;
    lane->breaker_until_ms = now + (rules->breaker_ms << (beyond > 4 ? 4 : beyond));
    return true;
}

void scheduler_failed(struct lane *lane, const struct err *why, int64_t now) {
    struct scheduler *s = lane->scheduler;
    count_failure(lane, why, now);
    lane->failed_loads++;
    if (s->demand == lane)
        s->demand = NULL;
    set_state(lane, LANE_OFF, now);
    if (s->previous && s->previous != lane && !s->demand)
        s->previous->revive = true;
    s->previous = NULL;
    refuse_waiting(lane, why, lane_breaker_ms(lane, now));
    step(s, now);
}

void scheduler_died(struct lane *lane, const struct err *why, int64_t now) {
    struct scheduler *s = lane->scheduler;
    if (now - lane->since_ms >= s->rules.forgive_ms)
        lane->failures = 0;
    bool broken = count_failure(lane, why, now);
    lane->revive = !broken && !s->off && !lane->retired;
    set_state(lane, LANE_OFF, now);
    if (broken)
        refuse_waiting(lane, why, lane_breaker_ms(lane, now));
    step(s, now);
}

void scheduler_stopped(struct lane *lane, int64_t now) {
    struct scheduler *s = lane->scheduler;
    set_state(lane, LANE_OFF, now);
    step(s, now);
}

// --- Time

static void sooner(int64_t *due, int64_t when) {
    if (*due < 0 || when < *due)
        *due = when;
}

int64_t scheduler_tick(struct scheduler *s, int64_t now) {
    step(s, now);
    int64_t due = -1;
    struct lane *lane = s->current, *other = rival(s);
    if (lane && lane->state == LANE_READY && !lane->condemned) {
        if (lane->failures && now - lane->since_ms >= s->rules.forgive_ms)
            lane->failures = 0;
        if (lane->failures)
            sooner(&due, lane->since_ms + s->rules.forgive_ms);
        if (other && now < hold_ends(s, other))
            sooner(&due, hold_ends(s, other));
        if (lane->draining_ms && s->rules.drain_ms)
            sooner(&due, lane->draining_ms + s->rules.drain_ms);
        if (lane->idle_off_ms > 0 && !lane->running_count && !lane->waiting_count)
            sooner(&due, lane->idle_since_ms + lane->idle_off_ms);
    }
    if (!lane && !s->holds)
        TAILQ_FOREACH (lane, &s->lanes, link)
            if (lane->revive)
                sooner(&due, lane->not_before_ms);
    return due;
}
