#define _GNU_SOURCE
#include "engine.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/system.h"
#include "engine/diagnose.h"
#include "engine/dialect.h"
#include "engine/hush.h"
#include "engine/props.h"
#include "event/child.h"
#include "event/fd.h"
#include "event/guardian.h"
#include "event/sandbox.h"
#include "event/stray.h"
#include "format/json.h"
#include "preset_launch.h"
#include "telemetry/process.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    POLL_MS = 5,       // between looks at a starting engine: seen ready within this time
    POLL_SLOW_MS = 25, // once it has taken longer than POLL_FAST_FOR_MS
    POLL_FAST_FOR_MS = 5000,
    PROPS_TIMEOUT_MS = 500, // how long readiness waits for the number of slots
    MAX_ANSWER = 1 << 20,
    TAIL_BYTES = 64 * 1024, // of its output, to tell why it ended
    OOM_SCORE = 300,        // the kernel should rather kill the engine than us
};

struct launch_context {
    struct loop *loop;
    char *runtime_dir;
    struct sandbox *sandbox;
    struct guardian *guardian;
    unsigned counter; // names sockets
    unsigned runs;    // numbers engines, in their environment
    LIST_HEAD(, engine) engines;
    struct signal_watch child_watch;
};

// What is being asked of the engine beside the clients' requests; one question at a time.
enum question { ASK_NOTHING, ASK_HEALTH, ASK_PROPS, ASK_SLOTS };

struct engine {
    LIST_ENTRY(engine) link;
    struct launch_context *context;
    const struct engine_ops *ops;
    void *arg;
    struct child *child;
    pid_t group; // its process group, as the guardian knows it
    unsigned run;
    bool ended; // who carries its mark now is left over
    struct http_peer *peer;
    char *socket_name, *socket_path; // NULL on loopback
    char key[48];                    // empty on a unix socket
    char *key_path;                  // the file that tells it to the engine
    char auth[96];
    int64_t started_ms, load_timeout_ms, stop_grace_ms;
    bool ready, stopping;
    struct props props;
    struct err reason; // why we killed it; code ERR_NONE otherwise
    struct hush hush;
    struct buf tail; // its last lines
    struct timer poll, deadline;
    enum question question;
    struct http_call *call;
    unsigned status;
    struct buf answer;
    uint64_t fingerprint; // of the last /slots answer
};

static void ask(struct engine *engine, enum question question);

// What an engine started outside its group comes to us when its parent ends; it may stay as long as
// that engine runs.
static bool is_left_over(pid_t pid, void *arg) {
    const struct launch_context *context = arg;
    const struct engine *engine;
    unsigned run;
    if (!stray_read(pid, guardian_mark(context->guardian), &run))
        return false;
    LIST_FOREACH (engine, &context->engines, link)
        if (engine->run == run && !engine->ended)
            return false;
    return true;
}

static void on_child_signal(int signal, void *arg) { child_reap_orphans(is_left_over, arg); }

// "e12.sock" and "e12.key".
static bool is_engine_file(const char *name) {
    size_t digits = name[0] == 'e' ? strspn(name + 1, "0123456789") : 0;
    return digits &&
           (strcmp(name + 1 + digits, ".sock") == 0 || strcmp(name + 1 + digits, ".key") == 0);
}

// What the engines of a server that was killed have left in the folder.
static void clean_folder(const char *path) {
    DIR *folder = opendir(path);
    struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        if (is_engine_file(entry->d_name))
            unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        closedir(folder);
}

struct launch_context *launch_context_create(struct loop *loop, const char *runtime_dir,
                                             bool of_this_run, struct err *err) {
    struct launch_context *context = mem_alloc(sizeof *context);
    context->loop = loop;
    context->runtime_dir = mem_strdup(runtime_dir);
    LIST_INIT(&context->engines);
    clean_folder(runtime_dir);
    char *program = system_program();
    context->guardian = guardian_create(program, of_this_run ? runtime_dir : NULL, err);
    mem_free(program);
    context->sandbox = context->guardian ? sandbox_no_network(err) : NULL;
    if (!context->sandbox) {
        guardian_destroy(context->guardian);
        mem_free(context->runtime_dir);
        mem_free(context);
        return NULL;
    }
    signal_watch_start(&context->child_watch, loop, SIGCHLD, on_child_signal, context);
    return context;
}

