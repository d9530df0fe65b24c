#include "share_session.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/system.h"
#include "event/loop.h"
#include "event/spawn.h"
#include "share_login.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    HANGING_MAX = 32,    // helpers that even SIGKILL did not end yet
    REAP_MS = 200,       // the kernel may hold one for as long as its share hangs
    WHOLE_PATIENCE = 30, // one answer in all: so many times the share's timeout
    LIST_MAX = 1000000,
};

struct share_session {
    const struct share *share;
    struct spawned helper;
    int requests; // our end of its input
    struct buf in;
    struct share_frame frame; // the last one, still in `in`
    bool has_frame;
    int64_t give_up_ms; // the answer at hand must be complete by then
};

static enum share_fault fault_set(enum share_fault fault, struct err *err) {
    if (err)
        err->code = share_fault_kind(fault);
    return fault;
}

static enum share_fault no_answer(struct share_session *session, const char *what,
                                  struct err *err) {
    err_set(err, ERR_PEER, "the share %s %s", session->share->location, what);
    return fault_set(SHARE_UNREACHABLE, err);
}

// --- Processes that do not die

static pthread_mutex_t hanging_lock = PTHREAD_MUTEX_INITIALIZER;
static pid_t hanging[HANGING_MAX]; // under hanging_lock; 0: free

static bool reap(pid_t pid) {
    pid_t got;
    do
        got = waitpid(pid, NULL, WNOHANG);
    while (got < 0 && errno == EINTR);
    return got != 0;
}

// Collects those that have died meanwhile. False: too many have not.
static bool reap_hanging(void) {
    bool room = false;
    pthread_mutex_lock(&hanging_lock);
    for (size_t i = 0; i < HANGING_MAX; i++) {
        if (hanging[i] && reap(hanging[i]))
            hanging[i] = 0;
        room |= hanging[i] == 0;
    }
    pthread_mutex_unlock(&hanging_lock);
    return room;
}

static void keep_hanging(pid_t pid) {
    pthread_mutex_lock(&hanging_lock);
    for (size_t i = 0; i < HANGING_MAX; i++)
        if (hanging[i] == 0) {
            hanging[i] = pid;
            break;
        }
    pthread_mutex_unlock(&hanging_lock);
}

static void end_helper(const struct spawned *helper) {
    int64_t until_ms = loop_now_ms() + REAP_MS;
    kill(-helper->pid, SIGKILL);
    bool gone = reap(helper->pid);
    for (int64_t left; !gone && (left = until_ms - loop_now_ms()) > 0; gone = reap(helper->pid)) {
        struct pollfd wait = {.fd = helper->watch, .events = POLLIN};
        poll(&wait, 1, helper->watch >= 0 ? (int)left : 1);
    }
    if (!gone)
        keep_hanging(helper->pid);
    close(helper->output);
    if (helper->watch >= 0)
        close(helper->watch);
}

// --- Frames

// False: the helper is gone, or no frame.
static bool take_frame(struct share_session *session) {
    bool wrong = false;
    if (session->has_frame)
        share_frame_drop(&session->in, &session->frame);
    session->has_frame = share_frame_read(&session->in, &session->frame, &wrong);
    return !wrong;
}

