#define _GNU_SOURCE
#include "control_client.h"

#include "base/mem.h"
#include "base/path.h"
#include "event/fd.h"
#include "format/json.h"
#include "http/client.h"
#include "http/unix.h"
#include "runtime.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_REPLY = 16 * 1024 * 1024 };

struct control_call {
    TAILQ_ENTRY(control_call) link;
    struct control *control;
    struct http_call *http;
    char *body;
    struct control_reply reply;
    control_bytes_fn *on_bytes;
    control_done_fn *on_done;
    void *arg;
};

TAILQ_HEAD(calls, control_call);

struct control {
    char *config, *socket_path;
    pid_t server_pid;
    struct loop *loop;
    struct http_peer *peer;
    struct calls calls;
};

char *control_config_path(const char *config, struct err *err) {
    char *standard = config ? NULL : path_config("presets.ini");
    char *full = path_absolute(config ? config : standard, err); // as the server names its file
    mem_free(standard);
    return full;
}

static bool no_server(const char *config, struct err *err) {
    return err_set(err, ERR_NOTFOUND,
                   "no ancalagon is running for %s; start it with: ancalagon serve", config);
}

// A connection made only to learn whether somebody listens, and who.
static bool probe(struct control *control, struct err *err) {
    struct unix_address where;
    if (access(control->socket_path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR))
        return no_server(control->config, err);
    if (!unix_address_open(&where, control->socket_path, err))
        return false;
    int fd = fd_socket(AF_UNIX, SOCK_STREAM);
    bool ok = fd >= 0 && connect(fd, (struct sockaddr *)&where.address, where.length) == 0;
    pid_t peer = ok ? fd_peer(fd) : -1;
    if (peer > 0)
        control->server_pid = peer;
    if (!ok && (errno == ENOENT || errno == ECONNREFUSED))
        no_server(control->config, err);
    else if (!ok && errno == EAGAIN)
        err_set(err, ERR_TIMEOUT, "the server takes no connections; is it stopped? (%s)",
                control->socket_path);
    else if (!ok)
        err_errno(err, "cannot connect to %s", control->socket_path);
    if (fd >= 0)
        close(fd);
    unix_address_close(&where);
    return ok;
}

struct control *control_open(const char *config, struct err *err) {
    struct control *control = mem_alloc(sizeof *control);
    TAILQ_INIT(&control->calls);
    control->config = control_config_path(config, err);
    if (!control->config)
        goto fail;
    char *folder = runtime_dir_for(control->config);
    control->socket_path = path_join(folder, "control.sock");
    mem_free(folder);
    if (!probe(control, err))
        goto fail;
    control->loop = loop_create(err);
    if (!control->loop)
        goto fail;
    control->peer = http_peer_create(control->loop, control->socket_path, NULL, 0);
    return control;
fail:
    control_close(control);
    return NULL;
}

static void free_call(struct control_call *call) {
    TAILQ_REMOVE(&call->control->calls, call, link);
    control_reply_fini(&call->reply);
    mem_free(call->body);
    mem_free(call);
}

void control_cancel_all(struct control *control) {
    struct control_call *call;
    while ((call = TAILQ_FIRST(&control->calls))) {
        http_call_cancel(call->http);
        free_call(call);
    }
}

void control_close(struct control *control) {
    if (!control)
        return;
    control_cancel_all(control);
    http_peer_destroy(control->peer);
    loop_destroy(control->loop);
    mem_free(control->config);
    mem_free(control->socket_path);
    mem_free(control);
}

struct loop *control_loop(struct control *control) {
    return control->loop;
}
const char *control_config(const struct control *control) { return control->config; }
pid_t control_server_pid(const struct control *control) { return control->server_pid; }

void control_reply_fini(struct control_reply *reply) {
    json_decref(reply->json);
    reply->json = NULL;
    buf_fini(&reply->body);
}

const char *control_reply_error(const struct control_reply *reply) {
    const json_t *error = json_object_get(reply->json, "error");
    const char *text =
        json_is_string(error) ? json_string_value(error) : json_get_text(error, "message", NULL);
    return text ? text : http_status_text(reply->status);
}

