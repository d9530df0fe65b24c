// The HTTP side of the pipeline: Google's API, ours, and the jobs.
#pragma once

#include "ask.h"
#include "config.h"
#include "desk.h"
#include "door.h"
#include "http/server.h"
#include "jobs.h"
#include "pipeline.h"

struct api {
    const struct config *config;
    struct loop *loop;
    struct pipeline *pipeline;
    struct http_server *server;
    struct desk *desk;
    struct jobs *jobs;
    struct records *records; // NULL: there are none
    struct door *door;
    uint64_t held_bytes; // of photos of all requests
    unsigned asks;       // that are open
    unsigned long long answered;
    bool ending; // new requests and those that wait are told to come again
    int64_t started_ms;
    void (*on_idle)(void *arg); // when winding down
    void *idle_arg;
};

struct api *api_create(struct loop *loop, const struct config *config, struct pipeline *pipeline,
                       bool exposed, struct err *err);
void api_destroy(struct api *api); // NULL is fine
// Requests that come from now on, or wait for a thread, hear 503; calls back when no photo is read
// any more. Jobs go on at the next start.
void api_wind_down(struct api *api, void (*on_idle)(void *arg), void *arg);

// Answers, in the caller's protocol.
void api_reply(struct http_exchange *exchange, unsigned status, json_t *json); // takes it over
void api_fail(struct http_exchange *exchange, unsigned status, const char *code, const char *text);
// Of a request that cannot be done, in our own protocol.
void api_fail_request(struct http_exchange *exchange, const struct err *err);
unsigned api_status(const struct err *err);

void api_fail_ask(struct ask *ask, const struct err *err); // and ends the ask
void api_turn_away(struct ask *ask);                       // the same: the server ends

// The body is complete: reads its photos. False of a protocol's: it was answered, the ask is gone.
void api_begin(struct ask *ask);
bool api_begin_gemini(struct ask *ask);
bool api_begin_pole(struct ask *ask);
// All photos are read: says so and ends the ask.
void api_answer(struct ask *ask);
void api_answer_gemini(struct ask *ask);
void api_answer_pole(struct ask *ask);
void api_models(struct http_exchange *exchange, enum route route, const char *name);
