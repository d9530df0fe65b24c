#include "project.h"

#include "base/mem.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BYTES_A_TOKEN = 4 };

static int64_t size_of(const char *folder, const char *name) {
    struct stat st;
    char *path = mem_printf("%s/%s", folder, name);
    int64_t size = stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (int64_t)st.st_size : 0;
    mem_free(path);
    return size;
}

int64_t project_tokens(void) {
    char folder[PATH_MAX];
    int64_t bytes = 0;
    if (!getcwd(folder, sizeof folder))
        return 0;
    for (char *end = folder + strlen(folder); end; end = strrchr(folder, '/')) {
        *end = '\0';
        bytes += size_of(folder, "CLAUDE.md") + size_of(folder, "CLAUDE.local.md");
    }
    return bytes / BYTES_A_TOKEN;
}
