#define _GNU_SOURCE
#include "base/run_folder.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

void run_folder_remove(const char *path) {
    DIR *folder = path ? opendir(path) : NULL;
    struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        closedir(folder);
    if (path)
        rmdir(path);
}

static int lock(const char *folder, int flags) {
    char *path = path_join(folder, "lock");
    int fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
    mem_free(path);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

// One that has no lock yet is being made, or was given up before: it is left alone.
static void sweep(const char *base, const char *prefix) {
    DIR *folder = opendir(base);
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        if (!str_starts(entry->d_name, prefix))
            continue;
        char *path = path_join(base, entry->d_name);
        int fd = lock(path, 0);
        if (fd >= 0) {
            run_folder_remove(path);
            close(fd);
        }
        mem_free(path);
    }
    if (folder)
        closedir(folder);
}

char *run_folder_make(const char *base, const char *prefix, int *lock_fd, struct err *err) {
    uint32_t number = 0;
    sweep(base, prefix);
    if (getentropy(&number, sizeof number) != 0) {
        err_errno(err, "cannot get random bytes for a folder's name");
        return NULL;
    }
    char *path = mem_printf("%s/%s%08x", base, prefix, number);
    if (path_make_private(path, err) && (*lock_fd = lock(path, O_CREAT)) >= 0)
        return path;
    if (access(path, F_OK) == 0)
        err_errno(err, "cannot lock %s", path);
    mem_free(path);
    return NULL;
}
