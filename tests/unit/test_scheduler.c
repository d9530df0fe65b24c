// The scheduler driven bare: a clock moved by hand, effects that only write down what was decided.
// A case is a script of events and the decisions it must lead to.
//
// Events                                   Decisions
//   +a1  request 1 for preset a               ^a   start the engine of a
//   +a1:7  the same from client 7             _a   stop it
//   +a1~   the same, takes no slot            a1   admit
//   -a1  it leaves     !a1  its first byte    a1x  refuse
//   Ra   engine ready (Ra2: serves 2)         La2  the preset allows 2 at the engine
//   Fa   start failed    Da  died    Sa  stopped    Oa  a whole answer came
//   *a   lmswitch a      off   switch off    Ua  config of a changed    Xa  a taken out of it
//   close, hold, release as the functions
//   >500 time passes                         /a   cut what runs on a
//   Ca  the engine of a is being killed    Qa1  it did nothing for request 1
//   =F start fails at once  =R is ready at once  =S stops at once  =L an admitted request leaves
//   at once  =D the engine dies at an admission  =M as a request is refused, all others leave
//   =-  none of these
#include "scheduler.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LANES = 3, TICKETS = 10 };

static const struct scheduler_rules rules = {
    .max_hold_ms = 1000,
    .max_queue = 6,
    .breaker_after = 3,
    .breaker_ms = 5000,
    .backoff_ms = 100,
    .forgive_ms = 10000,
};

struct world {
    struct scheduler *scheduler;
    struct lane *lanes[LANES];
    struct ticket tickets[LANES * TICKETS]; // lane by lane
    int64_t now;
    struct buf log;
    char mode;
    int64_t retry_ms; // of the last refusal
};

static const struct err broken = {ERR_SYSTEM, "it broke"};

static void note(struct world *world, const char *format, const struct ticket *ticket) {
    char lane = (char)('a' + (ticket - world->tickets) / TICKETS);
    buf_printf(&world->log, format, lane, (int)((ticket - world->tickets) % TICKETS));
}

static void on_start(struct lane *lane, void *arg) {
    struct world *world = arg;
    buf_printf(&world->log, "^%s ", lane_name(lane));
    assert_int_equal(lane_state(lane), LANE_LOADING);
    if (world->mode == 'F')
        scheduler_failed(lane, &broken, world->now);
    else if (world->mode == 'R')
        scheduler_ready(lane, 0, world->now);
}

static void on_stop(struct lane *lane, void *arg) {
    struct world *world = arg;
    buf_printf(&world->log, "_%s ", lane_name(lane));
    assert_int_equal(lane_state(lane), LANE_STOPPING);
    if (world->mode == 'S')
        scheduler_stopped(lane, world->now);
}

static void on_admit(struct ticket *ticket, void *arg) {
    struct world *world = arg;
    note(world, "%c%d ", ticket);
    assert_int_equal(lane_state(ticket->lane), LANE_READY);
    if (world->mode == 'L')
        scheduler_leave(ticket, world->now);
    else if (world->mode == 'D')
        scheduler_died(ticket->lane, &broken, world->now);
}

static void on_refuse(struct ticket *ticket, const struct err *why, int64_t retry_ms, void *arg) {
    struct world *world = arg;
    note(world, "%c%dx ", ticket);
    assert_null(ticket->lane);
    assert_true(why->code != ERR_NONE && why->text[0]);
    world->retry_ms = retry_ms;
    scheduler_leave(ticket, world->now); // out already: nothing happens
    for (int i = 0; world->mode == 'M' && i < LANES * TICKETS; i++)
        scheduler_leave(&world->tickets[i], world->now);
}

static void on_changed(void *arg) {}

static void on_cut(struct lane *lane, void *arg) {
    struct world *world = arg;
    buf_printf(&world->log, "/%s ", lane_name(lane));
    for (int i = 0; i < LANES * TICKETS; i++)
        if (world->tickets[i].lane == lane && world->tickets[i].admitted)
            scheduler_leave(&world->tickets[i], world->now);
}

static const struct scheduler_effects effects = {on_start,  on_stop,    on_admit,
                                                 on_refuse, on_changed, on_cut};

static void world_init(struct world *world, int64_t idle_off_ms) {
    memset(world, 0, sizeof *world);
    world->now = 100000;
    buf_init(&world->log, 1 << 16);
    world->scheduler = scheduler_create("group", &rules, &effects, world);
    for (int i = 0; i < LANES; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        world->lanes[i] = lane_create(world->scheduler, name, world);
        lane_set_idle_off(world->lanes[i], idle_off_ms);
    }
}

