/* Preloaded: a disk that is full. While the file $FULL_DISK exists, what is written to a file (not
 * to stdin, stdout or stderr) goes there by half and then not at all, as where the last blocks are
 * taken. */
#undef _FILE_OFFSET_BITS // it would make pwrite another name of pwrite64
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef ssize_t write_fn(int fd, const void *bytes, size_t length);
typedef ssize_t pwrite_fn(int fd, const void *bytes, size_t length, off_t at);

// How much of it has room; 0: nothing.
static size_t room(int fd, size_t length) {
    static _Thread_local bool half;
    struct stat st;
    const char *flag = getenv("FULL_DISK");
    if (fd <= STDERR_FILENO || !flag || access(flag, F_OK) != 0 || fstat(fd, &st) != 0 ||
        !S_ISREG(st.st_mode))
        return length;
    half = !half;
    return half ? length / 2 : 0;
}

static ssize_t none(void) {
    errno = ENOSPC;
    return -1;
}

// The headers call them __fd, __buf ...
// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)
ssize_t write(int fd, const void *bytes, size_t length) {
    write_fn *real = (write_fn *)dlsym(RTLD_NEXT, "write");
    size_t fits = room(fd, length);
    return fits || !length ? real(fd, bytes, fits) : none();
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    pwrite_fn *real = (pwrite_fn *)dlsym(RTLD_NEXT, "pwrite");
    size_t fits = room(fd, length);
    return fits || !length ? real(fd, bytes, fits, at) : none();
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) {
    return pwrite(fd, bytes, length, at);
}
// NOLINTEND(readability-inconsistent-declaration-parameter-name)
