#include "spool.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static char *spool_root(const char *state_dir) { return path_join(state_dir, "spool"); }

char *spool_create(const char *state_dir, struct err *err) {
    unsigned char random[12];
    char name[25];
    char *root = spool_root(state_dir), *folder = NULL;
    if (getentropy(random, sizeof random) != 0) {
        err_errno(err, "cannot get random bytes");
        goto out;
    }
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(name + 2 * i, 3, "%02x", random[i]);
    folder = path_join(root, name);
    if (!path_make_private(folder, err)) {
        mem_free(folder);
        folder = NULL;
    }
out:
    mem_free(root);
    return folder;
}

// False with errno.
static bool sync_at(int folder, const char *name) {
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    int number = errno;
    if (fd >= 0)
        close(fd);
    errno = number;
    return good;
}

// File by file: what others write to the same disk is not waited for.
bool spool_keep(const char *folder, struct err *err) {
    DIR *dir = opendir(folder);
    struct dirent *entry;
    bool good = dir != NULL;
    while (good && (entry = readdir(dir)))
        good = strcmp(entry->d_name, "..") == 0 || sync_at(dirfd(dir), entry->d_name);
    if (!good)
        err_errno(err, "cannot keep %s", folder);
    if (dir)
        closedir(dir);
    return good;
}

void spool_remove(const char *folder) {
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    if (rmdir(folder) != 0 && errno != ENOENT)
        log_warn("spool.remove folder=\"%s\" errno=%d", folder, errno);
}

void spool_sweep(const char *state_dir, bool (*is_needed)(void *arg, const char *folder),
                 void *arg) {
    char *root = spool_root(state_dir);
    DIR *dir = opendir(root);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        char *folder = path_join(root, entry->d_name);
        if (!is_needed(arg, folder))
            spool_remove(folder);
        mem_free(folder);
    }
    if (dir)
        closedir(dir);
    mem_free(root);
}
