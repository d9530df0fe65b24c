// What the user asked for: arguments, then the environment, then ~/.config/local-claude.ini, then
// the defaults. Everything after `--`, and every argument that is not ours, goes to Claude Code.
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct options {
    const char *backend;           // NULL = found by looking
    const char *host;              // LCC_HOST; --host. NULL = loopback
    unsigned port;                 // LCC_PORT, LLAMA_PORT (llama only); 0 = the backend's own
    const char *model;             // a name, a file, or NULL = the backend's default or a menu
    int64_t context_tokens;        // --ctx; 0 = what fits
    const char *kv;                // --kv: type of the KV cache (lmstudio); NULL = as it is
    const char *draft;             // LLAMA_DRAFT: a file, "auto" or "none"
    const char *llama_server;      // LLAMA_SERVER; NULL = as ancalagon finds it
    const char *models_dir;        // MODELS_DIR
    const char *ssh_host;          // REMOTE_SSH_HOST: what `ssh` takes
    const char *remote_models_dir; // REMOTE_MODELS_DIR
    const char *claude;            // LOCAL_CLAUDE_BIN: the program; NULL = `claude` on PATH
    const char *key;               // LCC_API_KEY, for a server that wants one
    bool lean, airgap, print_env, dry_run, help, version;
    char **claude_args; // NULL-terminated
    int claude_arg_count;
    char **texts; // what the members above point into
    size_t text_count;
};

// Texts stay owned by the options. False: a usage error, in words; a wrong line of the file is
// named with the file and its number. The options are to be ended either way.
bool options_read(struct options *options, int argc, char **argv, struct err *err);
void options_fini(struct options *options);

// True when one of Claude Code's arguments is `flag`, or "flag=...".
bool options_passes(const struct options *options, const char *flag);
