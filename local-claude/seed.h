// Claude Code's configuration folder for local models, apart from the user's own ~/.claude. Claude
// Code asks its vendor's servers at a first interactive start, whatever the environment says, until
// .claude.json in that folder has hasCompletedOnboarding.
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

// ~/.claude-local; the caller's.
char *seed_folder(void);

// Makes the folder (0700) and sees to the flag. Every other byte of the file stays as it is; a file
// that is no JSON object is an error and stays too. Safe beside other runs.
bool seed_config(const char *folder, struct err *err);

// The text of such a file with the flag set, or NULL when it is set already (err untouched) or the
// text is no JSON object (err set). `text` NULL: there is no file yet.
char *seed_merge(const char *text, size_t length, size_t *out_length, struct err *err);