void launch_context_destroy(struct launch_context *context) {
    if (!context)
        return;
    signal_watch_stop(&context->child_watch);
    stray_kill(guardian_mark(context->guardian));
    guardian_destroy(context->guardian);
    sandbox_destroy(context->sandbox);
    dialect_forget();
    mem_free(context->runtime_dir);
    mem_free(context);
}

// --- Its output

static void keep_line(struct engine *engine, const char *line, size_t length) {
    struct buf *tail = &engine->tail;
    while (tail->length && tail->length + length + 1 > TAIL_BYTES) {
        const char *end = memchr(buf_bytes(tail), '\n', tail->length);
        buf_drain(tail, end ? (size_t)(end - buf_bytes(tail)) + 1 : tail->length);
    }
    buf_add(tail, line, length);
    buf_adds(tail, "\n");
}

static void on_line(struct child *child, const char *line, size_t length, void *arg) {
    struct engine *engine = arg;
    if (hush_line(&engine->hush, line))
        return;
    keep_line(engine, line, length);
    engine->ops->on_line(line, engine->arg);
    // Its own word that it is ready saves waiting for the next look.
    if (!engine->ready && engine->question == ASK_NOTHING && strstr(line, "listening on"))
        timer_start(&engine->poll, 0);
}

// --- Its end

static void stop_asking(struct engine *engine) {
    timer_stop(&engine->poll);
    if (engine->call)
        http_call_cancel(engine->call);
    engine->call = NULL;
    engine->question = ASK_NOTHING;
}

static void on_child_exit(struct child *child, struct child_exit status, void *arg) {
    struct engine *engine = arg;
    struct err why = engine->reason;
    stop_asking(engine);
    timer_stop(&engine->deadline);
    engine->ended = true;
    child_reap_orphans(is_left_over, engine->context);
    if (why.code == ERR_NONE) {
        struct diagnosis diagnosis;
        diagnose(buf_text(&engine->tail), &status, &diagnosis);
        bool lasting = !engine->ready && cause_is_lasting(diagnosis.cause);
        err_set(&why, lasting ? ERR_INVALID : ERR_PEER, "%s%s%s", diagnosis.text,
                diagnosis.fix[0] ? "; " : "", diagnosis.fix);
    }
    engine->ops->on_exit(engine, &why, engine->arg);
}

void engine_destroy(struct engine *engine) {
    if (!engine)
        return;
    stop_asking(engine);
    timer_stop(&engine->deadline);
    child_destroy(engine->child);
    LIST_REMOVE(engine, link);
    child_reap_orphans(is_left_over, engine->context);
    if (engine->group)
        guardian_forget(engine->context->guardian, engine->group);
    http_peer_destroy(engine->peer);
    if (engine->socket_path)
        unlink(engine->socket_path); // llama-server leaves it behind
    if (engine->key_path)
        unlink(engine->key_path);
    mem_free(engine->key_path);
    mem_free(engine->socket_name);
    mem_free(engine->socket_path);
    mem_wipe(engine->key, sizeof engine->key);
    buf_fini(&engine->tail);
    buf_fini(&engine->answer);
    mem_free(engine);
}

void engine_stop(struct engine *engine) {
    engine->stopping = true;
    stop_asking(engine);
    timer_stop(&engine->deadline);
    http_peer_close_idle(engine->peer);
    child_stop(engine->child, (int)engine->stop_grace_ms);
}

void engine_kill(struct engine *engine, const struct err *why) {
    if (engine->reason.code == ERR_NONE)
        engine->reason = *why;
    stop_asking(engine);
    child_kill(engine->child);
}

static void on_load_deadline(void *arg) {
    struct engine *engine = arg;
    struct err why;
    err_set(&why, ERR_TIMEOUT,
            "it was not ready within %lld s (load-timeout); raise load-timeout if the model is "
            "that slow to load",
            (long long)engine->load_timeout_ms / 1000);
    engine_kill(engine, &why);
}

// --- Asking it

static void poll_again(struct engine *engine) {
    bool young = loop_now_ms() - engine->started_ms < POLL_FAST_FOR_MS;
    timer_start(&engine->poll, young ? POLL_MS : POLL_SLOW_MS);
}

static void get_ready(struct engine *engine, unsigned slots) {
    engine->ready = true;
    stop_asking(engine);
    timer_stop(&engine->deadline);
    engine->ops->on_ready(engine, slots, engine->arg);
}

static unsigned read_props(struct engine *engine) {
    json_t *props = engine->status == 200
                        ? json_parse(buf_bytes(&engine->answer), engine->answer.length, 0, 0, NULL)
                        : NULL;
    engine->props = props_read(props);
    json_decref(props);
    return (unsigned)engine->props.slots;
}

