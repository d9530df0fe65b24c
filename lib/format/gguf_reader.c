#define _GNU_SOURCE
#include "format/gguf_private.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WINDOW = 64 * 1024 };

bool reader_broken(struct gguf_reader *r, const char *what) {
    return err_set(r->err, ERR_INVALID, "%s: not a usable GGUF: %s (at byte %llu)", r->path, what,
                   (unsigned long long)r->at);
}

static bool refill(struct gguf_reader *r) {
    ssize_t n;
    do
        n = pread(r->fd, r->window, WINDOW, (off_t)r->at);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_errno(r->err, "cannot read %s", r->path);
    r->window_at = r->at;
    r->window_length = (size_t)n;
    return true;
}

// Small pieces that lie in the window: a vocabulary has a quarter of a million of them.
static bool take_quickly(struct gguf_reader *r, void *out, uint64_t length) {
    uint64_t inside = r->at - r->window_at;
    if (r->at < r->window_at || inside > r->window_length || length > r->window_length - inside)
        return false;
    memcpy(out, r->window + inside, (size_t)length);
    r->at += length;
    return true;
}

bool reader_take(struct gguf_reader *r, void *out, uint64_t length) {
    if (out && take_quickly(r, out, length))
        return true;
    if (r->at > GGUF_HEADER_MAX)
        return reader_broken(r, "a header longer than any model's");
    if (length > r->size - r->at)
        return err_set(r->err, ERR_INVALID,
                       "%s: the file ends in the middle of its header (%llu bytes): the download "
                       "is incomplete",
                       r->path, (unsigned long long)r->size);
    char *to = out;
    while (length > 0) {
        uint64_t inside = r->at - r->window_at;
        if (r->at < r->window_at || inside >= r->window_length) {
            if (!refill(r))
                return false;
            if (r->window_length == 0)
                return reader_broken(r, "it shrank while being read");
            inside = 0;
        }
        size_t n = r->window_length - (size_t)inside;
        if (n > length)
            n = (size_t)length;
        if (to) {
            memcpy(to, r->window + inside, n);
            to += n;
        }
        r->at += n;
        length -= n;
    }
    return true;
}

bool reader_skip(struct gguf_reader *r, uint64_t length) {
    if (length > r->size - r->at)
        return reader_take(r, NULL, length); // says why
    r->at += length;
    return true;
}

bool reader_u32(struct gguf_reader *r, uint32_t *out) { return reader_take(r, out, sizeof *out); }
bool reader_u64(struct gguf_reader *r, uint64_t *out) { return reader_take(r, out, sizeof *out); }

char *reader_name(struct gguf_reader *r, uint64_t max, const char *what) {
    uint64_t length = 0;
    if (!reader_u64(r, &length))
        return NULL;
    if (length == 0 || length > max) {
        reader_broken(r, what);
        return NULL;
    }
    char *text = mem_alloc((size_t)length + 1);
    if (!reader_take(r, text, length) || memchr(text, 0, (size_t)length)) {
        if (r->err->code == ERR_NONE)
            reader_broken(r, what);
        mem_free(text);
        return NULL;
    }
    return text;
}

bool reader_open(struct gguf_reader *r, const char *path, struct err *err) {
    *r = (struct gguf_reader){.fd = -1, .path = path, .err = err};
    r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (r->fd < 0)
        return err_errno(err, "cannot open %s", path);
    struct stat st;
    if (fstat(r->fd, &st) != 0)
        return err_errno(err, "cannot read %s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INVALID, "%s is not a file", path);
    r->size = (uint64_t)st.st_size;
    r->window = mem_alloc(WINDOW);
    return true;
}

void reader_close(struct gguf_reader *r) {
    if (r->fd >= 0)
        close(r->fd);
    mem_free(r->window);
}
