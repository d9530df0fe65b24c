// What the parts of the running server share. One thread, one loop; everything here belongs to it.
//
//   server   the whole: config, groups, both HTTP fronts
//   service  one preset at run time: its lane in the scheduler, its engine when loaded, its log,
//            its counters. A service outlives engines and config reloads.
//   request  one proxied call (request.h), from its body's last byte to its reply's
#pragma once

#include "chat/call.h"
#include "config.h"
#include "decision.h"
#include "event/loop.h"
#include "guard.h"
#include "http/client.h"
#include "http/server.h"
#include "log_ring.h"
#include "memory_watch.h"
#include "metrics.h"
#include "planner.h"
#include "scheduler.h"
#include "speculation.h"
#include "watchdog.h"

#include <sys/queue.h>

struct engine;
struct launch_context;
struct memory_store;
struct work;
struct request;
struct waiter;

TAILQ_HEAD(request_list, request);

struct service {
    TAILQ_ENTRY(service) link;
    struct server *server;
    const struct preset *preset; // in server->config; replaced on reload
    struct lane *lane;
    struct engine *engine; // NULL when off
    struct planner *planner;
    struct intent restart;       // after a reload, until it is known whether the new settings fit
    struct decision decision;    // what it runs with, when loaded
    struct memory_watch *memory; // of its last run; NULL before the first
    struct timer learn;          // a moment after it is ready: what it printed has been read
    struct speculation speculation;
    struct log_ring *log;
    struct metrics metrics;
    struct watchdog watchdog;
    struct timer watch;               // runs while requests are at the engine
    struct request_list requests;     // waiting and running
    int64_t expected_load_ms;         // learned; 0 = never loaded yet
    int64_t average_ms;               // of a whole request, for estimates; 0 = none yet
    unsigned watched;                 // control clients that follow its log
    uint64_t run;                     // number of its last start, among all starts of the server
    struct chat_learned learned_chat; // what its engine takes; of this run
    bool leaving;                     // gone from the config: destroyed once off
    struct scheduler *moves_to; // its preset's new group, held until this engine is gone; or NULL
};

TAILQ_HEAD(service_list, service);

struct server {
    struct loop *loop;
    struct config *config;
    struct config **retired; // older configs that leaving services still point into
    size_t retired_count;
    char *config_path;
    char *runtime_dir;
    struct guard *guard;
    struct http_server *front;   // the public port
    struct http_server *control; // the unix socket
    struct launch_context *launch;
    struct memory_store *memory; // what engines took
    struct work *memory_write;   // of it, under way
    struct service_list services;
    struct scheduler **groups;
    size_t group_count;
    struct timer group_timer;
    struct deferred announce;     // tells watchers of /events, once a turn of the loop
    TAILQ_HEAD(, waiter) waiters; // control clients: /switch and /events
    char listen[128];             // as shown: "127.0.0.1:1234"
    bool listen_given;            // by --listen or systemd: the file does not decide it
    struct {                      // what the config said at the start and no reload changes
        char *listen_host;
        unsigned listen_port, max_connections;
        uint64_t max_held_bytes;
    } fixed;
    uint64_t next_id, requests, runs;
    int64_t started_ms;
    int64_t engine_ended_ms; // when one of our engines last did
    bool stopping;
};

// server.c. Takes the config over. `of_this_run`: the folder is of this run alone (engine.h).
// `exposed`: the port is reachable from other machines.
struct server *server_create(struct loop *loop, struct config *config, const char *runtime_dir,
                             bool of_this_run, bool exposed, struct err *err);
void server_destroy(struct server *server);
struct service *server_find(struct server *server, const char *name_or_alias);
// For a request that names no preset: the one loaded in the default's group, else the default.
struct service *server_default(struct server *server);
void server_changed(struct server *server); // status differs: tell who watches
void server_tick(struct server *server);    // let every group look at the clock
bool server_reload(struct server *server, struct err *err);
// The keys whose new value waits for a restart, "listen, max-held"; out is empty when there are
// none.
void server_waits_for_restart(const struct server *server, char *out, size_t size);
// Refuses what waits, cuts what runs, ends the engines, then leaves the loop. Twice: at once.
void server_stop(struct server *server);
const char *service_state(const struct service *service);

// service.c
struct service *service_create(struct server *server, const struct preset *preset,
                               struct scheduler *group);
void service_configure(struct service *service, const struct preset *preset); // after a reload
void service_destroy(struct service *service); // off and without requests
void service_start(struct service *service);   // effects of the scheduler
// It has been decided; `why` not NULL: against it.
void service_begin(struct service *service, const struct decision *decision, const struct err *why);
void service_restart(struct service *service); // its preset reads differently now
void service_stop(struct service *service);
void service_kill(struct service *service, const struct err *why);
struct http_peer *service_peer(struct service *service);      // NULL unless loaded
int service_pid(const struct service *service);               // 0 when off
const char *service_auth(struct service *service);            // header line for the engine, or ""
int64_t service_window_tokens(const struct service *service); // of one slot; 0 = unknown
bool service_sees(const struct service *service);             // it takes images, or may
bool service_is_toolless(const struct service *service);      // loaded, and knows no tools
void service_progress(struct service *service);               // the engine moved

// front.c
extern const struct http_handler proxy_handler; // arg = struct server

// request.c
void proxy_admit(struct ticket *ticket, void *arg);
void proxy_refuse(struct ticket *ticket, const struct err *why, int64_t retry_ms, void *arg);
void proxy_fail_running(struct service *service, const struct err *why);
void proxy_retry_unseen(struct service *service); // after scheduler_condemn
void proxy_cancel_all(struct service *service, const struct err *why);
bool proxy_waits_for_engine(const struct service *service); // some admitted request is not paused
const char *request_client(struct request *request);
uint64_t request_id(const struct request *request);
struct ticket *request_ticket(struct request *request);
struct request *request_after(const struct service *service, const struct request *request);

// admin.c
extern const struct http_handler admin_handler; // arg = struct server
void admin_announce(struct server *server);
void admin_detach_all(struct server *server);