static void answered(struct engine *engine) {
    enum question question = engine->question;
    engine->question = ASK_NOTHING;
    engine->call = NULL;
    if (question == ASK_HEALTH && !engine->ready) {
        if (engine->status == 200) {
            timer_start(&engine->poll, PROPS_TIMEOUT_MS);
            ask(engine, ASK_PROPS);
        } else {
            poll_again(engine);
        }
    } else if (question == ASK_PROPS) {
        get_ready(engine, read_props(engine));
    } else if (question == ASK_SLOTS && engine->status != 200) {
        ask(engine, ASK_HEALTH); // a build without /slots: alive is all that can be learned
    } else {
        uint64_t seen = question == ASK_SLOTS ? str_hash(buf_text(&engine->answer)) : 0;
        bool moved = question == ASK_SLOTS && seen != engine->fingerprint;
        engine->fingerprint = seen;
        engine->ops->on_probe(engine, moved, engine->arg);
    }
}

static void on_answer_head(struct http_call *call, const struct http_head *head, void *arg) {
    ((struct engine *)arg)->status = head->status;
}

static void on_answer_body(struct http_call *call, const char *bytes, size_t length, void *arg) {
    buf_add(&((struct engine *)arg)->answer, bytes, length);
}

static void on_answer_end(struct http_call *call, void *arg) { answered(arg); }

static void on_answer_fail(struct http_call *call, const struct err *why, void *arg) {
    struct engine *engine = arg;
    enum question question = engine->question;
    engine->call = NULL;
    engine->question = ASK_NOTHING;
    if (question == ASK_PROPS)
        get_ready(engine, 0);
    else if (!engine->ready)
        poll_again(engine); // not listening yet
    // A probe that fails leaves the watchdog waiting for an answer, which is the point of it.
}

static const struct http_call_ops call_ops = {on_answer_head, on_answer_body, on_answer_end,
                                              on_answer_fail};

static void ask(struct engine *engine, enum question question) {
    static const char *const targets[] = {"", "/health", "/props", "/slots"};
    struct err err;
    buf_clear(&engine->answer);
    engine->status = 0;
    engine->question = question;
    engine->call =
        http_call_start(engine->peer, "GET", span_of(targets[question]), span_of(engine->auth),
                        (struct span){0}, &call_ops, engine, &err);
    if (!engine->call)
        on_answer_fail(NULL, &err, engine);
}

static void on_poll(void *arg) {
    struct engine *engine = arg;
    if (engine->question == ASK_PROPS)
        get_ready(engine, 0); // it does not answer that: go on without
    else if (engine->question == ASK_NOTHING)
        ask(engine, ASK_HEALTH);
}

void engine_probe(struct engine *engine) {
    if (engine->question == ASK_NOTHING && engine->ready && !engine->stopping)
        ask(engine, ASK_SLOTS);
}

// --- Its start

// A free port of the kernel's choice. Somebody else could take it before the engine does: then the
// engine fails to bind, and whoever answers there does not know the key.
static unsigned free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    unsigned port = 0;
    int fd = fd_socket(AF_INET, SOCK_STREAM);
    if (fd < 0)
        return 0;
    if (bind(fd, (struct sockaddr *)&address, length) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &length) == 0)
        port = ntohs(address.sin_port);
    close(fd);
    return port;
}

static bool make_key(struct engine *engine, struct err *err) {
    unsigned char random[20];
    if (getentropy(random, sizeof random) != 0)
        return err_errno(err, "cannot get random bytes for the engine's key");
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(engine->key + 2 * i, 3, "%02x", random[i]);
    snprintf(engine->auth, sizeof engine->auth, "Authorization: Bearer %s\r\n", engine->key);
    return true;
}

// Where it will listen: sets the peer and the matching fields of the launch.
static bool choose_address(struct engine *engine, const struct dialect *dialect,
                           struct launch_spec *spec, struct err *err) {
    struct launch_context *context = engine->context;
    if (dialect->unix_socket) {
        engine->socket_name = mem_printf("e%u.sock", ++context->counter);
        engine->socket_path = path_join(context->runtime_dir, engine->socket_name);
        spec->socket = engine->socket_name;
        engine->peer = http_peer_create(context->loop, engine->socket_path, NULL, 0);
        return true;
    }
    unsigned port = free_port();
    if (!port)
        return err_set(err, ERR_SYSTEM, "there is no free port for the engine");
    if (!make_key(engine, err))
        return false;
    engine->key_path = mem_printf("%s/e%u.key", context->runtime_dir, ++context->counter);
    if (!path_write_file(engine->key_path, engine->key, strlen(engine->key), 0600, err))
        return false;
    spec->port = (int)port;
    spec->api_key = engine->key;
    spec->api_key_file = engine->key_path;
    engine->peer = http_peer_create(context->loop, NULL, "127.0.0.1", port);
    return true;
}

