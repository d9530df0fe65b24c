// What the project in the working directory adds to Claude Code's prompt by itself.
#pragma once

#include <stdint.h>

// Tokens of its CLAUDE.md files, here and in the folders above, by their size: an estimate. 0:
// none. Files that they name (@file) are not counted.
int64_t project_tokens(void);
