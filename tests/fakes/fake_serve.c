/* The fake engine's loop: sockets, time, HTTP framing, and the paths that are no inference. */
#include "fake_conn.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FD = 1 << 17, IN_MAX = 512 << 20, IN_BUSY_MAX = 1 << 20, MS = 1000000, LOG_LINES = 256 };

struct counters counters;
const struct knobs *the_knobs;
const struct fake_args *the_args;
uint64_t start_ns;
bool wedged;
volatile int serve_stop;

static int epoll_fd, listen_fd = -1;
static struct conn *conns[MAX_FD];
static int highest_fd;
static uint32_t generations;
static struct conn **heap;
static size_t heap_len, heap_cap;
static struct conn *broken_first;
static struct {
    char line[160];
    uint64_t body_len, body_hash;
} seen[LOG_LINES];
static struct text last_head, last_body;

uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A binary heap of connections by due time; heap_at is each one's place. */
static void heap_put(size_t at, struct conn *conn) {
    heap[at] = conn;
    conn->heap_at = at;
}

static void heap_settle(size_t at) {
    struct conn *conn = heap[at];
    while (at > 0 && heap[(at - 1) / 2]->due_ns > conn->due_ns) {
        heap_put(at, heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < heap_len && heap[child + 1]->due_ns < heap[child]->due_ns)
            child++;
        if (child >= heap_len || heap[child]->due_ns >= conn->due_ns)
            break;
        heap_put(at, heap[child]);
        at = child;
    }
    heap_put(at, conn);
}

void conn_arm(struct conn *conn, uint64_t due_ns) {
    if (conn->due_ns == 0) {
        if (heap_len == heap_cap) {
            heap_cap = heap_cap ? 2 * heap_cap : 256;
            heap = realloc(heap, heap_cap * sizeof *heap);
            if (!heap)
                abort();
        }
        heap_put(heap_len++, conn);
    }
    conn->due_ns = due_ns;
    heap_settle(conn->heap_at);
}

void conn_disarm(struct conn *conn) {
    if (conn->due_ns == 0)
        return;
    conn->due_ns = 0;
    struct conn *last = heap[--heap_len];
    if (last == conn)
        return;
    heap_put(conn->heap_at, last);
    heap_settle(last->heap_at);
}

void conn_each(void (*visit)(struct conn *conn, void *context), void *context) {
    for (int fd = 0; fd <= highest_fd; fd++)
        if (conns[fd])
            visit(conns[fd], context);
}

size_t conn_pending(const struct conn *conn) { return conn->out.len - conn->out_off; }

static void conn_break(struct conn *conn) {
    if (conn->broken)
        return;
    conn->broken = true;
    conn->next_broken = broken_first;
    broken_first = conn;
}

void conn_reset(struct conn *conn) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    conn_break(conn);
}

static void bury_broken(void) {
    while (broken_first) {
        struct conn *conn = broken_first;
        broken_first = conn->next_broken;
        job_abandoned(conn);
        conn_disarm(conn);
        conns[conn->fd] = NULL;
        close(conn->fd);
        free(conn->in.at);
        free(conn->out.at);
        free(conn);
        counters.conns--;
    }
}

static void want(struct conn *conn) {
    bool busy = conn->job.phase != JOB_NONE || conn->muted;
    uint32_t events = EPOLLRDHUP;
    if (!busy || conn->in.len < IN_BUSY_MAX)
        events |= EPOLLIN;
    bool pouring = conn->job.phase == JOB_PADDING || conn->job.phase == JOB_FLOODING;
    if (conn_pending(conn) > 0 || pouring)
        events |= EPOLLOUT;
    if (events == conn->events)
        return;
    conn->events = events;
    struct epoll_event e = {.events = events,
                            .data.u64 = (uint64_t)conn->generation << 32 | (uint32_t)conn->fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, conn->fd, &e);
}

void conn_write(struct conn *conn, const void *bytes, size_t len) {
    if (!conn->broken)
        text_add(&conn->out, bytes, len);
}

