#define _GNU_SOURCE
#include "base/path.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *path_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *path_join(const char *dir, const char *name) {
    if (name[0] == '/')
        return mem_strdup(name);
    return mem_printf("%s%s%s", dir, str_ends(dir, "/") ? "" : "/", name);
}

char *path_absolute(const char *path, struct err *err) {
    char *cwd = NULL, *joined;
    if (path[0] != '/') {
        cwd = getcwd(NULL, 0);
        if (!cwd) {
            err_errno(err, "cannot tell the current folder");
            return NULL;
        }
    }
    joined = path_join(cwd ? cwd : "/", path);
    free(cwd);
    // Components are folded by text: the file need not exist, and a name keeps its symlinks.
    struct buf out;
    buf_init(&out, strlen(joined) + 2);
    for (const char *p = joined; *p;) {
        while (*p == '/')
            p++;
        size_t n = strcspn(p, "/");
        struct span part = {p, n};
        if (span_is(part, "..")) {
            while (out.length && buf_bytes(&out)[out.length - 1] != '/')
                out.length--;
            if (out.length)
                out.length--;
        } else if (n && !span_is(part, ".")) {
            buf_add(&out, "/", 1);
            buf_add(&out, p, n);
        }
        p += n;
    }
    if (out.length == 0)
        buf_add(&out, "/", 1);
    mem_free(joined);
    return buf_take(&out, NULL);
}

char *path_home(void) {
    const char *home = getenv("HOME");
    if (home && home[0] == '/')
        return mem_strdup(home);
    struct passwd *user = getpwuid(getuid());
    return mem_strdup(user ? user->pw_dir : "/");
}

char *path_expand(const char *path) {
    if (strcmp(path, "~") != 0 && !str_starts(path, "~/"))
        return mem_strdup(path);
    char *home = path_home();
    char *full = mem_printf("%s%s", home, path + 1);
    mem_free(home);
    return full;
}

// The base directory specification: a relative value counts as unset.
static char *xdg(const char *variable, const char *fallback, const char *name) {
    const char *base = getenv(variable);
    char *full;
    if (base && base[0] == '/') {
        full = mem_printf("%s/ancalagon", base);
    } else {
        char *home = path_home();
        full = mem_printf("%s/%s/ancalagon", home, fallback);
        mem_free(home);
    }
    char *result = name && *name ? path_join(full, name) : mem_strdup(full);
    mem_free(full);
    return result;
}

char *path_config(const char *name) { return xdg("XDG_CONFIG_HOME", ".config", name); }
char *path_state(const char *name) { return xdg("XDG_STATE_HOME", ".local/state", name); }
char *path_cache(const char *name) { return xdg("XDG_CACHE_HOME", ".cache", name); }

char *path_runtime_of(const char *program) {
    const char *base = getenv("XDG_RUNTIME_DIR");
    if (base && base[0] == '/')
        return mem_printf("%s/%s", base, program);
    char run[64];
    struct stat st;
    snprintf(run, sizeof run, "/run/user/%u", (unsigned)getuid());
    if (stat(run, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == getuid())
        return mem_printf("%s/%s", run, program);
    return mem_printf("/tmp/%s-%u", program, (unsigned)getuid());
}

char *path_runtime(void) { return path_runtime_of("ancalagon"); }

bool path_make_private(const char *dir, struct err *err) {
    char *copy = mem_strdup(dir);
    bool ok = true;
    for (char *p = copy + 1; ok; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char saved = *p;
        *p = '\0';
        if (mkdir(copy, 0700) != 0 && errno != EEXIST)
            ok = err_errno(err, "cannot make folder %s", copy);
        *p = saved;
        if (saved == '\0')
            break;
    }
    struct stat st;
    if (ok && lstat(copy, &st) != 0)
        ok = err_errno(err, "cannot look at %s", copy);
    if (ok && (!S_ISDIR(st.st_mode) || st.st_uid != getuid()))
        ok = err_set(err, ERR_DENIED, "%s is not a folder of ours; remove it", copy);
    if (ok && (st.st_mode & 077) && chmod(copy, 0700) != 0)
        ok = err_errno(err, "cannot close %s to other users", copy);
    mem_free(copy);
    return ok;
}

bool path_write_all(int fd, const void *bytes, size_t length) {
    for (const char *at = bytes; length > 0;) {
        ssize_t n = write(fd, at, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        length -= (size_t)n;
    }
    return true;
}

bool path_write_file(const char *path, const void *bytes, size_t length, mode_t mode,
                     struct err *err) {
    char *temp = mem_printf("%s.XXXXXX", path);
    bool ok = false;
    int fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0) {
        err_errno(err, "cannot write beside %s", path);
        goto out;
    }
    ok = path_write_all(fd, bytes, length) && fchmod(fd, mode) == 0 && fsync(fd) == 0;
    if (!ok)
        err_errno(err, "cannot write %s", path);
    close(fd);
    if (ok && rename(temp, path) != 0)
        ok = err_errno(err, "cannot put %s in place", path);
    if (!ok)
        unlink(temp);
out:
    mem_free(temp);
    return ok;
}

char *path_read_file(const char *path, size_t max, size_t *length, struct err *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        err_errno(err, "cannot open %s", path);
        return NULL;
    }
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode)) {
        err_set(err, ERR_INVALID, "%s is a pipe, not a file", path);
        close(fd);
        return NULL;
    }
    struct buf content;
    buf_init(&content, max);
    char block[16384];
    ssize_t n;
    while ((n = read(fd, block, sizeof block)) > 0)
        if (!buf_add(&content, block, (size_t)n)) {
            err_set(err, ERR_LIMIT, "%s is larger than %zu bytes", path, max);
            goto fail;
        }
    if (n < 0) {
        err_errno(err, "cannot read %s", path);
        goto fail;
    }
    close(fd);
    return buf_take(&content, length);
fail:
    close(fd);
    buf_fini(&content);
    return NULL;
}

char *path_read_private(const char *path, size_t max, size_t *length, struct err *err) {
    struct stat st;
    if (stat(path, &st) != 0) {
        err_errno(err, "cannot look at %s", path);
        return NULL;
    }
    if (st.st_mode & 077) {
        err_set(err, ERR_DENIED, "%s can be read by others; run: chmod 600 %s", path, path);
        return NULL;
    }
    return path_read_file(path, max, length, err);
}