static void world_fini(struct world *world) {
    world->mode = '\0';
    for (int i = 0; i < LANES * TICKETS; i++)
        scheduler_leave(&world->tickets[i], world->now);
    scheduler_off(world->scheduler, world->now);
    struct lane *lane = scheduler_current(world->scheduler);
    if (lane)
        scheduler_stopped(lane, world->now);
    assert_null(scheduler_current(world->scheduler));
    scheduler_destroy(world->scheduler);
    buf_fini(&world->log);
}

// Time passes from deadline to deadline, as the loop would have it.
static void pass(struct world *world, int64_t ms) {
    int64_t end = world->now + ms, due;
    while ((due = scheduler_tick(world->scheduler, world->now)) >= 0 && due <= end) {
        assert_true(due > world->now); // or the loop would spin
        world->now = due;
    }
    world->now = end;
    scheduler_tick(world->scheduler, end);
}

static void enqueue(struct world *world, const char *word) {
    struct ticket *ticket = &world->tickets[(word[0] - 'a') * TICKETS + word[1] - '0'];
    assert_null(ticket->lane);
    *ticket = (struct ticket){.light = word[2] == '~'};
    ticket->client = word[2] == ':' ? (uint64_t)(word[3] - '0') : 100 + (uint64_t)(word[1] - '0');
    scheduler_enqueue(world->lanes[word[0] - 'a'], ticket, world->now);
}

static void play(struct world *world, const char *word) {
    struct lane *lane =
        word[1] >= 'a' && word[1] < 'a' + LANES ? world->lanes[word[1] - 'a'] : NULL;
    struct ticket *ticket = lane && word[2] >= '0' && word[2] <= '9'
                                ? &world->tickets[(word[1] - 'a') * TICKETS + word[2] - '0']
                                : NULL;
    int64_t now = world->now;
    switch (word[0]) {
    case '+': enqueue(world, word + 1); break;
    case '-': scheduler_leave(ticket, now); break;
    case '!': scheduler_answering(ticket, now); break;
    case 'R': scheduler_ready(lane, word[2] > ' ' ? (unsigned)(word[2] - '0') : 0, now); break;
    case 'F': scheduler_failed(lane, &broken, now); break;
    case 'D': scheduler_died(lane, &broken, now); break;
    case 'S': scheduler_stopped(lane, now); break;
    case 'L': lane_set_limit(lane, (unsigned)(word[2] - '0')); break;
    case 'C': scheduler_condemn(lane); break;
    case 'Q': scheduler_requeue(ticket); break;
    case 'O': lane_succeeded(lane); break;
    case '*': scheduler_demand(lane, now); break;
    case 'o': scheduler_off(world->scheduler, now); break;
    case 'c': scheduler_close(world->scheduler, now); break;
    case 'h': scheduler_hold(world->scheduler); break;
    case 'r': scheduler_release(world->scheduler, now); break;
    case 'U': scheduler_restart(lane, now); break;
    case 'X': scheduler_retire(lane, now); break;
    case '>': pass(world, strtol(word + 1, NULL, 10)); break;
    case '=': world->mode = word[1] == '-' ? '\0' : word[1]; break;
    default: fail_msg("what is %s?", word);
    }
}

static void check_counts(const struct world *world) {
    unsigned up = 0, waiting_all = 0;
    for (int i = 0; i < LANES; i++) {
        unsigned waiting = 0, running = 0;
        for (int k = 0; k < TICKETS; k++) {
            waiting +=
                world->tickets[i * TICKETS + k].lane && !world->tickets[i * TICKETS + k].admitted;
            running +=
                world->tickets[i * TICKETS + k].lane && world->tickets[i * TICKETS + k].admitted;
        }
        assert_int_equal(lane_waiting(world->lanes[i]), waiting);
        assert_int_equal(lane_running(world->lanes[i]), running);
        waiting_all += waiting;
        up += lane_state(world->lanes[i]) != LANE_OFF;
        assert_true(lane_state(world->lanes[i]) == LANE_OFF ||
                    scheduler_current(world->scheduler) == world->lanes[i]);
    }
    assert_int_equal(scheduler_waiting(world->scheduler), waiting_all);
    assert_true(up <= 1);
    assert_int_equal(up, scheduler_current(world->scheduler) != NULL);
}