bool conn_flush(struct conn *conn) {
    while (!conn->broken && conn_pending(conn) > 0) {
        ssize_t n = send(conn->fd, conn->out.at + conn->out_off, conn_pending(conn), MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n < 0) {
            conn_break(conn);
            return false;
        }
        conn->out_off += (size_t)n;
    }
    conn->out.len = conn->out_off = 0;
    if (conn->out.cap > (1 << 20)) {
        free(conn->out.at);
        conn->out = (struct text){0};
    }
    return !conn->broken;
}

void conn_finish(struct conn *conn) { conn->close_when_flushed = true; }

void conn_reply(struct conn *conn, int status, const char *type, const struct text *body) {
    char head[256];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %d %s\r\nServer: llama.cpp\r\n%sContent-Type: %s\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     status, status < 400 ? "OK" : "Error",
                     conn->keep_alive ? "" : "Connection: close\r\n", type, body->len);
    conn_write(conn, head, (size_t)n);
    conn_write(conn, body->at, body->len);
    if (!conn->keep_alive)
        conn_finish(conn);
}

void conn_error(struct conn *conn, int status, const char *kind, const char *message) {
    struct text body = {0};
    text_addf(&body, "{\"error\":{\"code\":%d,\"message\":\"%s\",\"type\":\"%s\"}}", status,
              message, kind);
    conn_reply(conn, status, "application/json; charset=utf-8", &body);
    free(body.at);
}

static void reply_json(struct conn *conn, struct text *body) {
    conn_reply(conn, 200, "application/json; charset=utf-8", body);
    free(body->at);
}

static bool loaded(void) {
    static bool released;
    if (the_knobs->never_healthy)
        return false;
    released = released || !the_knobs->load_hold[0] || access(the_knobs->load_hold, F_OK) != 0;
    if (!released)
        return false;
    return now_ns() - start_ns >= (uint64_t)the_knobs->load_ms * MS;
}

static const char *model_name(void) {
    const char *slash = the_args->model ? strrchr(the_args->model, '/') : NULL;
    return slash ? slash + 1 : the_args->model ? the_args->model : "none";
}

static void fake_stats(struct conn *conn) {
    struct text body = {0};
    text_addf(&body,
              "{\"pid\":%d,\"model\":\"%s\",\"opened\":%lu,\"conns\":%lu,\"requests\":%lu,"
              "\"finished\":%lu,\"closed_early\":%lu,\"active\":%ld,\"running\":%ld,"
              "\"waiting\":%ld,\"last_close_ns\":%lu,\"tokens\":%lu,\"seen\":%lu,\"unknown\":%lu,"
              "\"health_checks\":%ld}",
              (int)getpid(), model_name(), counters.opened, counters.conns, counters.requests,
              counters.finished, counters.closed_early, counters.active, counters.running,
              counters.waiting, counters.last_close_ns, counters.tokens, counters.seen,
              counters.unknown, counters.health_checks);
    reply_json(conn, &body);
}

static void fake_last(struct conn *conn) {
    struct text body = {0};
    text_addf(&body, "{\"head\":\"");
    text_add_json(&body, last_head.at ? last_head.at : "", last_head.len);
    text_addf(&body, "\",\"body\":\"");
    text_add_json(&body, last_body.at ? last_body.at : "", last_body.len);
    text_addf(&body, "\"}");
    reply_json(conn, &body);
}

static void fake_log(struct conn *conn) {
    struct text body = {0};
    uint64_t from = counters.seen > LOG_LINES ? counters.seen - LOG_LINES : 0;
    text_addf(&body, "[");
    for (uint64_t i = from; i < counters.seen; i++) {
        text_addf(&body, "%s{\"line\":\"", i > from ? "," : "");
        text_add_json(&body, seen[i % LOG_LINES].line, strlen(seen[i % LOG_LINES].line));
        text_addf(&body, "\",\"body_len\":%lu,\"body_fnv\":\"%016lx\"}",
                  seen[i % LOG_LINES].body_len, seen[i % LOG_LINES].body_hash);
    }
    text_addf(&body, "]");
    reply_json(conn, &body);
}

