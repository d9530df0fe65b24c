// One run of one engine process: started, watched until it answers, stopped, reaped. It listens on
// a unix socket of its own name in the runtime folder (or on loopback with a key of its own, for
// builds that cannot), so whoever answers there is this very process.
#pragma once

#include "base/err.h"
#include "decision.h"
#include "event/loop.h"
#include "http/client.h"
#include "preset.h"

#include <sys/types.h>

struct engine;
struct props;          // engine/props.h
struct launch_context; // probed builds, the sandbox: what all starts share

struct engine_ops {
    // Healthy; slots = requests it serves at a time, 0 = it does not say.
    void (*on_ready)(struct engine *engine, unsigned slots, void *arg);
    // It ended, was killed, or never got healthy. The engine is to be destroyed now.
    void (*on_exit)(struct engine *engine, const struct err *why, void *arg);
    void (*on_line)(const char *line, void *arg); // its output
    // A probe was answered; `moved`: its counters differ from the last probe's.
    void (*on_probe)(struct engine *engine, bool moved, void *arg);
};

// The folder is the caller's alone: sockets and keys of earlier engines in it are removed. One that
// is only of this run goes as a whole when we end, also when we are killed.
struct launch_context *launch_context_create(struct loop *loop, const char *runtime_dir,
                                             bool of_this_run, struct err *err);
void launch_context_destroy(struct launch_context *context);

// NULL when it cannot even be started; err says why and what to do.
struct engine *engine_start(struct launch_context *context, const struct preset *preset,
                            const struct decision *decision, int64_t stop_grace_ms,
                            const struct engine_ops *ops, void *arg, struct err *err);
void engine_stop(struct engine *engine);                        // SIGTERM, grace, SIGKILL
void engine_kill(struct engine *engine, const struct err *why); // on_exit tells this reason
void engine_destroy(struct engine *engine);                     // kills what is left; NULL is fine
void engine_probe(struct engine *engine); // one at a time; asks /slots, else /health
pid_t engine_pid(const struct engine *engine);
struct http_peer *engine_peer(struct engine *engine);
const struct props *engine_props(const struct engine *engine); // nothing is known until it is ready
const char *engine_auth(const struct engine *engine);          // header line with its key, or ""
uint64_t
engine_anonymous_bytes(const struct engine *engine); // what its end gives back; 0 = unknown
int64_t engine_cpu_ms(const struct engine *engine);  // CPU time used so far; -1 = unknown