static const struct {
    const char *what, *script, *decisions;
    int64_t idle_off_ms, drain_ms;
} cases[] = {
    {"a request loads its preset", "+a1 Ra", "^a a1"},
    {"joiners share one start", "+a1 +a2 +a3 Ra +a4", "^a a1 a2 a3 a4"},
    {"a waiter may leave while loading", "+a1 +a2 -a1 Ra", "^a a2"},
    {"the last waiter leaves: the start goes on", "+a1 -a1 Ra +a2", "^a a2"},

    // Order of two presets
    {"the loaded preset's requests go first", "+a0 Ra +a1 +b1 +a2 +b2 -a0 -a1 -a2 Sa Rb",
     "^a a0 a1 a2 _a ^b b1 b2"},
    {"an idle preset gives way at once", "+a1 Ra -a1 +b1 Sa Rb", "^a a1 _a ^b b1"},
    {"the rival that waited longest is next", "+a1 Ra +c1 >10 +b1 -a1 Sa Rc -c1 Sc Rb",
     "^a a1 _a ^c c1 _c ^b b1"},
    {"the rival leaves: nothing is stopped", "+a1 Ra +b1 -b1 -a1 >5000", "^a a1"},
    {"the rival leaves while the other stops: nobody wants anything", "+a1 Ra +b1 -a1 -b1 Sa >5000",
     "^a a1 _a"},
    {"a new request for the one being stopped", "+a1 Ra +b1 -a1 +a2 Sa Rb -b1 Sb Ra",
     "^a a1 _a ^b b1 _b ^a a2"},

    // max-hold
    {"steady load is held up to max-hold", "+a1 Ra +b1 >999 +a2 >1 +a3 -a1 -a2 Sa Rb -b1 Sb Ra",
     "^a a1 a2 _a ^b b1 _b ^a a3"},
    {"running requests are drained, never cut", "+a1 Ra +b1 >5000 -a1", "^a a1 _a"},
    {"the newly loaded preset has its own hold",
     "+a1 Ra +b1 >1000 +a2 -a1 Sa >500 Rb >999 +b2 >1 +b3 -b1 -b2 Sb Ra",
     "^a a1 _a ^b b1 b2 _b ^a a2"},
    {"a hold begins when loading has ended", "+a1 +b1 >1500 Ra >999 +a2 >1 +a3", "^a a1 a2"},
    {"the rival gives up in the drain: admission opens again", "+a1 Ra +b1 >1000 +a2 -b1 -a1",
     "^a a1 a2"},
    {"who is drained for a rival does not come back before it",
     "+a1 Ra1 +a2 +a3 >1 +b1 >1000 -a1 Sa Rb", "^a a1 _a ^b b1"},
    {"whichever is first in the file", "+b1 Rb1 +b2 +b3 >1 +a1 >1000 -b1 Sb Ra", "^b b1 _b ^a a1"},
    {"the same with three", "+a1 Ra1 +a2 +a3 >1 +b1 +c1 >1000 -a1 Sa Rb -b1 Sb",
     "^a a1 _a ^b b1 _b ^a"},

    // Failures
    {"a failed start refuses its requests", "+a1 +a2 Fa +a3", "^a a1x a2x ^a"},
    {"and brings the previous preset back", "+a1 Ra -a1 +b1 Sa Fb Ra +a2", "^a a1 _a ^b b1x ^a a2"},
    {"but serves who waits first", "+a1 Ra -a1 +b1 +c1 Sa Fb Rc", "^a a1 _a ^b b1x ^c c1"},
    {"a failed first start leaves nothing", "+a1 Fa >9000", "^a a1x"},
    {"a previous that gave way to nobody is forgotten", "+a1 Ra +b1 -a1 -b1 Sa +c1 Fc >9000",
     "^a a1 _a ^c c1x"},
    {"dead: started again at once, its requests wait", "+a1 Ra Da -a1 +a2 Ra", "^a a1 ^a a2"},
    {"dead twice: later", "*a Ra Da Ra Da >99 >1 Ra", "^a ^a ^a"},
    {"a request does not wait for the backoff", "*a Ra Da Ra Da +a1 Ra", "^a ^a ^a a1"},
    {"too many in a row: the breaker opens", "*a Ra Da Ra Da +a1 Ra Da -a1 >4999 +a2 >1 +a3 Ra",
     "^a ^a ^a a1 a2x ^a a3"},
    {"the breaker refuses who waited", "*a Ra1 Da Ra1 Da +a1 +a2 +a3 Ra1 -a1 -a2 Da -a3",
     "^a ^a ^a a1 a2 a3"},
    {"half open: one more failure and it is shut for twice as long",
     "+a1 Fa +a1 Fa +a1 Fa >5000 +a2 Fa >9999 +a3 >1 +a4", "^a a1x ^a a1x ^a a1x ^a a2x a3x ^a"},
    {"a load ends the row of failed loads", "+a1 Fa +a1 Fa *a Ra o Sa +a1 Fa +a1",
     "^a a1x ^a a1x ^a _a ^a a1x ^a"},
    {"but not that of deaths", "*a Ra Da Fa *a Ra Da +a1 Ra Da -a1 +a2", "^a ^a ^a ^a a1 a2x"},
    {"a whole answer forgives", "*a Ra Da Ra Da +a1 Ra Oa -a1 Da Ra", "^a ^a ^a a1 ^a"},
    {"a long life forgives", "*a Ra Da Ra Da >100 Ra >10000 Da Ra", "^a ^a ^a ^a"},
    {"the operator may try in spite of the breaker", "+a1 Fa +a1 Fa +a1 Fa *a Ra +a2",
     "^a a1x ^a a1x ^a a1x ^a a2"},
    {"and requests that come while it loads may wait", "+a1 Fa +a1 Fa +a1 Fa *a +a2 Ra",
     "^a a1x ^a a1x ^a a1x ^a a2"},
    {"dead while a rival waits: the rival", "+a1 Ra +b1 Da -a1 Rb", "^a a1 ^b b1"},
    {"dead and its requests are slow to leave", "+a1 Ra Da Ra -a1 +a2", "^a a1 ^a a2"},
    {"a dead preset is not revived over another", "+a1 Ra Da -a1 +b1 Ra -b1", "^a a1 ^a _a"},

    // Engines that are being killed
    {"condemned: nothing is admitted", "+a1 Ra Ca +a2 -a1 >9000 Da Ra", "^a a1 ^a a2"},
    {"condemned and idle: no hurry", "+a1 Ra Ca -a1 >9000 Da", "^a a1 ^a", 500},
    {"condemned with a rival waiting", "+a1 Ra +b1 Ca -a1 >9000 Da Rb", "^a a1 ^b b1"},
    {"condemned while off: means nothing", "Ca +a1 Ra", "^a a1"},
    {"what it had not begun waits again, in its old order",
     "+a1 >1 +a2 >1 +a3 Ra +b1 Ca >1 +a4 Qa1 Qa2 -a3 Da Ra", "^a a1 a2 a3 ^a a1 a2 a4"},

    // drain-timeout
    {"what drains is cut after its time", "+a1 +a2 Ra *b >299 >1 Sa", "^a a1 a2 /a _a ^b", 0, 300},
    {"what ends in time is not cut", "+a1 Ra *b >299 -a1 Sa", "^a a1 _a ^b", 0, 300},
    {"the time begins when admission ends", "+a1 Ra +b1 >1000 >299 >1 Sa Rb", "^a a1 /a _a ^b b1",
     0, 300},
    {"a drain that was called off begins anew", "+a1 Ra +b1 >1200 -b1 >50 +c1 >299 >701 >299 >1",
     "^a a1 /a _a", 0, 300},

    // Idle
    {"idle-off", "+a1 Ra >9000 -a1 >499 >1 Sa >9000 +a2", "^a a1 _a ^a", 500},
    {"idle-off counts from the last request", "+a1 Ra -a1 >400 +a2 -a2 >499 >1", "^a a1 a2 _a",
     500},
    {"idle-off counts from ready when nobody came", "*a Ra >499 >1", "^a _a", 500},

    // The operator
    {"lmswitch while off", "*a Ra", "^a"},
    {"lmswitch to what is loaded", "*a Ra *a >9000 +a1", "^a a1"},
    {"lmswitch while another runs: drained first", "+a1 Ra *b +a2 +b1 >9000 -a1 Sa Rb -b1 Sb Ra",
     "^a a1 _a ^b b1 _b ^a a2"},
    {"lmswitch while it is loading", "+a1 *a Ra", "^a a1"},
    {"lmswitch while another is loading for nobody", "*a *b Sa Rb", "^a _a ^b"},
    {"lmswitch while another is loading for somebody", "+a1 *b Ra Sa Rb", "^a _a ^b _b"},
    {"lmswitch that fails brings the old one back", "*a Ra *b Sa Fb Ra +a1", "^a _a ^b ^a a1"},
    {"the last lmswitch counts", "*a Ra *b *c Sa Rc", "^a _a ^c"},
    {"back again while stopping", "*a Ra *b *a Sa Ra", "^a _a ^a"},
    {"lmswitch to what died with a backoff", "*a Ra Da Ra Da *a Ra", "^a ^a ^a"},
    {"off refuses who waits, drains who runs", "+a1 Ra +b1 off -a1 Sa >9000", "^a a1 b1x _a"},
    {"off while loading", "+a1 off Sa >9000", "^a a1x _a"},
    {"off while stopping", "+a1 Ra -a1 +b1 off Sa", "^a a1 _a b1x"},
    {"off while off", "off +a1 Ra", "^a a1"},
    {"off ends a revival", "*a Ra Da Ra Da off >9000", "^a ^a"},
    {"dead after off stays off", "+a1 Ra off Da -a1 >9000", "^a a1"},
    {"a request after off, in the drain, loads again", "+a1 Ra off +a2 -a1 Sa Ra",
     "^a a1 _a ^a a2"},
    {"off under steady load", "+a1 Ra1 +a2 off +a3 -a1 +a4 Sa Ra1", "^a a1 a2x _a ^a a3"},
    {"lmswitch in the drain overrules off", "+a1 Ra off +a2 *a", "^a a1 a2"},
    {"off, then dead in the drain, with one waiting", "+a1 Ra off +a2 Da -a1 Ra", "^a a1 ^a a2"},

    // The server's end
    {"closed: nothing is taken or started any more", "+a1 Ra close +a2 +b1 *b -a1 Sa +a3 *a >9000",
     "^a a1 a2x b1x _a a3x"},
    {"closed while the engine dies", "+a1 Ra close Da -a1 +a2 *a >9000", "^a a1 a2x"},
    {"closed while loading", "+a1 close +a2 Sa >9000", "^a a1x _a a2x"},

    // An engine elsewhere counts as one of the group
    {"held: what comes waits", "hold +a1 >9000 release Ra", "^a a1"},
    {"held twice", "hold hold +a1 release >50 release", "^a"},
    {"held: what is loaded is used, and not changed for another",
     "+a1 Ra hold +a2 +b1 -a1 -a2 Sa >9000 release Rb", "^a a1 a2 _a ^b b1"},
    {"held: a demand waits too", "hold *a >9000 release", "^a"},
    {"held: a revival waits too", "*a Ra hold Da >9000 release", "^a ^a"},

    // Config changes
    {"changed: drained and started again", "+a1 Ra Ua +a2 -a1 Sa Ra", "^a a1 _a ^a a2"},
    {"changed with nobody there", "*a Ra Ua Sa Ra", "^a _a ^a"},
    {"changed while loading", "+a1 Ua Ra Sa Ra", "^a _a ^a a1"},
    {"changed while off", "Ua >9000", ""},
    {"changed and dead", "*a Ra +a1 Ua Da -a1 Ra", "^a a1 ^a"},
    {"changed while loading, and that fails: tried once more", "+a1 Ua Fa Fa >9000", "^a a1x ^a"},
    {"taken out while running", "+a1 Ra Xa -a1 Sa >9000", "^a a1 _a"},
    {"taken out while loading", "+a1 Xa Sa >9000", "^a a1x _a"},
    {"taken out while others use it", "+a1 Ra1 +a2 +a3 Xa +b1 -a1 Sa Rb", "^a a1 a2x a3x _a ^b b1"},
    {"taken out: takes nothing new", "+a1 Ra Xa +a2 *a -a1 Sa +a3 *a >9000", "^a a1 a2x _a a3x"},
    {"taken out while the next one loads: does not come back", "*a Ra *b Sa Xa Fb >9000",
     "^a _a ^b"},

    // Leaving in every state
    {"leave twice", "+a1 Ra -a1 -a1", "^a a1"},
    {"leave while stopping", "+a1 Ra -a1 +b1 +a2 -a2 Sa Rb", "^a a1 _a ^b b1"},
    {"leave after refusal", "+a1 Fa -a1", "^a a1x"},

    // Capacity
    {"as many as the engine serves", "+a1 +a2 +a3 +a4 Ra2 -a2", "^a a1 a2 a3"},
    {"a slot that gets free goes to the next", "+a1 +a2 +a3 +a4 Ra1 -a1 -a2", "^a a1 a2 a3"},
    {"unknown slots: all", "+a1 +a2 +a3 +a4 +a5 Ra", "^a a1 a2 a3 a4 a5"},
    {"light ones pass", "+a1 +a2 +a3 Ra1 +a4~", "^a a1 a4"},
    {"light ones take no place", "+a1~ +a2~ +a3~ +a4 Ra1 +a5", "^a a1 a2 a3 a4"},
    {"who has least running goes first", "+a1:1 +a2:1 +a3:1 +a4:2 Ra2 -a4 -a1", "^a a1 a4 a2 a3"},
    {"equal shares: by age", "+a1:1 +a2:2 +a3:1 +a4:2 Ra1 -a1 -a2", "^a a1 a2 a3"},
    {"an engine that answers all it has may be able to answer one more",
     "+a1 +a2 +a3 +a4 +a5 Ra1 !a1 !a2", "^a a1 a2 a3"},
    {"a first byte counts once", "+a1 +a2 +a3 +a4 Ra2 !a1 !a1", "^a a1 a2"},
    {"a new engine has to show it again", "+a1 +a2 Ra1 !a1 !a2 Da -a1 -a2 +a3 +a4 +a5 Ra1",
     "^a a1 a2 ^a a3"},
    {"the preset's word is final", "La2 +a1 +a2 +a3 +a4 Ra !a1 !a2 -a1", "^a a1 a2 a3"},
    {"even above what the engine says", "La2 +a1 +a2 +a3 Ra1", "^a a1 a2"},
    {"the preset's word holds back no light ones", "La1 +a1 +a2 +a3~ Ra", "^a a3 a1"},

    // The bound
    {"the queue is bounded", "+a1 +a2 +a3 +b1 +b2 +b3 +b4 Ra +b5", "^a b4x a1 a2 a3"},

    // Effects that answer at once
    {"a start that fails at once", "=F +a1", "^a a1x"},
    {"and brings the previous one back", "+a1 Ra =F *b -a1 Sa", "^a a1 _a ^b ^a"},
    {"a start that is ready at once", "=R +a1 +a2", "^a a1 a2"},
    {"a stop that is done at once", "+a1 Ra =S -a1 +b1", "^a a1 _a ^b"},
    {"an admitted request that leaves at once", "+a1 +a2 +a3 =L Ra +a4", "^a a1 a2 a3 a4"},
    {"the same with one slot and a rival", "+a1 +a2 +a3 +b1 =L Ra1 Sa", "^a a1 a2 a3 _a ^b"},
    {"an engine that dies at an admission", "+a1 +a2 +a3 =D Ra =- Ra", "^a a1 ^a a2 a3"},
    {"the same with a rival", "+a1 +b1 =D Ra", "^a a1 ^b"},
    {"a refusal after which the others leave", "+a1 +a2 +b1 =M Fa =- >9000", "^a a1x"},
    {"off with such a refusal", "+a1 +a2 +b1 =M off =- Sa", "^a a1x _a"},
};