static void health(struct conn *conn) {
    counters.health_checks++;
    if (the_knobs->health_hang) {
        conn->muted = true;
        return;
    }
    if (!loaded() || counters.health_checks <= the_knobs->health_503) {
        conn_error(conn, 503, "unavailable_error", "Loading model");
        return;
    }
    struct text body = {0};
    text_addf(&body, "{\"status\":\"ok\"}");
    reply_json(conn, &body);
}

static void metrics(struct conn *conn) {
    if (!the_args->metrics) {
        conn_error(conn, 501, "not_supported_error",
                   "This server does not support metrics endpoint. Start it with `--metrics`");
        return;
    }
    struct text body = {0};
    text_addf(&body,
              "# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed.\n"
              "# TYPE llamacpp:prompt_tokens_total counter\nllamacpp:prompt_tokens_total %lu\n"
              "# HELP llamacpp:tokens_predicted_total Number of generation tokens processed.\n"
              "# TYPE llamacpp:tokens_predicted_total counter\n"
              "llamacpp:tokens_predicted_total %lu\n"
              "# TYPE llamacpp:requests_processing gauge\nllamacpp:requests_processing %ld\n"
              "# TYPE llamacpp:requests_deferred gauge\nllamacpp:requests_deferred %ld\n",
              counters.prompt_tokens, counters.tokens, counters.running, counters.waiting);
    conn_reply(conn, 200, "text/plain; version=0.0.4", &body);
    free(body.at);
}

static void models(struct conn *conn) {
    struct text body = {0};
    const char *name = the_args->alias ? the_args->alias : model_name();
    text_addf(&body,
              "{\"models\":[{\"name\":\"%s\",\"model\":\"%s\"}],\"object\":\"list\",\"data\":[{"
              "\"id\":\"%s\",\"object\":\"model\",\"created\":1,\"owned_by\":\"llamacpp\",\"meta\":"
              "{\"n_ctx_train\":8192}}]}",
              name, name, name);
    reply_json(conn, &body);
}

static void props(struct conn *conn) {
    struct text body = {0};
    text_addf(&body, "{\"default_generation_settings\":{\"n_ctx\":%ld},\"model_path\":\"%s\",",
              the_knobs->n_ctx, the_args->model ? the_args->model : "");
    if (the_args->parallel > 0)
        text_addf(&body, "\"total_slots\":%ld,", the_args->parallel);
    text_addf(&body, "\"modalities\":{\"vision\":false,\"audio\":false},\"build_info\":"
                     "\"b11434-fake\"}");
    reply_json(conn, &body);
}

/* Paths only the tests know; they work in every state and with no key. */
static bool route_fake(struct conn *conn, const struct request *request) {
    struct text body = {0};
    if (slice_is(request->path, "/fake/stats"))
        fake_stats(conn);
    else if (slice_is(request->path, "/fake/last"))
        fake_last(conn);
    else if (slice_is(request->path, "/fake/log"))
        fake_log(conn);
    else if (slice_is(request->path, "/fake/socket")) {
        probe_sockets(&body);
        reply_json(conn, &body);
    } else
        return false;
    return true;
}

static bool has_key(const struct request *request) {
    if (!the_args->api_key)
        return true;
    char bearer[512];
    snprintf(bearer, sizeof bearer, "Bearer %s\r\n", the_args->api_key);
    if (memmem(request->head.at, request->head.len, bearer, strlen(bearer)))
        return true;
    snprintf(bearer, sizeof bearer, "%s\r\n", the_args->api_key);
    const char *at = memmem(request->head.at, request->head.len, bearer, strlen(bearer));
    return at && at - request->head.at > 11 && strncasecmp(at - 11, "x-api-key: ", 11) == 0;
}

static void route_slots(struct conn *conn, const struct request *request) {
    if (wedged) {
        conn->muted = true; /* the real one answers /slots from its task queue, which is stuck */
        return;
    }
    struct text body = {0};
    if (slice_is(request->path, "/slots")) {
        job_slots_json(&body, slot_limit());
    } else {
        text_addf(&body, "{\"id_slot\":0,\"filename\":\"fake\",\"n_saved\":4,\"n_written\":64,"
                         "\"n_restored\":4,\"n_read\":64,\"timings\":{\"save_ms\":1.0}}");
    }
    reply_json(conn, &body);
}

