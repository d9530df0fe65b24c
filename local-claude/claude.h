// Claude Code itself, as it is installed here: where it is, which version, what its command line
// knows. Asked once per installed file; afterwards a small file in the cache answers.
#pragma once

#include "base/err.h"

#include <stdbool.h>

struct claude {
    char *path;
    char *version;                // "2.1.197"; NULL when it does not tell
    bool excludes_dynamic_prompt; // --exclude-dynamic-system-prompt-sections
    bool takes_settings;          // --settings
    char *commands;               // " mcp plugin ... ": those that need no model
};

// `wanted` or NULL: on PATH, then where its installers put it. ERR_NOTFOUND tells how to install
// it.
bool claude_find(struct claude *claude, const char *wanted, struct err *err);
// Fills in what is not known; may run it (--version, --help: about a second) in `environment`.
void claude_learn(struct claude *claude, char *const *environment);
void claude_fini(struct claude *claude);
bool claude_has_command(const struct claude *claude, const char *word);