static void test_scripts(void **state) {
    unsigned wrong = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world world;
        struct scheduler_rules changed = rules;
        changed.drain_ms = cases[i].drain_ms;
        world_init(&world, cases[i].idle_off_ms);
        scheduler_set_rules(world.scheduler, &changed);
        char script[256], *rest = script;
        snprintf(script, sizeof script, "%s", cases[i].script);
        for (char *word; (word = strsep(&rest, " "));) {
            play(&world, word);
            check_counts(&world);
        }
        if (world.log.length)
            world.log.length--; // the last space
        if (strcmp(buf_text(&world.log), cases[i].decisions) != 0) {
            print_error("%s: %s\n  expected %s\n  got      %s\n", cases[i].what, cases[i].script,
                        cases[i].decisions, buf_text(&world.log));
            wrong++;
        }
        world_fini(&world);
    }
    assert_int_equal(wrong, 0);
}

// Where a switch is heading.
static void test_target(void **state) {
    struct world world;
    world_init(&world, 0);
    for (const char *const *word = (const char *const[]){"+a1", "+a2", "+b1", NULL}; *word; word++)
        play(&world, *word);
    play(&world, "Ra");
    assert_ptr_equal(scheduler_target(world.scheduler), world.lanes[0]);
    play(&world, "*c");
    assert_ptr_equal(scheduler_target(world.scheduler), world.lanes[2]);
    world_fini(&world);
}