static bool fill(struct share_session *session) {
    ssize_t n = buf_reserve(&session->in, SHARE_FRAME_MAX)
                    ? read(session->helper.output, buf_tail(&session->in), SHARE_FRAME_MAX)
                    : 0;
    if (n > 0)
        buf_advance(&session->in, (size_t)n);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

// The next frame of the answer. F is a fault, told here.
static enum share_fault receive(struct share_session *session, struct err *err) {
    int64_t silent_ms = loop_now_ms() + session->share->timeout_ms;
    while (take_frame(session) && !session->has_frame) {
        int64_t end_ms = silent_ms < session->give_up_ms ? silent_ms : session->give_up_ms;
        struct pollfd wait = {.fd = session->helper.output, .events = POLLIN};
        int64_t left = end_ms - loop_now_ms();
        int ready = left > 0 ? poll(&wait, 1, (int)left) : 0;
        if (ready == 0) {
            no_answer(session, "does not answer", err);
            if (err)
                err->code = ERR_TIMEOUT;
            return SHARE_UNREACHABLE;
        }
        if (ready > 0 && !fill(session))
            return no_answer(session, "cannot be looked at: its helper ended", err);
    }
    const struct share_frame *frame = &session->frame;
    if (!session->has_frame)
        return no_answer(session, "cannot be looked at: its helper talks nonsense", err);
    if (frame->kind != 'F')
        return SHARE_FINE;
    if (frame->length < 1)
        return no_answer(session, "cannot be looked at", err);
    err_set(err, ERR_PEER, "%.*s", (int)frame->length - 1, frame->payload + 1);
    return fault_set((enum share_fault)frame->payload[0], err);
}

// `texts` end with NULL; each goes with its NUL.
static enum share_fault request(struct share_session *session, char kind, const char *const *texts,
                                struct err *err) {
    struct buf payload, frame;
    buf_init(&payload, SHARE_FRAME_MAX);
    buf_init(&frame, SHARE_FRAME_HEAD + SHARE_FRAME_MAX);
    bool fits = true;
    for (; *texts; texts++)
        fits = fits && buf_add(&payload, *texts, strlen(*texts) + 1);
    fits = fits && share_frame_write(&frame, kind, buf_bytes(&payload), payload.length);
    // It fits into an empty socket, and the helper has read what came before.
    ssize_t n =
        fits ? send(session->requests, buf_bytes(&frame), frame.length, MSG_NOSIGNAL | MSG_DONTWAIT)
             : 0;
    bool sent = fits && n == (ssize_t)frame.length;
    if (payload.length)
        mem_wipe(payload.data, payload.capacity); // a password
    if (frame.length)
        mem_wipe(frame.data, frame.capacity);
    buf_fini(&payload);
    buf_fini(&frame);
    session->give_up_ms = loop_now_ms() + WHOLE_PATIENCE * session->share->timeout_ms;
    return sent ? SHARE_FINE : no_answer(session, "cannot be looked at: its helper is gone", err);
}

// --- The helper

static char *helper_path(const struct share *share) {
    char *program = system_program();
    char *slash = program ? strrchr(program, '/') : NULL;
    char *path = mem_printf("%.*s/%s", slash ? (int)(slash - program) : 1, slash ? program : ".",
                            share_is_smb(share) ? "ocr-share-smb" : "ocr-share-files");
    mem_free(program);
    return path;
}

static enum share_fault start_helper(struct share_session *session, struct err *err) {
    int ends[2] = {-1, -1};
    char *path = helper_path(session->share);
    char *const argv[] = {path, NULL};
    enum share_fault fault = SHARE_SETUP;
    if (access(path, X_OK) != 0) {
        err_set(
            err, ERR_SYSTEM, "%s is not there%s", path,
            share_is_smb(session->share)
                ? ": shares by smb:// need libsmbclient; install it (tools/install-deps ocr) and "
                  "build again"
                : "; install ocr-pipeline anew");
    } else if (!reap_hanging()) {
        fault = no_answer(session, "hangs, and others: too many processes wait for them", err);
    } else if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) {
        err_errno(err, "cannot speak to %s", path);
    } else {
        struct spawn_spec spec = {.path = path, .argv = argv, .envp = environ, .input = ends[1]};
        fcntl(ends[0], F_SETFD, FD_CLOEXEC);
        fcntl(ends[1], F_SETFD, FD_CLOEXEC);
        fault = spawn_process(&spec, &session->helper, err) ? SHARE_FINE : SHARE_SETUP;
        session->requests = ends[0];
        close(ends[1]);
    }
    mem_free(path);
    return fault ? fault_set(fault, err) : SHARE_FINE;
}

