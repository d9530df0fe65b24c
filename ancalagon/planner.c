#include "planner.h"

#include "base/log.h"
#include "base/mem.h"
#include "engine.h"
#include "event/work.h"
#include "memory_store.h"
#include "preset_launch.h"
#include "preset_plan.h"
#include "server.h"
#include "survey.h"

#include <string.h>

enum {
    FRESH_MS = 1000,         // how long a decision holds without a new look
    PATIENCE_MS = 15 * 1000, // with a disk or driver that does not answer
    MEMORY_WAIT_MS = 5000,   // for the memory of an engine that has ended to be free again
    MEMORY_LOOK_MS = 150,
};

struct planner {
    struct service *service;
    struct work *work;
    struct timer patience, again;
    TAILQ_HEAD(, intent) intents;
    unsigned round;
    bool starting, forgotten;
    struct model_files files;
    struct decision *decision;    // made last; NULL before the first
    struct decision *hoped;       // the one before the other engine was stopped; NULL: none
    int64_t hoped_ms, decided_ms; // 0: not
};

static void look(struct planner *planner);
static void on_patience_over(void *arg);
static void on_again(void *arg) { look(arg); }

struct planner *planner_create(struct service *service) {
    struct planner *planner = mem_alloc(sizeof *planner);
    planner->service = service;
    TAILQ_INIT(&planner->intents);
    timer_init(&planner->patience, service->server->loop, on_patience_over, planner);
    timer_init(&planner->again, service->server->loop, on_again, planner);
    return planner;
}

static void give_up_job(struct planner *planner) {
    work_abandon(planner->work);
    planner->work = NULL;
    planner->forgotten = false;
    timer_stop(&planner->patience);
    timer_stop(&planner->again);
}

void planner_destroy(struct planner *planner) {
    if (!planner)
        return;
    give_up_job(planner);
    model_files_fini(&planner->files);
    mem_free(planner->decision);
    mem_free(planner->hoped);
    mem_free(planner);
}

void planner_forget(struct planner *planner) {
    planner->decided_ms = planner->hoped_ms = 0;
    planner->forgotten = planner->work != NULL;
}

// --- What is there

static uint64_t held_on(const struct decision *decision, const char *device) {
    for (size_t i = 0; i < decision->machine.devices && i < decision->plan.devices; i++)
        if (strcmp(decision->machine.device[i].name, device) == 0)
            return plan_total(&decision->plan.device[i]);
    return 0;
}

// A device's memory once this group's engine is gone. `fresh`: what is free was asked just now, so
// what engines hold that are up is not in it; else it is from the build's first probe, when none
// was.
static uint64_t capacity(const struct service *service, const struct dialect_device *device,
                         bool fresh) {
    const struct service *other;
    uint64_t total = (uint64_t)device->total_mib << 20, free = (uint64_t)device->free_mib << 20;
    uint64_t returns = 0, taken = 0;
    TAILQ_FOREACH (other, &service->server->services, link) {
        bool leaves = strcmp(other->preset->group, service->preset->group) == 0;
        uint64_t held = other->decision.planned ? held_on(&other->decision, device->name) : 0;
        if (!other->engine)
            continue;
        if (leaves && fresh)
            returns += other->decision.planned ? held : total; // who knows what it holds
        else if (!leaves && (!fresh || lane_state(other->lane) == LANE_LOADING))
            taken += held; // one that loads may not hold it all yet
    }
    free = returns > total - (free < total ? free : total) ? total : free + returns;
    return free > taken ? free - taken : 0;
}

static void find_machine(const struct service *service, const struct survey *survey,
                         const char *version, struct plan_machine *out) {
    const struct service *other;
    preset_plan_machine(&survey->devices, out);
    memory_store_apply(service->server->memory, version, out);
    for (size_t i = 0; i < out->devices; i++)
        if (out->device[i].capacity_bytes != PLAN_UNKNOWN)
            out->device[i].capacity_bytes =
                capacity(service, &survey->devices.items[i], survey->devices_fresh);
    TAILQ_FOREACH (other, &service->server->services, link)
        if (other->engine && out->ram_bytes != PLAN_UNKNOWN &&
            strcmp(other->preset->group, service->preset->group) == 0)
            out->ram_bytes += engine_anonymous_bytes(other->engine);
}

// --- Deciding

static void note(void *arg, const char *text) {
    const struct service *service = arg;
    log_warn("plan.note preset=%s why=\"%s\"", service->preset->name, text);
}

static bool build_can(const struct planner *planner, struct err *err) {
    struct launch launch;
    bool ok = preset_launch_try(planner->service->preset, planner->decision->dialect,
                                planner->decision, &launch) ||
              preset_launch_error(&launch.problems, err);
    launch_fini(&launch);
    return ok;
}

static bool decide(struct planner *planner, const struct survey *survey, struct err *err) {
    struct service *service = planner->service;
    struct decision_asked asked = {
        .config = service->server->config, .preset = service->preset, .files = &planner->files};
    asked.dialect = decision_engine(service->server->config, service->preset, asked.files, err);
    if (!asked.dialect)
        return false;
    find_machine(service, survey, asked.dialect->version, &asked.machine);
    asked.swap_bytes = plan_swap_free();
    planner->decided_ms = loop_now_ms();
    if (!planner->decision)
        planner->decision = mem_alloc(sizeof *planner->decision);
    if (decision_make(&asked, note, service, planner->decision, err) && build_can(planner, err))
        return true;
    planner->decided_ms = 0; // what does not work is looked at anew each time
    return false;
}