static void route(struct conn *conn, const struct request *request) {
    if (route_fake(conn, request))
        return;
    if (slice_is(request->path, "/health") || slice_is(request->path, "/v1/health")) {
        health(conn);
        return;
    }
    bool open_path = slice_is(request->path, "/v1/models") || slice_is(request->path, "/models");
    if (!open_path && !has_key(request)) {
        conn_error(conn, 401, "authentication_error", "Invalid API Key");
        return;
    }
    if (!loaded()) {
        conn_error(conn, 503, "unavailable_error", "Loading model");
        return;
    }
    enum fake_api api = answer_api(request->path);
    if (the_knobs->no_count && slice_is(request->path, "/v1/chat/completions/input_tokens"))
        api = API_NONE;
    if (api != API_NONE && slice_is(request->method, "POST")) {
        last_head.len = last_body.len = 0;
        text_add(&last_head, request->head.at, request->head.len);
        text_add(&last_body, request->body.at,
                 request->body.len < (1 << 20) ? request->body.len : 1 << 20);
        job_begin(conn, request, api);
    } else if (open_path)
        models(conn);
    else if (slice_is(request->path, "/props"))
        props(conn);
    else if (slice_is(request->path, "/metrics"))
        metrics(conn);
    else if (request->path.len >= 6 && memcmp(request->path.at, "/slots", 6) == 0)
        route_slots(conn, request);
    else {
        counters.unknown++;
        conn_error(conn, 404, "not_found_error", "File Not Found");
    }
}

static void remember(const struct request *request) {
    size_t at = counters.seen++ % LOG_LINES;
    size_t line = strcspn(request->head.at, "\r");
    snprintf(seen[at].line, sizeof seen[at].line, "%.*s", (int)(line < 150 ? line : 150),
             request->head.at);
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    size_t hashed = request->body.len < (1 << 16) ? request->body.len : 1 << 16;
    for (size_t i = 0; i < hashed; i++)
        hash = (hash ^ (unsigned char)request->body.at[i]) * 0x100000001b3u;
    seen[at].body_hash = hash;
    seen[at].body_len = request->body.len;
}

static struct slice header(struct slice head, const char *name) {
    size_t len = strlen(name);
    const char *end = head.at + head.len;
    for (const char *at = head.at; at < end;) {
        const char *line_end = memchr(at, '\r', (size_t)(end - at));
        if (!line_end)
            break;
        if ((size_t)(line_end - at) > len && at[len] == ':' && strncasecmp(at, name, len) == 0) {
            at += len + 1;
            while (at < line_end && *at == ' ')
                at++;
            return (struct slice){at, (size_t)(line_end - at)};
        }
        at = line_end + 2;
    }
    return (struct slice){"", 0};
}

/* Decodes a chunked body in place. Returns the bytes of input it took, 0: incomplete, -1: bad. */
static ssize_t dechunk(char *at, size_t len, size_t *body_len) {
    size_t in = 0, out = 0;
    for (;;) {
        char *line_end = memmem(at + in, len - in, "\r\n", 2);
        if (!line_end)
            return 0;
        char *end;
        unsigned long size = strtoul(at + in, &end, 16);
        if (end == at + in || size > IN_MAX)
            return -1;
        in = (size_t)(line_end - at) + 2;
        if (size == 0) {
            char *last = memmem(at + in - 2, len - in + 2, "\r\n\r\n", 4);
            *body_len = out;
            return last ? last - at + 4 : 0;
        }
        if (len - in < size + 2)
            return 0;
        memmove(at + out, at + in, size);
        out += size;
        in += size + 2;
    }
}

/* Is a whole chunked body there? Walked before decoding, as decoding destroys. */
static bool chunks_complete(const char *at, size_t len) {
    size_t in = 0;
    for (;;) {
        const char *line_end = memmem(at + in, len - in, "\r\n", 2);
        if (!line_end)
            return false;
        unsigned long size = strtoul(at + in, NULL, 16);
        in = (size_t)(line_end - at) + 2;
        if (size == 0)
            return memmem(at + in - 2, len - in + 2, "\r\n\r\n", 4) != NULL;
        if (size > IN_MAX || len < in + size + 2)
            return size > IN_MAX;
        in += size + 2;
    }
}