static void test_retry_after(void **state) {
    struct world world;
    world_init(&world, 0);
    for (int i = 0; i < 3; i++) {
        play(&world, "+a1");
        play(&world, "Fa");
    }
    assert_int_equal(world.retry_ms, 5000);
    assert_int_equal(lane_failures(world.lanes[0]), 3);
    assert_int_equal(lane_breaker_ms(world.lanes[0], world.now), 5000);
    assert_string_equal(lane_error(world.lanes[0])->text, "it broke");
    play(&world, ">4000");
    play(&world, "+a1");
    assert_int_equal(world.retry_ms, 1000);
    play(&world, ">1000");
    assert_int_equal(lane_breaker_ms(world.lanes[0], world.now), 0);
    for (int i = 0; i < 20; i++) { // it doubles, but not for ever
        play(&world, "*a");
        play(&world, "Fa");
    }
    assert_int_equal(lane_breaker_ms(world.lanes[0], world.now), 16 * 5000);
    play(&world, "*a");
    play(&world, "Ra");
    assert_int_equal(lane_error(world.lanes[0])->code, ERR_NONE);
    assert_int_equal(lane_breaker_ms(world.lanes[0], world.now), 0);
    world_fini(&world);
}

// --- A random walk. The model knows only what it asked for and what it was told.