static void refuse(struct service *service, struct err *why) {
    err_context(why, "preset %s could not start", service->preset->name);
    log_warn("engine.refused preset=%s why=\"%s\"", service->preset->name, why->text);
    service->metrics.load_failures++;
    lane_set_error(service->lane, why);
    server_changed(service->server);
}

static void answer_intents(struct planner *planner, const struct err *why) {
    struct intent *intent;
    unsigned round = planner->round++; // who asks again from within asks for the next one
    while ((intent = TAILQ_FIRST(&planner->intents)) && intent->round == round) {
        planner_withdraw(intent);
        intent->decided(intent->arg, why);
    }
}

static bool same_settings(const struct decision *a, const struct decision *b) {
    if (a->count != b->count || a->planned != b->planned)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->settings[i].flag, b->settings[i].flag) != 0 ||
            strcmp(a->settings[i].value, b->settings[i].value) != 0)
            return false;
    return true;
}

// An engine has just ended, and less is free than was counted on: a driver takes its time.
static bool waits_for_memory(const struct planner *planner, bool ok) {
    const struct service *service = planner->service;
    int64_t ended = service->server->engine_ended_ms;
    return planner->hoped_ms && planner->hoped->machine.devices && ended >= planner->hoped_ms &&
           loop_now_ms() - ended < MEMORY_WAIT_MS &&
           !(ok && same_settings(planner->hoped, planner->decision));
}

static void conclude(struct planner *planner, bool ok, struct err *err) {
    struct service *service = planner->service;
    bool starting = planner->starting;
    if (starting && waits_for_memory(planner, ok)) {
        timer_start(&planner->again, MEMORY_LOOK_MS);
        return;
    }
    planner->starting = false;
    if (!starting && !ok && !TAILQ_EMPTY(&planner->intents))
        refuse(service, err);
    if (!starting && ok) {
        if (!planner->hoped)
            planner->hoped = mem_alloc(sizeof *planner->hoped);
        *planner->hoped = *planner->decision;
        planner->hoped_ms = planner->decided_ms;
    }
    if (starting)
        service_begin(service, planner->decision, ok ? NULL : err);
    answer_intents(planner, ok ? NULL : err);
}

static void on_surveyed(void *arg) {
    struct survey *survey = arg;
    struct planner *planner = survey->owner;
    struct err err = {0};
    timer_stop(&planner->patience);
    planner->work = NULL;
    planner->files = survey->files;
    survey->files = (struct model_files){0};
    bool again = planner->forgotten, ok = !again && decide(planner, survey, &err);
    planner->forgotten = false;
    survey_destroy(survey);
    if (again)
        look(planner);
    else
        conclude(planner, ok, &err);
}

static const struct work_ops survey_ops = {survey_run, on_surveyed, survey_destroy};

static int64_t patience_ms(const struct planner *planner) {
    int64_t load = planner->service->preset->load_timeout_ms;
    return load < PATIENCE_MS ? load : PATIENCE_MS;
}

static void on_patience_over(void *arg) {
    struct planner *planner = arg;
    struct err err;
    err_set(&err, ERR_TIMEOUT, "%s was not read within %lld s: is its disk or network share there?",
            planner->service->preset->model, (long long)patience_ms(planner) / 1000);
    give_up_job(planner); // with it go the files that it has
    conclude(planner, false, &err);
}

// Reads what there is to read, if that is not being done already.
static void look(struct planner *planner) {
    const struct preset *preset = planner->service->preset;
    struct err err = {0};
    if (planner->work)
        return;
    const struct dialect *dialect = dialect_probe(preset->engine_path, &err);
    if (dialect) {
        struct survey *survey = survey_create(planner->service->server->config, preset, dialect,
                                              &planner->files, planner);
        if (survey_is_done(survey)) {
            on_surveyed(survey);
            return;
        }
        planner->work = work_start(planner->service->server->loop, &survey_ops, survey, &err);
        if (planner->work) {
            timer_start(&planner->patience, patience_ms(planner));
            return;
        }
        survey_destroy(survey);
    }
    conclude(planner, false, &err);
}

static bool is_fresh(const struct planner *planner) {
    const struct decision *decision = planner->decision;
    return planner->decided_ms && loop_now_ms() - planner->decided_ms < FRESH_MS &&
           (!decision->machine.devices ||
            planner->service->server->engine_ended_ms < planner->decided_ms);
}

// --- Asking

void planner_ask(struct planner *planner, struct intent *intent,
                 void (*decided)(void *arg, const struct err *why), void *arg) {
    struct lane *lane = planner->service->lane;
    bool settled = lane_state(lane) != LANE_OFF || lane_waiting(lane) || is_fresh(planner);
    if (settled) {
        *intent = (struct intent){0};
        decided(arg, NULL);
    } else {
        planner_check(planner, intent, decided, arg);
    }
}

void planner_check(struct planner *planner, struct intent *intent,
                   void (*decided)(void *arg, const struct err *why), void *arg) {
    *intent = (struct intent){.decided = decided, .arg = arg, .round = planner->round};
    intent->planner = planner;
    TAILQ_INSERT_TAIL(&planner->intents, intent, link);
    look(planner);
}

void planner_withdraw(struct intent *intent) {
    if (intent->planner)
        TAILQ_REMOVE(&intent->planner->intents, intent, link);
    intent->planner = NULL;
}

void planner_start(struct planner *planner) {
    planner->starting = true;
    if (is_fresh(planner)) {
        planner->starting = false;
        service_begin(planner->service, planner->decision, NULL);
    } else {
        look(planner);
    }
}

bool planner_cancel(struct planner *planner) {
    bool starting = planner->starting;
    planner->starting = false;
    timer_stop(&planner->again);
    return starting;
}