/* One request out of the input buffer. False: there is none yet. */
static bool take_request(struct conn *conn) {
    struct text *in = &conn->in;
    char *head_end = in->len ? memmem(in->at, in->len, "\r\n\r\n", 4) : NULL;
    if (!head_end)
        return false;
    struct request request = {.head = {in->at, (size_t)(head_end - in->at) + 2}};
    char *body = head_end + 4;
    size_t have = in->len - (size_t)(body - in->at), took = 0;
    struct slice length = header(request.head, "content-length");
    struct slice coding = header(request.head, "transfer-encoding");
    size_t expected = length.len ? strtoul(length.at, NULL, 10) : 0;
    if (!conn->said_continue && header(request.head, "expect").len && have == 0) {
        conn->said_continue = true;
        conn_write(conn, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    }
    if (coding.len) {
        if (!chunks_complete(body, have))
            return false;
        ssize_t n = dechunk(body, have, &request.body.len);
        if (n <= 0) {
            conn_break(conn);
            return false;
        }
        took = (size_t)n;
    } else {
        if (have < expected)
            return false;
        took = request.body.len = expected;
    }
    request.body.at = body;
    const char *space = memchr(in->at, ' ', request.head.len);
    if (!space) {
        conn_break(conn);
        return false;
    }
    request.method = (struct slice){in->at, (size_t)(space - in->at)};
    size_t path = strcspn(space + 1, " ?\r");
    request.path = (struct slice){space + 1, path};
    size_t line = strcspn(in->at, "\r");
    conn->http_1_0 = line >= 8 && memcmp(in->at + line - 8, "HTTP/1.0", 8) == 0;
    struct slice connection = header(request.head, "connection");
    conn->keep_alive =
        !conn->http_1_0 && !(connection.len == 5 && strncasecmp(connection.at, "close", 5) == 0);
    conn->said_continue = false;
    remember(&request);
    route(conn, &request);
    size_t used = (size_t)(body - in->at) + took;
    memmove(in->at, in->at + used, in->len - used);
    in->len -= used;
    if (in->cap > (1 << 20) && in->len == 0) {
        free(in->at);
        *in = (struct text){0};
    }
    return true;
}

static void advance(struct conn *conn) {
    while (!conn->broken && conn->job.phase == JOB_NONE && !conn->muted &&
           !conn->close_when_flushed && take_request(conn))
        continue;
    conn_flush(conn);
    if (!conn->broken && conn->close_when_flushed && conn_pending(conn) == 0)
        conn_break(conn);
    if (!conn->broken)
        want(conn);
}

static void on_readable(struct conn *conn) {
    static char piece[1 << 16];
    for (;;) {
        ssize_t n = recv(conn->fd, piece, sizeof piece, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0 || conn->in.len + (size_t)n > IN_MAX) {
            conn_break(conn);
            return;
        }
        text_add(&conn->in, piece, (size_t)n);
        if ((size_t)n < sizeof piece)
            break;
    }
    advance(conn);
}

static void on_accept(void) {
    for (;;) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        if (fd >= MAX_FD) {
            close(fd);
            continue;
        }
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct conn *conn = calloc(1, sizeof *conn);
        if (!conn)
            abort();
        conn->fd = fd;
        conn->generation = ++generations;
        conn->events = EPOLLIN | EPOLLRDHUP;
        conns[fd] = conn;
        if (fd > highest_fd)
            highest_fd = fd;
        counters.opened++;
        counters.conns++;
        struct epoll_event e = {.events = conn->events,
                                .data.u64 = (uint64_t)conn->generation << 32 | (uint32_t)fd};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
    }
}

static void on_event(const struct epoll_event *event) {
    int fd = (int)(event->data.u64 & 0xffffffffu);
    if (fd == listen_fd) {
        on_accept();
        return;
    }
    struct conn *conn = conns[fd];
    if (!conn || conn->generation != event->data.u64 >> 32 || conn->broken)
        return;
    if (event->events & (EPOLLERR | EPOLLHUP)) {
        conn_break(conn);
    } else if ((event->events & EPOLLRDHUP) && (conn->job.phase != JOB_NONE || conn->muted)) {
        conn_break(conn);
    } else {
        if (event->events & EPOLLOUT) {
            conn_flush(conn);
            if (!conn->broken && conn_pending(conn) < (1 << 16))
                job_drained(conn);
        }
        if (!conn->broken && (event->events & EPOLLIN))
            on_readable(conn);
        else if (!conn->broken)
            advance(conn);
    }
}