static enum share_fault enter(struct share_session *session, const struct share_login *login,
                              struct err *err) {
    const struct share *share = session->share;
    char port[16], timeout[24];
    snprintf(port, sizeof port, "%u", share->port);
    snprintf(timeout, sizeof timeout, "%lld", (long long)share->timeout_ms);
    const char *const words[] = {
        share->location, login->user, login->password, login->workgroup, port, timeout, NULL};
    enum share_fault fault = request(session, 'O', words, err);
    return fault ? fault : receive(session, err);
}

enum share_fault share_session_open(const struct share *share, struct share_session **out,
                                    struct err *err) {
    struct share_login login = {0};
    *out = NULL;
    if (!share_login_read(share, &login, err))
        return fault_set(SHARE_SETUP, err);
    struct share_session *session = mem_alloc(sizeof *session);
    *session = (struct share_session){.share = share, .helper.pid = -1, .requests = -1};
    buf_init(&session->in, 2 * (SHARE_FRAME_HEAD + SHARE_FRAME_MAX));
    enum share_fault fault = start_helper(session, err);
    if (!fault)
        fault = enter(session, &login, err);
    share_login_fini(&login);
    if (fault)
        share_session_close(session);
    else
        *out = session;
    return fault;
}

void share_session_close(struct share_session *session) {
    if (!session)
        return;
    if (session->requests >= 0)
        close(session->requests);
    if (session->helper.pid > 0)
        end_helper(&session->helper);
    buf_fini(&session->in);
    mem_free(session);
}

// --- Questions

enum share_fault share_session_list(struct share_session *session, const char *folder,
                                    share_entry_fn *on_entry, void *arg, struct err *err) {
    const char *const words[] = {folder, NULL};
    enum share_fault fault = request(session, 'L', words, err);
    for (size_t count = 0; !fault && !(fault = receive(session, err)); count++) {
        const struct share_frame *frame = &session->frame;
        char *name;
        if (frame->kind == 'K')
            return SHARE_FINE;
        if (frame->kind != 'E' || frame->length < 2 || count == LIST_MAX)
            return no_answer(session, "gives no list of its files", err);
        name = mem_strndup(frame->payload + 1, frame->length - 1);
        bool good = on_entry(arg, frame->payload[0], name, err);
        mem_free(name);
        if (!good)
            return SHARE_TOO_LARGE;
    }
    return fault;
}

enum share_fault share_session_stat(struct share_session *session, const char *path, char *kind,
                                    uint64_t *size, struct err *err) {
    const char *const words[] = {path, NULL};
    enum share_fault fault = request(session, 'S', words, err);
    if (!fault)
        fault = receive(session, err);
    if (fault)
        return fault;
    const struct share_frame *frame = &session->frame;
    if (frame->kind != 'I' || frame->length != 9)
        return no_answer(session, "does not say what a file is", err);
    *kind = frame->payload[0];
    *size = share_get_size((const unsigned char *)frame->payload + 1);
    return SHARE_FINE;
}

enum share_fault share_session_read(struct share_session *session, const char *path, size_t most,
                                    char **bytes, size_t *length, struct err *err) {
    struct buf content;
    char limit[24];
    snprintf(limit, sizeof limit, "%zu", most);
    const char *const words[] = {path, limit, NULL};
    buf_init(&content, most);
    enum share_fault fault = request(session, 'R', words, err);
    while (!fault && !(fault = receive(session, err)) && session->frame.kind == 'B')
        if (!buf_add(&content, session->frame.payload, session->frame.length))
            fault = no_answer(session, "gives more of a file than was asked for", err);
    if (!fault && session->frame.kind != 'K')
        fault = no_answer(session, "does not give a file", err);
    if (fault)
        buf_fini(&content);
    else
        *bytes = buf_take(&content, length);
    return fault;
}
