#define _GNU_SOURCE
#include "results.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "csv.h"
#include "format/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 30, LINE_MAX_BYTES = 64 << 20 };

struct results {
    const char *path; // NULL: standard output
    int fd;
    enum results_format format;
    char **done; // sorted
    size_t count;
};

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// --- What a file says already

// The photo that a line is about; the caller's, NULL when the line is none of ours.
static char *photo_of(const struct results *results, const char *line, size_t length) {
    if (results->format == RESULTS_CSV)
        return csv_first(line, length);
    json_t *report = json_parse(line, length, 0, 0, NULL);
    char *photo = mem_strdup(json_get_text(report, "file", NULL));
    json_decref(report);
    return photo;
}

static bool learn_line(struct results *results, const char *line, size_t length, unsigned number,
                       struct err *err) {
    if (results->format == RESULTS_CSV && number == 1)
        return (length > 0 && memcmp(line, "file,", 5) == 0) ||
               err_set(err, ERR_INVALID, "%s is no CSV of ours; name another file", results->path);
    char *photo = photo_of(results, line, length);
    if (!photo)
        return err_set(err, ERR_INVALID, "%s:%u is no result of ours; name another file",
                       results->path, number);
    if ((results->count & (results->count - 1)) == 0)
        results->done = mem_resize(results->done, (results->count ? 2 * results->count : 1) *
                                                      sizeof *results->done);
    results->done[results->count++] = photo;
    return true;
}

static bool learn(struct results *results, struct err *err) {
    size_t length, at = 0;
    unsigned number = 0;
    char *bytes = path_read_file(results->path, FILE_MAX, &length, err);
    if (!bytes)
        return false;
    bool good = true;
    for (char *end; good && (end = memchr(bytes + at, '\n', length - at));
         at = (size_t)(end - bytes) + 1)
        good = learn_line(results, bytes + at, (size_t)(end - bytes) - at, ++number, err);
    mem_free(bytes);
    if (good && at < length && ftruncate(results->fd, (off_t)at) != 0)
        good = err_errno(err, "cannot take the cut last line from %s", results->path);
    if (results->count)
        qsort(results->done, results->count, sizeof *results->done, by_text);
    return good;
}

bool results_has(const struct results *results, const char *photo) {
    json_t *text = json_text(photo); // as it was written
    const char *key = json_string_value(text);
    bool has = results->count &&
               bsearch(&key, results->done, results->count, sizeof *results->done, by_text);
    json_decref(text);
    return has;
}

// --- Writing

static bool open_file(struct results *results, struct err *err) {
    results->fd = open(results->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (results->fd < 0)
        return err_errno(err, "cannot open %s", results->path);
    if (flock(results->fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK
                   ? err_set(err, ERR_BUSY, "another run writes to %s", results->path)
                   : err_errno(err, "cannot lock %s", results->path);
    return learn(results, err);
}

static bool is_empty(const struct results *results) {
    struct stat st;
    return !results->path || (fstat(results->fd, &st) == 0 && st.st_size == 0);
}

struct results *results_open(const char *path, enum results_format format, struct err *err) {
    struct results *results = mem_alloc(sizeof *results);
    results->path = path;
    results->format = format;
    results->fd = path ? -1 : STDOUT_FILENO;
    bool good = !path || open_file(results, err);
    if (good && format == RESULTS_CSV && is_empty(results)) {
        struct buf head;
        buf_init(&head, 4096);
        csv_head(&head);
        good = results_add(results, buf_bytes(&head), head.length, err);
        buf_fini(&head);
    }
    if (good)
        return results;
    results_close(results);
    return NULL;
}

void results_close(struct results *results) {
    if (!results)
        return;
    if (results->path && results->fd >= 0)
        close(results->fd);
    for (size_t i = 0; i < results->count; i++)
        mem_free(results->done[i]);
    mem_free(results->done);
    mem_free(results);
}

bool results_add(struct results *results, const char *line, size_t length, struct err *err) {
    struct buf whole;
    struct stat before;
    buf_init(&whole, LINE_MAX_BYTES);
    bool file = results->path && fstat(results->fd, &before) == 0;
    bool good = buf_add(&whole, line, length) && buf_adds(&whole, "\n");
    if (!good)
        err_set(err, ERR_LIMIT, "a result of more than %d bytes", LINE_MAX_BYTES);
    else if (!path_write_all(results->fd, buf_bytes(&whole), whole.length)) {
        good =
            err_errno(err, "cannot write to %s", results->path ? results->path : "standard output");
        if (file && ftruncate(results->fd, before.st_size) != 0)
            err_context(err, "the last line is cut");
    }
    buf_fini(&whole);
    return good;
}
