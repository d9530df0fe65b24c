#define _GNU_SOURCE
#include "systemctl.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/system.h"
#include "engine/args.h"
#include "event/child.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TIMEOUT_MS = 120 * 1000, MAX_OUTPUT = 256 * 1024 };

char *systemctl_find_program(const char *name) {
    if (strchr(name, '/'))
        return mem_strdup(name);
    const char *path = getenv("PATH");
    if (!path || !*path)
        path = "/usr/bin:/bin";
    while (*path) {
        size_t length = strcspn(path, ":");
        char *full = mem_printf("%.*s/%s", (int)length, path, name);
        if (full[0] == '/' && access(full, X_OK) == 0)
            return full;
        mem_free(full);
        path += length + (path[length] == ':');
    }
    return NULL;
}

static int run(const char *program, const struct args *args, struct buf *out) {
    struct buf sink;
    buf_init(&sink, MAX_OUTPUT);
    int status = -1;
    struct spawn_spec spec = {.path = program, .argv = args->items, .envp = environ};
    bool ok = child_capture(&spec, TIMEOUT_MS, MAX_OUTPUT, out ? out : &sink, &status, NULL);
    buf_fini(&sink);
    return ok ? status : -1;
}

int systemctl_user(const char *const *words, struct buf *out) {
    const char *other = getenv("ANCALAGON_SYSTEMCTL");
    char *program = systemctl_find_program(other && *other ? other : "systemctl");
    if (!program)
        return -1;
    struct args args;
    args_init(&args);
    args_add(&args, program);
    args_add(&args, "--user");
    for (; *words; words++)
        args_add(&args, *words);
    int status = run(program, &args, out);
    args_fini(&args);
    mem_free(program);
    return status;
}

bool systemctl_works(void) {
    return systemctl_user((const char *const[]){"show", "--property=Version", NULL}, NULL) == 0;
}

bool systemctl_accepts(const char *const *properties) {
    char *program = systemctl_find_program("systemd-run");
    if (!program || getenv("ANCALAGON_SYSTEMCTL")) { // a stand-in cannot be asked
        mem_free(program);
        return true;
    }
    struct args args;
    args_init(&args);
    args_add(&args, program);
    args_add(&args, "--user");
    args_add(&args, "--wait");
    args_add(&args, "--quiet");
    for (; *properties; properties++) {
        args_add(&args, "-p");
        args_add(&args, *properties);
    }
    args_add(&args, "/bin/true");
    int status = run(program, &args, NULL);
    args_fini(&args);
    mem_free(program);
    return status == 0;
}
