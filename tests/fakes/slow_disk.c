/* Preloaded into the server: a network share that hangs. While the file $SLOW_DISK exists, whoever
 * looks at a path with "/hung/" in it waits. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef int stat_fn(const char *path, struct stat *out);

// The header calls them __file and __buf.
// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name)
int stat(const char *restrict path, struct stat *restrict out) {
    stat_fn *real = (stat_fn *)dlsym(RTLD_NEXT, "stat");
    const char *flag = getenv("SLOW_DISK");
    while (flag && strstr(path, "/hung/") && access(flag, F_OK) == 0)
        usleep(2000);
    return real(path, out);
}
