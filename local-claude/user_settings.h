// The user's own --settings (a file or JSON, among Claude Code's arguments) and ours, as one:
// Claude Code takes the last --settings only, so theirs would put ours out of force, and with it
// what keeps a project's settings from leading elsewhere. Ours are put over theirs.
#pragma once

#include "base/err.h"
#include "options.h"

// What to pass as --settings: JSON, or, when theirs are a file, a file in the cache (others may
// read a command line, and such a file may hold a key). Theirs are taken out of
// options->claude_args. What of their "env" is left out is said on stderr. The caller's; NULL and
// err when theirs cannot be read.
char *user_settings_merge(struct options *options, char *const *environment, struct err *err);
