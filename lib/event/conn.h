// A non-blocking stream socket (TCP or unix) on the loop.
//
// Reading stays on from open to close unless paused, so a peer that leaves is seen at once. All
// that one turn of the loop writes goes to the kernel as one send at its end; what the kernel does
// not take is queued, up to a maximum. Not bufferevents: one recv and one send an event, no
// epoll_ctl, is what makes relaying cheap (bench/gateway).
//
// A conn may be destroyed from inside any of its callbacks: the socket closes at once, the memory
// goes when the loop has unwound. No callback comes after conn_destroy.
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "event/loop.h"

#include <stdint.h>
#include <sys/socket.h>

struct conn;

struct conn_ops {
    void (*on_connect)(struct conn *conn, void *arg); // outgoing only
    // Bytes are borrowed until the callback returns; all of them must be used or copied.
    void (*on_data)(struct conn *conn, const char *bytes, size_t length, void *arg);
    void (*on_drain)(struct conn *conn, void *arg); // all that was written is with the kernel
    // The peer left, the connection broke or stalled. The conn is dead but not yet destroyed.
    void (*on_close)(struct conn *conn, const struct err *why, void *arg);
};

// Takes the (non-blocking) fd over. `max_queue` bounds unsent bytes.
struct conn *conn_open(struct loop *loop, int fd, size_t max_queue, const struct conn_ops *ops,
                       void *arg);
// Starts connecting; NULL when that fails at once (then nothing else will be called). Then or in
// on_close: ERR_NOTFOUND when nobody listens there.
struct conn *conn_connect(struct loop *loop, const struct sockaddr *address, socklen_t length,
                          size_t max_queue, const struct conn_ops *ops, void *arg, struct err *err);
void conn_destroy(struct conn *conn); // NULL is fine

// False when the queue would pass its maximum, or the conn is dead.
bool conn_write(struct conn *conn, const void *bytes, size_t length);
// The same for pieces that belong together: all are taken or none.
bool conn_write_pieces(struct conn *conn, const struct span *pieces, size_t count);
// Sends bytes that stay the caller's, after what is queued now; at most one such span at a time.
// They must outlive the sending: until on_drain, conn_destroy or conn_disown.
void conn_write_borrowed(struct conn *conn, struct span bytes);
bool conn_disown(struct conn *conn); // copies what is left of the borrowed span; false: dropped it
size_t conn_backlog(const struct conn *conn); // bytes not yet taken by the kernel

void conn_pause(struct conn *conn); // stop reading: the peer will block
void conn_resume(struct conn *conn);

// Ends the connection when peer takes no byte for this long while bytes wait; 0 = never.
void conn_set_write_timeout(struct conn *conn, int64_t timeout_ms);
// Sends what is queued, then closes and frees by itself; no callback comes any more. Waits a few
// seconds for the peer, two minutes for one that goes on sending, and until the loop is destroyed
// at most. Reads and drops what still arrives, so that the peer gets to read our last bytes instead
// of a reset.
void conn_finish(struct conn *conn);
