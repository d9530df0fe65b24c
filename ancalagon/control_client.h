// The commands' side of control.sock: find the server that belongs to a presets file, ask it
// something, wait for the answer. Several calls may run at once on one loop (a switch and the
// events beside it); control_run waits until control_stop or until all have ended.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "event/loop.h"

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

struct control;

// The default file when NULL; absolute. The caller's (mem_free); NULL on failure.
char *control_config_path(const char *config, struct err *err);

// Checks that somebody listens. ERR_NOTFOUND: no server is running, and err says how to start one.
struct control *control_open(const char *config, struct err *err);
void control_close(struct control *control); // NULL is fine; cancels what is open
struct loop *control_loop(struct control *control);
const char *control_config(const struct control *control); // absolute path of the presets file
pid_t control_server_pid(const struct control *control);   // by the kernel's word

struct control_reply {
    unsigned status;
    json_t *json; // NULL when the body is no JSON
    struct buf body;
};
void control_reply_fini(struct control_reply *reply);
// The server's own words for a status of 400 and above.
const char *control_reply_error(const struct control_reply *reply);

// Asks and waits. False when no whole answer came; a status of 400 and above is an answer.
// timeout_ms 0: as long as it takes. `body` is JSON or NULL.
bool control_ask(struct control *control, const char *method, const char *target, const char *body,
                 int64_t timeout_ms, struct control_reply *reply, struct err *err);

// The same without waiting. on_done comes once; `why` is NULL when the reply is whole.
struct control_call;
typedef void control_done_fn(void *arg, struct control_reply *reply, const struct err *why);
typedef void control_bytes_fn(void *arg, const char *bytes, size_t length);
// With on_bytes the body of a 2xx answer goes there piece by piece and not into the reply.
bool control_start(struct control *control, const char *method, const char *target,
                   const char *body, control_bytes_fn *on_bytes, control_done_fn *on_done,
                   void *arg, struct err *err);
void control_run(struct control *control);
void control_stop(struct control *control);
void control_cancel_all(struct control *control); // no callback comes any more

// A query value: everything but letters, digits and -._~ as %XX. The caller's (mem_free).
char *control_escape(const char *text);