enum where { OUT, WAITING, RUNNING };

struct walk {
    struct scheduler *scheduler;
    struct lane *lanes[LANES];
    struct ticket tickets[64];
    enum where where[64];
    unsigned slots[LANES];
    bool alive[LANES], starting[LANES], stopping[LANES];
    int64_t now;
    uint32_t seed;
    bool calm; // effects no longer answer at once
    unsigned long admitted, refused, enqueued, left;
};

static unsigned roll(struct walk *walk, unsigned sides) {
    walk->seed ^= walk->seed << 13;
    walk->seed ^= walk->seed >> 17;
    walk->seed ^= walk->seed << 5;
    return walk->seed % sides;
}

static int index_of(const struct walk *walk, const struct lane *lane) {
    int i = 0;
    while (walk->lanes[i] != lane)
        i++;
    return i;
}

static void answer_start(struct walk *walk, int i) {
    walk->starting[i] = false;
    if (roll(walk, 4) == 0) {
        walk->alive[i] = false;
        scheduler_failed(walk->lanes[i], &broken, walk->now);
        return;
    }
    walk->slots[i] = roll(walk, 4);
    scheduler_ready(walk->lanes[i], walk->slots[i], walk->now);
}

static void answer_stop(struct walk *walk, int i) {
    walk->stopping[i] = walk->starting[i] = walk->alive[i] = false;
    scheduler_stopped(walk->lanes[i], walk->now);
}