static int listen_unix(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -1;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* As the real one: a file that is already there makes the bind fail. */
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 4096) < 0)
        return -1;
    return fd;
}

static int listen_tcp(const char *host, const char *port) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_PASSIVE};
    struct addrinfo *found;
    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return -1;
    int one = 1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    int rc = fd < 0 ? -1 : bind(fd, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    if (rc < 0 || listen(fd, 4096) < 0)
        return -1;
    return fd;
}

static bool open_listener(void) {
    const char *host = the_args->host ? the_args->host : "127.0.0.1";
    const char *port = the_args->port ? the_args->port : "8080";
    size_t len = strlen(host);
    bool is_unix = len > 5 && strcmp(host + len - 5, ".sock") == 0;
    listen_fd =
        is_unix && the_knobs->dialect != DIALECT_IK ? listen_unix(host) : listen_tcp(host, port);
    if (listen_fd < 0) {
        fprintf(stderr,
                "srv    operator(): couldn't bind HTTP server socket, hostname: %s, port: %s\n"
                "main: exiting due to HTTP server error\n",
                host, port);
        return false;
    }
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = (uint32_t)listen_fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &e);
    fprintf(stderr, "main: server is listening on %s%s%s\n", is_unix ? "" : "http://", host,
            is_unix ? "" : port);
    return true;
}

/* Milliseconds to the next thing that time brings. */
static int patience(void) {
    uint64_t now = now_ns(), next = heap_len ? heap[0]->due_ns : UINT64_MAX;
    const long moments[] = {the_knobs->exit_after_ms, the_knobs->stop_after_ms,
                            the_knobs->load_ms > 0 ? the_knobs->load_ms : -1};
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        uint64_t at = start_ns + (uint64_t)moments[i] * MS;
        if (moments[i] >= 0 && at > now && at < next)
            next = at;
    }
    if (next == UINT64_MAX)
        return -1;
    return next <= now ? 0 : (int)((next - now + MS - 1) / MS);
}

static void process_faults(void) {
    static bool stopped, told;
    uint64_t age_ms = (now_ns() - start_ns) / MS;
    if (the_knobs->exit_after_ms >= 0 && age_ms >= (uint64_t)the_knobs->exit_after_ms)
        _exit(1);
    if (!stopped && the_knobs->stop_after_ms >= 0 && age_ms >= (uint64_t)the_knobs->stop_after_ms) {
        stopped = true;
        kill(getpid(), SIGSTOP);
    }
    if (loaded() && !told) {
        told = true;
        fprintf(stderr, "main: model loaded\nsrv  update_slots: all slots are idle\n");
    }
}

static void run_due(void) {
    uint64_t now = now_ns();
    while (heap_len && heap[0]->due_ns <= now) {
        struct conn *conn = heap[0];
        conn_disarm(conn);
        if (!conn->broken) {
            job_step(conn);
            advance(conn);
        }
    }
    bury_broken();
}

int serve(const struct knobs *knobs, const struct fake_args *args) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max < MAX_FD ? files.rlim_max : MAX_FD;
    setrlimit(RLIMIT_NOFILE, &files);
    the_knobs = knobs;
    the_args = args;
    start_ns = now_ns();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    while (knobs->late_bind && !loaded() && !serve_stop)
        usleep(1000);
    if (!open_listener())
        return 1;
    while (!serve_stop) {
        struct epoll_event events[256];
        int n = epoll_wait(epoll_fd, events, 256, patience());
        for (int i = 0; i < n; i++)
            on_event(&events[i]);
        bury_broken();
        process_faults();
        run_due();
    }
    fprintf(stderr, "srv  operator(): operator(): cleaning up before exit...\n");
    usleep((useconds_t)(knobs->term_ms * 1000));
    return 0;
}
