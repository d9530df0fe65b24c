#include "speculation.h"

#include "base/log.h"
#include "base/path.h"
#include "draft_store.h"
#include "format/json.h"
#include "planner.h"
#include "server.h"

#include <stdio.h>
#include <string.h>

enum {
    ENOUGH_TOKENS = 512, // before a verdict
    HALF_LIFE = 2048,    // tokens
};

void speculation_add(struct speculation *s, uint64_t generated, uint64_t drafted,
                     uint64_t accepted) {
    double keep = (double)HALF_LIFE / (double)(HALF_LIFE + generated);
    s->generated = s->generated * keep + (double)generated;
    s->drafted = s->drafted * keep + (double)drafted;
    s->accepted = s->accepted * keep + (double)accepted;
    s->seen += generated;
}

double speculation_acceptance(const struct speculation *s) {
    return s->drafted > 0 ? s->accepted / s->drafted : -1;
}

static double gain(const struct service *service) {
    const struct speculation *s = &service->speculation;
    return draft_choice_gain_seen(&service->decision.draft, s->generated, s->drafted, s->accepted);
}

static struct draft_key key_of(const struct service *service) {
    const struct draft_choice *draft = &service->decision.draft;
    return (struct draft_key){service->preset->name, service->preset->model,
                              draft->kind == DRAFT_HEAD ? DRAFT_STORE_HEAD : draft->path,
                              draft->engine};
}

void speculation_begin(struct service *service) {
    const struct metrics *metrics = &service->metrics;
    const struct draft_choice *draft = &service->decision.draft;
    service->speculation = (struct speculation){
        .last_generated = metrics->generated_tokens,
        .last_drafted = metrics->draft_tokens,
        .last_accepted = metrics->draft_accepted,
    };
    if (service->preset->draft)
        log_info("draft preset=%s on=%s why=\"%s\"", service->preset->name,
                 draft->kind == DRAFT_NONE ? "no" : "yes", draft->why);
}

// `why_off` NULL: it stays as it is.
static void remember(const struct service *service, const char *why_off) {
    const struct speculation *s = &service->speculation;
    struct draft_key key = key_of(service);
    struct draft_record record;
    struct err err = {0};
    draft_store_get(&key, &record);
    record.acceptance = draft_acceptance_seen(s->generated, s->drafted, s->accepted);
    if (why_off) {
        record.off = true;
        snprintf(record.why, sizeof record.why, "%s", why_off);
    }
    if (!draft_store_put(&key, &record, &err))
        log_warn("draft.store preset=%s error=\"%s\"", service->preset->name, err.text);
}

static void judge(struct service *service) {
    struct speculation *s = &service->speculation;
    const struct draft_choice *draft = &service->decision.draft;
    double now = gain(service);
    bool pays = now >= DRAFT_PAYS;
    if (s->seen < ENOUGH_TOKENS || s->drafted <= 0 || pays || s->told)
        return;
    char why[160];
    snprintf(why, sizeof why, "%.0f %% of its guesses are right, which makes %.2f x",
             100 * speculation_acceptance(s), now);
    s->told = true;
    s->losing = !draft->fixed;
    if (draft->fixed) {
        log_warn("draft.pays_not preset=%s why=\"%s; the preset names it, so it stays\"",
                 service->preset->name, why);
        return;
    }
    log_warn("draft.off preset=%s draft=\"%s\" why=\"%s; restarting without it when idle\"",
             service->preset->name, draft->kind == DRAFT_HEAD ? "mtp" : path_name(draft->path),
             why);
    remember(service, why);
}

void speculation_end(struct service *service) {
    const struct speculation *s = &service->speculation;
    if (service->decision.draft.kind != DRAFT_NONE && s->seen >= ENOUGH_TOKENS && s->drafted > 0)
        remember(service, NULL);
}

void speculation_answered(struct service *service) {
    struct speculation *s = &service->speculation;
    const struct metrics *metrics = &service->metrics;
    uint64_t generated = metrics->generated_tokens - s->last_generated;
    uint64_t drafted = metrics->draft_tokens - s->last_drafted;
    uint64_t accepted = metrics->draft_accepted - s->last_accepted;
    s->last_generated = metrics->generated_tokens;
    s->last_drafted = metrics->draft_tokens;
    s->last_accepted = metrics->draft_accepted;
    if (service->decision.draft.kind == DRAFT_NONE || drafted == 0)
        return;
    speculation_add(s, generated, drafted, accepted);
    if (service->decision.draft.n > 0) // a gain was reckoned
        judge(service);
}

// Never under a request: what runs keeps the engine that it began with.
void speculation_tick(struct service *service) {
    struct speculation *s = &service->speculation;
    if (!s->losing || lane_running(service->lane) > 0 || lane_state(service->lane) != LANE_READY)
        return;
    s->losing = false;
    planner_forget(service->planner); // what was decided does not hold any more
    scheduler_restart(service->lane, loop_now_ms());
    server_tick(service->server);
}

static json_t *share(double value) {
    return value < 0 ? json_null() : json_real((double)(int)(value * 1000 + .5) / 1000);
}

json_t *speculation_json(const struct service *service) {
    const struct draft_choice *draft = &service->decision.draft;
    const struct speculation *s = &service->speculation;
    const char *wanted = service->preset->draft;
    if (!wanted)
        return json_null();
    bool loaded = service->engine != NULL, on = loaded && draft->kind != DRAFT_NONE;
    bool seen = on && s->drafted > 0;
    return json_build("{s:o, s:b, s:o, s:I, s:o, s:o, s:o}", "wanted", json_text(wanted), "on",
                      (int)on, "draft",
                      !on                         ? json_null()
                      : draft->kind == DRAFT_HEAD ? json_text("mtp")
                                                  : json_text(draft->path),
                      "tokens", (json_int_t)(on ? draft->n : 0), "acceptance",
                      share(seen ? speculation_acceptance(s) : -1), "gain",
                      share(seen && draft->n ? gain(service)
                            : on && draft->n ? draft->gain
                                             : -1),
                      "why", json_text(loaded ? draft->why : ""));
}
