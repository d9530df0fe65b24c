#define _GNU_SOURCE
#include "private_folder.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#define PREFIX "private-"

void private_folder_remove(const char *path) {
    DIR *folder = opendir(path);
    struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        closedir(folder);
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
static void sweep(const char *base) {
    DIR *folder = opendir(base);
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        if (!str_starts(entry->d_name, PREFIX))
            continue;
        char *path = path_join(base, entry->d_name);
        int fd = lock(path, 0);
        if (fd >= 0) {
            private_folder_remove(path);
            close(fd);
        }
        mem_free(path);
    }
    if (folder)
        closedir(folder);
}

char *private_folder_make(int *lock_fd, struct err *err) {
    uint32_t number = 0;
    char *base = path_runtime(), *path = NULL;
    sweep(base);
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        err_errno(err, "cannot get random bytes for a folder's name");
    else
        path = mem_printf("%s/" PREFIX "%08x", base, number);
    mem_free(base);
    if (path && (!path_make_private(path, err) || (*lock_fd = lock(path, O_CREAT)) < 0)) {
        if (err && err->code == ERR_NONE)
            err_errno(err, "cannot lock %s", path);
        mem_free(path);
        path = NULL;
    }
    return path;
}