static void finish(struct control_call *call, const struct err *why) {
    struct control *control = call->control;
    struct control_reply reply = call->reply;
    call->reply = (struct control_reply){0};
    control_done_fn *on_done = call->on_done;
    void *arg = call->arg;
    free_call(call);
    if (!why && reply.body.length)
        reply.json = json_parse(buf_bytes(&reply.body), reply.body.length, 0, 0, NULL);
    if (TAILQ_EMPTY(&control->calls))
        loop_stop(control->loop);
    on_done(arg, &reply, why);
    control_reply_fini(&reply);
}

static void on_head(struct http_call *http, const struct http_head *head, void *arg) {
    struct control_call *call = arg;
    call->reply.status = head->status;
}

static void on_body(struct http_call *http, const char *bytes, size_t length, void *arg) {
    struct control_call *call = arg;
    if (call->on_bytes && call->reply.status < 300) {
        call->on_bytes(call->arg, bytes, length);
    } else if (!buf_add(&call->reply.body, bytes, length)) {
        struct err err;
        err_set(&err, ERR_LIMIT, "the server's answer is larger than %d MiB", MAX_REPLY >> 20);
        http_call_cancel(http);
        finish(call, &err);
    }
}

static void on_end(struct http_call *http, void *arg) { finish(arg, NULL); }

static void on_fail(struct http_call *http, const struct err *why, void *arg) {
    struct err err = *why;
    err_context(&err, "the server did not answer");
    finish(arg, &err);
}

static const struct http_call_ops call_ops = {on_head, on_body, on_end, on_fail};

bool control_start(struct control *control, const char *method, const char *target,
                   const char *body, control_bytes_fn *on_bytes, control_done_fn *on_done,
                   void *arg, struct err *err) {
    struct control_call *call = mem_alloc(sizeof *call);
    call->control = control;
    call->body = mem_strdup(body);
    call->on_bytes = on_bytes;
    call->on_done = on_done;
    call->arg = arg;
    buf_init(&call->reply.body, MAX_REPLY);
    TAILQ_INSERT_TAIL(&control->calls, call, link);
    struct span fields = span_of(body ? "Content-Type: application/json\r\n" : NULL);
    call->http = http_call_start(control->peer, method, span_of(target), fields,
                                 span_of(call->body), &call_ops, call, err);
    bool started = call->http != NULL;
    if (!started)
        free_call(call);
    return started;
}

void control_run(struct control *control) {
    if (!TAILQ_EMPTY(&control->calls))
        loop_run(control->loop);
}

void control_stop(struct control *control) { loop_stop(control->loop); }

struct asked {
    struct control *control;
    struct control_reply *reply;
    struct err err;
    bool done, ok;
};

static void on_answer(void *arg, struct control_reply *reply, const struct err *why) {
    struct asked *asked = arg;
    asked->done = true;
    asked->ok = why == NULL;
    if (why) {
        asked->err = *why;
    } else {
        *asked->reply = *reply;
        *reply = (struct control_reply){0};
    }
    control_stop(asked->control);
}

static void on_timeout(void *arg) { control_stop(arg); }

bool control_ask(struct control *control, const char *method, const char *target, const char *body,
                 int64_t timeout_ms, struct control_reply *reply, struct err *err) {
    struct asked asked = {.control = control, .reply = reply};
    struct timer timer;
    *reply = (struct control_reply){0};
    if (!control_start(control, method, target, body, NULL, on_answer, &asked, err))
        return false;
    struct control_call *call = TAILQ_LAST(&control->calls, calls);
    timer_init(&timer, control->loop, on_timeout, control);
    if (timeout_ms > 0)
        timer_start(&timer, timeout_ms);
    loop_run(control->loop);
    timer_stop(&timer);
    if (!asked.done) {
        http_call_cancel(call->http);
        free_call(call);
        return err_set(err, ERR_TIMEOUT, "the server (pid %d) did not answer within %lld s",
                       (int)control->server_pid, (long long)timeout_ms / 1000);
    }
    if (!asked.ok && err)
        *err = asked.err;
    return asked.ok;
}

char *control_escape(const char *text) {
    char *out = mem_alloc(strlen(text) * 3 + 1), *end = out;
    static const char hex[] = "0123456789ABCDEF";
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || strchr("-._~", *p);
        if (plain) {
            *end++ = (char)*p;
        } else {
            *end++ = '%';
            *end++ = hex[*p >> 4];
            *end++ = hex[*p & 15];
        }
    }
    return out;
}
