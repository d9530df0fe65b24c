#define _GNU_SOURCE
#include "event/conn.h"

#include "base/buf.h"
#include "base/mem.h"
#include "event/fd.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#ifdef TCP_KEEPIDLE
#define IDLE_BEFORE_PROBES TCP_KEEPIDLE
#else
#define IDLE_BEFORE_PROBES TCP_KEEPALIVE // macOS
#endif

enum {
    // conn_finish waits so long for the peer to take our last bytes, and as long again whenever so
    // much of what it still sends has been read and dropped: many a client reads the refusal of a
    // body only when it has sent it all.
    LINGER_MS = 3000,
    LINGER_STEP_BYTES = 256 << 10,
    LINGER_MOST_MS = 120000,       // but no longer than that,
    LINGER_MOST_BYTES = 512 << 20, // and no more
};

struct conn {
    struct loop *loop;
    int fd;
    const struct conn_ops *ops;
    void *arg;
    struct event readable, writable;
    struct buf out;
    struct span borrowed; // sent after `out`
    bool connecting, dead, paused, finishing, write_armed;
    bool mute;               // the peer reads no more; what it has sent is still to be read
    size_t dropped;          // bytes read while finishing
    int64_t linger_until_ms; // when finishing
    int64_t write_timeout_ms, progress_ms;
    struct timer write_timer;
    struct deferred flush, reclaim;
    struct deferred ending; // while finishing it is nobody's: the loop's end is then its own
};

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);
static void on_write_timer(void *arg);

static void free_conn(void *arg) {
    struct conn *conn = arg;
    buf_fini(&conn->out);
    mem_free(conn);
}

// Unhooks the socket from the loop and closes it; callbacks stop here.
static void shut(struct conn *conn) {
    if (conn->fd < 0)
        return;
    event_del(&conn->readable);
    event_del(&conn->writable);
    timer_stop(&conn->write_timer);
    loop_not_at_end(conn->loop, &conn->ending);
    close(conn->fd);
    conn->fd = -1;
    conn->dead = true;
}

void conn_destroy(struct conn *conn) {
    if (!conn)
        return;
    shut(conn);
    loop_undefer(conn->loop, &conn->flush);
    conn->borrowed = (struct span){0};
    conn->ops = NULL;
    loop_defer(conn->loop, &conn->reclaim, free_conn, conn);
}

static void on_loop_end(void *arg) { conn_destroy(arg); }

static void fail(struct conn *conn, const struct err *why) {
    if (conn->finishing) {
        conn_destroy(conn);
        return;
    }
    conn->dead = true;
    event_del(&conn->readable);
    event_del(&conn->writable);
    timer_stop(&conn->write_timer);
    conn->ops->on_close(conn, why, conn->arg);
}

static struct conn *conn_new(struct loop *loop, int fd, size_t max_queue,
                             const struct conn_ops *ops, void *arg) {
    struct conn *conn = mem_alloc(sizeof *conn);
    conn->loop = loop;
    conn->fd = fd;
    conn->ops = ops;
    conn->arg = arg;
    buf_init(&conn->out, max_queue);
    event_assign(&conn->readable, loop_base(loop), fd, EV_READ | EV_PERSIST, on_readable, conn);
    event_assign(&conn->writable, loop_base(loop), fd, EV_WRITE | EV_PERSIST, on_writable, conn);
    timer_init(&conn->write_timer, loop, on_write_timer, conn);
    return conn;
}

// Small events must leave at once, and a peer whose cable was pulled must be noticed.
static void tune_tcp(int fd) {
    int on = 1, idle_s = 30, interval_s = 10, probes = 3;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, IDLE_BEFORE_PROBES, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

struct conn *conn_open(struct loop *loop, int fd, size_t max_queue, const struct conn_ops *ops,
                       void *arg) {
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &length) == 0 && address.ss_family != AF_UNIX)
        tune_tcp(fd);
    struct conn *conn = conn_new(loop, fd, max_queue, ops, arg);
    event_add(&conn->readable, NULL);
    return conn;
}

