#include "helper.h"

#include "base/buf.h"
#include "base/path.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int answers = -1; // where they go

// --- Answers

static bool send_frame(char kind, const void *payload, size_t length) {
    struct buf frame;
    buf_init(&frame, SHARE_FRAME_HEAD + SHARE_FRAME_MAX);
    bool good = share_frame_write(&frame, kind, payload, length) &&
                path_write_all(answers, buf_bytes(&frame), frame.length);
    buf_fini(&frame);
    return good;
}

static bool send_entry(char kind, const char *name) {
    char payload[4096];
    int length = snprintf(payload, sizeof payload, "%c%s", kind, name);
    return length >= (int)sizeof payload || send_frame('E', payload, (size_t)length);
}

static bool send_bytes(const void *bytes, size_t length) {
    return length == 0 || send_frame('B', bytes, length);
}

static bool send_fault(enum share_fault fault, const struct err *err) {
    char payload[sizeof err->text + 1];
    int length = snprintf(payload, sizeof payload, "%c%s", (char)fault, err->text);
    return send_frame('F', payload, (size_t)length);
}

static bool send_info(const struct helper_info *info) {
    unsigned char payload[9] = {(unsigned char)info->kind};
    share_put_size(payload + 1, info->size);
    return send_frame('I', payload, sizeof payload);
}

// --- Requests

static bool read_place(const struct share_frame *frame, struct helper_place *place) {
    size_t at = 0;
    int64_t port = 0, timeout_ms = 0;
    const char **texts[] = {&place->location, &place->user, &place->password, &place->workgroup};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!(*texts[i] = share_frame_text(frame, &at)))
            return false;
    const char *number = share_frame_text(frame, &at), *time = share_frame_text(frame, &at);
    if (!number || !time || !str_to_int(number, 0, 65535, &port) ||
        !str_to_int(time, 1, 3600000, &timeout_ms))
        return false;
    place->port = (unsigned)port;
    place->timeout_ms = (unsigned)timeout_ms;
    return true;
}

static bool answer(const struct helper_ops *ops, const struct share_frame *frame, bool *opened) {
    struct err err = {0};
    struct helper_place place;
    struct helper_info info = {'o', 0};
    int64_t most = 0;
    size_t at = 0;
    enum share_fault fault;
    if (frame->kind == 'O' && !*opened && read_place(frame, &place)) {
        fault = ops->open(&place, &err);
        *opened = fault == SHARE_FINE;
        return fault ? send_fault(fault, &err) : send_frame('K', NULL, 0);
    }
    const char *path = share_frame_text(frame, &at);
    if (!*opened || !path || !share_path_is_inside(path)) // whoever asks
        return false;
    switch (frame->kind) {
    case 'L':
        fault = ops->list(path, send_entry, &err);
        return fault ? send_fault(fault, &err) : send_frame('K', NULL, 0);
    case 'S':
        fault = ops->stat(path, &info, &err);
        return fault ? send_fault(fault, &err) : send_info(&info);
    case 'R': {
        const char *limit = share_frame_text(frame, &at);
        if (!limit || !str_to_int(limit, 0, INT64_MAX, &most))
            return false;
        fault = ops->read(path, (uint64_t)most, send_bytes, &err);
        return fault ? send_fault(fault, &err) : send_frame('K', NULL, 0);
    }
    default: return false;
    }
}

// What a library prints must not get among the answers.
static bool take_output(void) {
    answers = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
    return answers >= 0 && quiet >= 0 && dup2(quiet, STDOUT_FILENO) >= 0 &&
           dup2(quiet, STDERR_FILENO) >= 0;
}

int helper_run(const struct helper_ops *ops) {
    struct buf in;
    struct share_frame frame;
    bool wrong = false, opened = false, good = take_output();
    buf_init(&in, 2 * (SHARE_FRAME_HEAD + SHARE_FRAME_MAX));
    while (good && !wrong) {
        if (share_frame_read(&in, &frame, &wrong)) {
            good = answer(ops, &frame, &opened);
            share_frame_drop(&in, &frame);
            continue;
        }
        char bytes[4096];
        ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        good = n < 0 || buf_add(&in, bytes, (size_t)n);
    }
    buf_fini(&in);
    return good && !wrong ? 0 : 1;
}

// --- Faults

enum share_fault helper_fault(int number, enum share_fault missing, const char *path,
                              struct err *err) {
    errno = number;
    err_errno(err, "%s", path);
    if (number == ENOENT || number == ENOTDIR || number == EISDIR || number == ENAMETOOLONG ||
        number == EINVAL)
        return missing;
    if (number == EACCES || number == EPERM)
        return SHARE_FILE_DENIED;
    return SHARE_UNREACHABLE;
}

enum share_fault helper_too_large(const char *path, uint64_t most, struct err *err) {
    err_set(err, ERR_LIMIT, "%s has more than %llu bytes", path, (unsigned long long)most);
    return SHARE_TOO_LARGE;
}

enum share_fault helper_copy(ssize_t (*read)(int fd, void *bytes, size_t size), int fd,
                             const char *path, uint64_t most, helper_bytes_fn *on_bytes,
                             struct err *err) {
    char bytes[SHARE_FRAME_MAX];
    uint64_t total = 0;
    for (;;) {
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return helper_fault(errno, SHARE_FILE_MISSING, path, err);
        if (n == 0)
            return SHARE_FINE;
        total += (uint64_t)n;
        if (total > most)
            return helper_too_large(path, most, err);
        if (!on_bytes(bytes, (size_t)n))
            return SHARE_FINE; // nobody listens
    }
}