static void warn_problems(const struct preset *preset, const struct problems *problems) {
    for (size_t i = 0; i < problems->count; i++)
        if (!problems->items[i].is_error)
            log_warn("engine.setting preset=%s why=\"%s\"", preset->name, problems->items[i].text);
}

// First in its log: what was run, to read or to try by hand.
static void tell_command(struct engine *engine, const struct launch *launch) {
    char *line = launch_describe(launch);
    engine->ops->on_line(line, engine->arg);
    mem_free(line);
}

static bool spawn(struct engine *engine, const struct preset *preset,
                  const struct launch_spec *spec, struct err *err) {
    struct launch launch;
    bool ok = launch_build(spec, &launch);
    warn_problems(preset, &launch.problems);
    if (ok) {
        args_addf(&launch.envp, "%s%u", guardian_mark(engine->context->guardian), engine->run);
        // A preset that spreads over RPC workers needs the network; all others must not have it.
        bool alone = engine->socket_name && !preset_get(preset, "rpc");
        struct child_spec child = {
            .spawn = {.path = spec->dialect->path,
                      .argv = launch.argv.items,
                      .envp = launch.envp.items,
                      .cwd = engine->context->runtime_dir,
                      .sandbox = alone ? engine->context->sandbox : NULL,
                      .oom_score_adj = OOM_SCORE},
            .on_line = on_line,
            .on_exit = on_child_exit,
            .arg = engine,
        };
        engine->child = child_start(loop_base(engine->context->loop), &child, err);
        ok = engine->child != NULL;
        if (ok) {
            guardian_watch(engine->context->guardian, engine->group = child_pid(engine->child));
            tell_command(engine, &launch);
        } else {
            struct diagnosis diagnosis;
            diagnose_start(err, &diagnosis);
            err_set(err, err->code, "%s; %s", diagnosis.text, diagnosis.fix);
        }
    } else {
        preset_launch_error(&launch.problems, err);
    }
    launch_fini(&launch);
    return ok;
}

struct engine *engine_start(struct launch_context *context, const struct preset *preset,
                            const struct decision *decision, int64_t stop_grace_ms,
                            const struct engine_ops *ops, void *arg, struct err *err) {
    const struct dialect *dialect = decision->dialect;
    if (!path_make_private(context->runtime_dir, err)) // cleaners of /tmp may have taken it
        return NULL;
    struct engine *engine = mem_alloc(sizeof *engine);
    engine->context = context;
    engine->run = ++context->runs;
    LIST_INSERT_HEAD(&context->engines, engine, link);
    engine->ops = ops;
    engine->arg = arg;
    engine->started_ms = loop_now_ms();
    engine->load_timeout_ms = preset->load_timeout_ms;
    engine->stop_grace_ms = stop_grace_ms;
    buf_init(&engine->tail, TAIL_BYTES);
    buf_init(&engine->answer, MAX_ANSWER);
    timer_init(&engine->poll, context->loop, on_poll, engine);
    timer_init(&engine->deadline, context->loop, on_load_deadline, engine);
    struct launch_spec spec;
    preset_launch_init(&spec, preset, dialect, decision);
    bool ok = choose_address(engine, dialect, &spec, err) && spawn(engine, preset, &spec, err);
    preset_launch_fini(&spec);
    if (!ok) {
        engine_destroy(engine);
        return NULL;
    }
    timer_start(&engine->deadline, engine->load_timeout_ms);
    timer_start(&engine->poll, POLL_MS);
    return engine;
}

pid_t engine_pid(const struct engine *engine) { return child_pid(engine->child); }
struct http_peer *engine_peer(struct engine *engine) {
    return engine->peer;
}
const char *engine_auth(const struct engine *engine) { return engine->auth; }

int64_t engine_cpu_ms(const struct engine *engine) {
    struct process_usage usage;
    return process_usage_of(engine_pid(engine), &usage) ? usage.cpu_ms : -1;
}

uint64_t engine_anonymous_bytes(const struct engine *engine) {
    return process_anonymous_bytes(engine_pid(engine));
}
const struct props *engine_props(const struct engine *engine) { return &engine->props; }
