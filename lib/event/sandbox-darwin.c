#include "event/sandbox.h"

#include "base/mem.h"

#include <stddef.h>

// Unix sockets are listened on; none is connected to, for one of them is that of the daemon that
// resolves names, and the others are no business of an engine's either.
static const char engine_profile[] = "(version 1)(allow default)(deny network*)"
                                     "(allow network-bind (local unix-socket))"
                                     "(allow network-inbound (local unix-socket))"
                                     "(deny mach-lookup (global-name \"com.apple.dnssd.service\")"
                                     " (global-name \"com.apple.networkd\")"
                                     " (global-name \"com.apple.nsurlsessiond\"))";

struct sandbox {
    const char *profile;
};

struct sandbox *sandbox_no_network(struct err *err) {
    struct sandbox *sandbox = mem_alloc(sizeof *sandbox);
    sandbox->profile = engine_profile;
    return sandbox;
}

void sandbox_destroy(struct sandbox *sandbox) { mem_free(sandbox); }

// sandbox_init(3) would compile the profile, for which it allocates: nothing to do between fork and
// exec in a program with threads. sandbox-exec(1) does it after them.
char **sandbox_command(const struct sandbox *sandbox, const char *path, char *const *argv) {
    size_t count = 0, given = 1;
    while (argv[0] && argv[given])
        given++;
    char **out = mem_alloc((given + 4) * sizeof *out);
    out[count++] = (char *)"/usr/bin/sandbox-exec";
    out[count++] = (char *)"-p";
    out[count++] = (char *)sandbox->profile;
    out[count++] = (char *)path;
    for (size_t i = 1; argv[0] && argv[i]; i++)
        out[count++] = argv[i];
    return out;
}

bool sandbox_apply(const struct sandbox *sandbox) { return true; }
