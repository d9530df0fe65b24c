#include "programs.h"

#include "base/mem.h"
#include "base/system.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool program_is(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

char *program_on_path(const char *name) {
    const char *p = getenv("PATH");
    while (p && *p) {
        size_t length = strcspn(p, ":");
        if (*p == '/') {
            char *full = mem_printf("%.*s/%s", (int)length, p, name);
            if (program_is(full))
                return full;
            mem_free(full);
        }
        p += length + (p[length] == ':');
    }
    return NULL;
}

char *program_of_house(const char *name) {
    char *own = system_program(), *slash = own ? strrchr(own, '/') : NULL;
    char *beside = slash ? mem_printf("%.*s/%s", (int)(slash - own), own, name) : NULL;
    mem_free(own);
    if (beside && program_is(beside))
        return beside;
    mem_free(beside);
    return program_on_path(name);
}