static void walk_start(struct lane *lane, void *arg) {
    struct walk *walk = arg;
    int i = index_of(walk, lane);
    for (int k = 0; k < LANES; k++)
        assert_false(walk->alive[k]); // never two engines
    walk->alive[i] = walk->starting[i] = true;
    if (!walk->calm && roll(walk, 5) == 0)
        answer_start(walk, i);
}

static void walk_stop(struct lane *lane, void *arg) {
    struct walk *walk = arg;
    int i = index_of(walk, lane);
    assert_true(walk->alive[i] && !walk->stopping[i]);
    walk->stopping[i] = true;
    if (!walk->calm && roll(walk, 5) == 0)
        answer_stop(walk, i);
}

static void walk_leave(struct walk *walk, struct ticket *ticket) {
    size_t t = (size_t)(ticket - walk->tickets);
    walk->left += walk->where[t] != OUT;
    walk->where[t] = OUT;
    scheduler_leave(ticket, walk->now);
}

static void kill_engine(struct walk *walk, int i) {
    if (!walk->alive[i] || walk->starting[i] || walk->stopping[i])
        return;
    walk->alive[i] = false;
    scheduler_died(walk->lanes[i], &broken, walk->now);
}

static void walk_admit(struct ticket *ticket, void *arg) {
    struct walk *walk = arg;
    size_t t = (size_t)(ticket - walk->tickets);
    int i = index_of(walk, ticket->lane);
    assert_int_equal(walk->where[t], WAITING);
    assert_true(walk->alive[i] && !walk->starting[i] && !walk->stopping[i]);
    walk->where[t] = RUNNING;
    walk->admitted++;
    unsigned others = 0, answering = 0;
    for (size_t k = 0; k < 64; k++) {
        if (k == t || walk->where[k] != RUNNING || walk->tickets[k].lane != ticket->lane ||
            walk->tickets[k].light)
            continue;
        others++;
        answering += walk->tickets[k].answering;
    }
    assert_true(ticket->light || !walk->slots[i] || others < walk->slots[i] || answering == others);
    if (!walk->calm && roll(walk, 8) == 0)
        walk_leave(walk, ticket);
    else if (!walk->calm && roll(walk, 40) == 0)
        kill_engine(walk, i);
}

static void walk_refuse(struct ticket *ticket, const struct err *why, int64_t retry, void *arg) {
    struct walk *walk = arg;
    size_t t = (size_t)(ticket - walk->tickets);
    assert_int_equal(walk->where[t], WAITING);
    walk->where[t] = OUT;
    walk->refused++;
    if (!walk->calm && roll(walk, 4) == 0)
        walk_leave(walk, &walk->tickets[roll(walk, 64)]);
}

static const struct scheduler_effects walk_effects = {walk_start, walk_stop, walk_admit,
                                                      walk_refuse, on_changed};

