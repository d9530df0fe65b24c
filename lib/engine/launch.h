// From a preset's settings to the command line and environment of one engine process: what the
// preset says, spelt for the build, and around it what is ours to decide (where it listens, what it
// must not serve, what only costs time at start).
#pragma once

#include "engine/args.h"
#include "engine/dialect.h"
#include "engine/spell.h"

struct launch_spec {
    const struct dialect *dialect; // its path is the program
    const char *model;             // absolute path of the GGUF
    const struct setting *settings;
    size_t setting_count;
    int parallel; // slots; 0 leaves it to the settings and the engine

    // Where it listens. A build without unix sockets needs a port and a key; the key is read from
    // a file (0600, the caller writes it) where the build can, since a command line is public.
    const char *socket; // a name ending in .sock, relative to the process's folder; or NULL
    int port;           // on 127.0.0.1
    const char *api_key;
    const char *api_key_file;

    char *const *environment; // to be scrubbed; usually `environ`
};

struct launch {
    struct args argv;
    struct args envp;
    struct problems problems; // warnings too; log them
};

// False when a setting cannot be honoured: problems says which and why. Call launch_fini always.
bool launch_build(const struct launch_spec *spec, struct launch *launch);
void launch_fini(struct launch *launch);

// The command line for a person to read, or to paste and run by hand; keys and tokens are replaced.
char *launch_describe(const struct launch *launch);