struct conn *conn_connect(struct loop *loop, const struct sockaddr *address, socklen_t length,
                          size_t max_queue, const struct conn_ops *ops, void *arg,
                          struct err *err) {
    int fd = fd_socket(address->sa_family, SOCK_STREAM);
    if (fd < 0) {
        err_errno(err, "cannot open a socket");
        return NULL;
    }
    if (address->sa_family != AF_UNIX)
        tune_tcp(fd);
    if (connect(fd, address, length) != 0 && errno != EINPROGRESS) {
        bool absent = errno == ENOENT || errno == ECONNREFUSED;
        err_errno(err, "cannot connect");
        if (err && absent)
            err->code = ERR_NOTFOUND;
        close(fd);
        return NULL;
    }
    struct conn *conn = conn_new(loop, fd, max_queue, ops, arg);
    conn->connecting = true;
    conn->write_armed = true;
    event_add(&conn->writable, NULL);
    return conn;
}

static void arm_write(struct conn *conn) {
    if (conn->write_armed)
        return;
    conn->write_armed = true;
    event_add(&conn->writable, NULL);
    if (conn->write_timeout_ms > 0) {
        conn->progress_ms = loop_now_ms();
        timer_start(&conn->write_timer, conn->write_timeout_ms);
    }
}

static void disarm_write(struct conn *conn) {
    if (!conn->write_armed)
        return;
    conn->write_armed = false;
    event_del(&conn->writable);
    timer_stop(&conn->write_timer);
}

// One send of queue and borrowed span together. False when the connection broke.
static bool push(struct conn *conn, struct err *why) {
    while (conn->out.length || conn->borrowed.length) {
        struct iovec parts[2] = {
            {(char *)buf_bytes(&conn->out), conn->out.length},
            {(char *)conn->borrowed.data, conn->borrowed.length},
        };
        int first = conn->out.length == 0;
        struct msghdr message = {.msg_iov = parts + first,
                                 .msg_iovlen = (size_t)(2 - first - (conn->borrowed.length == 0))};
        ssize_t n = sendmsg(conn->fd, &message, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            arm_write(conn);
            return true;
        }
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET) && !conn->paused && !conn->finishing) {
            conn->mute = true; // it may have answered before it left: reading tells
            buf_fini(&conn->out);
            conn->borrowed = (struct span){0};
            break;
        }
        if (n < 0)
            return err_errno(why, "write failed");
        conn->progress_ms = conn->write_armed ? loop_now_ms() : 0;
        size_t sent = (size_t)n, queued = sent < conn->out.length ? sent : conn->out.length;
        if (queued)
            buf_drain(&conn->out, queued);
        conn->borrowed.data += sent - queued;
        conn->borrowed.length -= sent - queued;
    }
    disarm_write(conn);
    return true;
}

static void drained(struct conn *conn) {
    if (conn->finishing)
        conn_finish(conn);
    else if (conn->ops->on_drain)
        conn->ops->on_drain(conn, conn->arg);
}

// What was written in one turn of the loop goes out as one at its end: first all reading, then all
// writing is a tenth cheaper than by turns. A conn that is connecting, or whose
// kernel queue is full, goes on from on_writable instead.
static void flush(void *arg) {
    struct conn *conn = arg;
    struct err why;
    if (conn->dead || conn->connecting || (conn->write_armed && !conn->finishing))
        return;
    if (!push(conn, &why))
        fail(conn, &why);
    else if (conn_backlog(conn) == 0)
        drained(conn);
}

bool conn_write_pieces(struct conn *conn, const struct span *pieces, size_t count) {
    size_t length = 0;
    for (size_t i = 0; i < count; i++)
        length += pieces[i].length;
    if (conn->dead || conn->finishing || conn->mute)
        return false;
    assert(conn->borrowed.length == 0); // order would be lost
    loop_defer(conn->loop, &conn->flush, flush, conn);
    if (!buf_reserve(&conn->out, length))
        return false;
    for (size_t i = 0; i < count; i++)
        buf_add(&conn->out, pieces[i].data, pieces[i].length);
    return true;
}

bool conn_write(struct conn *conn, const void *bytes, size_t length) {
    return conn_write_pieces(conn, &(struct span){bytes, length}, 1);
}