static void walk_check(const struct walk *walk) {
    unsigned waiting_all = 0;
    for (int i = 0; i < LANES; i++) {
        unsigned waiting = 0, running = 0;
        for (size_t t = 0; t < 64; t++) {
            const struct ticket *ticket = &walk->tickets[t];
            assert_int_equal(ticket->lane != NULL, walk->where[t] != OUT);
            if (ticket->lane != walk->lanes[i])
                continue;
            waiting += walk->where[t] == WAITING;
            running += walk->where[t] == RUNNING;
        }
        waiting_all += waiting;
        assert_int_equal(lane_waiting(walk->lanes[i]), waiting);
        assert_int_equal(lane_running(walk->lanes[i]), running);
        enum lane_state expected = !walk->alive[i]     ? LANE_OFF
                                   : walk->stopping[i] ? LANE_STOPPING
                                   : walk->starting[i] ? LANE_LOADING
                                                       : LANE_READY;
        assert_int_equal(lane_state(walk->lanes[i]), expected);
    }
    assert_int_equal(scheduler_waiting(walk->scheduler), waiting_all);
    assert_true(waiting_all <= rules.max_queue);
}

static void walk_enqueue(struct walk *walk) {
    size_t t = roll(walk, 64);
    if (walk->where[t] != OUT)
        return;
    walk->tickets[t] = (struct ticket){.client = roll(walk, 4), .light = roll(walk, 6) == 0};
    walk->where[t] = WAITING;
    walk->enqueued++;
    scheduler_enqueue(walk->lanes[roll(walk, LANES)], &walk->tickets[t], walk->now);
}

static void walk_once(struct walk *walk) {
    int i = (int)roll(walk, LANES);
    unsigned dice = roll(walk, 1000);
    if (dice < 350)
        walk_enqueue(walk);
    else if (dice < 600)
        walk_leave(walk, &walk->tickets[roll(walk, 64)]);
    else if (dice < 700)
        scheduler_answering(&walk->tickets[roll(walk, 64)], walk->now);
    else if (dice < 850) {
        walk->now += roll(walk, 300);
        int64_t due = scheduler_tick(walk->scheduler, walk->now);
        assert_true(due == -1 || due > walk->now);
    } else if (dice < 960) {
        if (walk->stopping[i])
            answer_stop(walk, i);
        else if (walk->starting[i])
            answer_start(walk, i);
    } else if (dice < 970)
        kill_engine(walk, i);
    else if (dice < 980)
        lane_succeeded(walk->lanes[i]);
    else if (dice < 988)
        scheduler_demand(walk->lanes[i], walk->now);
    else if (dice < 994)
        scheduler_restart(walk->lanes[i], walk->now);
    else if (dice < 997)
        scheduler_off(walk->scheduler, walk->now);
    else
        lane_set_idle_off(walk->lanes[i], roll(walk, 3) * 200);
}

// No new requests; engines answer, requests end, time passes: every ticket must get its turn.
static void walk_settle(struct walk *walk) {
    walk->calm = true;
    for (int round = 0; round < 2000 && scheduler_waiting(walk->scheduler); round++) {
        for (int i = 0; i < LANES; i++) {
            if (walk->stopping[i])
                answer_stop(walk, i);
            else if (walk->starting[i])
                answer_start(walk, i);
        }
        for (size_t t = 0; t < 64; t++)
            if (walk->where[t] == RUNNING && roll(walk, 2))
                walk_leave(walk, &walk->tickets[t]);
        walk->now += 10;
        scheduler_tick(walk->scheduler, walk->now);
        walk_check(walk);
    }
    assert_int_equal(scheduler_waiting(walk->scheduler), 0);
    walk->calm = false;
}

static void test_random_walk(void **state) {
    for (uint32_t seed = 1; seed <= 4; seed++) {
        struct walk walk = {.seed = seed * 2654435761u, .now = 1000};
        walk.scheduler = scheduler_create("walk", &rules, &walk_effects, &walk);
        for (int i = 0; i < LANES; i++)
            walk.lanes[i] = lane_create(walk.scheduler, "lane", NULL);
        for (int step = 0; step < 50000; step++) {
            walk_once(&walk);
            walk_check(&walk);
            if (step % 500 == 499)
                walk_settle(&walk);
        }
        for (size_t t = 0; t < 64; t++)
            walk_leave(&walk, &walk.tickets[t]);
        walk.calm = true;
        scheduler_off(walk.scheduler, walk.now);
        for (int i = 0; i < LANES; i++)
            if (walk.alive[i])
                answer_stop(&walk, i);
        assert_true(walk.enqueued == walk.refused + walk.left); // each ended exactly once
        assert_true(walk.admitted > 1000 && walk.refused > 1000);
        scheduler_destroy(walk.scheduler);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_target),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_random_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