void conn_write_borrowed(struct conn *conn, struct span bytes) {
    assert(conn->borrowed.length == 0);
    if (conn->dead || conn->finishing || conn->mute)
        return;
    conn->borrowed = bytes;
    loop_defer(conn->loop, &conn->flush, flush, conn);
}

bool conn_disown(struct conn *conn) {
    bool kept = buf_add(&conn->out, conn->borrowed.data, conn->borrowed.length);
    conn->borrowed = (struct span){0};
    return kept;
}

size_t conn_backlog(const struct conn *conn) { return conn->out.length + conn->borrowed.length; }

void conn_pause(struct conn *conn) {
    if (conn->paused || conn->dead)
        return;
    conn->paused = true;
    event_del(&conn->readable);
}

void conn_resume(struct conn *conn) {
    if (!conn->paused || conn->dead)
        return;
    conn->paused = false;
    if (!conn->connecting)
        event_add(&conn->readable, NULL);
}

void conn_set_write_timeout(struct conn *conn, int64_t timeout_ms) {
    conn->write_timeout_ms = timeout_ms;
}

static void on_write_timer(void *arg) {
    struct conn *conn = arg;
    int64_t left = conn->progress_ms + conn->write_timeout_ms - loop_now_ms();
    if (left > 0) {
        timer_start(&conn->write_timer, left);
        return;
    }
    struct err why;
    err_set(&why, ERR_TIMEOUT, "the peer takes no more bytes");
    fail(conn, &why);
}

void conn_finish(struct conn *conn) {
    if (conn->dead) {
        conn_destroy(conn);
        return;
    }
    if (!conn->finishing)
        conn->linger_until_ms = loop_now_ms() + LINGER_MOST_MS - LINGER_MS;
    conn->finishing = true;
    loop_at_end(conn->loop, &conn->ending, on_loop_end, conn);
    conn->write_timeout_ms = LINGER_MS;
    if (conn->paused)
        conn_resume(conn);
    if (conn_backlog(conn) > 0)
        arm_write(conn);
    else
        shutdown(conn->fd, SHUT_WR);
    conn->progress_ms = loop_now_ms();
    timer_start(&conn->write_timer, LINGER_MS);
}

static bool finish_connect(struct conn *conn, struct err *why) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error) {
        errno = error;
        err_errno(why, "cannot connect");
        if (error == ECONNREFUSED)
            why->code = ERR_NOTFOUND;
        return false;
    }
    conn->connecting = false;
    if (!conn->paused)
        event_add(&conn->readable, NULL);
    return true;
}

static void on_writable(evutil_socket_t fd, short what, void *arg) {
    struct conn *conn = arg;
    struct err why;
    bool connected = conn->connecting;
    if ((connected && !finish_connect(conn, &why)) || !push(conn, &why)) {
        fail(conn, &why);
        return;
    }
    if (connected && conn->ops->on_connect) {
        conn->ops->on_connect(conn, conn->arg);
        if (conn->dead)
            return;
    }
    if (conn_backlog(conn) == 0)
        drained(conn);
}

// What the peer of a conn that is finishing still sends.
static void drop(struct conn *conn, size_t length) {
    size_t steps = conn->dropped / LINGER_STEP_BYTES;
    conn->dropped += length;
    int64_t now = loop_now_ms();
    if (conn->dropped > LINGER_MOST_BYTES)
        conn_destroy(conn);
    else if (conn->dropped / LINGER_STEP_BYTES > steps && now < conn->linger_until_ms)
        conn->progress_ms = now;
}

static void on_readable(evutil_socket_t fd, short what, void *arg) {
    struct conn *conn = arg;
    size_t size;
    char *scratch = loop_scratch(conn->loop, &size);
    ssize_t n = recv(conn->fd, scratch, size, 0);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (n <= 0) {
        struct err why;
        if (n == 0)
            err_set(&why, ERR_PEER, "the peer closed the connection");
        else
            err_errno(&why, "read failed");
        fail(conn, &why);
        return;
    }
    if (conn->finishing)
        drop(conn, (size_t)n);
    else
        conn->ops->on_data(conn, scratch, (size_t)n, conn->arg);
}
